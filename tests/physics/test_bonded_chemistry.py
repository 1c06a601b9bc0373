"""What is bonded to metals, caps and residues without a template has the protons and ends that the bond leaves it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import unit

from refine.physics.caps import CAP_NAMES
from refine.physics.forcefield import ForceFieldSystem
from refine.structure.prepare import prepare
from refine.structure.protein import Protein
from tests.finishing.test_connections import INPUTS
from tests.structure import files
from tests.structure.test_connections import CYS, HIS, LYS, outward, with_lines

ASP = 12


def metal(number: int, atom: str, length: float = 2.2, element: str = "ZN") -> str:
    place = outward(number, atom, length)
    return files.atom_line(990, element, element, "A", "400", place, het=True, element=element)


def system_of(text: str, folder: Path) -> tuple[ForceFieldSystem, Protein]:
    path = folder / "model.pdb"
    path.write_text(text)
    prepared = prepare(path)
    return ForceFieldSystem(prepared.protein, prepared.mobile), prepared.protein


def residues(system: ForceFieldSystem) -> list[tuple[str, set[str]]]:
    return [(residue.name, {atom.name for atom in residue.atoms()}) for residue in system.topology.residues()]


def hydrogens(system: ForceFieldSystem, number: int) -> set[str]:
    own = [atoms for name, atoms in residues(system) if name not in CAP_NAMES]
    return {name for name in own[number - 1] if name.startswith("H")}


def parameters(system: ForceFieldSystem) -> tuple[np.ndarray, np.ndarray]:
    """Charges in e, as they are scaled by 1, and depths in kJ/mol of all particles."""
    force = next(f for f in system.system.getForces() if isinstance(f, openmm.NonbondedForce))
    charge = np.zeros(force.getNumParticles())
    for n in range(force.getNumParticleParameterOffsets()):
        _, i, value, _, _ = force.getParticleParameterOffset(n)
        charge[i] = value
    depth = [force.getParticleParameters(i)[2] / unit.kilojoule_per_mole for i in range(len(charge))]
    return charge, np.array(depth)


def test_a_thiolate_on_a_metal_has_no_proton_and_its_charge(tmp_path: Path) -> None:
    bound, protein = system_of(with_lines(metal(CYS, "SG", 2.33)), tmp_path)
    free, _ = system_of(with_lines(), tmp_path)
    assert "HG" not in hydrogens(bound, CYS) and "HG" in hydrogens(free, CYS)
    total = [parameters(s)[0][: s.topology.getNumAtoms()].sum() for s in (bound, free)]
    assert total[0] - total[1] == pytest.approx(-1.0, abs=1e-4)
    assert protein.connections[0].kind == "metal"


@pytest.mark.parametrize(("atom", "there", "gone"), [("NE2", "HD1", "HE2"), ("ND1", "HE2", "HD1")])
def test_a_histidine_has_its_proton_on_the_nitrogen_away_from_the_metal(
    atom: str, there: str, gone: str, tmp_path: Path
) -> None:
    own = hydrogens(system_of(with_lines(metal(HIS, atom)), tmp_path)[0], HIS)
    assert there in own and gone not in own


def test_a_thiolate_at_the_end_of_a_chain_keeps_a_proton_that_does_nothing(tmp_path: Path) -> None:
    lines = [line for line in files.atom_lines() if files.number_of(line) <= CYS]
    system, _ = system_of("\n".join([*lines, metal(CYS, "SG", 2.33), "END", ""]), tmp_path)
    (ghost,) = (a.index for a in system.topology.atoms() if a.name == "HG" and a.residue.name == "CYS")
    charge, depth = parameters(system)
    assert charge[ghost] == depth[ghost] == 0.0 and "OXT" in residues(system)[-1][1]


def test_a_lysine_and_an_aspartate_on_a_metal_are_without_the_proton_at_any_ph(tmp_path: Path) -> None:
    path = tmp_path / "model.pdb"
    for number, atom, proton in ((LYS, "NZ", "HZ"), (ASP, "OD2", "HD2")):
        counts = []
        for text in (with_lines(metal(number, atom)), with_lines()):
            path.write_text(text)
            prepared = prepare(path)
            system = ForceFieldSystem(prepared.protein, prepared.mobile, ph=2.0)
            counts.append(sum(name.startswith(proton) for name in hydrogens(system, number)))
        assert counts[0] == counts[1] - 1, atom


def test_phosphate_and_sugar_take_the_place_of_a_hydrogen(tmp_path: Path) -> None:
    for name, parent in (("phosphoserine", "OG"), ("sugars", "ND2")):
        system, protein = system_of(INPUTS[name], tmp_path)
        charge, depth = parameters(system)
        i = protein.connections[0].first.residue
        atoms = list(system.topology.atoms())
        beside = [
            other.index
            for a, b in system.topology.bonds()
            for atom, other in ((a, b), (b, a))
            if atom.name == parent and system.residue_of[atom.index] == i and other.element.symbol == "H"
        ]
        silent = [h for h in beside if charge[h] == depth[h] == 0.0]
        assert len(silent) == 1 and len(beside) == (1 if parent == "OG" else 2), [atoms[h].name for h in beside]
        assert charge[: len(atoms)].sum() == pytest.approx(round(charge[: len(atoms)].sum()), abs=1e-4)


def test_caps_leave_no_charged_end(tmp_path: Path) -> None:
    system, protein = system_of(INPUTS["caps"], tmp_path)
    names = [name for name, _ in residues(system)]
    assert (names[0], names[-1]) == ("ACE", "NME")
    assert "H2" not in residues(system)[1][1] and "OXT" not in residues(system)[-2][1]
    assert (system.particle[0, :4] >= 0).all() and system.residue_of[0] == -1
    fixed = [atom.index for atom in system.topology.atoms() if atom.residue.name in CAP_NAMES]
    assert all(system.system.getParticleMass(n) == 0 * unit.dalton for n in fixed)
    x = system.positions(protein)
    (carbon,) = (a.index for a in system.topology.atoms() if (a.residue.name, a.name) == ("ACE", "C"))
    assert tuple(x[carbon]) == pytest.approx(protein.hetero[0].position)

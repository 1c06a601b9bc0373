"""Phosphorylated residues are residues of phosaa14SB, where openmmforcefields brings it, and held where it does not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import gemmi
import numpy as np
import openmm
import pytest

from refine import doctor
from refine.constants import ATOM14
from refine.finishing.finish import finish
from refine.finishing.repacking import repack
from refine.finishing.settings import FinishSettings
from refine.physics.forcefield import ForceFieldSystem
from refine.pipeline import refine_file
from refine.settings import RunSettings
from refine.structure import protein as protein_module
from refine.structure import riding_groups
from refine.structure.arrays import chiral_volume, place_atom
from refine.structure.connections import held_residues
from refine.structure.gemmi_model import build_structure
from refine.structure.hands import chiral_centres
from refine.structure.prepare import Prepared, prepare
from refine.structure.protein import Protein
from refine.structure.ride import ride
from tests.conftest import ROOT

CHAIN = ROOT / "tests" / "data" / "1a7g.pdb"
KINDS = {
    "SEP": ("E", 346, ("CA", "CB", "OG")),
    "TPO": ("E", 325, ("CA", "CB", "OG1")),
    "PTR": ("E", 344, ("CE1", "CZ", "OH")),
    "NEP": ("E", 335, ("CG", "CD2", "NE2")),
}
"""Name in the PDB → a residue of 1a7g, and the atoms along which its phosphate is built."""

needs_parameters = pytest.mark.skipif(not riding_groups.phosphate_files(), reason="openmmforcefields is not installed")


def phosphorylated(path: Path, name: str, *, as_name: str = "", number: int | None = None) -> Path:
    """1a7g with a phosphate on one residue, at the torsion at which it has most room."""
    chain, usual, (first, second, carrier) = KINDS[name]
    structure = gemmi.read_structure(str(CHAIN))
    structure.remove_hydrogens()
    residue = next(r for r in structure[0][chain] if r.seqid.num == (number or usual))
    a, b, c = (np.array(residue[atom][0].pos.tolist()) for atom in (first, second, carrier))
    others = np.array([x.atom.pos.tolist() for x in structure[0].all() if x.residue.seqid != residue.seqid])
    best: tuple[float, np.ndarray] = (0.0, np.zeros((4, 3)))
    for torsion in np.radians(np.arange(0, 360, 10)):
        p = place_atom(a, b, c, 1.61 if name != "NEP" else 1.8, np.radians(120.5), torsion)
        oxygens = [place_atom(b, c, p, 1.5, np.radians(108.0), np.radians(60.0 + 120 * k)) for k in range(3)]
        places = np.array([p, *oxygens])
        room = float(np.linalg.norm(places[:, None] - others[None], axis=-1).min())
        best = max(best, (room, places), key=lambda pair: pair[0])
    residue.name, residue.het_flag = as_name or name, "H"
    for atom_name, element, place in zip(("P", "O1P", "O2P", "O3P"), "POOO", best[1], strict=True):
        atom = gemmi.Atom()
        atom.name, atom.element, atom.pos = atom_name, gemmi.Element(element), gemmi.Position(*place.tolist())
        residue.add_atom(atom)
    structure.write_pdb(str(path))
    return path


def own_residue(prepared: Prepared, name: str) -> int:
    return next(i for i, r in enumerate(prepared.protein.residue_ids) if r.number == KINDS[name][1])


def bond_lengths(protein: Protein, i: int) -> list[float]:
    """Å from the carrier to P, and from P to its oxygens, of the phosphate of residue ``i``."""
    places = protein.rider_places()[[rider.residue == i for rider in protein.riders]]
    carrier = protein.coords[0, i, next(r for r in protein.riders if r.residue == i).parent.slot]
    return [float(np.linalg.norm(carrier - places[0])), *np.linalg.norm(places[1:] - places[0], axis=1).tolist()]


@pytest.fixture(scope="module", params=KINDS)
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Prepared]:
    return request.param, prepare(phosphorylated(tmp_path_factory.mktemp("p") / "model.pdb", request.param))


@needs_parameters
def test_the_residue_moves_and_its_bonds_stay(one: tuple[str, Prepared]) -> None:
    name, prepared = one
    before, i = prepared.protein, own_residue(prepared, name)
    assert {rider.residue for rider in before.riders} == {i} and len(before.riders) == 4 and prepared.mobile[i]
    result = finish(before, FinishSettings(device="cpu"), prepared.mobile)
    after = result.protein
    assert result.report.flag == "complete" and not result.report.checks.introduced
    assert bond_lengths(after, i) == pytest.approx(bond_lengths(before, i), abs=0.1)
    assert np.linalg.norm(after.coords[0, i, :5] - before.coords[0, i, :5], axis=1).min() > 0.01
    assert np.linalg.norm(after.rider_places() - before.rider_places(), axis=1).min() > 0.05
    for left in (i - 1, i):
        assert 1.3 < np.linalg.norm(after.coords[0, left, 2] - after.coords[0, left + 1, 0]) < 1.38
    for centre in chiral_centres(after.sequence[i]):
        assert chiral_volume(*after.coords[0, i, list(centre)]) > 1.0
    written = next(r for r in build_structure(after)[0]["E"] if r.seqid.num == KINDS[name][1])
    assert written.name == name and {atom.name for atom in written} >= {"P", "O1P", "O2P", "O3P"}
    place = np.array(written["P"][0].pos.tolist())
    assert place == pytest.approx(after.rider_places()[0], abs=1e-3)


@needs_parameters
def test_a_run_moves_it_and_keeps_its_bonds(tmp_path: Path) -> None:
    path = phosphorylated(tmp_path / "model.pdb", "TPO")
    short = dataclasses.replace(RunSettings().propagation, steps=4, replicas=2)
    settings = dataclasses.replace(RunSettings(), device="cpu", models=1, workers=1, propagation=short)
    refine_file(path, tmp_path / "out", settings, report=False)
    before, after = prepare(path).protein, prepare(tmp_path / "out" / "model_1.pdb").protein
    i = next(rider.residue for rider in before.riders)
    assert bond_lengths(after, i) == pytest.approx(bond_lengths(before, i), abs=0.1)
    assert np.linalg.norm(after.rider_places() - before.rider_places(), axis=1).min() > 0.05
    assert np.linalg.norm(after.coords[0, i, 1] - before.coords[0, i, 1]) > 0.01
    assert chiral_volume(*after.coords[0, i, list(chiral_centres("T")[1])]) > 1.0
    for left in (i - 1, i):
        assert 1.3 < np.linalg.norm(after.coords[0, left, 2] - after.coords[0, left + 1, 0]) < 1.4


def charge_and_hydrogens(prepared: Prepared, i: int, ph: float) -> tuple[float, set[str]]:
    """Net charge of residue ``i``, and its hydrogens; charges are offsets to the parameter that scales them."""
    system = ForceFieldSystem(prepared.protein, prepared.mobile, ph=ph)
    force = next(f for f in system.system.getForces() if isinstance(f, openmm.NonbondedForce))
    charge = np.zeros(system.system.getNumParticles())
    for n in range(force.getNumParticleParameterOffsets()):
        _, particle, value, *_ = force.getParticleParameterOffset(n)
        charge[particle] += value
    own = np.flatnonzero(system.residue_of == i)
    names = [atom.name for atom in system.topology.atoms()]
    return float(charge[own].sum()), {names[k] for k in own if names[k].startswith("H")}


@needs_parameters
def test_charge_and_hydrogens(one: tuple[str, Prepared]) -> None:
    name, prepared = one
    i = own_residue(prepared, name)
    carrier = KINDS[name][2][2]
    charge, hydrogens = charge_and_hydrogens(prepared, i, 7.0)
    assert charge == pytest.approx(-2.0 if name != "NEP" else -1.0, abs=1e-3)
    assert "H1P" not in hydrogens and "H" + carrier[1:] not in hydrogens and {"H", "HA"} <= hydrogens
    charge, hydrogens = charge_and_hydrogens(prepared, i, 5.0)
    assert (charge, "H1P" in hydrogens) == ((pytest.approx(-1.0, abs=1e-3), name != "NEP"))


@needs_parameters
def test_ambers_name_of_the_protonated_form_says_its_charge(tmp_path: Path) -> None:
    prepared = prepare(phosphorylated(tmp_path / "model.pdb", "TPO", as_name="T1P"))
    charge, hydrogens = charge_and_hydrogens(prepared, own_residue(prepared, "TPO"), 7.0)
    assert charge == pytest.approx(-1.0, abs=1e-3) and "H1P" in hydrogens


@needs_parameters
def test_under_the_name_of_serine_it_is_the_same(tmp_path: Path) -> None:
    """As CHARMM's patches write it."""
    prepared = prepare(phosphorylated(tmp_path / "model.pdb", "SEP", as_name="SER"))
    assert len(prepared.protein.riders) == 4 and prepared.mobile.all()


@needs_parameters
def test_the_phosphate_follows_its_residue_in_every_replica(one: tuple[str, Prepared]) -> None:
    name, prepared = one
    protein, i = prepared.protein, own_residue(prepared, name)
    backbone = np.concatenate([protein.coords[:, :, :4] + np.float32(shift) for shift in (0.0, 3.0)])
    moved = ride(protein, backbone)
    for r in range(2):
        assert bond_lengths(moved.replica(r), i) == pytest.approx(bond_lengths(protein, i), abs=1e-3)


@needs_parameters
def test_side_chains_with_a_phosphate_are_not_turned(tmp_path: Path) -> None:
    """The search for rotamers does not know the phosphate: a clash must not make it turn what carries it."""
    prepared = prepare(phosphorylated(tmp_path / "model.pdb", "PTR"))
    i = own_residue(prepared, "PTR")
    coords = prepared.protein.coords.copy()
    near = prepared.protein.coords[0, i, ATOM14["Y"].index("CZ")] + np.float32(0.9)
    other = next(j for j, aa in enumerate(prepared.protein.sequence) if aa == "L" and abs(i - j) > 4)
    coords[0, other] += near - coords[0, other, 6]
    crowded = prepared.protein.with_coords(coords, oxt=prepared.protein.oxt)
    plain = prepare(CHAIN).protein
    bare = plain.with_coords(coords[:, :, :], oxt=plain.oxt)
    assert i in repack(bare, prepared.mobile, float("inf"))[1]
    assert i not in repack(crowded, prepared.mobile, float("inf"))[1]


@needs_parameters
def test_held_where_the_force_field_does_not_know_it(tmp_path: Path) -> None:
    """At the beginning and at the end of a chain, where an oxygen is gone, and where a metal is on an oxygen."""
    prepared = prepare(phosphorylated(tmp_path / "model.pdb", "TPO"))
    protein, i = prepared.protein, own_residue(prepared, "TPO")
    for part in (range(i, len(protein)), range(i + 1)):
        cut = protein.select(part)
        assert not cut.riders and held_residues(cut)[list(part).index(i)]
    lacking = protein.with_hetero([k for k, atom in enumerate(protein.hetero) if atom.name != "O2P"])
    assert not lacking.riders and held_residues(lacking)[i]
    path = tmp_path / "magnesium.pdb"
    p, oxygen = (np.array(protein.hetero[k].position) for k in (0, 1))
    x, y, z = oxygen + 1.4 * (oxygen - p)
    magnesium = f"HETATM 9999 MG    MG E 900    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          MG\n"
    lines = (tmp_path / "model.pdb").read_text().splitlines(keepends=True)
    path.write_text("".join([*(line for line in lines if not line.startswith("END")), magnesium]))
    bound = prepare(path)
    assert not bound.protein.riders and not bound.mobile[i]
    result = finish(bound.protein, FinishSettings(device="cpu"), bound.mobile)
    assert (result.protein.coords[0, i] == bound.protein.coords[0, i]).all()


@pytest.mark.parametrize("there", [False, True])
def test_the_doctor_says_whether_they_move(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "phosphate_files", lambda: ("a.xml",) if there else ())
    report, _ = doctor.examine(RunSettings(networks="none"))
    (line,) = [line for line in report.splitlines() if "modified extra" in line]
    assert ("residues move" in line) == there and ("pip install openmmforcefields" in line) != there


def test_without_the_package_it_is_held_and_a_note_says_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("protein", "prepare", "riding_groups"):
        monkeypatch.setattr(f"refine.structure.{module}.phosphate_files", lambda: ())
    prepared = prepare(phosphorylated(tmp_path / "model.pdb", "TPO"))
    i = own_residue(prepared, "TPO")
    assert not prepared.protein.riders and not prepared.mobile[i] and prepared.mobile.sum() == len(prepared.mobile) - 1
    (text,) = [str(note) for note in prepared.notes if "pip install openmmforcefields" in str(note)]
    assert "E:325" in text
    result = finish(prepared.protein, FinishSettings(device="cpu"), prepared.mobile)
    assert result.protein.hetero == prepared.protein.hetero
    assert (result.protein.coords[0, i] == prepared.protein.coords[0, i]).all()
    assert not any("pip install" in str(note) for note in prepare(CHAIN).notes)
    assert protein_module.phosphate_files() == ()

"""Torsion densities: files good and bad, and the residues whose Ramachandran energy they change."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from refine.constants import BOLTZMANN
from refine.energy.assemble import assemble
from refine.energy.ramachandran import TEMPERATURE, ramachandran
from refine.energy.settings import EnergySettings
from refine.energy.system import System
from refine.energy.torsion_density import TorsionDensity, densities_of, read_density, write_density
from refine.errors import InputError
from refine.settings import from_dict
from refine.structure.arrays import dihedral
from refine.structure.protein import HeteroAtom, Protein
from tests.proteins import chain_backbone, make_protein, torsions


def helix_density(residue: str) -> TorsionDensity:
    """One smooth basin about phi −60°, psi −45°; its energy at any angle is known in closed form but for a constant."""
    angle = np.arange(60) * 2 * np.pi / 60 - np.pi
    energy = -2 * np.cos(angle - np.radians(-60))[:, None] - 3 * np.cos(angle - np.radians(-45))[None]
    energy += np.log(np.exp(-energy).mean())
    return TorsionDensity(residue, energy.astype(np.float32), {"settings": {"seed": 0}})


def protein_of(sequence: str, hetero: tuple[HeteroAtom, ...] = ()) -> Protein:
    return make_protein([chain_backbone(*torsions(len(sequence)))], [sequence], hetero)


def changed(protein: Protein, *densities: TorsionDensity) -> list[int]:
    """Residues whose energy of the term is another with the densities."""
    system = System.from_protein(protein, dtype=torch.float64)
    x = torch.from_numpy(protein.coords[:, :, :4].astype(np.float64))
    difference = ramachandran(system, densities=densities)(x) - ramachandran(system)(x)
    return torch.nonzero(difference[0].abs() > 1e-6)[:, 0].tolist()


def test_the_residues_it_names_have_its_energy() -> None:
    protein, density = protein_of("GAKAPAEAG"), helix_density("ALA")
    assert changed(protein, density) == [1, 5, 7]  # alanine 3 stands before a proline
    system = System.from_protein(protein, dtype=torch.float64)
    x = protein.coords[:, :, :4].astype(np.float64)
    energy = ramachandran(system, densities=(density,))(torch.from_numpy(x))[0]
    phi = dihedral(x[0, 4, 2], x[0, 5, 0], x[0, 5, 1], x[0, 5, 2])
    psi = dihedral(x[0, 5, 0], x[0, 5, 1], x[0, 5, 2], x[0, 6, 0])
    exact = -2 * np.cos(phi - np.radians(-60)) - 3 * np.cos(psi - np.radians(-45))
    exact += density.energy[0, 0] - (-2 * np.cos(np.radians(-120)) - 3 * np.cos(np.radians(-135)))
    assert float(energy[5]) == pytest.approx(BOLTZMANN * TEMPERATURE * exact, abs=2e-3)


def test_its_force_is_that_of_its_energy() -> None:
    protein = protein_of("GAKAEAG")
    term = ramachandran(System.from_protein(protein, dtype=torch.float64), densities=(helix_density("ALA"),))
    x = torch.from_numpy(protein.coords[:, :, :4].astype(np.float64)).requires_grad_()
    force = -torch.autograd.grad(term(x).sum(), x)[0]
    for place in ((0, 3, 0, 1), (0, 3, 1, 2), (0, 4, 2, 0)):
        step = torch.zeros_like(x)
        step[place] = 1e-5
        with torch.no_grad():
            numeric = -(term(x + step).sum() - term(x - step).sum()) / 2e-5
        assert float(force[place]) == pytest.approx(float(numeric), abs=1e-4)


def test_a_modified_residue_has_its_own() -> None:
    """Hydroxyproline is read as proline, its oxygen is carried along; a density of either leaves the other alone."""
    oxygen = HeteroAtom("A", 3, "", "HYP", "OD1", "O", (0.0, 0.0, 0.0))
    protein = protein_of("GAPAEPG", (oxygen,))
    assert changed(protein, helix_density("HYP")) == [2]
    assert changed(protein, helix_density("PRO")) == [5]
    assert changed(protein_of("GAHAEHG"), helix_density("HIP")) == [2, 5]


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    density = helix_density("HYP")
    write_density(density, tmp_path / "a.npz")
    back = read_density(tmp_path / "a.npz")
    assert back.residue == "HYP" and back.facts == density.facts and np.array_equal(back.energy, density.energy)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz"]


@pytest.mark.parametrize(
    "fault",
    ({"residue": np.array("XYZ")}, {"energy": np.zeros((60, 59))}, {"energy": np.full((60, 60), np.nan)},
     {"energy": np.full((60, 60), 3.0)}, {"energy": np.zeros(60)}, {"facts": np.array("no JSON")}),
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, fault: dict[str, np.ndarray]) -> None:
    good = {"residue": np.array("ALA"), "energy": np.zeros((60, 60)), "facts": np.array("{}")}
    np.savez(tmp_path / "good.npz", **good)
    assert read_density(tmp_path / "good.npz").letter == "A"
    np.savez(tmp_path / "bad.npz", **(good | fault))
    with pytest.raises(InputError, match="bad.npz"):
        read_density(tmp_path / "bad.npz")


def test_no_file_and_no_archive(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    write_density(helix_density("ALA"), tmp_path / "whole.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-40])
    for name in ("none.npz", "text.npz", "cut.npz"):
        with pytest.raises(InputError, match=name):
            densities_of([str(tmp_path / name)])


def test_a_packaged_one_is_named_by_its_residue() -> None:
    (alanine,) = densities_of(["ALA"])
    assert alanine.letter == "A" and alanine.facts["crossings"] >= 10
    angles = np.degrees(np.arange(60) * 2 * np.pi / 60 - np.pi)
    phi, _ = np.unravel_index(alanine.energy.argmin(), alanine.energy.shape)
    assert -160 < angles[phi] < -50


def test_two_of_the_same_residue_are_refused(tmp_path: Path) -> None:
    for name in ("HIP", "HID", "HYP", "PRO"):
        write_density(helix_density(name), tmp_path / name)
    assert len(densities_of([str(tmp_path / "HYP"), str(tmp_path / "PRO"), str(tmp_path / "HID")])) == 3
    with pytest.raises(InputError, match="HIP and HID"):
        densities_of([str(tmp_path / "HIP"), str(tmp_path / "HID")])


def test_the_setting_reaches_the_energy(tmp_path: Path) -> None:
    write_density(helix_density("ALA"), tmp_path / "ala.npz")
    settings = from_dict({"energy": {"torsion_densities": [str(tmp_path / "ala.npz")]}})
    assert "torsion_densities" not in settings.energy.weights
    protein = protein_of("GAKAEAG")
    system = System.from_protein(protein)
    x = torch.from_numpy(protein.coords[:, :, :4].copy())
    values = [assemble(system, one)(x).per_term["ramachandran"] for one in (settings.energy, EnergySettings())]
    assert abs(float(values[0] - values[1])) > 0.01
    with pytest.raises(InputError, match="nowhere.npz"):
        assemble(system, dataclasses.replace(settings.energy, torsion_densities=("nowhere.npz",)))

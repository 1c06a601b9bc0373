"""Residues between caps and what a simulation of one gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import simulate_residue as experiment
from openmm import app

from refine import cli
from refine.energy.torsion_density import read_density
from refine.errors import EngineError, InputError
from refine.physics.capped import capped_residue
from refine.sampling.residue import NODES, ResidueSettings, Samples, density, histogram, positive_phi, quality


def angles_of(density_of: np.random.Generator, count: int) -> np.ndarray:
    """Two basins of phi, the second with a share of a fifth."""
    right = density_of.random(count) < 0.2
    phi = np.where(right, 1.0, -1.2) + density_of.normal(scale=0.25, size=count)
    return np.stack([phi, density_of.normal(scale=0.3, size=count)], 1)


@pytest.mark.parametrize("name", ("A", "GLY", "HIS", "ASH", "HIP", "LYN", "CYM", "HYP", "TRP"))
def test_residues_that_the_force_field_has(name: str) -> None:
    capped = capped_residue(name)
    x, bonds = capped.positions, [(a.index, b.index) for a, b in capped.topology.bonds()]
    lengths = np.array([np.linalg.norm(x[a] - x[b]) for a, b in bonds])
    assert lengths.min() > 0.9 and lengths.max() < 2.0
    names = [[a.name for a in capped.topology.atoms() if a.index == i][0] for i in (*capped.phi, *capped.psi)]
    assert names == ["C", "N", "CA", "C", "N", "CA", "C", "N"]
    assert capped.system.getNumParticles() == len(x) and np.isfinite(x).all()


def test_hydroxyproline_is_the_natural_one() -> None:
    """4R: the oxygen stands on the other side of the ring than the carbonyl."""
    capped = capped_residue("HYP")
    x = {a.name: capped.positions[a.index] for a in capped.topology.atoms() if a.residue.name == "HYP"}
    normal = np.cross(x["CB"] - x["CA"], x["N"] - x["CA"])
    carbonyl = normal @ (x["C"] - x["CA"])
    assert carbonyl * (normal @ (x["OD1"] - x["CG"])) < 0


@pytest.mark.parametrize(
    "name, words", (("SEP", "--parameters"), ("CYX", "CYS"), ("ACE", "ACE"), ("", "no parameters"))
)
def test_those_that_cannot_be_simulated_are_refused(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        capped_residue(name)


def test_parameters_of_the_user_make_a_residue(tmp_path: Path) -> None:
    """Serine with a fluorine in place of its hydroxyl, no residue of ff14SB."""
    field = app.ForceField("amber14/protein.ff14SB.xml")
    ser = field._templates["SER"]
    atoms = [a for a in ser.atoms if a.name != "HG"]
    text = "".join(
        f'<Atom name="{"FG" if a.name == "OG" else a.name}" type="{"F-test" if a.name == "OG" else a.type}" '
        f'charge="{a.parameters["charge"]}"/>'
        for a in atoms
    )
    place = {a.name: n for n, a in enumerate(atoms)}
    for i, j in ser.bonds:
        if "HG" not in (ser.atoms[i].name, ser.atoms[j].name):
            text += f'<Bond from="{place[ser.atoms[i].name]}" to="{place[ser.atoms[j].name]}"/>'
    ends = "".join(f'<ExternalBond from="{place[name]}"/>' for name in ("N", "C"))
    file = tmp_path / "fluor.xml"
    file.write_text(
        '<ForceField><AtomTypes><Type name="F-test" class="F-test" element="F" mass="19.0"/></AtomTypes><Residues>'
        f'<Residue name="SEP">{text}{ends}</Residue></Residues>'
        '<HarmonicBondForce><Bond class1="protein-2C" class2="F-test" length="0.138" k="300000.0"/></HarmonicBondForce>'
        '<HarmonicAngleForce><Angle class1="" class2="protein-2C" class3="F-test" angle="1.91" k="400.0"/>'
        "</HarmonicAngleForce>"
        '<NonbondedForce coulomb14scale="0.8333333333333334" lj14scale="0.5"><UseAttributeFromResidue name="charge"/>'
        '<Atom type="F-test" sigma="0.3" epsilon="0.25"/></NonbondedForce></ForceField>'
    )
    capped = capped_residue("SEP", [file])
    fluorine = next(a for a in capped.topology.atoms() if a.name == "FG")
    carbon = next(a for a in capped.topology.atoms() if a.name == "CB" and a.residue is fluorine.residue)
    apart = np.linalg.norm(capped.positions[fluorine.index] - capped.positions[carbon.index])
    assert 1.2 < apart < 1.5 and capped.letter == "S"
    with pytest.raises(InputError, match="none.xml"):
        capped_residue("SEP", [tmp_path / "none.xml"])


def test_weights_undo_a_bias() -> None:
    """Samples drawn with the shares of the sides turned round, and weighted, give the true density."""
    rng = np.random.default_rng(0)
    q = angles_of(rng, 40_000)
    raised = np.log(4.0) * 2 * (q[:, 0] > 0)
    keep = rng.random(len(q)) < np.exp(raised - raised.max())
    biased = Samples(q[keep], -raised[keep])
    free = Samples(angles_of(rng, 40_000), np.zeros(40_000))
    assert (biased.q[:, 0] > 0).mean() > 0.7
    assert positive_phi(biased) == pytest.approx(np.log(4.0), abs=0.1)
    made = density(biased, 6.0)
    assert made.shape == (NODES, NODES) and np.exp(-made.astype(float)).mean() == pytest.approx(1.0, abs=1e-5)
    assert experiment.divergence(histogram(free, 24), experiment.in_bins(made)) < 0.03
    unweighted = density(Samples(biased.q, np.zeros(len(biased.q))), 6.0)
    assert experiment.divergence(histogram(free, 24), experiment.in_bins(unweighted)) > 0.3


def test_a_mirror_image_is_told_from_itself() -> None:
    q = angles_of(np.random.default_rng(1), 20_000)
    both = Samples(np.concatenate([q, -q]), np.zeros(40_000))
    assert experiment.asymmetry(density(both, 6.0)) < 0.05
    assert experiment.asymmetry(density(Samples(q, np.zeros(20_000)), 6.0)) > 1.0


def test_windows_give_the_density_without_them() -> None:
    """Two basins behind a barrier of 10 kT, sampled in windows of the umbrella as their Boltzmann factors have it."""
    rng = np.random.default_rng(3)
    phi = np.arange(-np.pi, np.pi, np.radians(0.25))
    energy = 5 * np.cos(2 * phi) + 1.5 * np.sin(phi)
    p = np.exp(-energy) * (phi < np.radians(90))
    exact = np.log(p[phi <= 0].sum() / p[phi > 0].sum())
    factor = np.exp(-experiment.window_energy(phi)) * p[:, None]
    drawn = np.concatenate([rng.choice(phi, 1600, p=column / column.sum()) for column in factor.T])
    weighted = experiment.unbiased(np.stack([drawn, np.zeros_like(drawn)], 1))
    assert exact > 3 and positive_phi(weighted) == pytest.approx(exact, abs=0.3)


def test_windows_begin_at_their_own_torsions() -> None:
    capped = capped_residue("ALA")
    bonds = np.array([(a.index, b.index) for a, b in capped.topology.bonds()])
    for phi, psi in ((-127.5, 140.0), (60.0, -40.0)):
        x = experiment.turned(capped, np.radians(phi), np.radians(psi))
        assert np.degrees(experiment.torsions(capped, x[None])[0]) == pytest.approx([phi, psi], abs=1e-6)
        lengths = [np.linalg.norm(y[bonds[:, 0]] - y[bonds[:, 1]], axis=1) for y in (x, capped.positions)]
        assert lengths[0] == pytest.approx(lengths[1], abs=1e-9)


def test_neighbouring_windows_exchange_what_lies_in_the_other_one() -> None:
    rng, windows = np.random.default_rng(4), experiment.WINDOWS
    phi = experiment.centres()
    assert experiment.exchanged(phi, 0, rng) == list(range(windows))
    phi[[2, 3]] = phi[[3, 2]]
    assert experiment.exchanged(phi, 0, rng) == [0, 1, 3, 2, *range(4, windows)]
    assert experiment.exchanged(phi, 1, rng) == list(range(windows))


def test_weights_that_are_worth_nothing_are_refused() -> None:
    q = angles_of(np.random.default_rng(2), 1000)
    with pytest.raises(EngineError, match="--ns"):
        quality(Samples(q, np.where(np.arange(1000) < 5, 30.0, 0.0)))


def test_alanine_in_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command makes a file whose density knows the two basins of alanine and what is forbidden."""
    out = tmp_path / "ala.npz"
    assert cli.main(["simulate-residue", "A", "--ns", "0.1", "--seed", "3", "--out", str(out), "--quiet"]) == 0
    made = read_density(out)
    assert made.residue == "ALA" and made.facts["settings"]["ns"] == 0.1 and made.facts["kish"] > 50
    assert "ACE-ALA-NME" in capsys.readouterr().out
    shares = experiment.in_bins(made.energy)
    assert shares[1:10].sum() > 0.9 and shares[11:13].sum() < 0.02  # phi −165 … −30°, and −15 … 15°


def test_settings_are_checked() -> None:
    with pytest.raises(InputError):
        ResidueSettings(ns=0)

"""A sampler of a peptide learned from its forces, and the torsions that it names."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from refine.cli import main
from refine.errors import InputError
from refine.explore.slow_torsions import write_variables
from refine.physics.dynamics import PEPTIDE_FORCE_FIELD
from refine.progress import Progress
from refine.sampling.modes import two_modes
from refine.sampling.peptide_sampler import OVERLAP, Learned, PeptideLaw, softened, variables_text
from refine.sampling.subject import PeptideSubject
from refine.sampling.surrogate import Surrogate, SurrogateSettings
from refine.sampling.tempering import TemperingSettings
from refine.sampling.variables import read_variables

FEW = {
    "settings": SurrogateSettings(latent=2, hidden=8, samples=12),
    "tempering": TemperingSettings(first_updates=2, updates=1, most_updates=2, kept=0.01, bound=1e9),
    "final_updates": 2,
}


@pytest.fixture(scope="module")
def law() -> PeptideLaw:
    return PeptideLaw("ACE-VAL-NME", 300.0, PEPTIDE_FORCE_FIELD)


def test_rotations_are_named_and_begin_where_chemistry_has_them(law: PeptideLaw) -> None:
    named = {r.kind: k for k, r in enumerate(law.rotations)}
    assert {"phi", "psi", "chi1", "methyl", "amide"} <= set(named)
    start = law.torsions(torch.zeros(1, len(law.centre), dtype=torch.float64))[0]
    for kind, value in (("phi", math.pi), ("psi", math.radians(60.0)), ("chi1", math.pi)):
        assert math.cos(float(start[named[kind]]) - value) == pytest.approx(1.0, abs=1e-9)
        row = law.tree.torsion_of(law.rotations[named[kind]].place)
        assert float(law.spread[row]) == 1.5
    assert float(law.spread[: law.topology.getNumAtoms() - 1].max()) < 0.06  # Å, of bonds


def test_the_gradient_is_that_of_finite_differences(law: PeptideLaw) -> None:
    generator = torch.Generator().manual_seed(0)
    x = 0.3 * law.spread * torch.randn(1, len(law.spread), generator=generator, dtype=torch.float64)
    x.requires_grad_(True)
    (gradient,) = torch.autograd.grad(law.energy(x).sum(), x)
    for row in (0, 30, law.tree.torsion_of(law.rotations[2].place)):
        step = torch.zeros_like(x)
        step[0, row] = 1e-5
        with torch.no_grad():
            slope = (law.energy(x + step) - law.energy(x - step)) / 2e-5
        assert float(slope) == pytest.approx(float(gradient[0, row]), rel=1e-4, abs=1e-4)


def test_overlaps_are_softened_and_nothing_else() -> None:
    energy = torch.tensor((-50.0, 99.0, OVERLAP, 1e3, 1e12), dtype=torch.float64)
    soft = softened(energy)
    assert torch.equal(soft[:3], energy[:3])
    assert bool((soft.diff() > 0).all()) and float(soft[-1]) < 30 * OVERLAP


def test_torsions_that_latents_turn_are_named_first(law: PeptideLaw) -> None:
    model = Surrogate(law.spread, SurrogateSettings(latent=2, hidden=8), 0)
    named = {r.kind: law.tree.torsion_of(r.place) for r in law.rotations}
    x = torch.randn(400, len(law.spread), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for kind, apart in (("chi1", 4.0), ("psi", 3.0)):
        x[:, named[kind]] += apart * torch.randint(-1, 2, (400,), generator=torch.Generator().manual_seed(0)).sign()
    model.lead(0, two_modes(x, torch.zeros(400, dtype=torch.float64)), torch.Generator().manual_seed(0))
    learned = Learned(law, model, ())
    assert {r.kind for r, _ in learned.turned()[:2]} == {"chi1", "psi"}
    lines = variables_text(learned, 3).splitlines()
    assert {line.split("#")[0].strip() for line in lines[1:]} == {"torsion A:2 chi1", "torsion A:2 psi"}
    assert len(variables_text(Learned(law, Surrogate(law.spread, model.settings, 0), ()), 3).splitlines()) == 2


def test_the_file_is_one_that_explorations_read(tmp_path: Path) -> None:
    told: list[str] = []

    path = write_variables(
        "ACE-ALA-NME", tmp_path / "slow.txt", progress=Progress(lambda e: told.append(e.stage)), **FEW
    )
    variables = read_variables(path, PeptideSubject("ACE-ALA-NME"))
    assert {v.name for v in variables} <= {"A:2 phi", "A:2 psi"} and variables
    assert "learn" in told
    again = write_variables("ACE-ALA-NME", tmp_path / "again.txt", **FEW)
    assert again.read_text() == path.read_text()


def test_what_no_sampler_is_learned_of_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without rings"):
        PeptideLaw("ACE-PRO-NME", 300.0, PEPTIDE_FORCE_FIELD)
    with pytest.raises(InputError, match="atoms"):
        PeptideLaw("ACE-LYS-LYS-LYS-LYS-NME", 300.0, PEPTIDE_FORCE_FIELD)
    assert main(["variables", "ACE-XYZ-NME", "--out", str(tmp_path / "x.txt"), "--quiet"]) == 2
    assert main(["variables", "ACE-ALA-NME", "--count", "0", "--out", str(tmp_path / "x.txt"), "--quiet"]) == 2
    assert main(["variables", "ACE-ALA-NME", "--out", str(tmp_path), "--quiet"]) == 2

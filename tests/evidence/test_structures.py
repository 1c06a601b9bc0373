"""Other structures as evidence: which residues correspond, what their distances are worth, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from refine.energy.evidence import DistanceEvidence
from refine.energy.system import System
from refine.errors import InputError
from refine.evidence.read import read_evidence
from refine.evidence.structures import OtherModel, alignments, model_rows, template_rows, threshold
from refine.structure.protein import Protein
from refine.structure.write import write_pdb
from tests.propagation.test_elastic import bent_chain, network
from tests.proteins import chain_backbone, make_protein, torsions

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRV"


def of(sequence: str, seed: int = 0, start: int = 1) -> Protein:
    return make_protein([chain_backbone(*torsions(len(sequence), seed))], [sequence], start=start)


def changed(sequence: str, places: range) -> str:
    """Tryptophan at ``places``."""
    return "".join("W" if k in places and aa != "W" else aa for k, aa in enumerate(sequence))


def test_a_relative_gives_its_distances_weighted_by_local_identity(tmp_path: Path) -> None:
    """Numbered otherwise, five residues shorter at the start, and changed in its second half."""
    own = of(SEQUENCE)
    relative = of(changed(SEQUENCE, range(24, 39, 2))[5:], seed=1, start=301)
    write_pdb(relative, tmp_path / "relative.pdb")
    pairs, note = template_rows(own, tmp_path / "relative.pdb")
    assert "35 residues aligned" in note.message and set(pairs.kinds) == {"template"}
    assert pairs.residue.min() == 5 and pairs.residue.max() == 39
    ca = relative.coords[0, :, 1].astype(np.float64)
    true = np.linalg.norm(ca[pairs.residue[:, 0] - 5] - ca[pairs.residue[:, 1] - 5], axis=1)
    np.testing.assert_allclose(pairs.lower, true, atol=2e-3)  # three digits of a PDB file
    assert (pairs.lower == pairs.upper).all() and pairs.lower.max() <= 15.0
    alike, unlike = (((pairs.residue >= 12) & (pairs.residue < 17)).all(1), (pairs.residue >= 26).all(1))
    assert pairs.sigma[unlike].min() > 1.1
    exact = 0.40 * np.exp(1.87 * 0.0) * np.sqrt(2)  # neither has a changed residue within seven
    np.testing.assert_allclose(pairs.sigma[alike], exact)


def test_a_relative_that_is_none_is_refused(tmp_path: Path) -> None:
    write_pdb(of("".join(sorted(SEQUENCE))), tmp_path / "other.pdb")
    with pytest.raises(InputError, match="too distant") as error:
        read_evidence([], of(SEQUENCE), [tmp_path / "other.pdb"])
    assert error.value.file == str(tmp_path / "other.pdb")
    longer = "".join(SEQUENCE[(7 * k + k // 40) % 40] for k in range(120))
    (unrelated,) = alignments(of(SEQUENCE * 3), of(longer))
    assert not unrelated.trusted and unrelated.expected > 1e-3
    assert threshold(80) == pytest.approx(0.247, abs=0.01) == threshold(300)


def test_distances_of_a_relative_stay_within_chains(tmp_path: Path) -> None:
    """Both chains of a dimer find the one chain of the relative; how they lie is not known from it."""
    backbone = chain_backbone(*torsions(40))
    dimer = make_protein([backbone, backbone + 12.0], [SEQUENCE, SEQUENCE])
    write_pdb(of(SEQUENCE), tmp_path / "relative.pdb")
    pairs, _ = template_rows(dimer, tmp_path / "relative.pdb")
    assert ((pairs.residue < 40).all(1) | (pairs.residue >= 40).all(1)).all() and len(pairs) > 0
    model = dataclasses.replace(dimer, name="model")
    between, _ = model_rows(dimer, OtherModel(Path("model.pdb"), model, np.full(80, 1.0)))
    assert ((between.residue[:, 0] < 40) & (between.residue[:, 1] >= 40)).any()


def test_another_model_is_as_good_as_its_expected_errors() -> None:
    own, other = bent_chain(0.0), bent_chain(45.0)
    error = np.where(np.arange(40) < 20, 0.5, 3.0)
    pairs, _ = model_rows(own, OtherModel(Path("b.pdb"), other, error))
    np.testing.assert_allclose(pairs.sigma, np.hypot(*error[pairs.residue].T))
    assert (np.diff(pairs.residue, axis=1) >= 3).all()
    with pytest.raises(InputError, match="another protein") as failure:
        model_rows(own, OtherModel(Path("b.pdb"), of(SEQUENCE), np.ones(40)))
    assert failure.value.file == "b.pdb"


def test_a_model_is_bent_to_another_where_that_is_expected_to_be_better() -> None:
    """Sharp about itself, the input yields to what is better and not to what is worse."""
    own, other = bent_chain(0.0), bent_chain(70.0)
    left = []
    for error, theirs in ((3.0, 0.3), (0.3, 3.0)):
        pairs, _ = model_rows(own, OtherModel(Path("b.pdb"), other, np.full(40, theirs)))
        bent = network(own, error=error).bent(DistanceEvidence.of(pairs, System.from_protein(own)))
        moved = DistanceEvidence.of(pairs, System.from_protein(own)).measured(bent[0].numpy())
        left.append(np.abs(pairs.excess(moved)).sum() / np.abs(pairs.excess(pairs.measured(own))).sum())
    assert left[0] < 0.5 and left[1] > 0.9

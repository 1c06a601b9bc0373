"""A CA trace from distances: how near, which hand, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from refine.cli import main
from refine.errors import InputError
from refine.structure.arrays import superposed
from refine.structure.distance_file import read_sequence, trace_of_file
from refine.structure.embed import embed, handedness, natural_hand
from refine.structure.read import read_structure
from refine.structure.repair import repair

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "1a8o_model.pdb"
MIRROR = np.array((1.0, 1.0, -1.0))


@pytest.fixture(scope="module")
def ca() -> np.ndarray:
    return read_structure(EXAMPLE).protein.coords[0, :, 1].astype(np.float64)


def distances_of(ca: np.ndarray) -> np.ndarray:
    return np.linalg.norm(ca[:, None] - ca, axis=-1)


def rmsd(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.sqrt(((superposed(x, y) - y) ** 2).sum(-1).mean()))


def test_noisy_distances_give_the_trace_and_its_hand(ca: np.ndarray) -> None:
    noise = np.triu(np.random.default_rng(0).normal(0, 1.0, (len(ca), len(ca))), 1)
    given = np.maximum(distances_of(ca) + noise + noise.T, 0)
    trace = embed(given)
    assert rmsd(trace, ca) < 1.0
    assert rmsd(trace * MIRROR, ca) > 3.0
    assert rmsd(embed(distances_of(ca)), ca) < 0.2


def distogram_of(cb: np.ndarray, noise: float) -> dict[str, np.ndarray]:
    """Probabilities of 64 bins to 21.7 Å, as AlphaFold has them, about distances with noise."""
    shift = np.triu(np.random.default_rng(0).normal(0, noise, (len(cb), len(cb))), 1)
    given = np.abs(distances_of(cb) + shift + shift.T)
    edges = np.linspace(2.3125, 21.6875, 63)
    centres = np.concatenate((edges[:1] - 0.15, 0.5 * (edges[1:] + edges[:-1])))
    p = np.concatenate((np.exp(-0.5 * (given[..., None] - centres) ** 2), (given > edges[-1])[..., None] * 50.0), -1)
    return {"probabilities": p / p.sum(-1, keepdims=True), "bin_edges": edges}


def test_a_distogram_of_side_chains_gives_the_trace_and_its_hand(ca: np.ndarray, tmp_path: Path) -> None:
    protein = read_structure(EXAMPLE).protein
    cb = np.where(protein.mask[:, 4, None], protein.coords[0, :, 4], protein.coords[0, :, 1]).astype(np.float64)
    arrays = distogram_of(cb, 1.0)
    np.savez(tmp_path / "distogram.npz", **arrays)
    trace = trace_of_file(tmp_path / "distogram.npz", protein.sequence).coords[0, :, 1].astype(np.float64)
    assert rmsd(trace, ca) < 1.5
    assert rmsd(trace * MIRROR, ca) > 3.0
    assert np.abs(np.linalg.norm(np.diff(trace, axis=0), axis=1) - 3.8).max() < 0.3
    np.savez(tmp_path / "logits.npz", logits=np.log(arrays["probabilities"] + 1e-9), bin_edges=arrays["bin_edges"])
    same = trace_of_file(tmp_path / "logits.npz", protein.sequence).coords[0, :, 1].astype(np.float64)
    assert rmsd(same, trace) < 0.05


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bin_edges": np.arange(5.0)}, "do not fit"),
        ({"bin_edges": np.linspace(20, 2, 63)}, "do not fit"),
        ({"probabilities": np.full((70, 70, 64), -1.0)}, "below 0"),
        ({"probabilities": np.full((70, 70, 64), np.nan)}, "no numbers"),
        ({"probabilities": np.full((60, 60, 64), 0.1)}, "for 70 residues"),
    ],
)
def test_a_bad_distogram_is_told(change: dict[str, np.ndarray], said: str, ca: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "distogram.npz", **(distogram_of(ca, 0.0) | change))
    with pytest.raises(InputError, match=said):
        trace_of_file(tmp_path / "distogram.npz", "A" * 70)


def test_of_two_mirror_images_the_natural_one_is_taken(ca: np.ndarray) -> None:
    assert handedness(ca) > 0
    assert handedness(ca * MIRROR) == pytest.approx(-handedness(ca))
    assert np.array_equal(natural_hand(ca * MIRROR), ca)


def test_distances_that_are_not_known_are_filled_in(ca: np.ndarray) -> None:
    given = distances_of(ca)
    given[given > 14.0] = np.nan
    assert rmsd(embed(given), ca) < 2.0


def test_doubtful_distances_count_less(ca: np.ndarray) -> None:
    random = np.random.default_rng(1)
    wrong = np.triu(random.random((len(ca), len(ca))) < 0.2, 1)
    wrong |= wrong.T
    given = np.where(wrong, distances_of(ca) + 15.0, distances_of(ca))
    weights = np.where(wrong, 1e-4, 1.0)
    assert rmsd(embed(given, weights), ca) < 0.5 * rmsd(embed(given), ca)


@pytest.mark.parametrize(
    ("distances", "words"),
    [
        (np.ones((5, 4)), "5 by 4"),
        (np.ones((3, 3)), "at least four"),
        (-np.ones((5, 5)), "0 or more"),
        (np.full((5, 5), np.inf), "0 or more"),
    ],
)
def test_impossible_distances_are_refused(distances: np.ndarray, words: str) -> None:
    with pytest.raises(InputError) as error:
        embed(distances)
    assert words in str(error.value)
    with pytest.raises(InputError, match="weights"):
        embed(np.ones((5, 5)), np.full((5, 5), -1.0))


def test_a_file_becomes_a_trace_that_is_built_to_all_atoms(ca: np.ndarray, tmp_path: Path) -> None:
    sequence = read_structure(EXAMPLE).protein.sequence
    np.savez(tmp_path / "d.npz", distances=distances_of(ca), sigma=np.ones((len(ca), len(ca))))
    (tmp_path / "s.fasta").write_text(f">one\n{sequence[:30]}\n{sequence[30:]}\n>two\nAAA\n")
    out = tmp_path / "trace.pdb"
    command = ["embed", str(tmp_path / "d.npz"), "--sequence", str(tmp_path / "s.fasta"), "--out", str(out)]
    assert main(command) == 0
    built = repair(read_structure(out)).protein
    assert built.sequence == sequence
    assert rmsd(built.coords[0, :, 1].astype(np.float64), ca) < 0.3
    assert all(built.mask[i, : len(built.atom_names(i))].all() for i in range(len(built)))


def test_files_that_cannot_be_used_are_refused_by_name(ca: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(InputError, match="cannot read the distances"):
        trace_of_file(path, "AAAAA")
    np.savez(path, other=np.ones(3))
    with pytest.raises(InputError, match="neither distances nor"):
        trace_of_file(path, "AAAAA")
    np.savez(path, distances=np.ones((6, 6)))
    with pytest.raises(InputError, match="6 by 6 for 5 residues"):
        trace_of_file(path, "AAAAA")
    np.savez(path, distances=np.ones((5, 5)), sigma=np.zeros((5, 5)))
    with pytest.raises(InputError, match="sigma"):
        trace_of_file(path, "AAAAA")
    for bad in ("AAX", "", str(tmp_path / "none.fasta")):
        with pytest.raises(InputError, match="sequence"):
            read_sequence(bad)

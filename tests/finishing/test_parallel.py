"""Finishing in several processes: the same models as in one, also when a process dies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from refine.finishing.parallel import FinishingPool
from refine.finishing.settings import FinishSettings
from refine.structure.protein import Protein
from tests.finishing.peptides import peptide

SETTINGS = FinishSettings(device="cpu", relax=False)
"""Side chains only, so that a process is ready soon."""


@pytest.fixture(scope="module")
def candidates() -> list[Protein]:
    whole = peptide("MKELLSRGVCWY")
    cut = np.array(whole.mask)
    cut[3:9, 5:] = False
    return [whole.with_coords(np.where(cut[None, ..., None], whole.coords, 0), mask=m) for m in (cut, cut, cut)]


@pytest.fixture(scope="module")
def two(candidates: list[Protein]) -> Iterator[FinishingPool]:
    """Two processes for all tests here; their start is what takes time."""
    with FinishingPool(2, candidates[0], SETTINGS) as pool:
        yield pool


def coordinates(pool: FinishingPool, candidates: Sequence[Protein]) -> dict[int, bytes]:
    return {i: result.protein.coords.tobytes() for i, result in pool.finish(candidates)}


def test_an_error_in_a_process_is_raised_here(two: FinishingPool) -> None:
    with pytest.raises(AssertionError):
        list(two.finish([peptide("GGGG")]))


def test_any_number_of_processes_gives_the_same_models_also_when_one_dies(
    two: FinishingPool, candidates: list[Protein]
) -> None:
    with FinishingPool(1, candidates[0], SETTINGS) as pool:
        expected = coordinates(pool, candidates)
    assert sorted(expected) == [0, 1, 2]
    assert coordinates(two, candidates) == expected
    assert two._workers is not None
    two._workers._workers[0].process.kill()
    assert coordinates(two, candidates) == expected

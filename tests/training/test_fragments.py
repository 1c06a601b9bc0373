"""Decoys put together from fragments of other proteins."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from refine.training import fragments
from refine.training.examples import KINDS, Examples, ExampleSettings
from refine.training.fragments import SIZES, FragmentLibrary, assembled
from refine.training.pack import Pack
from tests.networks.small import small_pack


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return Pack(small_pack(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def library(pack: Pack) -> FragmentLibrary:
    return FragmentLibrary(pack, "train")


def a_chain(pack: Pack, split: str) -> int:
    return next(k for k, chain in enumerate(pack.chains) if chain.split == split)


@pytest.mark.parametrize("by_ends", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_the_nearest_fragment_of_a_stretch_of_the_library_is_that_stretch(
    pack: Pack, library: FragmentLibrary, size: int, by_ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it lies and however it is turned."""
    monkeypatch.setattr(fragments, "_NEIGHBOURS", 1)
    monkeypatch.setattr(fragments, "_ENDS_NEIGHBOURS", 1)
    stretch = pack.backbone(a_chain(pack, "train"))[4 : 4 + size]
    turned = (stretch @ Rotation.from_rotvec([0.4, -1.0, 2.0]).as_matrix().T + 30.0).astype(np.float32)[None]
    found = library.replaced(turned, np.array([by_ends]), np.random.default_rng(0))
    np.testing.assert_allclose(found, turned, atol=0.02)


def test_fragments_are_of_the_split_alone_and_cross_no_break(pack: Pack) -> None:
    library = FragmentLibrary(pack, "valid")
    chains = [chain for chain in pack.chains if chain.split == "valid"]
    for size in SIZES:
        rows = library._of_size[size].rows
        inside = [(rows >= c.start) & (rows + size <= c.start + c.length) for c in chains]
        assert len(rows) and np.any(inside, axis=0).all()


def test_share_and_ends_decide_how_wrong_it_is(pack: Pack, library: FragmentLibrary) -> None:
    chain = a_chain(pack, "valid")
    native, bonded = pack.backbone(chain), pack.bonded(chain)

    def shift(share: float, by_ends: float) -> float:
        made = [assembled(native, bonded, library, np.random.default_rng(n), share, by_ends) for n in range(20)]
        assert all(x.shape == native.shape and np.isfinite(x).all() for x in made)
        return float(np.mean([np.linalg.norm(x[:, 1] - native[:, 1], axis=-1).mean() for x in made]))

    assert shift(0.0, 0.5) == 0.0 < shift(0.3, 0.0) < shift(1.0, 0.0)


def test_no_stretch_crosses_a_break(pack: Pack, library: FragmentLibrary) -> None:
    """With a break behind every fifth residue there is no stretch to replace."""
    native = pack.backbone(a_chain(pack, "train"))
    bonded = np.arange(len(native)) % 5 != 4
    assert np.array_equal(assembled(native, bonded, library, np.random.default_rng(1), 1.0, 0.5), native)


def test_examples_of_their_kind_are_functions_of_their_number(pack: Pack) -> None:
    settings = ExampleSettings(homologues=0.0, natives=0.0, assembled=1.0, noise=0.0)
    first, again = (Examples(pack, [], "train", settings, 3, 50) for _ in range(2))
    again[7]
    for n in range(3):
        one, two = first[n], again[n]
        assert KINDS[int(one["kind"])] == "assembled" and one["lddt"].mean() < 0.999
        assert all(np.array_equal(one[key], two[key]) for key in one)

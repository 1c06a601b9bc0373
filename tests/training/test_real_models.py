"""Real models as examples: what is packed comes back, examples are functions of their number and tell the truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from refine.constants import AMINO_ACIDS
from refine.errors import InputError
from refine.training.examples import KINDS, REAL, ExampleSettings
from refine.training.pack import Pack
from refine.training.pairs import cluster_held_out
from refine.training.real_models import RealExamples, RealModel, RealModels, RealSettings, pack_real_models
from refine.training.targets import lddt_ca
from tests.networks.small import small_pack
from tests.proteins import small_protein

LENGTH = 44
PLAIN = ExampleSettings(noise=0.0, inflation=0.0)
ALL = RealSettings(share=1.0, disguised=0.0)


def real_model(seed: int, kind: str) -> RealModel:
    """A bent copy of a protein: the first in a cluster that trains, the others likewise."""
    protein = small_protein(LENGTH, seed=seed)
    cluster = next(name for k in range(100) if not cluster_held_out(name := f"r{seed}_{k}"))
    atoms = np.where(protein.mask[..., None], protein.coords[0], np.nan).astype(np.float32)
    bent = atoms + np.float32(0.6) * np.sin(np.arange(LENGTH) / 7 + seed)[:, None, None].astype(np.float32)
    return RealModel(
        f"m{seed}", cluster, "train" if seed % 2 == 0 else "valid", kind, bent, protein.coords[0, :, :4],
        np.array([AMINO_ACIDS.index(a) for a in protein.sequence]), np.arange(LENGTH) + 5,
        np.linspace(50, 90, LENGTH, dtype=np.float32),
    )  # fmt: skip


def models() -> Iterator[RealModel]:
    yield from (real_model(k, REAL[k // 2]) for k in range(4))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("real") / "real.npz"
    assert pack_real_models(models(), path) == {"homology model": 2, "predicted": 2}
    return path


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return Pack(small_pack(tmp_path_factory.mktemp("data")))


def examples(pack: Pack, file: Path, split: str = "train", real: RealSettings = ALL, seed: int = 0) -> RealExamples:
    return RealExamples(pack, [], split, PLAIN, seed, 20, models=RealModels(file), real=real)


def test_packed_models_come_back(file: Path) -> None:
    read = RealModels(file)
    assert len(read) == 4 and [read[m].name for m in range(4)] == ["m0", "m1", "m2", "m3"]
    for m, model in enumerate(models()):
        back = read[m]
        centre = model.atoms[:, 1].mean(0)
        assert np.allclose(back.atoms, model.atoms - centre, atol=0.006, equal_nan=True)
        assert np.array_equal(np.isnan(back.atoms), np.isnan(model.atoms))
        assert np.array_equal(back.residue, model.residue) and np.array_equal(back.position, model.position)
        assert np.array_equal(back.confidence, model.confidence)
        assert (back.cluster, back.split, back.kind) == (model.cluster, model.split, model.kind)


def test_short_models_are_left_out_and_damaged_files_refused(tmp_path: Path) -> None:
    short = dataclasses.replace(
        real_model(0, "predicted"),
        **{
            k: getattr(real_model(0, "predicted"), k)[:20]
            for k in ("atoms", "native", "residue", "position", "confidence")
        },
    )
    counts = pack_real_models(iter([real_model(2, "predicted"), short]), tmp_path / "real.npz")
    assert counts == {"homology model": 0, "predicted": 1}
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(InputError):
        RealModels(tmp_path / "bad.npz")


def test_groups_keep_splits_apart(file: Path) -> None:
    read = RealModels(file)
    assert read.groups("homology model", "train") == [[0]] and read.groups("homology model", "valid") == [[1]]
    assert read.groups("predicted", "train") == [[2]] and read.groups("predicted", "test") == []


def test_examples_are_functions_of_their_number(pack: Pack, file: Path) -> None:
    some = RealSettings(share=0.5)
    first, again = examples(pack, file, real=some), examples(pack, file, real=some)
    again[9]
    for n in range(6):
        one, two = first[n], again[n]
        assert one.keys() == two.keys() and all(np.array_equal(one[key], two[key]) for key in one)


def test_labels_lead_to_the_native_and_side_chains_are_the_models(pack: Pack, file: Path) -> None:
    example = examples(pack, file)[0]
    model = next(m for m in map(RealModels(file).__getitem__, range(4)) if KINDS.index(m.kind) == example["kind"])
    assert np.allclose(example["start"], model.atoms[:, :4])
    assert np.allclose(example["lddt"], lddt_ca(model.native[:, 1].astype(float), model.atoms[:, 1].astype(float)))
    present = np.isfinite(model.atoms[:, 4:, 0])
    assert np.array_equal(example["present"], present) and present.any()
    assert np.allclose(example["side_chain"][present], model.atoms[:, 4:][present], atol=1e-3)


def test_side_chains_ride_on_disguised_backbones(pack: Pack, file: Path) -> None:
    noisy = dataclasses.replace(PLAIN, noise=0.1)
    real = dataclasses.replace(ALL, disguised=1.0)
    example = RealExamples(pack, [], "train", noisy, 0, 20, models=RealModels(file), real=real)[0]
    cb = np.linalg.norm(example["side_chain"][:, 0] - example["start"][:, 1], axis=-1)[example["present"][:, 0]]
    assert np.allclose(cb, 1.53, atol=0.05)


def test_a_split_without_models_of_a_kind_is_refused(pack: Pack, file: Path) -> None:
    with pytest.raises(InputError):
        examples(pack, file, split="test")
    with pytest.raises(InputError):
        RealSettings(share=1.5)

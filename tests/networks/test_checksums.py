"""Damage to trained files is noticed: a few bits, random bytes, a damaged list of checksums."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from refine import doctor
from refine.errors import ModelError
from refine.networks import checksums
from refine.networks.weights import load_networks
from refine.resources import models_dir
from refine.selftest import NUMBERS_FILE
from refine.settings import RunSettings
from refine.training import card

NAMES = ("prior", "prior_2", "likelihood", "judge")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the shipped model."""
    return shutil.copytree(models_dir() / "small", tmp_path / "mine")


def flip(path: Path, bits: int) -> None:
    """Other weights, the header untouched."""
    data = bytearray(path.read_bytes())
    rng = random.Random(1)
    for _ in range(bits):
        data[rng.randrange(len(data) // 2, len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def report(model: Path) -> tuple[str, int]:
    return doctor.examine(RunSettings(networks=str(model)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bits", [1, 20])
def test_flipped_bits_are_noticed_by_a_run_and_by_doctor(name: str, bits: int, model: Path) -> None:
    flip(model / f"{name}.safetensors", bits)
    with pytest.raises(ModelError, match=r"damaged: its checksum is not that of SHA256SUMS .*Install refine again"):
        load_networks(model)
    text, code = report(model)
    assert code == 2 and f"{name}.safetensors" in text and "Not ready: networks." in text


def test_random_bytes_are_noticed_and_the_file_is_named(model: Path) -> None:
    path = model / "prior_2.safetensors"
    header = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    path.write_bytes(path.read_bytes()[:header] + random.Random(2).randbytes(path.stat().st_size - header))
    with pytest.raises(ModelError, match=r"prior_2\.safetensors"):
        load_networks(model)
    (model / checksums.SUMS_FILE).unlink()  # a model without checksums: most random floats are absurd, some are NaN
    with pytest.raises(ModelError, match=r"not all weights are finite .*prior_2\.safetensors"):
        load_networks(model)


def test_a_file_that_changes_while_the_process_lives_is_read_again(model: Path) -> None:
    load_networks(model)
    flip(model / "judge.safetensors", 1)
    with pytest.raises(ModelError, match="damaged"):
        load_networks(model)


@pytest.mark.parametrize(
    "text", [b"\xff\xfe", b"abc  prior.safetensors\n", b"", b"0" * 64 + b"  ../prior.safetensors\n"]
)
def test_damaged_checksums_are_a_clear_error(text: bytes, model: Path) -> None:
    (model / checksums.SUMS_FILE).write_bytes(text)
    with pytest.raises(ModelError, match="SHA256SUMS"):
        load_networks(model)
    assert report(model)[1] == 2


def test_the_self_test_sees_other_weights_where_there_are_no_checksums(model: Path) -> None:
    text, code = report(model)
    assert code == 0 and "checksums as in SHA256SUMS" in text and "within 0.05 of the stored ones" in text
    (model / checksums.SUMS_FILE).unlink()
    flip(model / "prior.safetensors", 20)
    text, code = report(model)
    assert code == 2 and "not verified" in text
    assert "Not ready: self-test." in text or "Not ready: networks." in text


def test_the_card_command_writes_checksums_and_numbers_anew(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copyfile(model / "prior_2.safetensors", model / "prior.safetensors")
    assert report(model)[1] == 2
    assert card.main([str(model)]) == 0
    assert capsys.readouterr().out == f"{model / 'CARD.md'}\n"
    text, code = report(model)
    assert code == 0 and "within 0.05" in text
    numbers = json.loads((model / NUMBERS_FILE).read_text())["numbers"]
    assert numbers != json.loads((models_dir() / "small" / NUMBERS_FILE).read_text())["numbers"]
    (model / "likelihood.safetensors").unlink()
    assert card.main([str(model)]) == 0 and not (model / NUMBERS_FILE).exists()
    (model / "judge.safetensors").write_bytes(b"no")
    assert card.main([str(model)]) == 2 and "judge.safetensors" in capsys.readouterr().err


def test_the_shipped_model_is_as_its_checksums_say() -> None:
    folder = models_dir() / "small"
    assert all(checksums.verify(path) for path in folder.glob("*.safetensors"))

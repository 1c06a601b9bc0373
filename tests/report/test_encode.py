"""Numbers and text packed for a page come out as they went in, and cannot leave their script element."""

from __future__ import annotations

import base64
import json
import zlib

import numpy as np

from refine.accuracy.rpdd import BINS
from refine.report.encode import in_steps, packed, script_json, short
from refine.report.maps import histogram_bytes, in_blocks, upper
from tests.run.run_folder import HOSTILE


def test_packed_bytes_are_little_endian_and_come_back() -> None:
    values = np.array([[1, -2], [300, 4]], ">i2")
    values_back = np.frombuffer(zlib.decompress(base64.b64decode(packed(values))), "<i2")
    np.testing.assert_array_equal(values_back, [1, -2, 300, 4])


def test_steps_round_and_keep_the_unknown_apart() -> None:
    steps = in_steps(np.array([0.0, 1.004, 1.006, np.nan, 1e9]), 0.01, np.uint16)
    assert steps.tolist() == [0, 100, 101, 65535, 65534]
    assert in_steps(np.array([-1.0, np.nan]), 0.5, np.int16).tolist() == [-2, 32767]


def test_script_json_holds_no_markup_and_is_the_same_value() -> None:
    text = script_json({"a": HOSTILE, "b": "\u2028"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": HOSTILE, "b": "\u2028"}


def test_short_numbers() -> None:
    assert short([1.23456, None, float("nan"), -1e-9]) == [1.235, None, None, -1e-9]


def test_histograms_come_back_from_their_stream() -> None:
    rng = np.random.default_rng(0)
    counts = rng.multinomial(40, rng.dirichlet(np.full(BINS, 0.05), 30))
    counts[3] = 0
    stream, at, probability = histogram_bytes(counts / 40), 0, np.zeros(counts.shape)
    for row in probability:
        first, number = int(stream[at]), int(stream[at + 1])
        row[first : first + number] = stream[at + 2 : at + 2 + number] / 255
        at += 2 + number
    assert at == len(stream)
    np.testing.assert_allclose(probability, counts / 40, atol=0.5 / 255)
    assert ((probability > 0) == (counts > 0)).all()


def test_blocks_are_means_of_what_is_known() -> None:
    matrix = np.arange(25, dtype=float).reshape(5, 5)
    matrix[0, 0] = np.nan
    means = in_blocks(matrix, 2)
    assert means.shape == (3, 3)
    assert means[0, 0] == (1 + 5 + 6) / 3 and means[2, 2] == 24 and means[0, 2] == (4 + 9) / 2
    assert upper(np.arange(9).reshape(3, 3)).tolist() == [1, 2, 5]

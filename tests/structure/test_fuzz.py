"""Damaged files of every format: refused with file and remedy, or read, repaired, written and read back the same.

The examples are the same in every run. ``benchmarks/reliability.py`` tries a thousand times as many.
"""

from __future__ import annotations

import io
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reliability_corpus import FIELDS, FORMATS, ODD_LEAVES, base, base_pdb, base_tree, packed_bcif, paths, replaced
from reliability_mutants import line_mutant, value_mutant
from reliability_readers import attempt

from refine.bench.manifest import read_manifest
from refine.errors import InputError
from refine.files import csv_rows, csv_text, harmless, original
from refine.settings import read_settings
from refine.structure.selection import parse_selection
from tests.structure import files

bounded = settings(
    max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
BYTES = {form: base(form) for form in FORMATS}
CHANGES = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.binary(max_size=8)), min_size=1, max_size=4
)  # where (as part of the file), how many bytes are lost, what comes instead


def changed(data: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for where, lost, put_in in changes:
        at = int(where * len(data))
        data = data[:at] + put_in + data[at + lost :]
    return data


def check(data: bytes) -> None:
    outcome, said = attempt(data)
    assert outcome in ("accepted", "refused"), said


@pytest.mark.parametrize("form", FORMATS)
def test_the_good_files_are_accepted(form: str) -> None:
    assert attempt(BYTES[form]) == ("accepted", "")


@pytest.mark.parametrize("form", FORMATS)
@bounded
@given(changes=CHANGES)
def test_bytes_changed(form: str, changes: list[tuple[float, int, bytes]]) -> None:
    check(changed(BYTES[form], changes))


@pytest.mark.parametrize("form", ["pdb", "cif"])
@bounded
@given(seed=st.integers(0, 10**9))
def test_lines_and_values_changed(form: str, seed: int) -> None:
    check(line_mutant(random.Random(seed), form))
    check(value_mutant(random.Random(seed), form))


@bounded
@given(
    atom=st.integers(0, 30),
    field=st.sampled_from(sorted(FIELDS)),
    text=st.text(st.characters(codec="utf-8"), max_size=8),
)
def test_any_text_in_a_column_of_a_pdb_file(atom: int, field: str, text: str) -> None:
    lines = base_pdb().split("\n")
    start, stop = FIELDS[field]
    lines[atom] = lines[atom][:start] + text[: stop - start].rjust(stop - start) + lines[atom][stop:]
    check("\n".join(lines).encode())


@bounded
@given(path=st.sampled_from(list(paths(base_tree()))), value=st.sampled_from(ODD_LEAVES))
def test_a_node_of_binary_cif_replaced(path: tuple[Any, ...], value: Any) -> None:
    check(packed_bcif(replaced(base_tree(), path, value)))


@bounded
@given(text=st.text("AB:,-10259 é\x00'=@", max_size=30) | st.text(max_size=10))
def test_selections(text: str) -> None:
    try:
        parse_selection(text, files.base_protein())
    except InputError as error:
        assert error.remedy


@bounded
@given(changes=CHANGES)
def test_settings_and_manifests(
    changes: list[tuple[float, int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    for read, data in (
        (read_settings, b"seed = 3\n[learned]\nprior = 1.0\n[propagation]\nsteps = 20\n"),
        (read_manifest, b"target\tmodel\tnative\na\tx\tx\nb\tx\tx\n"),
    ):
        path = folder / "x"
        path.write_bytes(changed(data, changes))
        try:
            read(path)
        except InputError as error:
            assert error.file


@bounded
@given(texts=st.lists(st.text(st.characters(exclude_characters="\x00", codec="utf-8")), min_size=1, max_size=5))
def test_cells_are_harmless_and_read_back(texts: list[str]) -> None:
    for text in texts:
        assert original(harmless(text)) == text
        assert harmless(text)[:1] not in ("=", "+", "-", "@", "\t", "\r") or is_number(text)
    header, texts = ["number", *(f"column {k}" for k in range(len(texts)))], ["1", *texts]
    written = csv_text(header, [texts])
    assert csv_rows(io.StringIO(written, newline="")) == [dict(zip(header, texts, strict=True))]


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

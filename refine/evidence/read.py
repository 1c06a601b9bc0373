"""Files of evidence: tables of rows (tsv, toml), distograms (npz), expected errors (json)."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from refine.errors import InputError
from refine.evidence.contradictions import refuse_contradictions
from refine.evidence.ensembles import EnsembleRow
from refine.evidence.matrices import SAME, distogram, pae
from refine.evidence.pairs import Pairs, Row, joined, pairs_of
from refine.evidence.rows import COLUMNS, KINDS, row_of
from refine.evidence.structures import OtherModel, structure_rows
from refine.structure.notes import Note
from refine.structure.protein import Protein

_EVERY_COLUMN = ("kind", *dict.fromkeys(c for kind in KINDS for c in COLUMNS[kind]))
_HEADER = re.compile(r"\s*\[\[\s*([\"']?)(\w+)\1\s*\]\]")


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What the user knows of one protein.

    Attributes:
        pairs: rows on distances of one structure; notes: what was left out, for the record.
        ensemble: rows on means and distributions over many structures.
    """

    pairs: Pairs
    notes: tuple[Note, ...] = ()
    ensemble: tuple[EnsembleRow, ...] = ()


def read_evidence(
    paths: Sequence[str | Path],
    protein: Protein,
    templates: Sequence[str | Path] = (),
    models: Sequence[OtherModel] = (),
) -> Evidence:
    """All files, in their order, for ``protein`` (R = 1, as the run begins with it).

    Args:
        paths: files of rows, distograms and expected errors; protein: what they are on.
        templates: structures of relatives; models: other models of the same protein.

    Raises:
        InputError: a file cannot be read, a row of it is wrong, or two contradict one another; names file and line.
    """
    files = [_file(Path(path), protein) for path in paths]
    notes = tuple(note for one in files for note in one.notes)
    ensemble = tuple(dataclasses.replace(row, source=k) for k, one in enumerate(files) for row in one.ensemble)
    structures = structure_rows(protein, templates, models)
    tables = [*(one.pairs for one in files), *(pairs for pairs, _ in structures)]
    evidence = Evidence(joined(tables), (*notes, *(note for _, note in structures)), ensemble)
    refuse_contradictions(evidence.pairs, evidence.ensemble, protein, [str(path) for path in paths])
    return evidence


def _file(path: Path, protein: Protein) -> Evidence:
    suffix = path.suffix.lower()
    try:
        if suffix == ".npz":
            return _distogram(path, protein)
        if suffix == ".json":
            return Evidence(pae(path, protein, path.name))
        if suffix == ".toml":
            return _evidence(_toml_rows(_text(path)), protein, path)
        if suffix in (".tsv", ".tab", ".txt"):
            return _evidence(_table_rows(_text(path)), protein, path)
    except InputError as error:
        if error.file is not None:
            raise
        raise InputError(
            error.message, file=str(path), chain=error.chain, residue=error.residue, remedy=error.remedy
        ) from error
    raise InputError(
        f"evidence is not read from {suffix or 'a file without ending'}",
        file=str(path),
        remedy="Give .tsv or .toml (rows), .npz (distogram) or .json (expected errors)",
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"cannot read the evidence: {reason}", remedy="Give an existing text file") from error


def _distogram(path: Path, protein: Protein) -> Evidence:
    pairs, away = distogram(path, protein, path.name)
    if away >= SAME:
        return Evidence(pairs)
    text = (
        f"{path.name} differs from the input by {away:.2f} Å (median), as if the input had been made from it: it is no "
        f"independent evidence and is left out"
    )
    return Evidence(pairs.rows(np.zeros(len(pairs), np.bool_)), notes=(Note("evidence", text),))


Values = tuple[int, str, Mapping[str, Any]]
"""Line of the file, kind, and values by name."""


def _table_rows(text: str) -> Iterator[Values]:
    """Rows of a tab-separated table; the first line that is no comment names the columns."""
    names: list[str] = []
    for line, content in enumerate(text.splitlines(), start=1):
        if not content.strip() or content.lstrip().startswith("#"):
            continue
        cells = [cell.strip() for cell in content.split("\t")]
        if not names:
            names = _column_names(cells, line)
            continue
        if len(cells) > len(names):
            raise InputError(f"line {line}: {len(cells)} cells for {len(names)} columns")
        values = {name: cell for name, cell in zip(names, cells, strict=False) if cell}
        kind = values.pop("kind", "distance")
        yield line, kind, values
    if not names:
        raise InputError("the table is empty", remedy="Its first line names the columns")


def _column_names(cells: Sequence[str], line: int) -> list[str]:
    names = [cell.lower() for cell in cells]
    unknown = [name for name in names if name not in _EVERY_COLUMN]
    if unknown or not {"first", "second"} <= set(names) or len(set(names)) < len(names):
        what = (
            f"unknown column {unknown[0]!r}" if unknown else "the columns first and second are needed, each name once"
        )
        raise InputError(f"line {line}: {what}", remedy=f"Separated by tabs: {', '.join(_EVERY_COLUMN)}")
    return names


def _toml_rows(text: str) -> Iterator[Values]:
    """Rows of arrays of tables, ``[[distance]]`` and the like; the line is that of the header."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the evidence is not TOML: {error}") from error
    lines: dict[str, list[int]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            lines.setdefault(header[2], []).append(number)
    for kind, rows in content.items():
        if kind not in KINDS or not isinstance(rows, list) or not all(isinstance(r, Mapping) for r in rows):
            raise InputError(f"unknown key {kind!r}", remedy=f"Write rows as [[{']], [['.join(KINDS)}]]")
        numbers = lines.get(kind, [])
        for k, row in enumerate(rows):
            yield numbers[k] if k < len(numbers) else 0, kind, row


def _evidence(rows: Iterator[Values], protein: Protein, path: Path) -> Evidence:
    found = [
        _numbered(lambda: row_of(kind, values, protein, line), line)  # noqa: B023 (called at once)
        for line, kind, values in rows
    ]
    if not found:
        raise InputError("the file holds no rows of evidence")
    ensemble = tuple(row for row in found if isinstance(row, EnsembleRow))
    return Evidence(pairs_of([row for row in found if isinstance(row, Row)], path.name), ensemble=ensemble)


def _numbered(make: Callable[[], Row | EnsembleRow], line: int) -> Row | EnsembleRow:
    try:
        return make()
    except InputError as error:
        raise InputError(
            f"line {line}: {error.message}", chain=error.chain, residue=error.residue, remedy=error.remedy
        ) from error

"""The report's tables and lists as texts, for the templates; markup and escaping are theirs."""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from refine.report.glossary import GLOSSARY
from refine.report.payload import Contents

Measure = tuple[str, str, int, int]
"""Column of scores.csv, words, digits, and 1 where more is better, -1 where less is, 0 where neither."""

GROUPS: tuple[tuple[str, tuple[Measure, ...]], ...] = (
    (
        "Against the native",
        (
            ("gdt_ha", "GDT-HA (0–100)", 2, 1),
            ("gdt_ts", "GDT-TS (0–100)", 2, 1),
            ("tm_score", "TM-score (0–1)", 3, 1),
            ("lddt_ca", "lDDT Cα (0–100)", 1, 1),
            ("lddt", "lDDT all atoms (0–100)", 1, 1),
            ("rmsd", "Cα RMSD (Å)", 2, -1),
        ),
    ),
    (
        "Confidence",
        (
            ("confidence", "confidence (0–100)", 1, 1),
            ("predicted_error", "predicted error (Å)", 2, -1),
            ("judge", "judge (0–100)", 1, 1),
        ),
    ),
    (
        "Contacts and torsions",
        (
            ("clashscore", "clashscore", 1, -1),
            ("ramachandran_favoured", "Ramachandran favoured (%)", 1, 1),
            ("ramachandran_outliers", "Ramachandran outliers (%)", 1, -1),
            ("rotamer_outliers", "rotamer outliers (%)", 1, -1),
        ),
    ),
    (
        "Geometry",
        (
            ("bond_outliers", "bond outliers", 0, -1),
            ("angle_outliers", "angle outliers", 0, -1),
            ("omega_outliers", "peptide (ω) outliers", 0, -1),
            ("chirality_outliers", "chirality outliers", 0, -1),
            ("cis_prolines", "cis prolines", 0, 0),
            ("bond_rmsz", "bond RMS Z", 2, -1),
            ("angle_rmsz", "angle RMS Z", 2, -1),
        ),
    ),
)
UNITS: tuple[Measure, ...] = (
    ("learned_by_energy", "learned terms in OpenMM's unit", 1, 0),
    ("learned_by_fluctuation", "learned terms in the unit of fluctuations", 1, 0),
)
TILES = (
    ("gdt_ha", "GDT-HA to the native", 1),
    ("lddt_ca", "CA lDDT to the native (0–100)", 1),
    ("confidence", "Confidence (0–100)", 1),
    ("clashscore", "Clashscore", 1),
    ("ramachandran_favoured", "Ramachandran favoured (%)", 1),
    ("score", "Free energy (kcal/mol)", 1),
)
"""The few numbers that matter most: column, words, digits."""

IN_POINTS = ("lddt", "lddt_ca")
"""Measures that comparison.json has from 0 to 1 and the pages show from 0 to 100."""

FINISHING_WORDS = ("repacked", "completed", "remarks")
"""Columns of the finishing table that hold words, not numbers."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """A number as text; ``change`` is ``good`` or ``bad`` where it differs from the input by what is printed."""

    text: str
    change: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """A measure: its words, a cell for each structure, and what it means, where that is not plain."""

    words: str
    cells: Sequence[Cell]
    meaning: str = ""


@dataclasses.dataclass(frozen=True)
class Group:
    """Rows under one heading."""

    title: str
    rows: Sequence[Row]


@dataclasses.dataclass(frozen=True)
class ScoreTable:
    """A row for each measure, a column for the input, the input finished, each model, and the native: their names, and
    what these mean, where that is not plain.
    """

    columns: Mapping[str, str]
    groups: Sequence[Group]


@dataclasses.dataclass(frozen=True)
class Tile:
    """Input → model 1 of one measure; ``before`` is None where the input has none."""

    words: str
    before: str | None
    after: str
    meaning: str = ""


@dataclasses.dataclass(frozen=True)
class FinishingTable:
    """Titles of the columns of numbers and of words in which anything happened, and title → text for each model."""

    numbers: Sequence[str]
    words: Sequence[str]
    rows: Sequence[Mapping[str, str]]


@dataclasses.dataclass(frozen=True)
class EvidenceTables:
    """Texts of the cells: of each file as a whole, of each row that was measured by itself, and of each that the
    ensemble was fitted to.
    """

    files: Sequence[Sequence[str]]
    rows: Sequence[Sequence[str]]
    ensemble: Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Facts of the run, then its settings and versions in full, one a line."""

    facts: Mapping[str, str]
    every: str
    versions: str


def score_table(run: Contents) -> ScoreTable | None:
    """Before and after; None without scores."""
    columns = score_columns(run)
    if not columns:
        return None
    measured = {key for _, measures in (*GROUPS, ("", UNITS)) for key, *_ in measures}
    measured |= {"name", "file", "source", "score"}
    terms = [key for key in columns.get("input", {}) if key.startswith("term_")]
    energies: list[Measure] = [("score", "free energy, sum", 1, -1)]
    energies += [(key, key.removeprefix("term_").replace("_", " "), 1, -1) for key in terms]
    energies += UNITS
    others = dict.fromkeys(key for column in columns.values() for key in column)
    rest = [(key, key, 2, 0) for key in others if key not in measured and not key.startswith("term_")]
    groups = [*GROUPS, ("Energy (kcal/mol, lower is better)", energies), ("Other", rest)]
    tables = [Group(title, _rows(measures, columns)) for title, measures in groups]
    heads = {name.replace("_", " "): GLOSSARY.get(name, "") for name in columns}
    return ScoreTable(heads, [group for group in tables if group.rows])


def score_columns(run: Contents) -> dict[str, dict[str, float]]:
    """Structure → measure → value, of scores.csv and of the comparison with the native."""
    columns = {row["name"]: {key: _number(cell) for key, cell in row.items()} for row in run.scores}
    if run.comparison is None:
        return columns
    columns["native"] = {}
    for name, scores in {"native": run.comparison["native_quality"], **run.comparison["scores"]}.items():
        values = {key: float(value) for key, value in scores.items() if value is not None and key != "lddt_checked"}
        columns.setdefault(name, {}).update(in_points(values))
    return columns


def in_points(scores: Mapping[str, float]) -> dict[str, float]:
    """Measures of a structure against its native with lDDT (0–1) in points (0–100), as confidence and GDT are."""
    return {key: 100.0 * value if key in IN_POINTS else value for key, value in scores.items()}


def _rows(measures: Iterable[Measure], columns: Mapping[str, Mapping[str, float]]) -> list[Row]:
    """The measures that any structure has; models are coloured by their change from the input."""
    rows = []
    for key, words, digits, better in measures:
        values = {name: column.get(key, math.nan) for name, column in columns.items()}
        if all(math.isnan(value) for value in values.values()):
            continue
        start = values.get("input", math.nan)
        cells = [_cell(v, start, digits, better if name.startswith("model_") else 0) for name, v in values.items()]
        rows.append(Row(words, cells, GLOSSARY.get(key, "")))
    return rows


def _cell(value: float, start: float, digits: int, better: int) -> Cell:
    if math.isnan(value) or math.isnan(start) or not better:
        return Cell(number(value, digits))
    change = (round(value, digits) - round(start, digits)) * better
    return Cell(number(value, digits), "good" if change > 0 else "bad" if change < 0 else "")


def number(value: float, digits: int) -> str:
    """With a minus sign, not a hyphen; a dash for what is not known."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def tiles(run: Contents) -> list[Tile]:
    """Input → model 1, of those of ``TILES`` that model 1 has."""
    columns = score_columns(run)
    start, model = columns.get("input", {}), columns.get("model_1", {})
    return [
        Tile(
            words,
            None if math.isnan(start.get(key, math.nan)) else number(start[key], digits),
            number(after, digits),
            GLOSSARY.get(key, ""),
        )
        for key, words, digits in TILES
        if not math.isnan(after := model.get(key, math.nan))
    ]


def repairs(record: Mapping[str, Any]) -> list[dict[str, str]]:
    """What was decided or rebuilt in the input: ``where``, ``kind``, ``message``."""
    return [
        {"where": _where(note), "kind": str(note.get("kind", "")), "message": str(note.get("message", ""))}
        for note in record.get("notes") or []
    ]


def evidence(record: Mapping[str, Any]) -> EvidenceTables | None:
    """What was known of distances, before and after; None for a run without evidence."""
    facts = record.get("evidence") or {}
    return evidence_tables(facts) if "files" in facts else None


def evidence_tables(facts: Mapping[str, Any], structures: Sequence[str] = ("input", "model_1")) -> EvidenceTables:
    """Tables of what ``run.evidence.described`` says of ``structures``."""
    files = [
        [f["file"], f["kind"], f["rows"], " → ".join(str(f[f"{name}_holds"]) for name in structures),
         " → ".join(number(f[f"{name}_violation"], 2) for name in structures)]
        for f in facts["files"]
    ]  # fmt: skip
    rows = [
        [f"{r['file']}:{r['line']}", r["kind"], r["first"], r["second"], _wanted(r), number(r["weight"], 2),
         *(_distance(r, name) for name in structures)]
        for r in facts["rows"]
    ]  # fmt: skip
    ensemble = [
        [f"{r['file']}:{r['line']}", r["kind"], r["first"], r["second"],
         f"{number(r['value'], 1)} ± {number(r['sigma'], 1)}", f"{number(r['mean'], 1)} ± {number(r['spread'], 1)}",
         "–" if r["variation"] is None else number(r["variation"], 2)]
        for r in facts.get("ensemble", ())
    ]  # fmt: skip
    return EvidenceTables([[str(c) for c in row] for row in files], rows, ensemble)


def _wanted(row: Mapping[str, Any]) -> str:
    """``8.5 ± 1.0`` or bounds, in Å."""
    low, high = float(row["lower"]), math.inf if row["upper"] is None else float(row["upper"])
    if low == high or math.isinf(high):
        bounds = ("" if low == high else "≥ ") + f"{low:.1f}"
    else:
        bounds = f"{low:.1f}–{high:.1f}" if low > 0 else f"≤ {high:.1f}"
    return f"{bounds} ± {row['sigma']:.1f}"


def _distance(row: Mapping[str, Any], name: str) -> str:
    return number(float(row[name]), 1) + ("" if row[f"{name}_holds"] else " ✗")


def finishing_table(models: Iterable[Mapping[str, Any]]) -> FinishingTable:
    """What finishing did to each model; columns in which nothing happened are left out."""
    rows = [_finished(model) for model in models]
    used = [title for title in (rows[0] if rows else ()) if any(row[title] != "–" for row in rows)]
    numbers = [title for title in used if title not in FINISHING_WORDS]
    return FinishingTable(numbers, [title for title in used if title in FINISHING_WORDS], rows)


def _finished(model: Mapping[str, Any]) -> dict[str, str]:
    """Texts of a row of the finishing table by the title of the column, a dash for nothing."""
    done = model.get("finishing") or {}
    shift = [
        number(math.nan if done.get(key) is None else float(done[key]), 2) for key in ("mean_ca_shift", "max_ca_shift")
    ]
    clashes = [str(done[key]) for key in ("clashes_before", "clashes_after") if key in done]
    return {
        "model": str(model.get("name", "–")),
        "from": str(model.get("source", "–")),
        "finishing": str(done.get("flag", "–")),
        "relaxed in": str(done.get("level", "–")),
        "clashes": " → ".join(clashes) if len(clashes) == 2 else "–",
        "Cα shift mean / max (Å)": " / ".join(shift) if any(s != "–" for s in shift) else "–",
        "repacked": _residues(done.get("repacked")),
        "completed": _residues(done.get("completed")),
        "remarks": "; ".join(map(str, done.get("notes") or [])) or "–",
    }


def settings(record: Mapping[str, Any]) -> Settings:
    """Facts of the run, its settings and versions."""
    seconds = ", ".join(f"{stage} {seconds} s" for stage, seconds in (record.get("timings") or {}).items())
    facts = {
        "Input": f"{record.get('input', '')}, SHA-256 {str(record.get('input_sha256', ''))[:16]}…",
        "Command": _command(record.get("command") or []),
        "Started": str(record.get("started") or ""),
        "Time": f"{record['seconds']} s ({seconds})" if "seconds" in record else "",
        "Device": "; ".join(str(v) for v in (record.get("device"), (record.get("machine") or {}).get("system")) if v),
        "Seed": str(record.get("seed", "")),
    }
    versions = "\n".join(f"{name} {version}" for name, version in (record.get("versions") or {}).items())
    every = "\n".join(_flat("", record.get("settings") or {}))
    return Settings({name: text for name, text in facts.items() if text}, every, versions)


def _command(words: Sequence[Any]) -> str:
    """The command line as one types it, however the program was started."""
    line = [str(word) for word in words]
    return shlex.join(["refine", *line[1:]] if line[:1] == ["__main__.py"] else line)


def _flat(prefix: str, values: Mapping[str, Any]) -> Iterable[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key} = {value}"


def _where(note: Mapping[str, Any]) -> str:
    chain, residue = str(note.get("chain") or ""), str(note.get("residue") or "")
    if not residue:
        return f"chain {chain}" if chain else "file"
    return f"chain {chain or '(blank)'}, {residue}"


def _residues(identities: Sequence[Any] | None, most: int = 40) -> str:
    names = [str(name) for name in identities or []]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) + more) or "–"


def _number(cell: str | None) -> float:
    try:
        return float(cell) if cell else math.nan
    except ValueError:
        return math.nan

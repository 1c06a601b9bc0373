"""The report's tables and lists as HTML; every text from outside goes through ``escape``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from refine.report.payload import Contents

ROWS: tuple[tuple[str, tuple[tuple[str, str, int, int], ...]], ...] = (
    (
        "Against the native",
        (
            ("gdt_ha", "GDT-HA (0–100)", 2, 1),
            ("gdt_ts", "GDT-TS (0–100)", 2, 1),
            ("tm_score", "TM-score", 3, 1),
            ("lddt_ca", "lDDT Cα", 3, 1),
            ("lddt", "lDDT all atoms", 3, 1),
            ("rmsd", "Cα RMSD (Å)", 2, -1),
        ),
    ),
    ("Confidence", (("confidence", "confidence (0–100)", 1, 1), ("predicted_error", "predicted error (Å)", 2, -1))),
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
"""Group → (column, words, digits, 1 where more is better, -1 where less is)."""


def score_table(found: Contents) -> str:
    """Before and after: a row for each measure, a column for the input, the input finished, each model, and the
    native.
    """
    columns = score_columns(found)
    if not columns:
        return '<p class="note">scores.csv is not in the run folder.</p>'
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in columns)
    known = {key for _, rows in ROWS for key, *_ in rows} | {"name", "file", "source", "score"}
    terms = [key for key in columns["input"] if key.startswith("term_")] if "input" in columns else []
    energies = (
        ("score", "free energy, sum", 1, -1),
        *((key, key.removeprefix("term_").replace("_", " "), 1, -1) for key in terms),
    )
    others = list(
        dict.fromkeys(
            key for row in columns.values() for key in row if key not in known and not key.startswith("term_")
        )
    )
    groups = [
        ROWS[0],
        ("Energy (kcal/mol, lower is better)", energies),
        *ROWS[1:],
        ("Other", tuple((key, key, 2, 0) for key in others)),
    ]
    body = "".join(_group(title, rows, columns) for title, rows in groups)
    return f'<div class="wide"><table id="scores"><thead><tr><th>measure</th>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def score_columns(found: Contents) -> dict[str, dict[str, float]]:
    """Structure → measure → value, of scores.csv and of the comparison with the native."""
    columns = {row["name"]: {key: _number(cell) for key, cell in row.items()} for row in found.scores}
    if found.comparison is not None:
        columns["native"] = {
            key: float(value) for key, value in found.comparison["native_quality"].items() if value is not None
        }
        for name, scores in found.comparison["scores"].items():
            columns.setdefault(name, {}).update(
                {key: float(value) for key, value in scores.items() if value is not None}
            )
        shown = {key for key, *_ in ROWS[0][1]}
        for column in columns.values():
            for key in [key for key in column if key == "lddt_checked" and key not in shown]:
                del column[key]
    return columns


def _group(title: str, rows: Sequence[tuple[str, str, int, int]], columns: Mapping[str, Mapping[str, float]]) -> str:
    lines = []
    for key, words, digits, better in rows:
        values = [column.get(key, math.nan) for column in columns.values()]
        if all(math.isnan(v) for v in values):
            continue
        start = columns.get("input", {}).get(key, math.nan)
        names = list(columns)
        cells = "".join(
            _cell(v, start, digits, better if name.startswith("model_") else 0)
            for name, v in zip(names, values, strict=True)
        )
        lines.append(f"<tr><th>{escape(words)}</th>{cells}</tr>")
    if not lines:
        return ""
    return f'<tr class="group"><th colspan="{1 + len(columns)}"><span>{escape(title)}</span></th></tr>{"".join(lines)}'


def _cell(value: float, start: float, digits: int, better: int) -> str:
    """A number; coloured where it differs from the input by what is printed."""
    if math.isnan(value):
        return "<td>–</td>"
    change = 0.0 if math.isnan(start) or not better else round(value, digits) - round(start, digits)
    kind = "" if change == 0 else ' class="good"' if change * better > 0 else ' class="bad"'
    return f"<td{kind}>{number(value, digits)}</td>"


def number(value: float, digits: int) -> str:
    """With a minus sign, not a hyphen; a dash for what is not known."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def tiles(found: Contents) -> str:
    """The few numbers that matter most, input → model 1."""
    columns = score_columns(found)
    start, model = columns.get("input", {}), columns.get("model_1", {})
    wanted = [
        ("gdt_ha", "GDT-HA to the native", 1),
        ("lddt", "lDDT to the native", 3),
        ("score", "Free energy (kcal/mol)", 1),
        ("confidence", "Confidence (0–100)", 1),
        ("clashscore", "Clashscore", 1),
        ("ramachandran_favoured", "Ramachandran favoured (%)", 1),
    ]
    made = []
    for key, words, digits in wanted:
        if key not in model or math.isnan(model[key]):
            continue
        before = start.get(key, math.nan)
        small = "" if math.isnan(before) else f"<small>{number(before, digits)} → </small>"
        made.append(f'<div class="tile"><span>{escape(words)}</span><b>{small}{number(model[key], digits)}</b></div>')
    return f'<div class="tiles">{"".join(made)}</div>' if made else ""


def sampling(record: Mapping[str, Any]) -> str:
    """How well the snapshots sample, as run.json has it; nothing where it does not."""
    facts = record.get("sampling")
    if not isinstance(facts, Mapping) or not facts:
        return ""
    listed = "".join(
        f"<dt>{escape(str(name).replace('_', ' '))}</dt><dd>{escape(str(value))}</dd>" for name, value in facts.items()
    )
    return f'<details id="sampling"><summary>How well it is sampled</summary><dl class="facts">{listed}</dl></details>'


def repairs(found: Contents) -> str:
    """What was decided or rebuilt in the input, and what finishing did to each model."""
    notes = found.run.record.get("notes") or []
    if notes:
        rows = "".join(
            f"<tr><th>{escape(_where(note))}</th><td class='words'>{escape(str(note.get('kind', '')))}</td>"
            f"<td class='words'>{escape(str(note.get('message', '')))}</td></tr>"
            for note in notes
        )
        head = '<thead><tr><th>where</th><td class="words">kind</td><td class="words">what</td></tr></thead>'
        first = f'<div class="wide"><table>{head}<tbody>{rows}</tbody></table></div>'
    else:
        first = "<p>The input needed no repair.</p>"
    return first + finishing_table(found.run.record.get("models") or [])


def finishing_table(models: Iterable[Mapping[str, Any]]) -> str:
    """What finishing did to each model; columns in which nothing happened are left out."""
    titles = (
        "model",
        "from",
        "finishing",
        "relaxed in",
        "clashes",
        "Cα shift mean / max (Å)",
        "repacked",
        "completed",
        "remarks",
    )
    rows = [_finished(model) for model in models]
    used = [k for k in range(len(titles)) if any(row[k] != "–" for row in rows)]
    words = {k: ' class="words"' if k >= 6 else "" for k in used}
    head = "".join(f"<th>{titles[k]}</th>" if not words[k] else f'<td class="words">{titles[k]}</td>' for k in used)
    body = "".join(
        "<tr>"
        + "".join(f"<th>{escape(row[k])}</th>" if k == 0 else f"<td{words[k]}>{escape(row[k])}</td>" for k in used)
        + "</tr>"
        for row in rows
    )
    return (
        f'<h3>Finishing</h3><div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _finished(model: Mapping[str, Any]) -> tuple[str, ...]:
    """Texts of a row of the finishing table, a dash for nothing."""
    done = model.get("finishing") or {}
    shift = [
        number(math.nan if done.get(key) is None else float(done[key]), 2) for key in ("mean_ca_shift", "max_ca_shift")
    ]
    return (
        str(model.get("name", "–")),
        str(model.get("source", "–")),
        str(done.get("flag", "–")),
        str(done.get("level", "–")),
        f"{done['clashes_before']} → {done['clashes_after']}"
        if "clashes_before" in done and "clashes_after" in done
        else "–",
        " / ".join(shift) if any(s != "–" for s in shift) else "–",
        _residues(done.get("repacked")),
        _residues(done.get("completed")),
        "; ".join(map(str, done.get("notes") or [])) or "–",
    )


def settings(record: Mapping[str, Any]) -> str:
    """Facts of the run, then its settings and versions in full."""
    machine, took = record.get("machine") or {}, record.get("timings") or {}
    facts = {
        "Input": f"{record.get('input', '')}, SHA-256 {str(record.get('input_sha256', ''))[:16]}…",
        "Command": " ".join(map(str, record.get("command") or [])),
        "Started": record.get("started", ""),
        "Time": f"{record['seconds']} s ({', '.join(f'{stage} {seconds} s' for stage, seconds in took.items())})"
        if "seconds" in record
        else "",
        "Device": "; ".join(str(v) for v in (record.get("device"), machine.get("system")) if v),
        "Seed": str(record.get("seed", "")),
    }
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in facts.items() if value)
    every = "\n".join(_flat("", record.get("settings") or {}))
    versions = "\n".join(f"{name} {version}" for name, version in (record.get("versions") or {}).items())
    return (
        f'<dl class="facts">{listed}</dl><details><summary>All settings</summary><pre>{escape(every)}</pre></details>'
        f"<details><summary>Versions</summary><pre>{escape(versions)}</pre></details>"
    )


def verdict(record: Mapping[str, Any]) -> str:
    """The run's own judgement, in its own words."""
    judgement = record.get("judgement") or {}
    text = str(judgement.get("reason") or record.get("verdict", ""))
    words = ("better", "no better", "uncertain")
    word = judgement.get("word") or ("better" if record.get("improved") else "no better")
    state, title = dict(zip(words, _VERDICTS, strict=True)).get(word, _VERDICTS[-1])
    return f'<div class="verdict {state}" id="verdict"><b>{title}</b>{escape(text)}</div>'


_VERDICTS = (
    ("better", "Better than the input"),
    ("worse", "No better than the input"),
    ("uncertain", "Uncertain whether better than the input"),
)


def absent(found: Contents) -> str:
    """A note about what the folder lacks; nothing when it is complete."""
    if not found.absent:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in found.absent)
    return f'<div class="card" id="absent"><h2>Not in this report</h2><ul class="plain">{items}</ul></div>'


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


def _residues(found: Sequence[Any] | None, most: int = 40) -> str:
    names = [str(name) for name in found or []]
    return (", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")) or "–"


def _number(cell: str | None) -> float:
    try:
        return float(cell) if cell else math.nan
    except ValueError:
        return math.nan

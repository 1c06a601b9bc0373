"""The card of a model folder, written from the headers of its trained files and ``unit.json``, if there is one, with
their checksums and the numbers of the self-test.

    python -m refine.training.card FOLDER

writes all three anew after a trained file was replaced.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from refine.energy.unit import WAYS, Unit, unit_of
from refine.errors import ModelError, RefineError
from refine.files import file_hash, write_text
from refine.networks.checksums import write_checksums
from refine.selftest import write_numbers

_MEASURED = {
    "likelihood": (
        "Measured on whole chains of the test split as their files give them: the centre's side chain hidden, "
        "neighbours seen."
    ),
    "prior": (
        "Measured on generated decoys: `perturbed` and `native` of test chains; `homologue` of pair clusters kept out "
        "of the training pairs, whose chains training may have met as perturbed natives. "
        "Ratios: mean error left over mean error before (1 = nothing learned). "
        "`unrolled_…`: what is left of the aligned error, and of what soft lDDT and GDT lack, after the unrolled moves."
    ),
    "judge": (
        "Measured on sets of generated decoys of test chains and of targets of the pair clusters kept out of training: "
        "mean absolute error of CA lDDT by residue, of the difference between two decoys of one native, and the share "
        "of such pairs in the right order."
    ),
}
_UNMEASURED = {
    "likelihood": (
        "Not measured here: real models instead of crystal structures, calibration, complexes of several chains."
    ),
    "judge": "Not measured here: models by servers (see the benchmarks), complexes of several chains.",
    "readout": (
        "Fitted in closed form, so there are no steps. What it changes is measured in benchmarks/LOG.md, entry 52."
    ),
    "prior": (
        "Not measured here: the change that refinement with these weights brings to real models (see the benchmarks), "
        "and complexes."
    ),
}


def write_card(folder: Path) -> Path:
    """Writes ``CARD.md`` of a model folder from the facts in its safetensors headers and unit.json, ``SHA256SUMS`` and,
    where no network is missing, the numbers of the self-test; gives the card.

    Raises:
        ModelError: no trained file in the folder, or a damaged one.
    """
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise ModelError(
            "the folder holds no trained file", file=str(folder), remedy="Export one with `refine train … --export`."
        )
    parts = [
        f"# Model {folder.name}\n\n"
        "Written by `refine train --export` from the headers of the trained files; do not edit.\n"
    ]
    parts += [_section(path) for path in paths]
    write_checksums(folder)
    parts.append(_unit_section(unit_of(folder)))
    card = folder / "CARD.md"
    write_text(card, "\n".join(parts))
    write_numbers(folder)
    return card


def _section(path: Path) -> str:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
        kind, facts, settings = header["network"], json.loads(header["facts"]), json.loads(header["settings"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ModelError(
            f"a trained file cannot be read: {error}", file=str(path), remedy="Export it again."
        ) from error
    lines = [f"## {path.name}", "", f"A {kind}; {path.stat().st_size / 1e6:.1f} MB.", ""]
    rows = _fit_rows(facts) if "fit" in facts else _rows(facts)
    lines += _table(("what", "value"), [("SHA-256", file_hash(path)), *rows])
    lines += ["", f"Network: `{json.dumps(settings)}`", ""]
    lines += ["### Metrics", ""]
    lines += _table(("figure", "value"), [(k, f"{v:.4g}") for k, v in facts.get("metrics", {}).items()]) or [
        "Not measured."
    ]
    lines += ["", _MEASURED.get(kind, ""), "", _UNMEASURED.get(kind, ""), ""]
    if "training" in facts:
        lines += ["### Settings of the last run", "", "```json", json.dumps(facts["training"], indent=1), "```", ""]
    return "\n".join(lines)


def _unit_section(unit: Unit | None) -> str:
    """What a kcal/mol of the learned terms is worth, by both ways."""
    lines = ["## Unit of the learned terms", ""]
    if unit is None:
        return "\n".join([*lines, "Not measured (`benchmarks/energy_unit.py --write FOLDER`).", ""])
    rows = [(asked, _figure(getattr(unit, way)), _figure(getattr(unit, f"order_{way}"))) for way, asked in WAYS.items()]
    lines += _table(("asked by", "factor that they need (95 %)", "Spearman"), rows)
    verdict = "Both agree within a factor of two." if unit.defined else "They disagree: **the unit is not defined.**"
    lines += [
        "",
        f"{unit.structures} structures: {unit.proteins} crystals and smooth moves of each. {verdict} No term is "
        "scaled; `learned_by_energy` and `learned_by_fluctuation` of scores.csv are the sum of the learned terms times "
        "either factor.",
        "",
    ]
    return "\n".join(lines)


def _figure(figure: tuple[float, float, float]) -> str:
    value, low, high = figure
    return f"{value:.2f} ({low:.2f} … {high:.2f})"


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    data = facts.get("data", {})
    splits = ", ".join(f"{k} {v}" for k, v in data.get("splits", {}).items())
    rows = [
        ("data hash", data.get("hash") or "not recorded"),
        (
            "data",
            f"{data.get('chains', '?')} chains, {data.get('residues', '?')} residues"
            + (f" ({splits})" if splits else ""),
        ),
        ("homologue pairs", facts.get("pairs") or "none"),
        ("parameters", str(facts.get("parameters", "?"))),
        ("steps", str(facts.get("steps", "?"))),
        ("training time", f"{facts['seconds'] / 60:.0f} min" if facts.get("seconds") else "not recorded"),
        ("device", facts.get("device", "not recorded")),
        ("started from", facts.get("init") or "random weights, or not recorded"),
        ("data of what it started from", ", ".join(facts.get("data_before", ())) or "the same, or not recorded"),
        (
            "training command",
            "; ".join(f"`{c}`" for c in facts.get("commands", ())) or "not recorded in the run's folder",
        ),
        ("export command", f"`{facts['exported_by']}`" if facts.get("exported_by") else "not recorded"),
        ("versions", ", ".join(f"{k} {v}" for k, v in facts.get("versions", {}).items()) or "not recorded"),
    ]
    return [(name, str(value)) for name, value in rows]


def _fit_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Of a network that was fitted in closed form."""
    data = facts["data"]
    return [
        ("data hash", data["hash"]),
        ("data", f"{data['chains']} real models of the train split, {data['residues']} residues"),
        ("parameters", str(facts["parameters"])),
        ("fit", ", ".join(f"{name} {value}" for name, value in facts["fit"].items())),
        ("priors it reads", ", ".join(facts["priors"])),
    ]


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    cells = [head, ("---",) * len(head), *rows]
    return ["| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in cells]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write card, checksums and numbers of the folders that are named; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m refine.training.card", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folder of trained files")
    try:
        for folder in parser.parse_args(arguments).folders:
            sys.stdout.write(f"{write_card(folder)}\n")
    except RefineError as error:
        sys.stderr.write(f"refine: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

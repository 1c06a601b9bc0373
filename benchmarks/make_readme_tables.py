"""The tables of results in README.md (short) and benchmarks/README.md (all), written from benchmarks/results.

    python benchmarks/make_readme_tables.py --collect BENCH_OUT refined150-dev
        takes over the numbers of a folder of refine bench or refine bench-rank
    python benchmarks/make_readme_tables.py
        writes the tables into both files
    python benchmarks/make_readme_tables.py --check
        exit code 1 when a table is not what the result files say

The list of experiments in benchmarks/README.md is the index of benchmarks/LOG.md. Collected are numbers alone:
``bench_NAME.json`` and ``bench_NAME.csv``, or ``rank_NAME.json`` and ``rank_NAME.csv``; commands, folders and error
texts of other programs stay behind. ``md_cost.json``, ``ablation.json``, ``other_structures.json`` and ``heat.json``
are written by md_cost.py, ablation.py, evidence_structures.py and heat.py in benchmarks.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seeds_table import seeds_section

from refine.bench.metrics import BY_KEY, MAIN
from refine.bench.tables import change, number, p_value, table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
LOG = ROOT / "benchmarks" / "LOG.md"
BEGIN, END = "<!-- results: begin (benchmarks/make_readme_tables.py) -->", "<!-- results: end -->"
COMPARED = ("oligo_gdtha", "oligo_gdtts", "bb_lddt", "lddt_no_stereochecks")
LEVELS = ("clashscore", "ramachandran_favoured")
MAIN_SETS = ("predicted-check", "refined150-dev")
"""The sets whose controls stand in the short table, first in it."""
SET_LABELS = {
    "predicted-check": "models of today's predictors (predicted.tsv, check half, NMR natives apart)",
    "predicted-tune": "models of today's predictors (predicted.tsv, tune half, NMR natives apart)",
    "refined150-dev": "server models of the 2010s (refined150-dev)",
    "perturbed-40-check": "crystal structures, backbone perturbed (perturbed-40, check half)",
    "natives-20": "crystal structures as they are (natives-20)",
}
METHOD_LABELS = {
    "start": "input as it came",
    "relax": "side chains and minimisation alone",
    "random": "random direction, as far as ours",
    "ours": "**refine**",
}
RANK_KEYS = ("spearman_bb_lddt", "spearman_oligo_gdtts", "top1_loss_oligo_gdtts", "native_rank", "roc_auc")


def bench_section(name: str, summary: Mapping[str, Any]) -> Iterator[str]:
    """The table of methods, what the pairs say, and the oracle apart."""
    bench = summary["bench"]
    intervals = "brackets are 95 % bootstrap intervals, * where they exclude 0"
    yield f"**{name}**, {bench['targets']} targets, model 1 only; {intervals}:"
    head = [
        "method",
        "n",
        *(f"Δ {BY_KEY[k].label}" for k in COMPARED),
        "improved %",
        "worst",
        *(BY_KEY[k].label for k in LEVELS),
        "s a target",
    ]
    lines = []
    for method, of in summary["methods"].items():
        main = of["metrics"][MAIN.key]
        cells = [method, str(of["n"]) + (f" ({of['failed']} failed)" if of["failed"] else "")]
        cells += [change(BY_KEY[k], of["metrics"][k]) if method != "start" else "0" for k in COMPARED]
        cells += [number(main["improved_percent"], 0), number(main["worst_loss"], 2, signed=True)]
        cells += [*(number(of["metrics"][k]["mean"], 1) for k in LEVELS), number(of["seconds_mean"], 1)]
        lines.append(cells)
    yield table(head, lines)
    for pair in summary["paired"]:
        of = pair["metrics"][MAIN.key]
        if pair["second"] != "start":
            difference = change(MAIN, of, "difference_mean")
            p = p_value(of["wilcoxon_p"])
            yield f"{pair['first']} − {pair['second']}: {difference} {MAIN.label}, Wilcoxon p = {p} (n = {of['n']})."
    for method, of in summary["oracle"].items():
        best = f"the best of {of['models']} models of {method}, picked with the native"
        yield f"Oracle, no result: {best}, {change(MAIN, of)} {MAIN.label}."


MANY = (
    "`consensus`, `judge_consensus` and the control `shuffled_consensus` (the judge's weights dealt out anew) look at "
    "all decoys of the target, the native not among them; every other score, VoroMQA too, looks at one."
)


def rank_section(name: str, summary: Mapping[str, Any]) -> Iterator[str]:
    """Means over targets of every score column."""
    targets = ", ".join(f"{target} ({of['decoys']})" for target, of in summary["targets"].items())
    yield f"**{name}**, ranking of decoys without moving them, mean over {targets}:"
    if "note" in summary:
        yield summary["note"]
    if "consensus" in summary["mean"]:
        yield MANY
    head = ["score", "Spearman lDDT Cα", "Spearman GDT-TS", "top-1 loss GDT-TS", "rank of the native", "ROC AUC"]
    lines = [
        [column, *(number(of.get(key), 1 if key == "native_rank" else 2) for key in RANK_KEYS)]
        for column, of in summary["mean"].items()
    ]
    yield table(head, lines)


def cost_section(values: Mapping[str, Any]) -> Iterator[str]:
    """One sentence on molecular dynamics."""
    md, ours = values["md"], values["ours"]
    per_point = values.get("our_delta_gdtha")

    def times_of(name: str, of: Mapping[str, Any]) -> str:
        gained = "" if per_point is None else f" ({of['ratio_cpu_per_point']:,.0f} for each point of GDT-HA gained)"
        return f"{name} ({of['ns']:.0f} ns): {of['ratio_cpu']:,.0f}{gained}"

    times = "; ".join(times_of(name, of) for name, of in values["protocols"].items())
    gains = ""
    if per_point is not None:
        best = max(values["casp13_best_groups_delta_gdtha"])
        gains = (
            f"Gains: ours {per_point:+.2f} on refined150-dev, MD's {best:+.2f}, the best group's of CASP13 on its own "
            "targets. Tian claims about six orders of magnitude, without saying per what gain. "
        )
    yield (
        f"**Cost against molecular dynamics**, {values['model']} ({ours['residues']} residues, {md['atoms']} atoms "
        f"with water), same machine, {md['platform']}: explicit-solvent MD runs {md['ns_per_cpu_day']:.2f} ns a CPU "
        f"day, a default run takes {ours['cpu_seconds']:.0f} CPU s. Our runs that fit into one MD refinement: {times}. "
        f"{gains}Sources and known gains of those protocols stand in `benchmarks/md_cost.py`."
    )


def ablation_section(values: Mapping[str, Any]) -> Iterator[str]:
    """What each part of the engine adds."""
    rows = values["rows"].values()
    counts = sorted({row["n"] for row in rows})
    yield (
        f"**What does what**: the engine alone on the tune half of refined150-dev ({', '.join(map(str, counts))} "
        "targets), change against the input as it came, before the last finishing; one replica without noise from the "
        "finished input, unless a row says otherwise:"
    )
    lines = [
        [
            row["label"],
            change(MAIN, row, "gdt_ha"),
            change(BY_KEY["bb_lddt"], row, "lddt"),
            number(row["improved_percent"], 0),
        ]
        for row in rows
    ]
    yield table(["engine", "Δ GDT-HA", "Δ lDDT Cα", "improved %"], lines)


def torsions_section(values: Mapping[str, Any]) -> Iterator[str]:
    """Steps in torsions beside those of atoms, in pairs of targets."""
    row, default, lddt = values["rows"]["torsions"], values["rows"]["default"], BY_KEY["bb_lddt"]
    yield (
        f"**Steps in torsions** (`--space torsions`), likewise, the {row['n']} smallest of these targets: "
        f"{change(MAIN, row, 'gdt_ha')} GDT-HA and {change(lddt, row, 'lddt')} lDDT Cα, with the steps of atoms "
        f"{change(MAIN, default, 'gdt_ha')} and {change(lddt, default, 'lddt')} on the same; in pairs "
        f"{change(MAIN, row, 'gdt_ha_minus_default')} and {change(lddt, row, 'lddt_minus_default')}."
    )


STRUCTURE_PARTS = {
    "predictors": "AlphaFold2 and ESMFold of one protein, each with the other",
    "homology": "homology models of two templates, each with the other",
    "template": "the nearest relative of known structure, below 95 % identity",
}
HEAT_ROWS = ("without", "heat", "wide without", "wide heat", "wide shifted")


def structures_section(values: Mapping[str, Any]) -> Iterator[str]:
    """What other structures add to a run."""
    yield (
        "**Other structures as evidence** (`benchmarks/evidence_structures.py`; `--fast`, model 1; `first` is that of "
        "two models with the higher CA lDDT; rows with a minus sign are in pairs, others against START):"
    )
    lines = []
    for part, label in STRUCTURE_PARTS.items():
        for name, row in values.get(part, {}).get("rows", {}).items():
            ha, ca = (_mean(row[key], digits) for key, digits in (("gdt_ha", 2), ("lddt_ca", 4)))
            lines.append([label, name, str(row["n"]), ha, ca, number(row["improved_percent"], 0)])
            label = ""
    yield table(["with", "run", "n", "Δ GDT-HA", "Δ lDDT Cα", "improved %"], lines)


def _mean(interval: Mapping[str, float], digits: int) -> str:
    value, low, high = (number(interval[key], digits, signed=True) for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def heat_section(values: Mapping[str, Any]) -> Iterator[str]:
    """Whether the spread of an ensemble tells errors better with temperatures by confidence."""
    both = values["both"]
    yield (
        f"**Spread of the ensemble against true errors** (`benchmarks/heat.py`, {both['n']} targets of the tune "
        "halves, six replicas; wide: fifty times the noise; shifted: the temperatures of other residues): mean of "
        "Spearman's correlation within targets with the distance of CA from the native's; and how far spread and error "
        "of the fifths of all residues by spread are apart, once both have the same mean square:"
    )
    spearman, lines = both["spearman with distance"], []
    for name in HEAT_ROWS:
        value, low, high = spearman[f"spread, {name}"]
        apart = both["calibration"][name]["mean log ratio"]
        lines.append([f"spread, {name}", _plain(value, low, high), _plain(*apart)])
    lines += [[name, _plain(*spearman[name]), ""] for name in spearman if name not in [row[0] for row in lines]]
    yield table(["what", "Spearman", "mean log ratio"], lines)


def _plain(value: float, low: float, high: float) -> str:
    return f"{number(value, 2)} [{number(low, 2)}, {number(high, 2)}]"


def all_tables(results: Path) -> str:
    """Every table, from the files there are: the generated part of benchmarks/README.md."""
    parts: list[str] = []
    for path in sorted(results.glob("bench_*.json")):
        parts += bench_section(path.stem.removeprefix("bench_"), read_json(path))
    for path in sorted(results.glob("rank_*.json")):
        parts += rank_section(path.stem.removeprefix("rank_"), read_json(path))
    if (results / "ablation.json").is_file():
        parts += ablation_section(read_json(results / "ablation.json"))
    if (results / "ablation_torsions.json").is_file():
        parts += torsions_section(read_json(results / "ablation_torsions.json"))
    if (results / "other_structures.json").is_file():
        parts += structures_section(read_json(results / "other_structures.json"))
    if (results / "heat.json").is_file():
        parts += heat_section(read_json(results / "heat.json"))
    parts += seeds_section(results / "seeds")
    if (results / "md_cost.json").is_file():
        parts += cost_section(read_json(results / "md_cost.json"))
    if (results / "reliability.md").is_file():
        parts += [
            "**Reliability** (`benchmarks/reliability.py`, seed 0): how many were tried, how they ended. Crashed is "
            "a traceback or a wrong result without a word; hung is over 20 s of processor time, or a process left.",
            (results / "reliability.md").read_text(encoding="utf-8").strip(),
        ]
    return "\n\n".join(parts or ["No results yet."])


def experiments(log: str) -> str:
    """The index table of LOG.md, under a heading of its own; raises SystemExit without one."""
    index = re.search(r"^## Index\n.*?(^\|.*?\n)\n", log, flags=re.DOTALL | re.MULTILINE)
    if index is None:
        raise SystemExit("LOG.md needs a section 'Index' with a table")
    return f"## Experiments\n\nThe index of [LOG.md](LOG.md); what counts is the entry there.\n\n{index[1].rstrip()}"


def short_table(results: Path) -> str:
    """Model 1 of refine on every set, and the controls on the main sets alone: the generated part of README.md."""
    names = sorted(path.stem.removeprefix("bench_") for path in results.glob("bench_*.json"))
    names.sort(key=lambda name: MAIN_SETS.index(name) if name in MAIN_SETS else len(MAIN_SETS))
    lines = [row for name in names for row in short_rows(name, read_json(results / f"bench_{name}.json"))]
    if not lines:
        return "No results yet."
    return table(["set", "model 1", "n", "Δ GDT-HA", "Δ lDDT Cα", "improved %", "worst"], lines)


def short_rows(name: str, summary: Mapping[str, Any]) -> Iterator[list[str]]:
    """The rows of one set in the short table; the set is named in the first of them."""
    label = SET_LABELS.get(name, name)
    for method in METHOD_LABELS if name in MAIN_SETS else ("ours",):
        if method not in summary["methods"]:
            continue
        of = summary["methods"][method]
        main = of["metrics"][MAIN.key]
        row = [label, METHOD_LABELS[method], str(of["n"])]
        if method == "start":
            yield [*row, "0", "0", "–", "–"]
        else:
            changes = [change(BY_KEY[key], of["metrics"][key]) for key in (MAIN.key, "bb_lddt")]
            improved, worst = number(main["improved_percent"], 0), number(main["worst_loss"], 2, signed=True)
            yield [*row, *changes, improved, worst]
        label = ""


def read_json(path: Path) -> dict[str, Any]:
    """A result file."""
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values


def replaced(name: str, page: str, tables: str) -> str:
    """A page with the part between its markers replaced; raises SystemExit without markers."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise SystemExit(f"{name} needs one line {BEGIN!r} and after it one {END!r}")
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{rest.split(END)[1]}"


def collect(folder: Path, name: str, results: Path) -> None:
    """Copy the numbers of a benchmark's folder."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    kind = "bench" if "bench" in summary else "rank"
    if kind == "bench":
        summary["bench"]["methods"] = [{"name": m["name"], "kind": m["kind"]} for m in summary["bench"]["methods"]]
    else:
        summary["networks"] = Path(summary["networks"]).name
        summary["failed"] = len(summary["failed"])
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{kind}_{name}.json").write_text(
        json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    table_file = "results.csv" if kind == "bench" else "scores.csv"
    (results / f"{kind}_{name}.csv").write_text(
        without_errors((folder / table_file).read_text(encoding="utf-8")), encoding="utf-8"
    )


def without_errors(text: str) -> str:
    """A csv table without its column ``error``."""
    rows = list(csv.DictReader(io.StringIO(text)))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [k for k in rows[0] if k != "error"], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collect", nargs=2, metavar=("FOLDER", "NAME"))
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", help="page of the short table")
    parser.add_argument("--tables", type=Path, default=ROOT / "benchmarks" / "README.md", help="page of all tables")
    options = parser.parse_args()
    if options.collect:
        collect(Path(options.collect[0]), options.collect[1], options.results)
        return
    everything = all_tables(options.results) + "\n\n" + experiments(LOG.read_text(encoding="utf-8"))
    for path, tables in ((options.readme, short_table(options.results)), (options.tables, everything)):
        page = path.read_text(encoding="utf-8")
        wanted = replaced(path.name, page, tables)
        if options.check and wanted != page:
            sys.exit(f"{path} is not what benchmarks/results says; run benchmarks/make_readme_tables.py")
        if not options.check:
            path.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()

"""The README's section "How good is it", written from the result files in benchmarks/results and never by hand.

    python benchmarks/make_readme_tables.py --collect bench_out refined150-dev      takes over a folder of refine bench
    or bench-rank python benchmarks/make_readme_tables.py                                         writes the section
    python benchmarks/make_readme_tables.py --check                                 exit code 1 when the section is not
    what the files say

Collected are numbers alone: ``bench_NAME.json`` and ``bench_NAME.csv``, or ``rank_NAME.json`` and ``rank_NAME.csv``;
commands, folders and error texts of other programs stay behind. ``md_cost.json`` is written by benchmarks/md_cost.py
and ``ablation.json`` by benchmarks/ablation.py.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from refine.bench.metrics import BY_KEY, MAIN
from refine.bench.tables import change, number, p_value, table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- results: begin (benchmarks/make_readme_tables.py) -->", "<!-- results: end -->"
SHOWN = ("oligo_gdtha", "oligo_gdtts", "bb_lddt", "lddt_no_stereochecks")
LEVELS = ("clashscore", "ramachandran_favoured")
RANK_KEYS = ("spearman_bb_lddt", "spearman_oligo_gdtts", "top1_loss_oligo_gdtts", "native_rank", "roc_auc")


def bench_section(name: str, summary: Mapping[str, Any]) -> Iterator[str]:
    """The table of methods, what the pairs say, and the oracle apart."""
    bench = summary["bench"]
    yield f"**{name}**, {bench['targets']} targets, model 1 only; brackets are 95 % bootstrap intervals, * where they exclude 0:"
    head = [
        "method",
        "n",
        *(f"Δ {BY_KEY[k].label}" for k in SHOWN),
        "improved %",
        "worst",
        *(BY_KEY[k].label for k in LEVELS),
        "s a target",
    ]
    lines = []
    for method, of in summary["methods"].items():
        main = of["metrics"][MAIN.key]
        cells = [method, str(of["n"]) + (f" ({of['failed']} failed)" if of["failed"] else "")]
        cells += [change(BY_KEY[k], of["metrics"][k]) if method != "start" else "0" for k in SHOWN]
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
        yield f"Oracle, no result: the best of {of['models']} models of {method}, picked with the native, {change(MAIN, of)} {MAIN.label}."


def rank_section(name: str, summary: Mapping[str, Any]) -> Iterator[str]:
    """Means over targets of every score column."""
    targets = ", ".join(f"{target} ({of['decoys']})" for target, of in summary["targets"].items())
    yield f"**{name}**, ranking of decoys without moving them, mean over {targets}:"
    if "note" in summary:
        yield summary["note"]
    head = ["score", "Spearman lDDT Cα", "Spearman GDT-TS", "top-1 loss GDT-TS", "rank of the native", "ROC AUC"]
    lines = [
        [column, *(number(of.get(key), 1 if key == "native_rank" else 2) for key in RANK_KEYS)]
        for column, of in summary["mean"].items()
    ]
    yield table(head, lines)


def cost_section(values: Mapping[str, Any]) -> Iterator[str]:
    """One sentence on molecular dynamics."""
    md, ours = values["md"], values["ours"]
    times = "; ".join(f"{name} ({of['ns']:.0f} ns): {of['ratio_cpu']:,.0f}" for name, of in values["protocols"].items())
    yield (
        f"**Cost against molecular dynamics**, {values['model']} ({ours['residues']} residues, {md['atoms']} atoms with water), "
        f"same machine, {md['platform']}: "
        f"explicit-solvent MD runs {md['ns_per_cpu_day']:.2f} ns a CPU day, a default run takes {ours['cpu_seconds']:.0f} CPU s. "
        f"Our runs that fit into one MD refinement: {times}. Sources and known gains of those protocols stand in `benchmarks/md_cost.py`."
    )


def ablation_section(values: Mapping[str, Any]) -> Iterator[str]:
    """What each part of the engine adds."""
    rows = values["rows"].values()
    counts = sorted({row["n"] for row in rows})
    yield (
        f"**What does what**: the engine alone on the tune half of refined150-dev ({', '.join(map(str, counts))} targets), change against "
        "the input as it came, before the last finishing; one replica without noise from the finished input, unless a row says otherwise:"
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


def section(results: Path) -> str:
    """The whole section, from the files there are."""
    parts: list[str] = []
    for path in sorted(results.glob("bench_*.json")):
        parts += bench_section(path.stem.removeprefix("bench_"), json.loads(path.read_text(encoding="utf-8")))
    for path in sorted(results.glob("rank_*.json")):
        parts += rank_section(path.stem.removeprefix("rank_"), json.loads(path.read_text(encoding="utf-8")))
    if (results / "ablation.json").is_file():
        parts += ablation_section(json.loads((results / "ablation.json").read_text(encoding="utf-8")))
    if (results / "md_cost.json").is_file():
        parts += cost_section(json.loads((results / "md_cost.json").read_text(encoding="utf-8")))
    return "\n\n".join(parts or ["No results yet."])


def replaced(readme: str, text: str) -> str:
    """The README with the section between its markers replaced; raises SystemExit without markers."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        raise SystemExit(f"README.md needs one line {BEGIN!r} and after it one {END!r}")
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}"


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
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    options = parser.parse_args()
    if options.collect:
        collect(Path(options.collect[0]), options.collect[1], options.results)
        return
    readme = options.readme.read_text(encoding="utf-8")
    wanted = replaced(readme, section(options.results))
    if options.check:
        sys.exit(
            0
            if wanted == readme
            else "README.md is not what benchmarks/results says; run benchmarks/make_readme_tables.py"
        )
    options.readme.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()

"""The benchmark's report: one HTML file with its tables and plots inside, so that it works offline."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from refine.bench import plots
from refine.bench.metrics import MAIN
from refine.bench.summary import START, Results, changes
from refine.bench.tables import main_table, metric_tables, oracle_lines, pair_table, quality_table, strata_table
from refine.report.render import asset, render

_INTERVAL = re.compile(r" (\[.*\].*)$")


@dataclasses.dataclass(frozen=True)
class Cell:
    """A value and, for what stands below it, its interval."""

    value: str
    interval: str = ""


@dataclasses.dataclass(frozen=True)
class Block:
    """A line of text, or, with ``line`` None, a table."""

    line: str | None
    head: Sequence[Cell] = ()
    rows: Sequence[Sequence[Cell]] = ()


@dataclasses.dataclass(frozen=True)
class Figure:
    """A plot; ``shape`` is ``long`` where it may be wider than the page."""

    svg: Markup
    caption: str
    shape: str = ""


def page(summary: Mapping[str, Any], results: Results) -> str:
    """The whole file."""
    return render(
        "bench.html",
        style=Markup(asset("bench.css")),
        bench=summary["bench"],
        results=summary["results"],
        expected=summary["expected"],
        accuracy=blocks(main_table(summary)),
        quality=blocks(quality_table(summary)),
        figures=figures(summary, results),
        pairs=blocks(untitled(pair_table(summary))),
        strata=blocks(untitled(strata_table(summary))),
        metrics={name: blocks(text) for name, text in metric_tables(summary).items()},
        oracle=oracle_lines(summary).splitlines(),
    )


def untitled(text: str) -> str:
    """A text table without the line above it."""
    return text.partition("\n\n")[2]


def figures(summary: Mapping[str, Any], results: Results) -> list[Figure]:
    """Plots: all methods before and after, changes of the main method, its best and worst target along the chain."""
    main = summary["bench"]["against"]
    methods = [name for name in results.by_method if name != START and results.rows(name)]
    if not methods or not results.rows(START):
        return []
    main = main if main in methods else methods[0]
    drawings = [
        Figure(Markup(plots.before_after(results, methods)), "Each target before and after"),
        Figure(Markup(plots.against_start(results, methods)), "Change against start quality"),
        Figure(Markup(plots.sorted_bars(results, main)), f"Change of each target, {main}", "long"),
    ]
    change = changes(results.rows(main), results.rows(START), MAIN.key)
    ends = (("Best", max), ("Worst", min)) if change else ()
    for word, choose in ends:
        target = choose(change, key=lambda t: MAIN.sign * change[t])
        start, result = plots.done(results, START, target), plots.done(results, main, target)
        if start is not None and result is not None:
            caption = f"{word} target of {main}: {target}, Δ {MAIN.label} {change[target]:+.2f}"
            drawings.append(Figure(Markup(plots.residues(start, result)), caption, "long"))
    return drawings


def blocks(markdown: str) -> list[Block]:
    """Lines and tables of a text with markdown tables."""
    parts: list[Block] = []
    rows: list[list[Cell]] = []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            if not set(line) <= set("|- "):
                rows.append([_cell(text.strip()) for text in line.strip("|").split("|")])
            continue
        if rows:
            parts.append(Block(None, rows[0], rows[1:]))
            rows = []
        if line:
            parts.append(Block(line))
    return parts


def _cell(text: str) -> Cell:
    interval = _INTERVAL.search(text)
    return Cell(text[: interval.start()], interval[1]) if interval else Cell(text)

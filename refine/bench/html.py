"""The benchmark's report: one HTML file with its tables and plots inside, so that it works offline."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from refine.bench import plots
from refine.bench.metrics import MAIN
from refine.bench.summary import START, Results, changes
from refine.bench.tables import main_table, metric_tables, oracle_lines, pair_table, quality_table, strata_table

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 76rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .5rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top }
th { vertical-align: bottom } td { white-space: nowrap } td small { display: block; color: #666; font-size: 11px }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff }
figure { display: inline-block; margin: 0 1rem 1rem 0; vertical-align: top; max-width: 100%; overflow-x: auto }
svg { display: block; max-width: 100%; height: auto } figure.long svg { min-width: 38rem }
figcaption { color: #555; font-size: 13px; position: sticky; left: 0 }
.oracle { color: #8a4b00 }
"""


VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'
_INTERVAL = re.compile(r" (\[.*\].*)$")


def page(summary: Mapping[str, Any], results: Results) -> str:
    """The whole file."""
    bench = summary["bench"]
    facts = f"{bench['targets']} targets, {summary['results']} of {summary['expected']} results, last session {bench['wall_seconds']:.0f} s"
    note = "Only model 1 counts. Δ is against the start of the same target; brackets: 95 % bootstrap intervals, * where they exclude 0."
    parts = [
        f"<h1>Benchmark: {html.escape(bench['label'] or 'refine')}</h1><p>{html.escape(facts)}. {html.escape(note)}</p>",
        section("Accuracy", to_html(main_table(summary))),
        section("Quality", to_html(quality_table(summary))),
        section("Targets", figures(summary, results)),
        section("Paired tests", to_html(untitled(pair_table(summary)))),
        section("Δ GDT-HA by start quality and length", to_html(untitled(strata_table(summary)))),
        *(section(f"Every metric, {name}", to_html(text)) for name, text in metric_tables(summary).items()),
        section(
            "Oracle",
            "".join(f'<p class="oracle">{html.escape(line)}</p>' for line in oracle_lines(summary).splitlines()),
        ),
        section("Versions", f"<p>{html.escape(', '.join(f'{k} {v}' for k, v in bench['versions'].items()))}</p>"),
    ]
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8">{VIEWPORT}<title>refine bench</title><style>{STYLE}</style></head>'
    return f"{head}<body>{''.join(parts)}</body></html>\n"


def section(title: str, body: str) -> str:
    return f"<h2>{html.escape(title)}</h2>{body}" if body else ""


def untitled(text: str) -> str:
    """A text table without the line above it."""
    return text.partition("\n\n")[2]


def figures(summary: Mapping[str, Any], results: Results) -> str:
    """Plots: all methods before and after, changes of the main method, its best and worst target along the chain."""
    main = summary["bench"]["against"]
    methods = [name for name in results.by_method if name != START and results.rows(name)]
    if not methods or not results.rows(START):
        return ""
    main = main if main in methods else methods[0]
    found = [
        (plots.before_after(results, methods), "Each target before and after", ""),
        (plots.against_start(results, methods), "Change against start quality", ""),
        (plots.sorted_bars(results, main), f"Change of each target, {main}", "long"),
    ]
    change = changes(results.rows(main), results.rows(START), MAIN.key)
    ends = (("Best", max), ("Worst", min)) if change else ()
    for word, choose in ends:
        target = choose(change, key=lambda t: MAIN.sign * change[t])
        start, result = plots.done(results, START, target), plots.done(results, main, target)
        if start is not None and result is not None:
            caption = f"{word} target of {main}: {target}, Δ {MAIN.label} {change[target]:+.2f}"
            found.append((plots.residues(start, result), caption, "long"))
    return "".join(
        f'<figure class="{shape}">{drawn}<figcaption>{html.escape(caption)}</figcaption></figure>'
        for drawn, caption, shape in found
    )


def to_html(markdown: str) -> str:
    """A text with markdown tables as HTML; the interval of a cell goes below its value."""
    parts: list[str] = []
    rows: list[str] = []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            if set(line) <= set("|- "):
                continue
            tag = "td" if rows else "th"
            cells = (
                _INTERVAL.sub(r"<small>\1</small>", html.escape(cell.strip())) for cell in line.strip("|").split("|")
            )
            rows.append("<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>")
            continue
        if rows:
            parts.append(f'<div class="wide"><table>{"".join(rows)}</table></div>')
            rows = []
        if line:
            parts.append(f"<p>{html.escape(line)}</p>")
    return "".join(parts)

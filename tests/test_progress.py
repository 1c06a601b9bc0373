"""One progress interface, three displays."""

from __future__ import annotations

import io
import json

import pytest

from refine.progress import Bar, Event, JsonLines, PlainLines, Progress, describe


def test_every_listener_hears_the_same() -> None:
    heard: list[Event] = []
    lines, plain = io.StringIO(), io.StringIO()
    progress = Progress(heard.append, PlainLines(plain)).also(JsonLines(lines))
    for step in range(101):
        progress("propagate", step, 100, energy=-float(step))
    progress("done", message="fine")
    assert len(heard) == 102 and heard[50].energy == -50 and heard[50].remaining is not None
    records = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert records[0]["step"] == 0 and records[-1]["stage"] == "done"
    assert 11 <= len(plain.getvalue().splitlines()) <= 13


def test_bar_rewrites_one_line_and_ends_it() -> None:
    stream = io.StringIO()
    bar = Bar(stream, label="x")
    bar(Event("propagate", 0, 10))
    bar(Event("propagate", 10, 10, energy=-1.0))
    bar(Event("done", elapsed=3.0))
    text = stream.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n") and text.count("\r") == 3 and "█" in text


def test_bar_of_a_long_name_stays_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream = io.StringIO()
    Bar(stream, label="a_rather_long_name_of_a_model_from_a_server")(
        Event("propagate", 5, 10, energy=-1.0, remaining=9.0)
    )
    assert len(stream.getvalue().removeprefix("\r\x1b[2K")) == 59


def test_description_names_stage_step_energy_and_time_left() -> None:
    assert describe(Event("finish", 1, 4, -12.34, remaining=6.4)) == "finish 1/4  energy -12.3 kcal/mol  6 s left"

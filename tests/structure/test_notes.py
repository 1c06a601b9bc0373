"""Notes as the terminal shows them."""

from __future__ import annotations

import io

from refine.progress import Bar, PlainLines, Progress
from refine.structure.notes import Note, summary_lines


def test_few_notes_are_all_shown() -> None:
    notes = [Note("gap", "broken", "A", "7 ALA"), Note("hetero", "carried")]
    assert summary_lines(notes) == ["chain A, residue 7 ALA: broken", "carried"]
    assert summary_lines([]) == []


def test_losses_come_first_and_the_rest_is_counted() -> None:
    notes = [Note("protonation", f"HIE {k}") for k in range(30)] + [Note("modified", "LLP is read as LYS")]
    lines = summary_lines(notes)
    assert len(lines) == 11 and lines[0] == "LLP is read as LYS" and lines[-1].startswith("and 21 more")
    assert summary_lines(notes, most=2)[1:] == ["HIE 0", "and 29 more; log.txt and run.json have them all"]


def test_a_note_stays_on_the_terminal() -> None:
    long = "x" * 300
    for display in (Bar, PlainLines):
        stream = io.StringIO()
        progress = Progress(display(stream, "model"))
        progress("repair", message=long)
        progress("repair", message="second")
        assert f"{long}\n" in stream.getvalue() and "second\n" in stream.getvalue()

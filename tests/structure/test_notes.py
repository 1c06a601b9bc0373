"""Notes as the terminal shows them."""

from __future__ import annotations

import io
from pathlib import Path

from refine.progress import Bar, PlainLines, Progress
from refine.run.inputs import tell_notes
from refine.structure.notes import Note, summary_lines
from refine.structure.prepare import prepare
from refine.structure.write import write_cif
from tests.structure import files


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


def test_a_run_tells_its_notes_before_it_starts(tmp_path: Path) -> None:
    """Hydrogens in, none out, and the note says so."""
    hydrogen = files.atom_line(900, "HA", "ALA", "A", "4", (1.0, 1.0, 1.0), element="H")
    (tmp_path / "in.pdb").write_text("\n".join([*files.atom_lines(), hydrogen, "END", ""]))
    stream = io.StringIO()
    prepared = prepare(tmp_path / "in.pdb")
    tell_notes(prepared, Progress(PlainLines(stream, "in")))
    assert "in repair  1 hydrogens of amino acids were dropped: the outputs hold none\n" in stream.getvalue()
    write_cif(prepared.protein, tmp_path / "out.cif")
    assert " H HA " not in (tmp_path / "out.cif").read_text()

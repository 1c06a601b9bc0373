"""The HTML report, the CASP files and the text tables, from made-up results."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from refine.bench.casp import write_casp
from refine.bench.metrics import BY_KEY
from refine.bench.result import DONE, FAILED, Result
from refine.bench.summary import Results, summarise
from refine.bench.tables import markdown
from refine.structure.read import read_structure
from tests.conftest import ROOT

PER_RESIDUE = {"residue": ["A:1", "A:2"], "local_lddt": [0.5, None], "distance": [1.0, None]}


def result(target: str, method: str, *gdt: float, residues: int = 120) -> Result:
    """A result whose models differ in GDT-HA alone."""
    models = tuple(
        {"model": k, "file": "x", "move": 0.5} | {key: 1.0 for key in BY_KEY} | {"oligo_gdtha": g}
        for k, g in enumerate(gdt, start=1)
    )
    return Result(
        target,
        method,
        "ours",
        "f",
        DONE,
        residues,
        2.0,
        1.0,
        models,
        {"per_residue": PER_RESIDUE, "flags": ["complete"]},
    )


@pytest.fixture
def results() -> list[Result]:
    results = [result(f"t{i}", "start", 50.0 + i) for i in range(20)]
    results += [result(f"t{i}", "ours", 51.0 + i - (4 if i == 7 else 0), 53.0 + i) for i in range(20)]
    return [*results[:-1], Result("t19", "ours", "ours", "", FAILED, error="broke")]


def test_changes_are_those_of_model_1_and_failures_are_counted(results: list[Result]) -> None:
    summary = summarise(Results.of(results))
    ours = summary["methods"]["ours"]
    main = ours["metrics"]["oligo_gdtha"]
    assert (ours["n"], ours["failed"], main["n"]) == (19, 1, 19)
    assert main["delta_mean"]["value"] == pytest.approx((18 * 1.0 - 3.0) / 19) and main["delta_median"]["value"] == 1.0
    assert (main["worst_target"], main["worst_loss"]) == ("t7", -3.0)
    assert main["improved_percent"] == pytest.approx(100 * 18 / 19) and main["worse_than_2_percent"] == pytest.approx(
        100 / 19
    )
    assert summary["oracle"]["ours"]["delta_mean"]["value"] == pytest.approx(3.0)


def test_less_is_better_where_it_is(results: list[Result]) -> None:
    worse = [
        r if r.method == "start" else Result(**(vars(r) | {"models": tuple({**m, "rmsd": 2.0} for m in r.models)}))
        for r in results
    ]
    rmsd = summarise(Results.of(worse))["methods"]["ours"]["metrics"]["rmsd"]
    assert rmsd["improved_percent"] == 0 and rmsd["worst_loss"] == 1.0


def test_strata_cover_every_target_once(results: list[Result]) -> None:
    strata = summarise(Results.of(results))["methods"]["ours"]["strata"]
    for by in ("start_oligo_gdtha", "residues"):
        assert sum(s["n"] for s in strata if s["by"] == by) == 19


def test_a_target_without_a_start_takes_no_part(results: list[Result]) -> None:
    summary = summarise(Results.of(results[1:]))
    assert summary["methods"]["ours"]["metrics"]["oligo_gdtha"]["n"] == 18


def test_the_report_is_one_file_that_needs_nothing_else(results: list[Result]) -> None:
    pytest.importorskip("matplotlib")
    from refine.bench.html import page

    summary = summarise(Results.of(results))
    summary |= {
        "results": 40,
        "expected": 40,
        "bench": {"label": "a <b>", "targets": 20, "wall_seconds": 1.0, "against": "ours", "versions": {}},
    }
    text = page(summary, Results.of(results))
    assert text.count("<svg") == 5 and "a &lt;b&gt;" in text and "Worst target of ours: t7" in text
    outside = re.findall(r'(?:src|href)="(?!#)([^"]*)"', text)
    assert outside == [] and "@import" not in text and "<script" not in text
    assert "ORACLE" in text and "ORACLE" in markdown(summary)
    assert 'name="viewport"' in text and re.search(r"<td>[+-]\d+\.\d+\*?<small>\[[^\]]*\]</small></td>", text)
    every = text[text.index("Every metric, ours") :]
    assert all(f"<td>{metric.label}</td>" in every for metric in BY_KEY.values())


def test_casp_files_hold_five_models_in_order(tmp_path: Path) -> None:
    model = read_structure(ROOT / "examples" / "1a8o_model.pdb").protein
    moved = [model.with_coords(model.coords + np.float32(k)) for k in range(6)]
    path = tmp_path / "T1.ts"
    write_casp(path, "T1", moved, "0000-0000-0000", "test")
    lines = path.read_text().splitlines()
    assert lines[:4] == ["PFRMAT TS", "TARGET T1", "AUTHOR 0000-0000-0000", "METHOD test"]
    assert [line for line in lines if line.startswith("MODEL")] == [f"MODEL  {k}" for k in range(1, 6)]
    assert lines.count("PARENT N/A") == lines.count("END") == lines.count("TER") == 5
    assert all(len(line) <= 80 for line in lines)
    x = [
        float(line[30:38])
        for line in lines
        if line.startswith("ATOM") and line[12:16].strip() == "CA" and int(line[22:26]) == model.residue_ids[0].number
    ]
    assert np.allclose(np.diff(x), 1.0, atol=2e-3)
    assert [p.name for p in tmp_path.iterdir()] == ["T1.ts"]

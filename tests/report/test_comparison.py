"""Comparison with the native: right numbers, right residues, the native where the models are."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from refine import cli
from refine.assess.compare import compare
from refine.errors import InputError
from refine.report.comparison import METRICS, compare_run
from refine.run.result import read_run
from refine.structure.protein import Protein
from refine.structure.write import write_cif
from tests.run.run_folder import make_run, two_chains


@pytest.fixture
def protein() -> Protein:
    return two_chains()


def elsewhere(protein: Protein) -> Protein:
    """Without its first three residues, turned and shifted, under the same numbers."""
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], np.float32)
    part = protein.select(range(3, len(protein)))
    coords = np.where(part.mask[None, :, :, None], part.coords @ turn + np.float32(7.0), np.float32(0))
    return dataclasses.replace(part.with_coords(coords), hetero=())


def test_metrics_are_those_of_assess_and_the_native_lies_on_the_input(protein: Protein, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", protein)
    native = elsewhere(protein)
    write_cif(native, tmp_path / "native.cif")
    comparison = compare_run(run, tmp_path / "native.cif")
    assert list(comparison.scores) == ["input", "model_1", "model_2"]
    direct = compare(read_run(run).structure("model_1"), native)
    for metric in METRICS:
        assert comparison.scores["model_1"][metric] == pytest.approx(direct.totals()[metric], abs=1e-3)
    assert comparison.scores["input"]["gdt_ts"] == pytest.approx(100) and comparison.scores["model_1"]["rmsd"] > 0.2
    placed = read_run(run).structure("native")
    np.testing.assert_allclose(placed.coords[0, :, 1], protein.coords[0, 3:, 1], atol=0.01)


def test_the_json_and_the_report_have_it(protein: Protein, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run", protein)
    write_cif(elsewhere(protein), tmp_path / "native.cif")
    assert cli.main(["compare", str(run), str(tmp_path / "native.cif")]) == 0
    out = capsys.readouterr().out
    assert "gdt_ha" in out and "100.00" in out and "model_2" in out
    record = json.loads((run / "comparison.json").read_text())
    assert record["native_index"][:4] == [None, None, None, 0] and record["per_residue"]["input"]["lddt_ca"][:4] == [
        None,
        None,
        None,
        1.0,
    ]
    text = (run / "report.html").read_text(encoding="utf-8")
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert [s["name"] for s in data["structures"]] == ["input", "model_1", "model_2", "native"]
    assert data["structures"][0]["columns"]["native_lddt"][:3] == [None, None, None] and data["maps"]["native"]
    assert "GDT-HA (0–100)" in text and "Native: native.cif" in text


def test_another_protein_is_refused_and_leaves_the_folder(protein: Protein, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", protein)
    before = sorted(path.name for path in run.iterdir())
    write_cif(protein.select([0, 1]), tmp_path / "short.cif")
    with pytest.raises(InputError):
        compare_run(run, tmp_path / "short.cif")
    with pytest.raises(InputError):
        compare_run(run, tmp_path / "absent.cif")
    assert sorted(path.name for path in run.iterdir()) == before

"""report.html: whole, small, safe, and honest about what a folder lacks."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from jinja2 import UndefinedError

from refine import cli
from refine.errors import InputError
from refine.report import page as page_module
from refine.report import sections
from refine.report import verdict as verdicts
from refine.report.glossary import GLOSSARY
from refine.report.page import try_report, write_report
from refine.report.payload import contents, payload
from refine.report.render import render
from refine.run.result import read_run
from tests.run.run_folder import HOSTILE, make_run, two_chains

ROOT = Path(__file__).parent.parent.parent


class Page(HTMLParser):
    """Elements, text, table cells and the data of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.data = ""
        self.rows: list[list[str]] = []
        self._inside = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = "data" if dict(attrs).get("id") == "data" else tag
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        assert not any(name.startswith("on") for name, _ in attrs), attrs

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self.data += data
        elif self._inside not in ("script", "style"):
            self.text += data
        if self._inside in ("td", "th") and self.rows:
            self.rows[-1][-1] += data


def test_it_says_what_the_folder_says(tmp_path: Path) -> None:
    page = Page(write_report(make_run(tmp_path / "run", two_chains())))
    assert "model_1 is better than the input." in page.text and "cao2021gsfe" in page.text
    rows = {row[0]: row[1:] for row in page.rows if row}
    assert rows["measure"] == ["input", "input finished", "model 1", "model 2"]
    assert rows["free energy, sum"] == ["−3.0", "−8.0", "−9.0", "−10.0"] and rows["clashscore"] == [
        "30.0",
        "3.0",
        "3.0",
        "3.0",
    ]
    data = json.loads(page.data)
    assert data["residues"]["numbers"][3:7] == ["13", "14", "14A", "15"] and data["residues"]["chains"] == ["A", "B"]
    assert [s["name"] for s in data["structures"]] == ["input", "model_1", "model_2"]
    assert set(data["structures"][1]["columns"]) == {
        "prior",
        "sterics",
        "spread",
        "displacement",
        "predicted_error",
        "confidence",
    }
    assert data["hetero"]["elements"] == ["Zn"] and len(data["trace"]["step"]) == 10
    assert "Not in this report" not in page.text and "effective samples" in page.text


@pytest.mark.parametrize(
    ("word", "title"), [("uncertain", "Uncertain whether"), ("no better", "No better than"), ("new word", "Uncertain")]
)
def test_the_verdict_is_the_runs_own(word: str, title: str) -> None:
    verdict = verdicts.verdict({"improved": True, "verdict": "why <b>", "judgement": {"word": word}})
    text = render("parts/verdict.html", verdict=verdict)
    assert title in text and "why &lt;b&gt;" in text


def test_a_template_escapes_and_refuses_a_name_it_is_not_given() -> None:
    assert HOSTILE not in render("parts/citation.html", citation=HOSTILE)
    with pytest.raises(UndefinedError):
        render("parts/citation.html")


def test_the_policy_names_the_hash_of_each_script(tmp_path: Path) -> None:
    text = write_report(make_run(tmp_path / "run", two_chains())).read_text(encoding="utf-8")
    policy = re.search(r'content="(default-src[^"]*)"', text)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert policy is not None and len(scripts) == 2
    for script in scripts:
        assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy[1]


def test_it_needs_no_network_and_is_the_same_each_time(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", two_chains())
    text = write_report(run).read_text(encoding="utf-8")
    assert write_report(run).read_text(encoding="utf-8") == text
    assert not re.search(r"<(link|img|iframe|script[^>]+src)\b", text)
    assert "default-src 'none'" in text and "script-src 'sha256-" in text and "unsafe-eval" not in text


def test_a_part_alone_carries_what_it_draws(tmp_path: Path) -> None:
    run = contents(read_run(make_run(tmp_path / "run", two_chains())))
    whole, residues = payload(run), payload(run, ("residues",), "model_2")
    assert residues["model"] == "model_2" and residues["maps"] is None and residues["trace"] == {}
    for structure, full in zip(residues["structures"], whole["structures"], strict=True):
        assert structure["columns"] == full["columns"] and "xyz" in full and "xyz" not in structure
    assert run.missing == {}
    assert {"xyz", "mask"} <= set(payload(run, ("structure",))["structures"][0])


def test_300_residues_stay_below_5_megabytes(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", two_chains(150), models=5, frames=60)
    assert write_report(run).stat().st_size < 5_000_000


def test_names_that_are_markup_come_out_as_text(tmp_path: Path) -> None:
    page = Page(write_report(make_run(tmp_path / "run", two_chains(chain=HOSTILE), name=f"{HOSTILE}.pdb")))
    assert page.tags.count("script") == 3 and "img" not in page.tags
    assert page.text.count(HOSTILE) >= 3  # title, heading, note
    assert json.loads(page.data)["residues"]["chains"] == ["A", HOSTILE]


@pytest.mark.parametrize("file", ["trace.csv", "rpdd.npz", "scores.csv", "per_residue.csv", "input.cif", "model_2.cif"])
def test_a_missing_or_damaged_piece_is_named(file: str, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", two_chains())
    (run / file).unlink()
    assert Path(file).stem in Page(write_report(run)).text.split("Not in this report")[1]
    (run / file).write_bytes(b"\xff\xfe")
    assert Path(file).stem in Page(write_report(run)).text.split("Not in this report")[1]


def test_maps_that_do_not_fit_the_models_are_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", two_chains())
    other = make_run(tmp_path / "other", two_chains(12))
    (run / "rpdd.npz").write_bytes((other / "rpdd.npz").read_bytes())
    page = Page(write_report(run))
    assert "24 residues, the models have 48" in page.text and json.loads(page.data)["maps"] is None


def test_a_failing_report_is_told_and_sinks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run", two_chains())

    def broken(_: object) -> str:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(page_module, "page", broken)
    assert try_report(run) == {"error": "ZeroDivisionError: a bug"}
    assert not (run / "report.html").exists()


def test_it_explains_its_words_and_shows_the_command_as_it_was_typed(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", two_chains())
    record = json.loads((folder / "run.json").read_text())
    record["command"] = ["refine", "run", "my model.pdb", "--freeze", "A:1-5,B"]
    (folder / "run.json").write_text(json.dumps(record))
    text = write_report(folder).read_text(encoding="utf-8")
    assert html.escape(GLOSSARY["clashscore"], quote=True) in text and "refine run &#39;my model.pdb&#39;" in text
    assert {key for key in GLOSSARY if key.startswith("ramachandran")} <= {k for _, m in sections.GROUPS for k, *_ in m}
    titles = [group.title for group in sections.score_table(contents(read_run(folder))).groups]  # type: ignore[union-attr]
    assert titles.index("Contacts and torsions") < titles.index("Energy (kcal/mol, lower is better)")


def test_every_word_that_a_newcomer_asks_for_is_explained_where_it_stands(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(ROOT / "app" / "example" / "run", folder)  # of a run with networks, compared with its native
    text = write_report(folder).read_text(encoding="utf-8")
    explained = re.findall(r'class="explained" title="([^"]*)" tabindex="0">\s*([^<]*)<', text)
    words = {words.strip(): meaning for meaning, words in explained}
    for column, name in (
        ("clashscore", "clashscore"), ("lddt_ca", "lDDT Cα (0–100)"), ("judge", "judge (0–100)"),
        ("score", "free energy, sum"), ("native", "native"), ("input_finished", "input finished"),
    ):  # fmt: skip
        assert words[name] == html.escape(GLOSSARY[column], quote=True).replace("&#x27;", "&#39;"), name


def test_snapshots_are_never_worth_more_than_they_are(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", two_chains())
    with np.load(folder / "rpdd.npz") as file:
        arrays = {name: file[name] for name in file.files} | {"effective": np.array(1e6)}
    np.savez(folder / "rpdd.npz", **arrays)
    maps = payload(contents(read_run(folder)), ("rpdd",))["maps"]
    assert maps["effective"] == maps["frames"]


def test_the_command_rebuilds_it_and_refuses_other_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run", two_chains())
    assert cli.main(["report", str(run)]) == 0 and (run / "report.html").is_file()
    assert capsys.readouterr().out.strip() == str(run / "report.html")
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "no run folder" in capsys.readouterr().err
    record = json.loads((run / "run.json").read_text()) | {"status": "failed"}
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="not done"):
        read_run(run)


def test_the_result_object_reads_the_folder(tmp_path: Path) -> None:
    protein = two_chains(chain="NA")  # a chain that tables like to read as "not available"
    result = read_run(make_run(tmp_path / "run", protein))
    assert [path.name for path in result.models] == ["model_1.cif", "model_2.cif"] and result.improved
    assert result.scores.loc["model_1", "score"] == -9.0 and np.isnan(result.scores.loc["input", "bond_outliers"])
    assert set(result.per_residue["chain"]) == {"A", "NA"} and result.per_residue["insertion"].unique().tolist() == [
        "",
        "A",
    ]
    assert result.rpdd.mean.shape == (48, 48) and result.rpdd.frames == 12
    assert result.structure("input").residue_ids == protein.residue_ids
    assert result.trace.loc[10, "energy_2"] == -20.0
    with pytest.raises(InputError, match="native.cif"):
        result.structure("native")

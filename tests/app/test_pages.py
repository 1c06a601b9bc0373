"""The pages without a browser: they run, say what they should, and show text of users as text."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("streamlit")
from streamlit.testing.v1 import AppTest

from refine.energy.torsion_density import TorsionDensity, write_density
from refine.files import file_hash
from refine.queue.isolated import read_upload
from refine.queue.job import FAILED, QUEUED, RUNNING
from refine.queue.request import Request, from_dict
from refine.queue.settings import to_environment
from refine.queue.store import Store
from tests.queue.places import ROOT, quick_settings, short_model, submitted
from tests.structure.test_connections import with_lines, zinc

SCRIPT = "<script>alert(1)</script> [x](http://evil) ![y](http://evil/z.png) $a$ :red[b]"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("REFINE_APP", "{}")
    monkeypatch.setattr(sys, "path", [str(ROOT / "app"), *sys.path])
    monkeypatch.setitem(
        sys.modules, "__main__", sys.modules["__main__"]
    )  # AppTest leaves its page there, and spawned processes run it
    settings = quick_settings(tmp_path)
    to_environment(settings)
    from webapp import server

    server.store.clear()
    return Store(settings)


def app(**query: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=600)
    test.session_state["user"] = "0" * 32  # there is no browser with a cookie
    for name, value in query.items():
        test.query_params[name] = value
    return test.run()


def words(test: AppTest) -> str:
    return "\n".join(
        str(e.value)
        for kind in (test.title, test.markdown, test.error, test.warning, test.info, test.caption)
        for e in kind
    )


def test_the_example_is_read_and_submitted(store: Store) -> None:
    test = app()
    assert not test.exception and "toward what an experiment would show" in words(test)
    assert "deleted 14 days after they ended" in words(test) and "20 MB a file" in words(test)
    test.session_state["way"] = "Use the example"
    test.run()
    next(b for b in test.button if b.label == "Take the example").click().run()
    assert not test.exception and "Chain A: 151 to 220, 70 residues" in words(test)
    assert "refine run ./1a8o_model.pdb --out=run --settings=quick.toml --seed=0" in [c.value for c in test.code]
    test.text_input[0].set_value("Z:1-9").run()
    assert "names no chain" in words(test) and next(b for b in test.button if b.label == "Refine").disabled
    test.text_input[0].set_value("A:151-160").run()
    next(b for b in test.button if b.label == "Refine").click().run()
    (job,) = store.jobs()
    assert job.options["freeze"] == "A:151-160" and job.name == "1a8o_model.pdb" and job.residues == 70
    assert (store.folder(job.id) / job.file).read_bytes() == (ROOT / "examples" / "1a8o_model.pdb").read_bytes()


@pytest.mark.parametrize("given", [True, False])
def test_the_files_own_estimate_is_said(store: Store, given: bool) -> None:
    lines = []
    for line in short_model().decode().splitlines():
        number = int(line[22:26]) if line.startswith("ATOM") else 0
        value = 90.0 - 0.3 * abs(number - 161) if given else 50.0
        lines.append(f"{line[:60]}{value:6.2f}{line[66:]}" if number else line)
    test = app()
    test.session_state["way"] = "Paste text"
    test.run()
    header = "TITLE     ESMFOLD V1 PREDICTION\n"
    test.text_area(key="pasted").set_value(header + "\n".join(lines))
    next(b for b in test.button if b.label == "Read the text").click().run()
    html = "\n".join(str(e.proto.body) for e in test.get("html"))
    assert not test.exception
    if given:
        assert "The file&#39;s own estimate: pLDDT, mean" in html and "background:#65cbf3" in html
    else:
        assert "own estimate: not given" in words(test).replace("\\", "") and "own estimate" not in html


def test_a_bad_paste_is_refused(store: Store) -> None:
    test = app()
    test.session_state["way"] = "Paste text"
    test.run()
    test.text_area[0].set_value(">seq\nMKV")
    next(b for b in test.button if b.label == "Read the text").click().run()
    assert not test.exception and "FASTA" in words(test) and store.jobs() == []


@pytest.mark.parametrize("text", ["nonsense", "../../etc/passwd", "0" * 20, SCRIPT])
def test_no_such_job(store: Store, text: str) -> None:
    test = app(job=text)
    assert not test.exception and test.title[0].value == "No such job" and "passwd" not in words(test)


def test_a_failed_job_shows_its_message_and_markup_stays_text(store: Store) -> None:
    job = submitted(store, "cookie:someone", short_model())
    with store._change() as database:
        database.execute(
            "UPDATE jobs SET name = ?, state = ?, message = ? WHERE id = ?", (SCRIPT, FAILED, SCRIPT, job.id)
        )
    (store.folder(job.id) / "console.txt").write_text(f"refine: {SCRIPT}\n")
    test = app(job=job.id)
    assert not test.exception
    for text in (test.title[0].value, test.error[0].value):
        assert "\\<script\\>" in text and "\\[x\\]\\(" in text and "\\$a\\$" in text and "\\:red" in text
    assert f"refine: {SCRIPT}" in [c.value for c in test.code]  # a code block shows text as it is
    assert not any(b.label in ("Delete", "Cancel") for b in test.button)  # it is not this visitor's job


def test_the_input_of_an_ended_job_is_taken_again_under_another_name(store: Store) -> None:
    job = submitted(store, "cookie:" + "0" * 32, short_model())
    with store._change() as database:
        database.execute("UPDATE jobs SET state = ? WHERE id = ?", (FAILED, job.id))
    test = app(again=job.id)
    assert not test.exception and "Chain A: 151 to 170, 20 residues" in words(test)
    next(t for t in test.text_input if t.label == "Name of the job").set_value("second try").run()
    next(b for b in test.button if b.label == "Refine").click().run()
    assert {j.name for j in store.jobs()} == {"model.pdb", "second try"}
    assert store.jobs()[0].file == "model.pdb"


def test_the_list_holds_ones_own_jobs_alone(store: Store) -> None:
    submitted(store, "cookie:someone", short_model())
    test = app(jobs="all")
    assert not test.exception and "You have no jobs here yet" in words(test)


def test_the_example_is_that_of_the_checkout() -> None:
    assert (ROOT / "app" / "example" / "1a8o_model.pdb").read_bytes() == (
        ROOT / "examples" / "1a8o_model.pdb"
    ).read_bytes()


def test_the_sample_is_a_run_of_the_example_and_names_no_machine(store: Store) -> None:
    folder = ROOT / "app" / "example" / "run"
    record = json.loads((folder / "run.json").read_text())
    assert record["input_sha256"] == file_hash(ROOT / "app" / "example" / "1a8o_model.pdb")
    assert record["status"] == "done" and record["settings"]["networks"] == "small"
    for path in folder.iterdir():
        if path.suffix != ".npz":
            assert not re.search(r"/(home|root|tmp|work|Users)/", path.read_text(encoding="utf-8")), path
    test = app(sample="1a8o")
    assert not test.exception and record["verdict"] in test.success[0].value.replace("\\", "")
    assert not any(b.label in ("Share", "Refine again from this model") for b in test.button)
    shown = {m.label: m.delta for m in test.metric}
    assert shown["Clashscore"].startswith("-") and not any(re.fullmatch(r"[+-]?0\.0", d) for d in shown.values())
    assert "in points of CA lDDT" in words(test)


def test_the_help_page_leads_to_the_sample(store: Store) -> None:
    test = app(help="all")
    assert not test.exception and "How to read a result" in [h.value for h in test.header]
    next(b for b in test.button if b.label == "See a finished result").click().run()
    assert not test.exception and test.title[0].value.startswith("A finished result")


@pytest.mark.parametrize("text", ["nonsense", "", "../..", SCRIPT])
def test_a_link_that_leads_nowhere(store: Store, text: str) -> None:
    test = app(s=text)
    assert not test.exception and test.title[0].value == "This link leads nowhere"


def test_a_shared_job_can_only_be_looked_at_even_by_its_owner(store: Store) -> None:
    user = "cookie:" + "0" * 32
    job = submitted(store, user, short_model())
    token = store.share(job.id, user)
    with store._change() as database:
        database.execute("UPDATE jobs SET state = ?, message = ? WHERE id = ?", (FAILED, "it failed", job.id))
    test = app(s=token)
    assert not test.exception and "it failed" in words(test)
    assert {b.label for b in test.button} == {"Refine a model", "Jobs", "Help"}
    store.unshare(job.id, user)
    assert test.run().title[0].value == "This link leads nowhere"


def test_an_address_is_asked_for_where_there_is_a_mail_server(store: Store) -> None:
    test = app(again=submitted(store, "cookie:" + "0" * 32, short_model()).id)
    assert not [t for t in test.text_input if t.label.startswith("E-mail")]
    mailing = {"smtp_host": "mail", "mail_from": "refine@lab.org", "address": "refine", "mail_domains": ("lab.org",)}
    to_environment(dataclasses.replace(store.settings, **mailing))
    from webapp import server

    server.store.clear()
    test = app(again=store.jobs()[0].id)
    field = next(t for t in test.text_input if t.label.startswith("E-mail"))
    field.set_value("anna@elsewhere.org").run()
    assert "sends no e-mail" in words(test).replace("\\", "")
    assert next(b for b in test.button if b.label == "Refine").disabled
    next(t for t in test.text_input if t.label.startswith("E-mail")).set_value("anna@lab.org").run()
    next(b for b in test.button if b.label == "Refine").click().run()
    assert store.jobs()[0].mail == "anna@lab.org"


def test_temperatures_are_checked_and_go_into_the_command(store: Store) -> None:
    test = app(again=submitted(store, "cookie:" + "0" * 32, short_model()).id)
    field = next(t for t in test.text_input if t.label.startswith("Temperatures"))
    field.set_value("A:151-160=hot").run()
    assert "gives no temperature" in words(test) and next(b for b in test.button if b.label == "Refine").disabled
    next(t for t in test.text_input if t.label.startswith("Temperatures")).set_value("A:151-160=600").run()
    assert any("--heat=A:151-160=600" in c.value for c in test.code)


def test_relatives_and_other_models_are_counted_and_go_into_the_command(store: Store) -> None:
    request = Request(template=("template_b.pdb",), together=("together_c.pdb",))
    files = {"template_b.pdb": short_model(), "together_c.pdb": short_model()}
    test = app(again=submitted(store, "cookie:" + "0" * 32, short_model(), request, **files).id)
    assert not test.exception
    said = words(test).replace("\\", "")
    assert "template_b.pdb: 20 residues aligned, 100% alike" in said
    assert "together_c.pdb: another model, 20 residues" in said and "estimated by the run" in said
    (command,) = (c.value for c in test.code if "refine run" in c.value)
    assert "--template=./template_b.pdb" in command and "--other-model=./together_c.pdb" in command
    next(b for b in test.button if b.label == "Refine").click().run()
    job = store.jobs()[0]
    assert from_dict(job.options).known_files == request.known_files
    assert (store.folder(job.id) / "template_b.pdb").read_bytes() == short_model()


def test_torsion_densities_are_counted_and_go_into_the_command(store: Store, tmp_path: Path) -> None:
    write_density(TorsionDensity("ASP", np.zeros((60, 60), np.float32), {}), tmp_path / "asp.npz")
    request = Request(density=("density_asp.npz",))
    files = {"density_asp.npz": (tmp_path / "asp.npz").read_bytes()}
    test = app(again=submitted(store, "cookie:" + "0" * 32, short_model(), request, **files).id)
    assert not test.exception
    assert "the torsion density of ASP stands for 3 of the model's residues" in words(test).replace("\\", "")
    (command,) = (c.value for c in test.code if "refine run" in c.value)
    assert "--torsion-density=./density_asp.npz" in command
    next(b for b in test.button if b.label == "Refine").click().run()
    job = store.jobs()[0]
    assert from_dict(job.options).known_files == request.known_files
    assert (store.folder(job.id) / "density_asp.npz").read_bytes() == files["density_asp.npz"]


def test_time_left_follows_the_steps_that_were_asked_for(store: Store) -> None:
    from webapp.live import USUAL_STEPS, remaining, share

    moving = {"stage": "propagate", "step": 95, "total": 5000}
    assert share(moving, 5000) < 0.05 and share({"stage": "read", "step": 0, "total": 0}, 14) > 0
    assert 0.2 < share({"stage": "propagate", "step": USUAL_STEPS, "total": USUAL_STEPS}, USUAL_STEPS) < 0.5
    assert share({"stage": "done", "step": 0, "total": 0}, 14) == 1.0
    assert remaining(0.5, 60.0, 10.0) == pytest.approx(60.0) and remaining(0.01, 1.0, 100.0) == pytest.approx(99, abs=1)


def running(store: Store, *events: dict[str, object]) -> str:
    """Id of a job of this visitor that runs and has reported ``events``."""
    job = submitted(store, "cookie:" + "0" * 32, short_model())
    with store._change() as database:
        database.execute("UPDATE jobs SET state = ?, started = submitted - 60 WHERE id = ?", (RUNNING, job.id))
    folder = store.folder(job.id) / "run"
    folder.mkdir()
    empty = {"step": 0, "total": 0, "energy": None, "moved": None, "confidence": None}
    (folder / "progress.jsonl").write_text("".join(json.dumps(empty | event) + "\n" for event in events))
    return job.id


READ = {"stage": "read", "confidence": 71.25}
MOVING = {"stage": "propagate", "step": 7, "total": 14, "energy": -460.0, "moved": 0.62}
ENSEMBLE = {"stage": "ensemble"}
FIRST = {"stage": "finish", "step": 1, "total": 3, "energy": -400.0, "confidence": 71.25}
SECOND = {"stage": "finish", "step": 2, "total": 3, "energy": -412.5, "confidence": 73.0}


def test_a_run_shows_what_can_be_read_and_no_energy_that_rises(store: Store) -> None:
    test = app(job=running(store, READ, MOVING | {"energy": -480.0, "step": 1}, MOVING))
    assert not test.exception
    assert {m.label: m.value for m in test.metric} == {
        "Expected accuracy of the input, 0–100": "71.2",
        "Moved so far": "0.62 Å",
    }
    assert "**Moving the backbone 7/14**" in words(test) and not re.search("-4[68]0", words(test))
    (bar,) = test.get("progress")
    assert re.search(r"\d+ (s|min) so far, about .+ left", bar.proto.text)
    assert ":material/check_circle: Reading" in words(test) and ":material/circle: Ranking and writing" in words(test)


def test_scores_of_finished_structures_are_told_relative_to_the_input(store: Store) -> None:
    test = app(job=running(store, READ, MOVING, ENSEMBLE, FIRST, SECOND))
    assert not test.exception
    (table,) = test.table
    rows = {name: row.to_list() for name, row in table.value.iterrows()}
    assert rows == {"Input, finished": ["71.2", "–"], "Candidate 1": ["73.0", "-12.5"]}
    assert "a gain alone proves nothing" in words(test) and "**Side chains and relaxation 2/3**" in words(test)


def test_who_waits_is_told_the_place_and_the_time(store: Store) -> None:
    first, second = (submitted(store, "cookie:" + "0" * 32, short_model()) for _ in range(2))
    assert first.state == QUEUED and "It starts in a moment" in words(app(job=first.id))
    assert "Waiting, 1 job before this one: it starts in about 1 s" in words(app(job=second.id))
    store.start_next()
    assert "Next in the queue: it starts in" in words(app(job=second.id))


def test_conditions_go_into_the_command_and_the_job(store: Store) -> None:
    test = app(again=submitted(store, "cookie:" + "0" * 32, short_model()).id)
    next(n for n in test.number_input if n.label == "pH").set_value(5.5).run()
    next(n for n in test.number_input if n.label == "Ionic strength, mol/l").set_value(0.15).run()
    assert any("--ph=5.5 --ionic=0.15" in c.value for c in test.code)
    next(b for b in test.button if b.label == "Refine").click().run()
    options = store.jobs()[0].options
    assert (options["ph"], options["ionic"], options["temperature"]) == (5.5, 0.15, None)


def read_model(store: Store, text: str) -> AppTest:
    """The form with this model read."""
    return app(again=submitted(store, "cookie:" + "0" * 32, text.encode()).id)


def test_chains_are_switched_off_by_boxes(store: Store) -> None:
    lines = short_model().decode().splitlines()
    other = [f"{x[:21]}B{x[22:30]}{float(x[30:38]) + 60:8.3f}{x[38:]}" for x in lines if x.startswith("ATOM")]
    test = read_model(store, "\n".join([*lines[:-1], *other, "END", ""]))
    assert not test.exception and {c.label for c in test.checkbox} >= {"A", "B"}
    next(c for c in test.checkbox if c.label == "B").uncheck().run()
    assert any("--freeze=B:" in c.value for c in test.code)
    next(c for c in test.checkbox if c.label == "A").uncheck().run()
    assert "every residue is fixed" in words(test)


def test_one_click_keeps_what_surrounds_a_metal(store: Store) -> None:
    test = read_model(store, with_lines(zinc(400)))
    next(t for t in test.toggle if t.label.startswith("Keep what surrounds")).set_value(True).run()
    test.slider[0].set_value(3.0).run()
    assert any("--freeze=A:20 " in f"{c.value} " for c in test.code)
    test.slider[0].set_value(12.0).run()
    assert not any("--freeze=A:20 " in f"{c.value} " for c in test.code)


@pytest.mark.parametrize("typed", ["A:152", "A 152", "A/152", "ASP152", "A:ASP152", "152", "A:152-154", "152 to 154"])
def test_fixed_residues_are_typed_in_any_common_form(store: Store, typed: str) -> None:
    test = read_model(store, short_model().decode())
    next(t for t in test.text_input if t.label == "Residues that stay fixed").set_value(typed).run()
    assert not next(b for b in test.button if b.label == "Refine").disabled, words(test)


def test_picked_residues_become_ranges(store: Store) -> None:
    from webapp.options import ranges

    assert ranges(["A:12", "A:14", "A:13", "A:20B", "B:-5", "B:-4", "C:1"]) == "A:12-14,B:-5--4,C:1,A:20B"


def test_without_the_name_of_the_proxy_nobody_is_let_in(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted(store, "name:", short_model())
    to_environment(dataclasses.replace(store.settings, user_header="X-Forwarded-User"))
    from webapp import server

    server.store.clear()
    test = app(jobs="all")
    assert not test.exception and "Nobody is logged in" in words(test) and "model.pdb" not in words(test)
    assert not test.button


@pytest.mark.parametrize(
    ("host", "header", "warned"),
    [("127.0.0.1", "", 0), ("::1", "", 0), ("localhost", "", 0), ("0.0.0.0", "", 1), ("", "", 1), ("0.0.0.0", "X", 0)],
)
def test_listening_to_all_without_names_is_warned_of(
    host: str, header: str, warned: int, caplog: pytest.LogCaptureFixture
) -> None:
    from refine.queue.serve import warn_open
    from refine.queue.settings import AppSettings

    warn_open(AppSettings(host=host, user_header=header))
    assert len(caplog.records) == warned and all("user_header" in r.getMessage() for r in caplog.records)


def test_the_server_listens_on_this_machine_and_tells_nobody() -> None:
    from refine.queue.serve import options
    from refine.queue.settings import AppSettings

    flags = dict(o.removeprefix("--").split("=") for o in options(AppSettings(max_upload_mb=7)))
    assert flags["server.address"] == "127.0.0.1" and flags["browser.gatherUsageStats"] == "false"
    assert flags["server.enableXsrfProtection"] == flags["server.enableCORS"] == "true"
    assert flags["server.maxUploadSize"] == "7" and flags["client.showErrorDetails"] == "none"


def test_nothing_in_the_app_names_a_server_to_fetch_from() -> None:
    for path in (ROOT / "app").rglob("*"):
        if path.suffix in (".js", ".css", ".py", ".html"):
            assert not re.search(r"(https?:)?//\w", path.read_text(encoding="utf-8")), path
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["app"]


def test_pictures_are_drawn_by_the_scripts_of_the_report_alone() -> None:
    for path in (ROOT / "app").rglob("*"):
        assert path.suffix != ".js", path
        if path.suffix == ".py":
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"createViewer|<svg|plotly|altair|matplotlib|st\.\w*_chart", text), path


def test_events_leave_out_a_line_that_is_being_written(store: Store, tmp_path: Path) -> None:
    from webapp.live import events

    assert events(tmp_path) == []
    line = json.dumps(dataclasses.asdict(store.settings))
    (tmp_path / "progress.jsonl").write_text(f"{line}\n{line[:20]}")
    assert len(events(tmp_path)) == 1


def test_residues_around_a_metal_stay_at_a_click(store: Store) -> None:
    from webapp.options import around

    text = with_lines(zinc(400))
    _, preview = read_upload("x.pdb", text.encode(), store.settings)
    assert preview.hetero_places and "A:20" in around(preview, 3.0)  # its histidine
    assert set(around(preview, 3.0)) < set(around(preview, 12.0))

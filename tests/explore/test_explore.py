"""``refine explore`` and ``refine states`` from end to end, on a peptide of 22 atoms."""

from __future__ import annotations

import csv
import functools
import json
import shutil
from pathlib import Path

import gemmi
import numpy as np
import pytest

from refine import cli
from refine.errors import InputError
from refine.explore.chunks import Chunks
from refine.explore.input import explored_input
from refine.explore.run import explore_file
from refine.explore.states import states_of
from refine.explore.trajectory import read_trajectory
from refine.physics.dynamics import Dynamics
from refine.pipeline import refine_file
from refine.run.folder import RunFolder
from refine.run.result import read_run
from refine.sampling import exploration
from refine.sampling.reweight import LEAST_KISH
from refine.sampling.settings import BLOCK_STEPS, ExploreSettings
from refine.sampling.states import StateSettings
from refine.sampling.subject import ModelSubject, PeptideSubject
from refine.sampling.variables import backbone_torsions, read_variables
from refine.settings import RunSettings
from refine.structure.prepare import prepare

ALANINE = "ACE-ALA-NME"
SOFTWARE = ["--no-sandbox", "--enable-unsafe-swiftshader", "--use-gl=angle", "--use-angle=swiftshader"]
BONDS_OF_NME = """() => {
  const viewer = $3Dmol.createViewer(document.body.appendChild(document.createElement('div')));
  const text = JSON.parse(document.getElementById('data').textContent).frames[0].text;
  return viewer.addModel(text, 'pdb').selectedAtoms({ resn: 'NME', atom: 'N' })[0].bonds.length;
}"""
SHORT = ExploreSettings(ns=0.1, bias="none", seed=3)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short exploration without a bias."""
    out = tmp_path_factory.mktemp("plain") / "run"
    result = explore_file(None, out, SHORT, sequence=ALANINE)
    assert result.record["status"] == "done"
    return out


def test_a_folder_has_what_the_guide_says(plain: Path) -> None:
    names = {path.name for path in plain.iterdir()}
    assert {"run.json", "pmf.npz", "pmf.png", "states.csv", "ensemble.pdb", "ensemble.csv", "explore.html",
            "trajectory.npz", "model_1.pdb", "log.txt", "progress.jsonl"} <= names  # fmt: skip
    assert not any(name.startswith("sampled_") for name in names)
    with (plain / "ensemble.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(gemmi.read_structure(str(plain / "ensemble.pdb")))
    assert sum(float(row["weight"]) for row in rows) == pytest.approx(1.0, abs=1e-3)
    with (plain / "states.csv").open() as stream:
        population = [float(row["population"]) for row in csv.DictReader(stream)]
    assert population == sorted(population, reverse=True) and sum(population) == pytest.approx(1.0, abs=1e-3)
    page = (plain / "explore.html").read_text(encoding="utf-8")
    assert "http://" not in page.partition("<!-- The 3-D view")[0] and "drawExploration(" in page


def test_the_page_shows_the_first_state_and_the_one_that_is_chosen(plain: Path) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="no playwright")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=SOFTWARE)
        page, complaints = browser.new_page(), []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((plain / "explore.html").as_uri())
        readout = page.locator("#maps p.note")
        api.expect(readout).to_contain_text("state 1:")
        page.get_by_role("button", name="model 2").click()
        api.expect(readout).to_contain_text("state 2:")
        page.locator("#maps svg").click(position={"x": 150, "y": 150})
        api.expect(readout).to_contain_text(" ns, ")
        assert page.evaluate(BONDS_OF_NME) == 2
        browser.close()
    assert complaints == []


def test_the_landscape_is_that_of_the_samples(plain: Path) -> None:
    with np.load(plain / "pmf.npz") as pmf, np.load(plain / "trajectory.npz") as run:
        learned, weighted, samples = (pmf[f"grid1_{n}"] for n in ("free_energy", "free_energy_weighted", "samples"))
        assert samples.sum() == len(run["q"]) == 1000
        assert not run["biased"] and run["frozen"].all()
        assert np.all(pmf["grid1_bias"] == 0)
    assert np.nanmin(learned) == 0 and np.isfinite(weighted[samples > 0]).all()
    assert np.isnan(learned[np.isnan(learned)]).all() and np.isnan(learned).any()


def test_an_interrupted_exploration_goes_on_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exploration, "CHUNK", 4)
    settings = ExploreSettings(ns=0.1, seed=5)
    whole = explore_file(None, tmp_path / "whole", settings, sequence=ALANINE)
    run, blocks = Dynamics.run, []

    def stopped(self: Dynamics, begin: object, number: int, steps: int, every: int) -> object:
        blocks.append(number)
        if number == 10 and len(blocks) < 20:
            raise KeyboardInterrupt
        return run(self, begin, number, steps, every)

    monkeypatch.setattr(Dynamics, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        explore_file(None, tmp_path / "cut", settings, sequence=ALANINE)
    assert Chunks(RunFolder(tmp_path / "cut"), "of another run").read() == []
    monkeypatch.setattr(Dynamics, "run", run)
    explore_file(None, tmp_path / "cut", settings, sequence=ALANINE, resume=True)
    for name in ("trajectory.npz", "pmf.npz"):
        with np.load(tmp_path / "whole" / name) as one, np.load(tmp_path / "cut" / name) as two:
            assert all(np.array_equal(one[key], two[key], equal_nan=one[key].dtype.kind == "f") for key in one)
    assert np.load(tmp_path / "whole" / "pmf.npz")["grid1_bias"].max() > 0.5
    again = explore_file(None, tmp_path / "whole", settings, sequence=ALANINE, resume=True)
    assert again.skipped and again.verdict == whole.verdict


def test_states_of_an_exploration_without_a_bias(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = functools.partial(StateSettings, seeds=1, steps=60, batch=256)
    monkeypatch.setattr("refine.explore.states.StateSettings", quick)
    result = states_of(plain, tmp_path / "states", lag="0.5,2")
    assert result.record["lag_unit"] == "ps" and "ps" in result.verdict
    with (tmp_path / "states" / "states.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["lag"] for row in rows} == {"0.5", "2"}
    for row in rows:
        assert (tmp_path / "states" / row["file"]).is_file() and float(row["population"]) > 0
    with pytest.raises(InputError, match="no times of this trajectory"):
        states_of(plain, tmp_path / "none", lag="0.01")
    with pytest.raises(InputError, match="not of a run"):
        read_run(plain)


def test_models_of_a_file_have_frames_and_no_time(plain: Path) -> None:
    trajectory = read_trajectory(plain / "ensemble.pdb")
    assert trajectory.unit == "frames" and trajectory.features.shape == (len(trajectory.models), 4)
    with np.load(plain / "trajectory.npz") as run:
        q = run["q"][read_trajectory(plain).places]
    expected = np.concatenate((np.sin(q), np.cos(q)), 1)
    assert np.abs(np.sort(trajectory.features) - np.sort(expected)).max() < 0.02


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sequence", "ACE-XXX-NME"], "names the residue"),
        ([], "give an input or --sequence"),
        (["--sequence", ALANINE, "--ns", "1e9"], "ns"),
        (["--sequence", ALANINE, "--loop", "A:1"], "no --loop"),
        (["nothing.pdb"], "nothing.pdb"),
        (["--sequence", ALANINE, "--towards", "x.pdb"], "--towards is for"),
        (["--sequence", ALANINE, "--towards", "x.pdb", "--bias", "adversary"], "cannot read the structure"),
    ],
)
def test_bad_input_is_told_before_anything_is_written(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["explore", *arguments, "--out", str(tmp_path / "out"), "--quiet"]) == 2
    assert words in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("torsion A:2 chi1", "it has no torsion chi1"),
        ("torsion A:9 phi", "no such residue"),
        ("distance A:1 C A:1 C", "an atom is named twice"),
        ("distance A:1 C A:3 C 50 60", "outside of"),
        ("angle A:1 C", "is no variable"),
        ("centres A:1 A:2", "'A:1' holds no CA"),
        ("centres A:2 A:1-2", "share residues"),
        ("centres A:2 A:7-9", "'A:7-9' holds no residue"),
        ("", "names 0 variables"),
        ("torsion A:2 phi\n" * 2, "names a variable twice"),
        ("".join(f"distance A:1 CH3 A:2 {atom}\n" for atom in ("N", "CA", "C", "O", "CB", "H", "HA")), "7 variables"),
    ],
)
def test_a_bad_variable_names_its_line(line: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "variables.txt").write_text(line)
    with pytest.raises(InputError, match=words) as caught:
        read_variables(tmp_path / "variables.txt", PeptideSubject(ALANINE))
    assert str(tmp_path) in str(caught.value)


def test_variables_of_a_file_are_those_of_the_peptide(tmp_path: Path) -> None:
    subject = PeptideSubject(ALANINE)
    text = "torsion 2 phi  # of the only chain\n\ntorsion A:2 N A:2 CA A:2 C A:3 N\ndistance A:1 C A:3 N\n"
    (tmp_path / "variables.txt").write_text(text)
    phi, psi, apart = read_variables(tmp_path / "variables.txt", subject)
    assert [phi.axis, psi.axis] == [v.axis for v in backbone_torsions(subject)]
    assert apart.axis.low < apart.of(subject.start[None])[0] < apart.axis.high


def test_too_many_atoms_are_refused(example_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refine.sampling.subject.MOST_ATOMS", 300)
    with pytest.raises(InputError, match=r"the simulation would have \d{3} atoms") as caught:
        ModelSubject(prepare(example_model), "A:174-177")
    assert "free a part of it" in str(caught.value)
    assert ModelSubject(prepare(example_model), "A:174-175", around=8.0).system.getNumParticles() <= 300


def test_centres_are_those_of_alpha_carbons(example_model: Path, tmp_path: Path) -> None:
    subject = ModelSubject(prepare(example_model))
    (tmp_path / "variables.txt").write_text("centres A:160-165,A:170 A:200-205 10 60\n")
    (variable,) = read_variables(tmp_path / "variables.txt", subject)
    ca = {subject.labels[a.residue.index].number: subject.start[a.index]  # type: ignore[union-attr]
          for a in subject.topology.atoms() if a.name == "CA"}  # fmt: skip
    first, second = (np.mean([ca[n] for n in numbers], 0) for numbers in ([*range(160, 166), 170], range(200, 206)))
    assert variable.of(subject.start[None])[0] == pytest.approx(np.linalg.norm(first - second))
    assert variable.name == "centres A:160-165,A:170 A:200-205" and (variable.axis.low, variable.axis.high) == (10, 60)


def test_a_second_structure_of_a_peptide_gives_the_goal(tmp_path: Path) -> None:
    subject = PeptideSubject(ALANINE)
    heavy = [a.index for a in subject.topology.atoms() if a.element.symbol != "H"]
    turned = subject.start * (1, 1, -1) + (3, 0, 0)  # its mirror image has the other phi and psi
    subject.write(turned[None], tmp_path / "second.pdb")
    settings = ExploreSettings(bias="adversary")
    given = explored_input(None, ALANINE, None, tmp_path / "second.pdb", settings)
    assert given.towards == pytest.approx([-v.of(subject.start[None])[0] for v in given.variables], abs=0.01)
    lines = (tmp_path / "second.pdb").read_text().splitlines(True)
    lines = [line for line in lines if not (line.startswith("ATOM") and line[12:16].strip() == "CA")]
    (tmp_path / "lacking.pdb").write_text("".join(lines))
    with pytest.raises(InputError, match="lacks an atom of the variable 'A:2 phi'"):
        explored_input(None, ALANINE, None, tmp_path / "lacking.pdb", settings)
    with pytest.raises(InputError, match="the file holds ACE-ALA-NME"):
        explored_input(None, "ACE-ALA-ALA-NME", None, tmp_path / "second.pdb", settings)
    assert len(heavy) == len(np.flatnonzero(np.isfinite(subject.placed(tmp_path / "second.pdb")[heavy, 0])))


def test_a_second_structure_of_a_model_may_lack_what_no_variable_names(example_model: Path, tmp_path: Path) -> None:
    atoms = [line for line in example_model.read_text().splitlines(True) if line.startswith("ATOM")]
    shorter = [line for line in atoms if int(line[22:26]) > 155]
    backbone = [line for line in shorter if line[22:26] != " 180" or line[12:16].strip() in ("N", "CA", "C", "O")]
    mutant = [line[:17] + "GLY" + line[20:] if line[22:26] == " 180" else line for line in backbone]
    (tmp_path / "second.pdb").write_text("".join(mutant))
    settings = ExploreSettings(bias="adversary")

    def goal(variables: str) -> np.ndarray:
        (tmp_path / "variables.txt").write_text(variables)
        given = explored_input(example_model, None, tmp_path / "variables.txt", tmp_path / "second.pdb", settings)
        assert given.towards is not None
        return given.towards

    ca = {int(line[22:26]): np.array(line[30:54].split(), float) for line in atoms if line[12:16].strip() == "CA"}
    expected = np.linalg.norm(ca[160] - ca[200])
    assert goal("distance A:160 CA A:200 CA\n") == pytest.approx([expected], abs=0.01)
    for lacking in ("distance A:152 CA A:200 CA\n", "distance A:180 CA A:200 CA\n"):
        with pytest.raises(InputError, match="or has another residue there"):
            goal(lacking)


def test_caps_are_bonded_to_the_chain_for_viewers(plain: Path) -> None:
    subject = PeptideSubject(ALANINE)
    wanted = {(a.index + 1, b.index + 1) for a, b in subject.topology.bonds() if a.residue is not b.residue}
    for name in ("model_1.pdb", "ensemble.pdb"):
        lines = (plain / name).read_text().splitlines()
        pairs = {tuple(sorted(map(int, line.split()[1:]))) for line in lines if line.startswith("CONECT")}
        assert pairs == wanted and lines[-1].startswith("END")
    assert (plain / "explore.html").read_text(encoding="utf-8").count("CONECT") > 100


def test_of_a_model_only_the_loop_moves_and_the_rest_is_written_as_it_was(example_model: Path, tmp_path: Path) -> None:
    prepared = prepare(example_model)
    subject = ModelSubject(prepared, "A:174-177")
    dynamics = Dynamics(subject.system, groups=subject.groups)
    block = dynamics.run(dynamics.begin(subject.start), 0, 20, 10)
    moved = subject.protein(block.frames)
    shift = np.abs(moved.coords - prepared.protein.coords).max((0, 2, 3))
    free = np.array([174 <= r.number <= 177 for r in prepared.protein.residue_ids])
    assert (shift[free] > 0.05).all() and (shift[~free] < 1e-3).all()
    for ending, writer in subject.writers(block.frames[-1], ["x"]).items():
        writer(tmp_path / f"model_1.{ending}")
        assert len(prepare(tmp_path / f"model_1.{ending}").protein) == len(prepared.protein)


def test_a_run_folder_is_explored_around_its_model_1(
    example_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From end to end, in blocks of few steps."""
    monkeypatch.setattr(exploration, "BLOCK_STEPS", 50)
    monkeypatch.setattr(exploration, "FRAME_STEPS", 1)
    run = tmp_path / "run"
    refine_file(example_model, run, RunSettings(networks="none", models=1, workers=1), report=False)
    (tmp_path / "variables.txt").write_text("centres A:174-177 A:160-170\ntorsion A:175 psi\n")
    arguments = ["explore", str(run), "--variables", str(tmp_path / "variables.txt"), "--loop", "A:174-177"]
    assert cli.main([*arguments, "--ns", "0.1", "--out", str(tmp_path / "out"), "--quiet"]) == 0
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["input"] == "model_1.cif" and record["settings"]["loop"] == "A:174-177"
    progress = [json.loads(line) for line in (tmp_path / "out" / "progress.jsonl").read_text().splitlines()]
    assert [(one["step"], one["total"]) for one in progress if one["stage"] == "sample"][-1] == (20, 20)
    begin = prepare(run / "model_1.cif").protein
    state = prepare(tmp_path / "out" / "model_1.cif").protein
    free = np.array([174 <= r.number <= 177 for r in begin.residue_ids])
    shift = np.abs(state.coords - begin.coords).max((0, 2, 3))
    assert shift[free].max() > 0.05 and shift[~free].max() < 2e-3
    assert record["sampling"]["kish_least"] == LEAST_KISH
    with pytest.raises(InputError, match="too few to learn states from"):
        states_of(run, tmp_path / "states", lag="1")


def test_a_block_is_five_picoseconds() -> None:
    assert BLOCK_STEPS * 0.004 == pytest.approx(5.0)
    assert SHORT.blocks == 20 and SHORT.frozen_from == 0 and ExploreSettings(ns=0.1).frozen_from == 12

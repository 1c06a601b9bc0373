"""Manifests, the fixed split and method plans."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from refine.bench.manifest import read_manifest
from refine.bench.methods import Method, command_method, plan_methods, read_commands
from refine.errors import InputError
from refine.settings import RunSettings


def write_manifest(folder: Path, names: list[str], header: str = "target\tmodel\tnative") -> Path:
    (folder / "m.pdb").write_text("MODEL")
    (folder / "n.pdb").write_text("NATIVE")
    path = folder / "manifest.tsv"
    path.write_text("\n".join([header, *(f"{name}\tm.pdb\tn.pdb" for name in names)]) + "\n")
    return path


def test_paths_are_relative_to_the_manifest_and_extra_columns_do_not_matter(tmp_path: Path) -> None:
    path = write_manifest(tmp_path, ["one"])
    path.write_text("set\ttarget\tnote\tmodel\tnative\na\tone\tx\tm.pdb\tn.pdb\nb\ttwo\tx\tm.pdb\tn.pdb\n")
    assert [t.name for t in read_manifest(path)] == ["one", "two"]
    (target,) = read_manifest(path, chosen_set="b")
    assert target.name == "two" and target.model == tmp_path / "m.pdb"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x" * 200_000, "cannot read the manifest: field larger than field limit"),
        ("x" * 300, "cannot be a folder name"),
        ("a\x1bb", "cannot be a folder name"),
    ],
)
def test_fields_that_cannot_be_names(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_manifest(write_manifest(tmp_path, [name]))
    assert len(str(caught.value)) < 1000


def test_a_structure_of_a_name_that_no_file_has(tmp_path: Path) -> None:
    path = write_manifest(tmp_path, ["one"])
    path.write_text(f"target\tmodel\tnative\none\t{'m' * 5000}\tn.pdb\n")
    with pytest.raises(InputError, match="is missing"):
        read_manifest(path)


def test_split_is_the_documented_hash_and_covers_everything_once(tmp_path: Path) -> None:
    names = [f"t{i}" for i in range(40)]
    path = write_manifest(tmp_path, names)
    halves = {split: {t.name for t in read_manifest(path, split=split)} for split in ("tune", "check")}
    assert halves["tune"] == {n for n in names if int(hashlib.sha256(n.encode()).hexdigest(), 16) % 2 == 0}
    assert halves["tune"] | halves["check"] == set(names) and not halves["tune"] & halves["check"]


@pytest.mark.parametrize(
    ("names", "header", "message"),
    [
        (["a", "a"], "target\tmodel\tnative", "twice"),
        (["a"], "target\tmodel\tnatives", "column 'native'"),
        ([], "target\tmodel\tnative", "no target"),
        (["../a"], "target\tmodel\tnative", "folder name"),
    ],
)
def test_bad_manifests_are_refused(tmp_path: Path, names: list[str], header: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_manifest(write_manifest(tmp_path, names, header))


def test_a_missing_structure_is_named(tmp_path: Path) -> None:
    path = write_manifest(tmp_path, ["a"])
    (tmp_path / "n.pdb").unlink()
    with pytest.raises(InputError, match="missing") as caught:
        read_manifest(path)
    assert caught.value.file == str(tmp_path / "n.pdb")


def test_random_brings_ours_with_it_and_comes_after_it() -> None:
    assert [m.name for m in plan_methods(RunSettings(), ("random",))] == ["start", "ours", "random"]


def test_finishing_in_a_bench_does_not_depend_on_the_load_of_the_machine() -> None:
    ours = plan_methods(RunSettings(workers=8))[1].run_settings()
    assert (ours.workers, ours.finishing.threads) == (1, 1) and ours.finishing.max_seconds > 3600


def test_commands_come_from_options_and_files(tmp_path: Path) -> None:
    assert command_method("peer=prog -x {model} {out}") == Method("peer", "command", command="prog -x {model} {out}")
    path = tmp_path / "peers.toml"
    path.write_text('[fast]\ncommand = "fast {model} {out}"\nseconds = 5\n')
    (method,) = read_commands(path)
    assert (method.name, method.seconds) == ("fast", 5.0)
    path.write_text('[fast]\ncommand = "fast {model} {out}"\nsecond = 5\n')
    with pytest.raises(InputError, match="unknown setting fast.second"):
        read_commands(path)


@pytest.mark.parametrize(
    "text", ["peer", "peer=prog {model}", "peer=", "a/b=prog {model} {out}", "p='prog {model} {out}"]
)
def test_bad_commands_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        command_method(text)


def test_two_methods_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="two methods"):
        plan_methods(RunSettings(), variants={"relax": RunSettings()})

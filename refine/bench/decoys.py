"""Decoy sets: for each target a native and many models of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from refine.bench.manifest import Target, read_rows
from refine.errors import InputError
from refine.files import stem, structure_files

NATIVE = "native"


@dataclasses.dataclass(frozen=True)
class Decoy:
    """A model of a target; the native itself is one of them (``is_native``)."""

    target: str
    name: str
    path: Path
    native: Path

    @property
    def is_native(self) -> bool:
        return self.path == self.native


def find_decoys(
    place: Path,
    *,
    root: Path | None = None,
    chosen_set: str | None = None,
    split: str = "all",
    names: Sequence[str] = (),
) -> tuple[Decoy, ...]:
    """Decoys of a folder with a sub-folder for each target, or of a manifest with the columns target, model, native.

    In a folder the native is the file called ``native`` with an ending of structure files; every other structure file
    is a decoy.

    Raises:
        InputError: nothing found, no native, or the manifest cannot be read.
    """
    decoys = _of_folder(place) if place.is_dir() else _of_manifest(place, root, chosen_set)
    kept = [
        d
        for d in decoys
        if (not names or d.target in names) and split in ("all", Target(d.target, d.path, d.native).split)
    ]
    if not kept:
        raise InputError("there are no decoys", file=str(place), remedy="Check --set, --targets and --split")
    return tuple(kept)


def _of_folder(place: Path) -> list[Decoy]:
    folders = sorted(p for p in place.iterdir() if p.is_dir() and not p.name.startswith("."))
    decoys = []
    for folder in folders:
        files = structure_files(folder)
        natives = [p for p in files if stem(p) == NATIVE]
        if files and len(natives) != 1:
            raise InputError("the folder of a target needs one file called native", file=str(folder))
        decoys += [Decoy(folder.name, stem(p), p, natives[0]) for p in files]
    return decoys


def _of_manifest(place: Path, root: Path | None, chosen_set: str | None) -> list[Decoy]:
    base = place.parent if root is None else root
    decoys, natives = [], {}
    for row in read_rows(place, chosen_set):
        native = base / row["native"]
        natives[row["target"]] = Decoy(row["target"], NATIVE, native, native)
        decoys.append(Decoy(row["target"], stem(Path(row["model"])), base / row["model"], native))
    decoys += natives.values()
    for decoy in decoys:
        if not decoy.path.is_file():
            raise InputError("a structure of the manifest is missing", file=str(decoy.path), remedy="Check --root")
    return sorted(decoys, key=lambda d: (d.target, d.name))

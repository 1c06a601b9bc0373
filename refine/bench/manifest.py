"""What a benchmark runs on: targets, each with a model to refine and its native structure."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

from refine.errors import InputError
from refine.files import is_there
from refine.settings_checks import one_of

COLUMNS = ("target", "model", "native")
_LONGEST_NAME = 200
"""Bytes of a name that file systems hold (255), with room for our endings."""
SPLITS = ("tune", "check", "all")


@dataclasses.dataclass(frozen=True)
class Target:
    """A model and its native; ``name`` is unique within a manifest and serves as folder name."""

    name: str
    model: Path
    native: Path

    @property
    def split(self) -> str:
        """``tune`` or ``check``: a fixed half by hash of the name, so that settings are chosen on one and judged on the
        other.
        """
        return "tune" if int(hashlib.sha256(self.name.encode()).hexdigest(), 16) % 2 == 0 else "check"


def read_manifest(
    path: Path,
    *,
    root: Path | None = None,
    chosen_set: str | None = None,
    split: str = "all",
    names: Sequence[str] = (),
) -> tuple[Target, ...]:
    """Targets of a tab-separated file with a header that names at least the columns target, model and native.

    Args:
        path: the file.
        root: what its paths are relative to; None means its own folder.
        chosen_set: only rows with this value in the column ``set``.
        split: ``all``, or one of the two halves of ``Target.split``.
        names: only these targets, when given.

    Raises:
        InputError: unreadable, a column or structure file is missing, a target occurs twice, nothing is left.
    """
    one_of("split", split, SPLITS)
    rows = [row for row in read_rows(path, chosen_set) if not names or row["target"] in names]
    missing = sorted(set(names) - {row["target"] for row in rows})
    if missing:
        raise InputError(f"there is no target {missing[0]!r}", file=str(path), remedy="Check --targets and --set")
    base = path.parent if root is None else root
    targets = tuple(Target(row["target"], base / row["model"], base / row["native"]) for row in rows)
    _check(path, targets)
    chosen = tuple(target for target in targets if split in ("all", target.split))
    if not chosen:
        raise InputError("the manifest names no target", file=str(path), remedy="Check --set, --targets and --split")
    return chosen


def read_rows(path: Path, chosen_set: str | None) -> list[dict[str, str]]:
    """Rows of a manifest, of one set if named; targets may repeat. Raises InputError when it is no manifest."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
        reader = csv.DictReader(lines, delimiter="\t")
        names = reader.fieldnames or ()
        rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"cannot read the manifest: {error}", file=str(path), remedy="Give a tab-separated text file"
        ) from error
    lacking = [name for name in COLUMNS if name not in names]
    if lacking:
        raise InputError(
            f"the manifest has no column {lacking[0]!r}", file=str(path), remedy="The first line names the columns"
        )
    if chosen_set is not None and "set" not in names:
        raise InputError("the manifest has no column 'set'", file=str(path), remedy="Leave --set out")
    for number, row in enumerate(rows, start=2):
        if not all(row[name] for name in COLUMNS):
            raise InputError(
                f"line {number} of the manifest lacks a value", file=str(path), remedy="Columns are separated by tabs"
            )
        if not _is_folder_name(row["target"]):
            shown = f"{row['target'][:60]!r}"
            raise InputError(f"target {shown} cannot be a folder name", file=str(path), remedy="Rename it")
    return [row for row in rows if chosen_set is None or row["set"] == chosen_set]


def _is_folder_name(name: str) -> bool:
    return "/" not in name and not name.startswith(".") and name.isprintable() and len(name.encode()) <= _LONGEST_NAME


def _check(path: Path, targets: Sequence[Target]) -> None:
    seen: set[str] = set()
    for target in targets:
        if target.name in seen:
            raise InputError(
                f"target {target.name} occurs twice", file=str(path), remedy="Choose a set with --set, or rename it"
            )
        seen.add(target.name)
        for file in (target.model, target.native):
            if not is_there(file) or not file.is_file():
                raise InputError("a structure of the manifest is missing", file=str(file)[:200], remedy="Check --root")

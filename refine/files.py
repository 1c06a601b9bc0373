"""Files: which are structures, what they are called and hash to, and how they are written, whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import math
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from refine.errors import InputError

STRUCTURE_SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif", ".bcif")
"""Endings by which structures are found in a folder, each plain or followed by .gz; a file that is named by the user
is recognised by its content."""
PARTIAL = ".partial-"
"""How the name of a file that is being written begins."""
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY
"""Flags that make a file, never open one that is there, and follow no link."""
_STEM_SUFFIXES = (*STRUCTURE_SUFFIXES, ".pdbx", ".brk", ".pdb1", ".bin", ".gz")


def is_structure_name(path: Path) -> bool:
    """Whether the name ends as that of a structure file."""
    return path.name.lower().removesuffix(".gz").endswith(STRUCTURE_SUFFIXES)


def is_there(path: Path) -> bool:
    """Whether there is a file or folder of this name; False for names that no file can have (too long, NUL)."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def structure_files(folder: Path, *, below: bool = False) -> list[Path]:
    """Structure files of a folder by name; those of its sub-folders too where ``below``."""
    paths = folder.rglob("*") if below else folder.iterdir()
    return sorted(path for path in paths if is_structure_name(path) and path.is_file())


def stem(path: Path) -> str:
    """File name without the endings of structure files: ``x.1.pdb.gz`` gives ``x.1``; never empty."""
    name = path.name
    while True:
        for suffix in _STEM_SUFFIXES:
            if name.lower().endswith(suffix) and len(name) > len(suffix):
                name = name[: -len(suffix)]
                break
        else:
            return name or "model"


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex digits.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(
            f"cannot read the input: {error.strerror}", file=str(path), remedy="Give an existing, readable file"
        ) from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path``, to be written in the block, that takes the place of ``path`` at its end.

    Whoever reads ``path`` sees the old file or the whole new one, also after a power cut. When the block raises, the
    temporary file is removed and ``path`` stays as it was. The temporary name keeps the ending of ``path`` and is one
    that no other process, thread or machine uses; a link that was laid in its place is not followed. OSError is the
    caller's to put into words.
    """
    path = Path(path)
    temporary = path.with_name(f"{PARTIAL}{secrets.token_hex(8)}-{path.name}")
    os.close(os.open(temporary, NEW_FILE, 0o666))
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 in one step (``replacing``); raises OSError."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_output(path: Path, text: str) -> None:
    """``write_text`` to a place that the user chose with --out.

    Raises:
        InputError: it cannot be written.
    """
    try:
        write_text(path, text)
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", file=str(path), remedy="Give another --out") from error


def csv_text(header: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """CSV text of a header and lines; empty cell for None and for what is not finite; texts as ``harmless`` has them,
    which ``csv_rows`` takes back.
    """
    rows = _Rows()
    writer = csv.writer(rows, lineterminator=_Rows.END)
    writer.writerow([_cell(name) for name in header])
    writer.writerows([_cell(v) for v in line] for line in lines)
    return "".join(rows.texts)


class _Rows:
    """What csv.writer writes, a row a call, each ended by LF; cells with LF or CR are quoted for the ``END`` it has."""

    END = "\r\n"

    def __init__(self) -> None:
        self.texts: list[str] = []

    def write(self, text: str) -> None:
        self.texts.append(text.removesuffix(self.END) + "\n")


def _cell(value: object) -> object:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, str):
        return harmless(value)
    return f"{value:.6g}" if isinstance(value, float) else value


def harmless(text: str) -> str:
    """``text`` so that a spreadsheet takes it for text, not for a formula: an apostrophe before = + - @ tab and CR.

    Numbers stay as they are; a text that would be taken for one of ours (apostrophes, then such a sign) gets another
    apostrophe, so that ``original`` gives every text back.
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def original(text: str) -> str:
    """What ``harmless`` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def csv_rows(stream: Iterable[str], *, delimiter: str = ",") -> list[dict[str, str]]:
    """Rows of a table that ``csv_text`` (or somebody else) wrote, texts as they were; raises csv.Error.

    Values beyond the header are left out, those that are missing are empty.
    """
    reader = csv.DictReader(stream, delimiter=delimiter, restkey="", restval="")
    return [{original(k): original(v) for k, v in row.items() if k} for row in reader]


def json_text(value: Any, *, ascii_only: bool = True) -> str:
    """JSON text of ``plain`` values, indented, with a newline at its end; other letters escaped if ``ascii_only``."""
    return json.dumps(plain(value), indent=1, allow_nan=False, ensure_ascii=ascii_only) + "\n"


def plain(value: Any) -> Any:
    """``value`` in JSON's own types: paths as texts, arrays as lists, and None for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # an array or scalar of NumPy, which is not imported for its name alone
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    return value

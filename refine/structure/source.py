"""A structure file's bytes: opened, unpacked, and recognised by content, never by its extension."""

from __future__ import annotations

import dataclasses
import io
import re
import zlib
from pathlib import Path

from refine.errors import InputError
from refine.files import is_there, stem

MAX_BYTES = 400_000_000
"""Largest unpacked file in bytes; the guard against gzip bombs. The largest PDB entries are about this size."""
MAX_LINES = 5_000_000
"""Most lines of a text; each takes memory, however short it is."""
_MAX_MEMBERS = 100_000
"""Most gzip members of a file; bgzip makes one of every 64 kB."""
_CHUNK = 65536
_CONTROL = bytes(byte for byte in range(32) if byte < 9 or byte > 13)

_SMALL_ATOM = re.compile(r"^(?:[Aa]tom  |[Hh]etatm)[ \d]{5} ", re.MULTILINE)
_SMALL_RECORD = re.compile(
    r"^(?:atom  |hetatm|ter\b|end\b|endmdl|model\b|linkr?\b|ssbond|conect|cryst1)", re.MULTILINE | re.IGNORECASE
)
"""Beginnings of lines that some programs write in small letters, and that are read in capitals."""
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive", "Unpack it and give the structure file inside"),
    (b"BZh", "packed with bzip2", "Unpack it with bunzip2"),
    (b"\xfd7zXZ", "packed with xz", "Unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "Unpack it with unzstd"),
    (b"%PDF", "a PDF document", "Give a PDB or mmCIF file"),
    (b"\x7fELF", "a program", "Give a PDB or mmCIF file"),
    (b"\x89PNG", "a picture", "Give a PDB or mmCIF file"),
    (b"\x89HDF", "an HDF5 file", "Give a PDB or mmCIF file"),
    (b"MMTF", "an MMTF file", "Convert it to mmCIF"),
)


@dataclasses.dataclass(frozen=True)
class Source:
    """An unpacked file. ``format`` is ``"pdb"``, ``"mmcif"`` or ``"bcif"``; ``text`` is empty for ``"bcif"``."""

    path: str
    name: str
    format: str
    text: str
    data: bytes


def open_source(path: Path, *, max_bytes: int = MAX_BYTES) -> Source:
    """Read ``path``, unpack gzip, and recognise the format.

    Raises:
        InputError: not a file, unreadable, empty, damaged, larger than ``max_bytes`` unpacked, or no structure format
            we read.
    """
    file = str(path)
    data = _unpack(_read(path, max_bytes), file, max_bytes)
    if not data.strip(b"\x00 \t\r\n"):
        raise InputError("The file is empty", file=file, remedy="Download or copy it again")
    for magic, what, remedy in _FOREIGN:
        if data.startswith(magic):
            raise InputError(f"The file is {what}, not a structure", file=file, remedy=remedy)
    if 0x80 <= data[0] <= 0x8F and b"dataBlocks" in data:
        return Source(file, stem(path), "bcif", "", data)
    text = _decode(data, file)
    kind = _text_format(text, file)
    if kind == "pdb" and _SMALL_ATOM.search(text):
        text = _SMALL_RECORD.sub(lambda match: match.group().upper(), text)
    return Source(file, stem(path), kind, text, data)


def _read(path: Path, max_bytes: int) -> bytes:
    file = str(path)
    if not is_there(path):
        raise InputError("There is no such file", file=file, remedy="Check the path")
    if path.is_dir():
        raise InputError("This is a folder, not a file", file=file, remedy="Give a structure file")
    if not path.is_file():
        raise InputError("This is not an ordinary file", file=file, remedy="Save the structure to a file first")
    if path.stat().st_size > max_bytes:
        raise _too_large(file, max_bytes)
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"The file cannot be read: {error.strerror}", file=file, remedy="Check its permissions"
        ) from error


def _too_large(file: str, max_bytes: int) -> InputError:
    return InputError(
        f"The file holds more than {max_bytes / 1e6:.0f} MB unpacked",
        file=file,
        remedy="Cut out the chains you want to refine",
    )


def _unpack(data: bytes, file: str, max_bytes: int) -> bytes:
    """Unpack gzip (several members, and packed twice), never holding more than ``max_bytes``."""
    for _ in range(2):
        if not data.startswith(b"\x1f\x8b"):
            break
        out, position, members = io.BytesIO(), 0, 0
        while data.startswith(b"\x1f\x8b", position):
            members += 1
            try:
                position = _unpack_member(data, position, out, max_bytes)
            except zlib.error as error:
                raise InputError("The gzip file is damaged", file=file, remedy="Download or copy it again") from error
            if out.tell() > max_bytes or members > _MAX_MEMBERS:
                raise _too_large(file, max_bytes)
            if position < 0:
                raise InputError("The gzip file is cut off", file=file, remedy="Download or copy it again")
        data = out.getvalue()
    return data


def _unpack_member(data: bytes, position: int, out: io.BytesIO, max_bytes: int) -> int:
    """Unpack the gzip member at ``position`` onto ``out``, chunk by chunk, until one byte over ``max_bytes``.

    Returns:
        where it ends; -1 where the data end before.

    Raises:
        zlib.error: it is damaged.
    """
    unpacker = zlib.decompressobj(wbits=31)
    while not unpacker.eof and out.tell() <= max_bytes:
        chunk = data[position : position + _CHUNK]
        if not chunk:
            return -1
        out.write(unpacker.decompress(chunk, max_bytes - out.tell() + 1))
        position += len(chunk) - len(unpacker.unused_data) - len(unpacker.unconsumed_tail)
    return position


def _decode(data: bytes, file: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return _lines(data.decode("utf-16"), file)
        except UnicodeDecodeError as error:
            raise InputError("The file is damaged UTF-16 text", file=file, remedy="Save it as plain text") from error
    data = data.removeprefix(b"\xef\xbb\xbf")
    head = data[:100_000]
    odd = len(head) - len(head.translate(None, _CONTROL))
    if b"\x00" in head or odd > 0.01 * len(head):
        raise InputError(
            "The file is binary, not a structure in text form",
            file=file,
            remedy="Give a PDB, mmCIF or BinaryCIF file, plain or gzipped",
        )
    return _lines(data.decode("latin-1") if not _is_utf8(data) else data.decode("utf-8"), file)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _lines(text: str, file: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.count("\n")
    if lines > MAX_LINES:
        raise InputError(
            f"The file has {lines:,} lines; the limit is {MAX_LINES:,}",
            file=file,
            remedy="Take one model out of several, or leave out waters and lipids",
        )
    return text


def _text_format(text: str, file: str) -> str:
    mmcif = re.search(r"^[ \t]*_atom_site\.", text, re.MULTILINE)
    if not mmcif and (re.search(r"^(ATOM[ \d]|HETATM)", text, re.MULTILINE) or _SMALL_ATOM.search(text)):
        return "pdb"
    if mmcif:
        return "mmcif"
    head = text.lstrip()[:2000]
    lower = head.lower()
    if lower.startswith(("<!doctype html", "<html")) or "<html" in lower:
        raise InputError(
            "The file is a web page, not a structure",
            file=file,
            remedy="Download the structure itself; the server sent a page",
        )
    if head.startswith("<"):
        raise InputError("The file is XML, not PDB or mmCIF", file=file, remedy="Save the structure as PDB or mmCIF")
    if head.startswith(">"):
        raise InputError(
            "The file is a sequence (FASTA), not a structure", file=file, remedy="Give a model with coordinates"
        )
    if head.startswith(("{", "[")):
        raise InputError("The file is JSON, not PDB or mmCIF", file=file, remedy="Save the structure as PDB or mmCIF")
    if re.search(r"^data_", text, re.MULTILINE | re.IGNORECASE):
        raise InputError(
            "The CIF file holds no atoms (_atom_site)",
            file=file,
            remedy="Give the coordinate file (mmCIF) of the model",
        )
    if re.match(r"(HEADER|TITLE |REMARK|CRYST1|MODEL |COMPND|SEQRES|EXPDTA|AUTHOR|TER|END)", head):
        raise InputError(
            "The PDB file holds no ATOM records", file=file, remedy="Was it cut off? Download or copy it again"
        )
    raise InputError(
        "The file is neither PDB nor mmCIF", file=file, remedy="Give a PDB, mmCIF or BinaryCIF file, plain or gzipped"
    )

"""Atom records from mmCIF (through gemmi) and BinaryCIF, author identities first and label ones where those are
missing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import gemmi

from refine.errors import InputError
from refine.structure.atom_record import (
    B_FACTORS,
    MAX_COORDINATE,
    NO_PLACE,
    OCCUPANCIES,
    AtomRecord,
    between,
    has_no_value,
    refuse_many,
)
from refine.structure.bcif import read_category
from refine.structure.modified_residues import parent
from refine.structure.notes import Note
from refine.structure.pdb_format import element_of

_COLUMNS = {
    "group": ("group_pdb",),
    "name": ("auth_atom_id", "label_atom_id"),
    "altloc": ("label_alt_id",),
    "residue_name": ("auth_comp_id", "label_comp_id"),
    "chain": ("auth_asym_id", "label_asym_id"),
    "number": ("auth_seq_id", "label_seq_id"),
    "insertion": ("pdbx_pdb_ins_code",),
    "x": ("cartn_x",),
    "y": ("cartn_y",),
    "z": ("cartn_z",),
    "occupancy": ("occupancy",),
    "b_factor": ("b_iso_or_equiv",),
    "element": ("type_symbol",),
    "charge": ("pdbx_formal_charge",),
    "model": ("pdbx_pdb_model_num",),
}
"""What we need, and the columns of _atom_site that give it, best first."""

_KNOWN = frozenset(itertools.chain.from_iterable(_COLUMNS.values()))
_TEXTS = ("name", "residue_name", "chain", "number", "insertion", "altloc", "element")
_LONGEST = 60
"""Most letters of such a text; the longest chain ids and ligand names in use have some ten."""
_NEEDED = ("name", "residue_name", "x", "y", "z")


def parse_mmcif(text: str, file: str) -> tuple[dict[int, list[AtomRecord]], list[Note]]:
    """Atom records of every model of the first mmCIF data block that has atoms.

    Raises:
        InputError: broken CIF syntax, columns missing, unreadable numbers, or too many atoms.
    """
    try:
        with_atoms = [table for table in map(_atom_table, gemmi.cif.read_string(text)) if table.width()]
    except (ValueError, RuntimeError) as error:
        reason = str(error).split("\n")[0][:200]
        raise InputError(
            f"The mmCIF file is damaged or cut off: {reason}",
            file=file,
            remedy="Download or copy it again, or write it with another program",
        ) from error
    if not with_atoms:
        raise InputError(
            "The CIF file holds no atoms (_atom_site)", file=file, remedy="Give the coordinate file of the model"
        )
    table = with_atoms[0]
    refuse_many(len(table), file)
    names = [tag[len("_atom_site.") :].lower() for tag in table.tags]
    columns = {
        name: [gemmi.cif.as_string(v) if v not in (".", "?") else v for v in table.column(k)]
        for k, name in enumerate(names)
        if name in _KNOWN
    }
    models, notes = _records(columns, file)
    if len(with_atoms) > 1:
        notes.append(Note("model", f"the first of {len(with_atoms)} data blocks with atoms is read"))
    return models, notes


def _atom_table(block: gemmi.cif.Block) -> gemmi.cif.Table:
    return block.find_mmcif_category("_atom_site.")


def parse_bcif(data: bytes, file: str) -> tuple[dict[int, list[AtomRecord]], list[Note]]:
    """As ``parse_mmcif``, from BinaryCIF."""
    columns = read_category(data, "_atom_site", file, _KNOWN)
    refuse_many(len(next(iter(columns.values()))), file)
    return _records({name: values.tolist() for name, values in columns.items()}, file)


def _records(columns: dict[str, list[Any]], file: str) -> tuple[dict[int, list[AtomRecord]], list[Note]]:
    notes: list[Note] = []
    length = max((len(c) for c in columns.values()), default=0)
    table: dict[str, Sequence[Any]] = {}
    for key, names in _COLUMNS.items():
        columns_of_key = [columns[n] for n in names if n in columns]
        if not columns_of_key and key in _NEEDED:
            raise InputError(
                f"The atom table has no column _atom_site.{names[-1]}",
                file=file,
                remedy="Write the mmCIF with another program",
            )
        table[key] = _first_given(columns_of_key, length)
    if "auth_asym_id" not in columns or "auth_seq_id" not in columns:
        notes.append(Note("numbering", "the file gives no author chain ids or numbers; the label ones are used"))
    models: dict[int, list[AtomRecord]] = {}
    unnumbered: dict[int, list[AtomRecord]] = {}
    for i in range(length):
        record = _record({key: values[i] for key, values in table.items()}, i + 1, file)
        model = _integer(table["model"][i], 1)
        models.setdefault(model, []).append(record)
        if not _given(table["number"][i]):
            unnumbered.setdefault(model, []).append(record)
    for model, records in unnumbered.items():
        count = _number_residues(records, models[model])
        if model == next(iter(unnumbered)):
            notes.append(Note("numbering", f"{count} residues without a number are numbered on within their chain"))
    return models, notes


def _number_residues(unnumbered: list[AtomRecord], records: list[AtomRecord]) -> int:
    """Number the residues of ``unnumbered`` on from the highest number of their chain; gives how many there are.

    A residue begins where the chain, the name of the residue, or a name of an atom that it has already comes: an O for
    each water. Changes ``number`` of the records.
    """
    without = {id(atom) for atom in unnumbered}
    highest: dict[str, int] = {}
    for atom in records:
        if id(atom) not in without:
            highest[atom.chain] = max(highest.get(atom.chain, 0), atom.number)
    count, key, names = 0, ("", ""), set[tuple[str, str]]()
    for atom in unnumbered:
        this, name = (atom.chain, atom.residue_name), (atom.name, atom.altloc)
        if this != key or name in names or not count:
            highest[atom.chain] = highest.get(atom.chain, 0) + 1
            count, key, names = count + 1, this, set()
        names.add(name)
        atom.number = highest[atom.chain]
    return count


def _first_given(candidates: list[list[Any]], length: int) -> Sequence[Any]:
    """Row by row the first of the columns that has a value; ``"?"`` where none has."""
    if not candidates:
        return ["?"] * length
    if len(candidates) == 1:
        return candidates[0]
    return [next((v for v in row if v not in (".", "?")), "?") for row in zip(*candidates, strict=True)]


def _given(value: Any) -> str:
    return "" if value in (".", "?") else str(value).strip()


def _integer(value: Any, default: int) -> int:
    try:
        number = _whole(value)
    except ValueError:
        return default
    return number if abs(number) < 10**9 else default


def _whole(value: Any) -> int:
    """``value`` as a whole number; raises ValueError where it is none, as 1.5 and infinity are none."""
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(value)
    return int(value)


def _position(row: dict[str, Any], place: int, where: dict[str, str], residue_name: str) -> tuple[float, float, float]:
    """Å; that of no place for atoms of amino acids without coordinates, which are built later."""
    try:
        x, y, z = float(row["x"]), float(row["y"]), float(row["z"])
    except ValueError:
        x = y = z = math.nan
    if abs(x) <= MAX_COORDINATE and abs(y) <= MAX_COORDINATE and abs(z) <= MAX_COORDINATE:
        return x, y, z
    if parent(residue_name) is not None and any(has_no_value(str(row[axis])) for axis in "xyz"):
        return NO_PLACE
    for axis in "xyz":
        text = str(row[axis])[:40]
        try:
            value = float(row[axis])
        except ValueError:
            raise InputError(
                f"Atom row {place} has no {axis} coordinate: {text!r}",
                remedy="Remove the atom or write the file again", **where,
            ) from None  # fmt: skip
        if not math.isfinite(value):
            raise InputError(
                f"Atom row {place} has the {axis} coordinate {text}",
                remedy="The program that wrote the model failed there: remove the residue or predict again", **where,
            )  # fmt: skip
        if abs(value) > MAX_COORDINATE:
            raise InputError(
                f"Atom row {place} has the {axis} coordinate {value:.6g}, beyond ±{MAX_COORDINATE:.0f} Å",
                remedy="Move the model to the origin, or remove the residue", **where,
            )  # fmt: skip
    raise AssertionError(row)


def _record(row: dict[str, Any], place: int, file: str) -> AtomRecord:
    long = next((key for key in _TEXTS if len(str(row[key])) > _LONGEST), None)
    if long is not None:
        raise InputError(
            f"Atom row {place} has a {long.replace('_', ' ')} of {len(str(row[long]))} letters", file=file,
            remedy="Remove the atom or write the file again",
        )  # fmt: skip
    chain, residue_name, insertion = _given(row["chain"]), _given(row["residue_name"]), _given(row["insertion"])
    where = {"file": file, "chain": chain, "residue": f"{_given(row['number'])}{insertion} {residue_name}".strip()}
    position = _position(row, place, where, residue_name)
    try:
        number = _whole(row["number"]) if _given(row["number"]) else 0
    except ValueError:
        raise InputError(
            f"Atom row {place} has no residue number: {str(row['number'])[:40]!r}", remedy="Number the residues",
            **where,
        ) from None  # fmt: skip
    name, element = _given(row["name"]), gemmi.Element(_given(row["element"]))
    return AtomRecord(
        name=name,
        altloc=_given(row["altloc"]),
        residue_name=residue_name,
        chain=chain,
        number=number,
        insertion=insertion,
        position=position,
        occupancy=between(row["occupancy"], OCCUPANCIES),
        b_factor=between(row["b_factor"], B_FACTORS),
        element=element.name if element != gemmi.Element("X") else element_of(name, residue_name),
        element_stated=bool(_given(row["element"])),
        charge=_integer(row["charge"], 0),
        is_hetatm=str(row["group"]).upper() == "HETATM",
        segment=0,
        place=f"atom row {place}",
    )

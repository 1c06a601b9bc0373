"""Bonds that a file states besides those of its residues: LINK, SSBOND and CONECT in PDB, _struct_conn in mmCIF."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import gemmi

from refine.structure.atom_record import AtomRecord, hybrid36
from refine.structure.bcif import read_category
from refine.structure.source import Source

_KINDS = {"disulf": "disulfide", "metalc": "metal", "covale": "covalent"}
"""``_struct_conn.conn_type_id`` by its first six letters (``covale_base`` and the like are covalent too)."""
_STRUCT_CONN = frozenset(
    [
        "conn_type_id",
        *(
            name
            for n in "12"
            for name in (
                f"ptnr{n}_auth_seq_id", f"ptnr{n}_label_seq_id", f"ptnr{n}_auth_asym_id", f"ptnr{n}_label_asym_id",
                f"ptnr{n}_label_atom_id", f"ptnr{n}_label_comp_id", f"ptnr{n}_symmetry", f"pdbx_ptnr{n}_pdb_ins_code",
            )
        ),
    ]
)  # fmt: skip
"""Columns of _struct_conn that are read."""
_LABEL = ("label_asym_id", "label_seq_id", "label_atom_id")
_ATOM_SITE = (*_LABEL, "auth_asym_id", "auth_seq_id")
"""Columns of _atom_site by which links that name atoms by label ids alone find the author's."""


@dataclasses.dataclass(frozen=True)
class AtomAddress:
    """An atom as its author names it; ``insertion`` is ``""`` for none, ``residue_name`` where it is not known."""

    chain: str
    number: int
    insertion: str
    name: str
    residue_name: str = ""


@dataclasses.dataclass(frozen=True)
class StatedLink:
    """A bond that the file states.

    Attributes:
        first, second: its atoms.
        kind: ``disulfide``, ``metal`` or ``covalent``; ``""`` where the record does not say (LINK, CONECT).
        record: ``LINK``, ``SSBOND``, ``CONECT`` or ``struct_conn``.
    """

    first: AtomAddress
    second: AtomAddress
    kind: str
    record: str


def stated_links(source: Source, records: Sequence[AtomRecord]) -> tuple[StatedLink, ...]:
    """Links of a file, in its order; records that cannot be read are passed over, as they state nothing.

    Links to symmetry mates are left out: the mate is not in the file.

    Args:
        source: the file.
        records: the atoms that were read of it, to which the serials of CONECT records lead.
    """
    if source.format == "pdb":
        return tuple(_pdb_links(source.text.split("\n"), records))
    if source.format == "mmcif":
        table = functools.partial(_category, source.text)
    else:
        table = functools.partial(_binary_category, source)
    links = table("_struct_conn", _STRUCT_CONN)
    if links and "ptnr1_auth_asym_id" not in links:
        links = _with_author_ids(links, table("_atom_site", frozenset(_ATOM_SITE)))
    return tuple(_cif_links(links))


def _pdb_links(lines: Sequence[str], records: Sequence[AtomRecord]) -> Iterator[StatedLink]:
    """LINKR is what Refmac writes; its ``gap`` means that there is no bond."""
    atoms = _atoms_by_serial(lines, records)
    for line in lines:
        record = line[:6].rstrip()
        if record in ("LINK", "LINKR") and _in_the_file(line) and line[72:80].strip() != "gap":
            first = _address(line[21:22], line[22:26], line[26:27], line[12:16], line[17:20])
            second = _address(line[51:52], line[52:56], line[56:57], line[42:46], line[47:50])
            if first is not None and second is not None:
                yield StatedLink(first, second, "", record)
        elif record == "SSBOND" and _in_the_file(line):
            first = _address(line[15:16], line[17:21], line[21:22], "SG", line[11:14])
            second = _address(line[29:30], line[31:35], line[35:36], "SG", line[25:28])
            if first is not None and second is not None:
                yield StatedLink(first, second, "disulfide", "SSBOND")
        elif record == "CONECT":
            serial, *others = _bonded_serials(line)
            for other in others:
                if serial in atoms and other in atoms:
                    yield StatedLink(atoms[serial], atoms[other], "", "CONECT")


def _bonded_serials(line: str) -> list[str]:
    """Serials of a CONECT record, the first is bonded to the others."""
    return [line[k : k + 5].strip() for k in range(6, min(max(len(line.rstrip()), 7), 31), 5)]


def _atoms_by_serial(lines: Sequence[str], records: Sequence[AtomRecord]) -> dict[str, AtomAddress]:
    """Addresses, as they were read, of the atoms that CONECT records name. Serials of six digits do not fit these."""
    wanted = {serial for line in lines if line.startswith("CONECT") for serial in _bonded_serials(line)}
    atoms: dict[str, AtomAddress] = {}
    for atom in records if wanted else ():
        line = lines[int(atom.place.removeprefix("line ")) - 1]
        serial = line[6:11].strip()
        if serial in wanted and not (line[5:6].isdigit() or line[11:12].isdigit()):
            address = AtomAddress(atom.chain, atom.number, atom.insertion, atom.name, atom.residue_name)
            atoms.setdefault(serial, address)
    return atoms


def _in_the_file(line: str) -> bool:
    """Whether both ends of a LINK or SSBOND record lie in the same asymmetric unit (columns 60-65 and 67-72)."""
    first, second = line[59:65].strip(), line[66:72].strip()
    return first == second or not first or not second


def _address(chain: str, number: str, insertion: str, name: str, residue_name: str) -> AtomAddress | None:
    try:
        identity = chain.strip(), hybrid36(number, 4), insertion.strip(" .?")
        return AtomAddress(*identity, name.strip(), residue_name.strip())
    except ValueError:
        return None


def _category(text: str, name: str, columns: Collection[str]) -> dict[str, list[Any]]:
    for block in gemmi.cif.read_string(text):
        table = block.get_mmcif_category(f"{name}.", raw=True)
        if table:
            known = {k.lower(): values for k, values in table.items() if k.lower() in columns}
            return {k: [gemmi.cif.as_string(v) for v in values] for k, values in known.items()}
    return {}


def _binary_category(source: Source, name: str, columns: Collection[str]) -> dict[str, list[Any]]:
    table = read_category(source.data, name, source.path, columns, optional=True)
    return {k: v.tolist() for k, v in table.items()}


def _with_author_ids(links: dict[str, list[Any]], atoms: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Links that name their atoms by label ids alone, with the author's ids that the atom table gives these."""
    if not all(name in atoms for name in _ATOM_SITE):
        return links
    author = zip(atoms["auth_asym_id"], atoms["auth_seq_id"], strict=True)
    known: dict[tuple[str, ...], tuple[Any, Any]] = {}
    for place, ids in zip(zip(*(map(_key, atoms[name]) for name in _LABEL), strict=True), author, strict=True):
        known.setdefault(place, ids)
    out = dict(links)
    for partner in ("ptnr1", "ptnr2"):
        columns = [links.get(f"{partner}_{name}", [""] * len(links["conn_type_id"])) for name in _LABEL]
        found = [known.get(tuple(map(_key, row)), ("", "")) for row in zip(*columns, strict=True)]
        out[f"{partner}_auth_asym_id"], out[f"{partner}_auth_seq_id"] = (list(ids) for ids in zip(*found, strict=True))
    return out


def _key(value: Any) -> str:
    """A cell, the two signs for no value taken together."""
    text = str(value).strip()
    return "" if text in (".", "?", "False", "None", "0") else text


def _cif_links(table: Mapping[str, Sequence[Any]]) -> Iterator[StatedLink]:
    if "conn_type_id" not in table:
        return
    rows = len(table["conn_type_id"])

    def cell(row: int, *names: str) -> str:
        """The first of the columns that has a value."""
        values = (str(table[name][row]).strip() for name in names if name in table)
        return next((value for value in values if value not in ("", ".", "?")), "")

    def address(row: int, partner: int) -> AtomAddress | None:
        stem, icode = f"ptnr{partner}", f"pdbx_ptnr{partner}_pdb_ins_code"
        number = cell(row, f"{stem}_auth_seq_id", f"{stem}_label_seq_id")
        try:
            return AtomAddress(
                cell(row, f"{stem}_auth_asym_id", f"{stem}_label_asym_id"),
                int(number),
                cell(row, icode),
                cell(row, f"{stem}_label_atom_id"),
                cell(row, f"{stem}_label_comp_id"),
            )
        except ValueError:
            return None

    for row in range(rows):
        kind = _KINDS.get(cell(row, "conn_type_id").lower()[:6])
        same_unit = cell(row, "ptnr1_symmetry") == cell(row, "ptnr2_symmetry")
        first, second = address(row, 1), address(row, 2)
        if kind is not None and same_unit and first is not None and second is not None:
            yield StatedLink(first, second, kind, "struct_conn")

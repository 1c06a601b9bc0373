"""A structure file becomes a ``Protein``: PDB, mmCIF or BinaryCIF, plain or gzipped, as predictors and the PDB write
them.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from refine.constants import ATOM14, ONE_TO_THREE, THREE_TO_ONE
from refine.errors import InputError
from refine.structure.atom_record import AtomRecord
from refine.structure.bonded_atoms import SHORTEST
from refine.structure.charmm_caps import separate_caps
from refine.structure.cif_format import parse_bcif, parse_mmcif
from refine.structure.connections import connections
from refine.structure.continuity import breaks, interpenetrating_chains
from refine.structure.file_estimate import FileEstimate, file_estimate
from refine.structure.file_header import read_header
from refine.structure.letter_case import in_capitals
from refine.structure.link_records import StatedLink, stated_links
from refine.structure.misplaced import FAR as MISPLACED_FAR
from refine.structure.misplaced import lift_misplaced
from refine.structure.modified_residues import AMBIGUOUS, atom_name, is_hydrogen, is_modified
from refine.structure.notes import Note
from refine.structure.overlaps import COINCIDENT, lift_overlaps
from refine.structure.pdb_format import parse_pdb
from refine.structure.periodic_box import is_torn, make_whole, read_box
from refine.structure.protein import HeteroAtom, Protein, ResidueId, peptide_bonds
from refine.structure.residue_record import MAX_RESIDUE_ATOMS, ResidueRecord, carried_along, gather
from refine.structure.riding_groups import LONGEST_BOND, can_ride
from refine.structure.segids import separate_segments
from refine.structure.source import Source, open_source

MAX_RESIDUES = 50_000
"""Bounds the work of reading; what a machine can refine is a matter of its memory (``refine.memory``)."""
MIN_RESIDUES = 3
_NO_CODE = "_#$'\"[];?."
"""Letters that mmCIF gives another meaning where they stand alone."""


@dataclasses.dataclass(frozen=True)
class ReadResult:
    """A protein as its file gives it, nothing rebuilt yet.

    Attributes:
        protein: R = 1; atoms the file lacks are absent from its mask.
        notes: every decision taken on the way.
        format: ``"pdb"``, ``"mmcif"`` or ``"bcif"``.
        models: how many models the file holds.
        estimate: what the B column says of the model's accuracy.
        path: the file, for messages.
        links: bonds that the file states.
        centres: residue → centre of its side chain (Å), where the file gives that in place of atoms (coarse models).
    """

    protein: Protein
    notes: tuple[Note, ...]
    format: str
    models: int
    estimate: FileEstimate
    path: str = ""
    links: tuple[StatedLink, ...] = ()
    centres: Mapping[int, tuple[float, float, float]] = dataclasses.field(default_factory=dict)


def read_structure(path: Path, *, model: int | None = None, max_residues: int = MAX_RESIDUES) -> ReadResult:
    """Read the protein of a structure file; heavy atoms only, everything else carried along as ``hetero``.

    Alternate conformations of the protein are resolved (best occupancy, among those that a ligand or metal is bonded to
    where there is one), modified amino acids become their parents, hydrogens of amino acids are dropped, the first
    model is taken unless ``model`` names another; each of these leaves
    a note. Nothing is rebuilt: see ``repair``. Unit cell, sequence records and annotations of the file are not kept.

    Args:
        path: PDB, mmCIF or BinaryCIF file, plain or gzipped, recognised by content.
        model: number of the model as the file gives it.
        max_residues: refuse proteins of more residues.

    Raises:
        InputError: the file cannot be used; names file, chain, residue and remedy.
    """
    source = open_source(Path(path))
    models, notes = _parse(source)
    number = _select(models, model, source.path)
    if len(models) > 1:
        how = "as asked" if model is not None else "the first; --model N takes another"
        notes.append(Note("model", f"the file holds {len(models)} models; model {number} is used ({how})"))
    _check_identities(models[number], source.path)
    notes += in_capitals(models[number])
    notes += separate_segments(models[number])
    records, more = separate_caps(models[number])
    notes += more
    residues, more = gather(records)
    notes += more
    _check_sizes(residues, source.path)
    box = read_box(source) if is_torn(residues) else None
    notes += make_whole(residues, box) if box is not None else []
    _release_unlike_parents(residues)
    notes += carried_along(residues)
    chain_residues = [r for r in residues if r.letter]
    _check_count(chain_residues, residues, max_residues, source.path)
    protein, more = _assemble(residues, source)
    links = stated_links(source, models[number])
    table, parted = connections(protein, links)
    protein = dataclasses.replace(protein, connections=table)
    notes = [*notes, *more, *parted, *breaks(protein), *interpenetrating_chains(protein)]
    estimate = file_estimate(protein, read_header(source))
    centres, more = _side_chain_centres(chain_residues)
    notes += more
    return ReadResult(protein, tuple(notes), source.format, len(models), estimate, source.path, links, centres)


def _side_chain_centres(
    residues: list[ResidueRecord],
) -> tuple[dict[int, tuple[float, float, float]], list[Note]]:
    """Beads that stand for side chains, by residue."""
    beads = {i: bead for i, residue in enumerate(residues) if (bead := residue.bead) and residue.letter != "G"}
    if not beads:
        return {}, []
    names = " ".join(sorted({bead.name for bead in beads.values()}))
    text = f"{len(beads)} side chains are given as their centres ({names}): they are built around these"
    return {i: bead.position for i, bead in beads.items()}, [Note("bead", text)]


def _parse(source: Source) -> tuple[dict[int, list[AtomRecord]], list[Note]]:
    if source.format == "pdb":
        models, notes = parse_pdb(source.text, source.path)
    elif source.format == "mmcif":
        models, notes = parse_mmcif(source.text, source.path)
    else:
        models, notes = parse_bcif(source.data, source.path)
    if not models:
        raise InputError("The file holds no atoms", file=source.path, remedy="Give a model with coordinates")
    return models, notes


def _check_identities(records: list[AtomRecord], file: str) -> None:
    """Refuse identities that no output format could give back."""
    writable: set[tuple[str, ...]] = set()  # a file has few different ones
    for atom in records:
        texts = atom.chain, atom.residue_name, atom.name, atom.insertion, atom.altloc
        clean = texts in writable or _can_be_written(*texts)
        if clean:
            writable.add(texts)
        if not (clean and abs(atom.number) < 100_000_000 and abs(atom.charge) < 100):
            raise InputError(
                f"{atom.place.capitalize()} has a name, number, insertion code, altloc or charge that cannot be written"
                " back",
                file=file, chain=atom.chain, residue=atom.residue_label,
                remedy="Check it; insertion codes and altlocs are one letter or digit, names are ASCII",
            )  # fmt: skip


def _can_be_written(chain: str, residue_name: str, name: str, *codes: str) -> bool:
    """Whether all output formats hold these names, insertion code and altloc."""
    short = all(len(code) <= 1 and (not code or code not in _NO_CODE) for code in codes)
    texts = "".join((chain, residue_name, name, *codes))
    return short and not {".", "?"} & {chain, residue_name, name} and texts.isprintable() and texts.isascii()


def _select(models: dict[int, list[AtomRecord]], model: int | None, file: str) -> int:
    if model is None:
        return next(iter(models))
    if model not in models:
        numbers = sorted(models)
        has = f"models {numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else f"only model {numbers[0]}"
        raise InputError(
            f"There is no model {model}; the file has {has}", file=file, remedy="Choose one of them with --model"
        )
    return model


def _check_sizes(residues: list[ResidueRecord], file: str) -> None:
    """Refuse a residue of more atoms than any has: what follows compares its atoms with each other."""
    for residue in residues:
        if len(residue.atoms) > MAX_RESIDUE_ATOMS:
            raise InputError(
                f"The residue has {len(residue.atoms):,} atoms; the limit is {MAX_RESIDUE_ATOMS:,}",
                file=file, chain=residue.chain, residue=residue.label, remedy="Number its parts as residues",
            )  # fmt: skip


def _release_unlike_parents(residues: list[ResidueRecord]) -> None:
    """Carry along whole every modified residue that could be read as its parent only by leaving atoms out: norleucine
    has no CD1 and CD2, pyroglutamate's ring would be opened, HSE is homoserine to the PDB and a histidine to CHARMM.
    Changes ``letter`` of the residues.
    """
    for residue in residues:
        if not residue.letter or residue.name in THREE_TO_ONE or residue.name in AMBIGUOUS:
            continue
        heavy = [atom.name for atom in residue.atoms if not is_hydrogen(atom.name, atom.element)]
        names = {atom_name(name, residue.name, residue.letter) for name in heavy}
        if "" in names and not set(ATOM14[residue.letter]) <= names:
            residue.letter, residue.reason = "", f"has other atoms than {ONE_TO_THREE[residue.letter]}"


def _check_count(protein: list[ResidueRecord], residues: list[ResidueRecord], max_residues: int, file: str) -> None:
    if not protein:
        common = ", ".join(name or "(no name)" for name, _ in Counter(r.name for r in residues).most_common(5))
        raise InputError(
            f"The file holds no protein, only: {common}",
            file=file,
            remedy="Give a model with amino acids and standard names",
        )
    if len(protein) < MIN_RESIDUES:
        raise InputError(
            f"The protein has only {len(protein)} residue{'s' * (len(protein) > 1)}; refinement needs {MIN_RESIDUES}",
            file=file, chain=protein[0].chain, residue=protein[0].label, remedy="Give the whole chain",
        )  # fmt: skip
    if len(protein) > max_residues:
        raise InputError(
            f"The protein has {len(protein):,} residues; the limit is {max_residues:,}",
            file=file, remedy="Cut it into chains or domains and refine them one by one",
        )  # fmt: skip


def _assemble(residues: list[ResidueRecord], source: Source) -> tuple[Protein, list[Note]]:
    chain_residues = [r for r in residues if r.letter]
    length = len(chain_residues)
    coords, mask = np.zeros((length, 14, 3)), np.zeros((length, 14), dtype=np.bool_)
    b_factors, occupancies = np.zeros((length, 14), np.float32), np.ones((length, 14), np.float32)
    oxt, oxt_mask = np.zeros((length, 3)), np.zeros(length, dtype=np.bool_)
    log = _Log()
    for i, residue in enumerate(chain_residues):
        slots = {name: k for k, name in enumerate(ATOM14[residue.letter])}
        for name, atom in _named_atoms(residue, log).items():
            if name == "OXT":
                oxt[i], oxt_mask[i] = atom.position, True
                continue
            k = slots[name]
            coords[i, k], mask[i, k] = atom.position, True
            b_factors[i, k] = 0.0 if atom.b_factor is None else atom.b_factor
            occupancies[i, k] = 1.0 if atom.occupancy is None else atom.occupancy
    log.notes += lift_misplaced(coords, mask, oxt, oxt_mask, chain_residues, source.path)
    _check_unit(coords, mask, source.path)
    log.notes += lift_overlaps(coords, mask, oxt, oxt_mask, chain_residues, source.path)
    ids = tuple(ResidueId(r.chain, r.atoms[0].number, r.atoms[0].insertion) for r in chain_residues)
    protein = Protein(
        coords=coords[None].astype(np.float32),
        mask=mask,
        sequence="".join(r.letter for r in chain_residues),
        residue_ids=ids,
        bonded=peptide_bonds(coords.astype(np.float32), mask, ids),
        oxt=oxt[None].astype(np.float32),
        oxt_mask=oxt_mask,
        b_factors=b_factors,
        occupancies=occupancies,
        file_order=np.array([r.order for r in chain_residues], dtype=np.int64),
        hetero=_carried(residues, log.modifications),
        name=source.name,
    )
    return protein, log.finish()


def _carried(residues: list[ResidueRecord], modifications: list[tuple[AtomRecord, int]]) -> tuple[HeteroAtom, ...]:
    """Everything that is not refined, in file order; the atoms that modified residues have beyond their standard ones
    have the order of their residue.
    """
    carried = [_hetero(a, r.order, r.atoms[0].is_hetatm) for r in residues if not r.letter for a in r.atoms]
    carried += [_hetero(a, order, a.is_hetatm) for a, order in modifications]
    return tuple(sorted(carried, key=lambda atom: atom.order))


def _hetero(atom: AtomRecord, order: int, is_hetatm: bool) -> HeteroAtom:
    """``is_hetatm`` is that of its residue: no format of output keeps more."""
    return HeteroAtom(
        chain=atom.chain,
        number=atom.number,
        insertion=atom.insertion,
        residue_name=atom.residue_name,
        name=atom.name,
        element=atom.element,
        position=atom.position,
        occupancy=1.0 if atom.occupancy is None else atom.occupancy,
        b_factor=0.0 if atom.b_factor is None else atom.b_factor,
        charge=atom.charge,
        altloc=atom.altloc,
        is_hetatm=is_hetatm,
        order=order,
    )


@dataclasses.dataclass
class _Log:
    """Counts of small decisions, turned into one note each."""

    notes: list[Note] = dataclasses.field(default_factory=list)
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    modifications: list[tuple[AtomRecord, int]] = dataclasses.field(default_factory=list)
    """Heavy atoms of modified residues that the standard residue does not have, and the order of their residue."""

    def finish(self) -> list[Note]:
        texts = {
            "hydrogens": "{} hydrogens of amino acids were dropped: the outputs hold none",
            "occupancy": "{} atoms have no usable occupancy; 1 is taken",
            "b_factor": "{} atoms have no usable B factor; 0 is taken",
            "element": "{} atoms have an element column that contradicts their name; the name is taken",
            "duplicate": "{} atoms are given twice; the first is taken",
        }
        return self.notes + [
            Note(kind, text.format(self.counts[kind])) for kind, text in texts.items() if self.counts[kind]
        ]


def _named_atoms(residue: ResidueRecord, log: _Log) -> dict[str, AtomRecord]:
    """Heavy atoms under their standard names (and OXT); what was dropped or converted goes to ``log``."""
    atoms: dict[str, AtomRecord] = {}
    dropped: list[AtomRecord] = []
    bead = residue.bead
    for atom in residue.atoms:
        if atom is bead:
            continue
        name = atom_name(atom.name, residue.name, residue.letter)
        if name in ("O", "OXT") and name != atom.name and not residue.is_of_carboxyl(atom, name):
            name = ""
        if not name:
            if is_hydrogen(atom.name, atom.element):
                log.counts["hydrogens"] += 1
            else:
                dropped.append(atom)
        elif name in atoms:
            log.counts["duplicate"] += 1
        else:
            atoms[name] = atom
            log.counts["occupancy"] += atom.occupancy is None
            log.counts["b_factor"] += atom.b_factor is None
            log.counts["element"] += (
                atom.element_stated and name[0] != atom.element and not (name[0] == "S" and atom.element == "Se")
            )
    _note_dropped(residue, atoms, dropped, log)
    return atoms


def _note_dropped(residue: ResidueRecord, atoms: dict[str, AtomRecord], dropped: list[AtomRecord], log: _Log) -> None:
    """A note on a residue that is read under another name, or that has atoms its standard residue has not."""
    three = ONE_TO_THREE[residue.letter]
    if residue.name == three and not dropped:
        return
    kept = _modification(residue, atoms, dropped)
    log.modifications += [(atom, residue.order) for atom in kept]
    lost = " ".join(atom.name for atom in dropped if not any(atom is other for other in kept))
    if residue.name == three and not kept:
        kind, text = "unknown_atom", f"atoms that {three} does not have are left out: {lost}"
    elif residue.name == three:
        kind, text = "modified", f"{three} has more atoms, carried along unmoved: {' '.join(a.name for a in kept)}"
        text += f"; atoms left out: {lost}" if lost else ""
    else:
        kind, text = "modified" if is_modified(residue.name) else "protonation", f"{residue.name} is read as {three}"
        how = "" if can_ride(residue.letter, residue.name, (a.element for a in kept)) else " unmoved"
        text += f"; its other atoms are carried along{how}: {' '.join(a.name for a in kept)}" if kept else ""
        text += f"; atoms left out: {lost}" if lost else ""
    log.notes.append(Note(kind, text, residue.chain, residue.label))


def _modification(residue: ResidueRecord, atoms: dict[str, AtomRecord], dropped: list[AtomRecord]) -> list[AtomRecord]:
    """Atoms that a modified residue has beyond its standard one, e.g. a phosphate.

    None where the standard residue is not complete, since the atoms to be built would lie where these are; and none of
    those that do not lie near the residue. Under the name of a standard residue (CHARMM's patches keep it) they must be
    bonded to it.
    """
    if not set(ATOM14[residue.letter]) <= set(atoms):
        return []
    shortest, longest = (0.0, MISPLACED_FAR) if is_modified(residue.name) else (SHORTEST, LONGEST_BOND)
    kept: list[AtomRecord] = []
    before = -1
    while len(kept) > before:  # those that are bonded to what was kept only now
        before = len(kept)
        for atom in dropped:
            near = min(math.dist(atom.position, other.position) for other in (*atoms.values(), *kept))
            if shortest <= near <= longest and not any(atom is other for other in kept):
                kept.append(atom)
    return [atom for atom in dropped if any(atom is other for other in kept)]


def _check_unit(coords: np.ndarray, mask: np.ndarray, file: str) -> None:
    """Refuse coordinates in nanometres, or all alike: the median distance from a CA to the next tells."""
    ca = coords[mask[:, 1], 1]
    if len(ca) < 2:
        return
    step = float(np.median(np.linalg.norm(np.diff(ca, axis=0), axis=1)))
    if step < COINCIDENT:
        raise InputError(
            f"Consecutive CA atoms are {step:.2f} Å apart: the coordinates are all alike",
            file=file,
            remedy="The model is empty: predict again",
        )
    if step < 1.0:
        raise InputError(
            f"Consecutive CA atoms are {step:.2f} apart: the file seems to be in nanometres",
            file=file,
            remedy="Multiply by 10",
        )

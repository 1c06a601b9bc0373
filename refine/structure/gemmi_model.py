"""A ``Protein`` as gemmi structure: residues and hetero atoms merged in the order of the input file."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import gemmi
import numpy as np
from numpy.typing import NDArray

from refine.constants import ATOM14, ONE_TO_THREE
from refine.structure.atom_sites import Atoms, is_water, modifications
from refine.structure.protein import Connection, HeteroAtom, Protein, Site


def build_structure(
    protein: Protein, b_values: NDArray[np.float32] | None = None, residue_names: Mapping[str, str] | None = None
) -> gemmi.Structure:
    """All replicas of ``protein`` as models 1..R, author chain ids, numbers and order of the file kept.

    Args:
        protein: R >= 1; hetero atoms are repeated in every model.
        b_values: (L,) or (L, 14) for the B column of the protein; None takes ``protein.b_factors``. OXT takes the value
            of C.
        residue_names: names of hetero residues → what they are called in place of these.
    """
    names = residue_names or {}
    b = protein.b_factors if b_values is None else np.asarray(b_values, np.float32)
    b = np.repeat(b[:, None], 14, axis=1) if b.ndim == 1 else b
    own = modifications(protein)
    merged = {k for indices in own.values() for k in indices}
    structure = gemmi.Structure()
    structure.name = protein.name or "protein"
    for r in range(protein.replicas):
        model, one = gemmi.Model(r + 1), protein.replica(r)
        items: list[tuple[int, str, gemmi.Residue]] = []
        for i in range(len(protein)):
            residue = _residue(one, i, b[i], own.get(i, ()), names)
            items.append((int(protein.file_order[i]), protein.residue_ids[i].chain, residue))
        items += _hetero_residues([atom for k, atom in enumerate(one.hetero) if k not in merged], names)
        items.sort(key=lambda item: item[0])
        chain: gemmi.Chain | None = None
        for _, chain_id, residue in items:
            if chain is None or chain.name != chain_id:
                chain = model.add_chain(gemmi.Chain(chain_id))
            chain.add_residue(residue)
        structure.add_model(model)
    _describe(structure)
    if protein.connections:
        atoms = Atoms(protein)
        for number, bond in enumerate(protein.connections, 1):
            if bond.second.residue >= 0 or bond.second.slot not in own.get(bond.first.residue, ()):
                structure.connections.append(_connection(atoms, bond, number, names))
    return structure


def is_refined(residue: gemmi.Residue) -> bool:
    """Whether a residue of ``build_structure`` is one of the protein's, and not carried along."""
    return residue.flag == _REFINED


_REFINED = "r"
_CONNECTION_TYPES = {
    "disulfide": gemmi.ConnectionType.Disulf,
    "metal": gemmi.ConnectionType.MetalC,
    "covalent": gemmi.ConnectionType.Covale,
}


def _connection(atoms: Atoms, connection: Connection, number: int, names: Mapping[str, str]) -> gemmi.Connection:
    """A bond as gemmi writes it: LINK and SSBOND in PDB, _struct_conn in mmCIF."""
    record = gemmi.Connection()
    record.type = _CONNECTION_TYPES[connection.kind]
    record.name = f"{connection.kind}{number}"
    record.asu = gemmi.Asu.Same
    record.reported_distance = connection.distance
    record.partner1, record.partner2 = (_partner(atoms, site, names) for site in (connection.first, connection.second))
    return record


def _partner(atoms: Atoms, site: Site, names: Mapping[str, str]) -> gemmi.AtomAddress:
    one = atoms.address(site)
    altloc = atoms.protein.hetero[site.slot].altloc if site.residue < 0 else ""
    number = gemmi.SeqId(one.number, one.insertion or " ")
    residue_name = names.get(one.residue_name, one.residue_name)
    return gemmi.AtomAddress(one.chain, number, residue_name, one.name, altloc or "\0")


def _residue(
    protein: Protein, i: int, b: NDArray[np.float32], own: Sequence[int], names: Mapping[str, str]
) -> gemmi.Residue:
    """A residue of replica 0 with what it has beyond its standard atoms (``own`` of the hetero atoms), under the name
    of these.
    """
    identity, letter = protein.residue_ids[i], protein.sequence[i]
    residue = gemmi.Residue()
    residue.name = ONE_TO_THREE[letter]
    residue.seqid = gemmi.SeqId(identity.number, identity.insertion or " ")
    residue.het_flag = "A"
    residue.flag = _REFINED
    residue.entity_type = gemmi.EntityType.Polymer
    for k in np.flatnonzero(protein.mask[i]):
        name = ATOM14[letter][k]
        residue.add_atom(_atom(name, name[0], protein.coords[0, i, k], protein.occupancies[i, k], b[k]))
    for h in own:
        atom = protein.hetero[h]
        residue.name, residue.het_flag = names.get(atom.residue_name, atom.residue_name), "H"
        residue.add_atom(_atom(atom.name, atom.element, atom.position, atom.occupancy, atom.b_factor))
        residue[-1].charge = atom.charge
    if protein.oxt_mask[i]:
        residue.add_atom(_atom("OXT", "O", protein.oxt[0, i], protein.occupancies[i, 2], b[2]))
    return residue


def _atom(
    name: str, element: str, position: Sequence[float] | NDArray[np.float32], occupancy: float, b: float
) -> gemmi.Atom:
    atom = gemmi.Atom()
    atom.name = name
    atom.element = _element(element)
    x, y, z = position
    atom.pos = gemmi.Position(x, y, z)
    atom.occ = occupancy
    atom.b_iso = b
    return atom


@functools.lru_cache(256)
def _element(symbol: str) -> gemmi.Element:
    return gemmi.Element(symbol)


def _hetero_residues(hetero: Sequence[HeteroAtom], names: Mapping[str, str]) -> list[tuple[int, str, gemmi.Residue]]:
    items: list[tuple[int, str, gemmi.Residue]] = []
    key: tuple[object, ...] = ()
    for h in hetero:
        this = (h.order, h.chain, h.number, h.insertion, h.residue_name)
        if this != key:
            residue = gemmi.Residue()
            residue.name = names.get(h.residue_name, h.residue_name)
            residue.seqid = gemmi.SeqId(h.number, h.insertion or " ")
            residue.het_flag = "H" if h.is_hetatm else "A"
            residue.entity_type = _entity_type(h.residue_name)
            items.append((h.order, h.chain, residue))
            key = this
        atom = _atom(h.name, h.element, h.position, h.occupancy, h.b_factor)
        if h.altloc:
            atom.altloc = h.altloc
        if h.charge:
            atom.charge = h.charge
        residue.add_atom(atom)
    return items


@functools.lru_cache(4096)
def _entity_type(residue_name: str) -> gemmi.EntityType:
    if is_water(residue_name):
        return gemmi.EntityType.Water
    info = gemmi.find_tabulated_residue(residue_name)
    nucleic = info is not None and info.is_nucleic_acid()
    return gemmi.EntityType.Polymer if nucleic else gemmi.EntityType.NonPolymer


def _describe(structure: gemmi.Structure) -> None:
    """Entities, subchains (mmCIF's label chains) and label numbers, the same in every model.

    Chains with equal sequences share an entity. gemmi's own ``setup_entities`` is not used: it loses blank chain ids
    and numbers no residues when there is no sequence record.
    """
    entities: dict[tuple[object, ...], gemmi.Entity] = {}
    subchains: dict[str, dict[str, None]] = {}
    for model in structure:
        count = 0
        for chain in model:
            start = 0
            while start < len(chain):
                first, stop = chain[start], start + 1
                polymer = first.entity_type == gemmi.EntityType.Polymer
                while stop < len(chain) and _same_subchain(first, chain[stop]):
                    stop += 1
                names = [residue.name for residue in chain[start:stop]]
                key = (first.entity_type, tuple(names) if polymer else names[0])
                entity = entities.setdefault(key, _entity(len(entities) + 1, first, names))
                subchain = _label(count)
                count += 1
                for k, residue in enumerate(chain[start:stop], 1):
                    residue.subchain, residue.entity_id = subchain, entity.name
                    if polymer:
                        residue.label_seq = k
                subchains.setdefault(entity.name, {})[subchain] = None
                start = stop
    for entity in entities.values():
        entity.subchains = list(subchains[entity.name])
        structure.entities.append(entity)


def _same_subchain(first: gemmi.Residue, other: gemmi.Residue) -> bool:
    if first.entity_type != other.entity_type or first.entity_type == gemmi.EntityType.NonPolymer:
        return False
    return first.entity_type == gemmi.EntityType.Water or _polymer_type(first) == _polymer_type(other)


def _polymer_type(residue: gemmi.Residue) -> gemmi.PolymerType:
    info = gemmi.find_tabulated_residue(residue.name)
    if info and info.is_nucleic_acid():
        return gemmi.PolymerType.Dna if info.kind == gemmi.ResidueKind.DNA else gemmi.PolymerType.Rna
    return gemmi.PolymerType.PeptideL


def _entity(number: int, first: gemmi.Residue, names: list[str]) -> gemmi.Entity:
    entity = gemmi.Entity(str(number))
    entity.entity_type = first.entity_type
    if first.entity_type == gemmi.EntityType.Polymer:
        entity.polymer_type = _polymer_type(first)
        entity.full_sequence = names
    return entity


def _label(count: int) -> str:
    """A, B, ... Z, AA, BA, ... as the PDB names label chains."""
    text = chr(ord("A") + count % 26)
    while count >= 26:
        count = count // 26 - 1
        text += chr(ord("A") + count % 26)
    return text

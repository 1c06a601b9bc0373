"""Which groups of a protein take up or give off a proton, and the charges that follow at a pH.

pKa values are those of groups in water (Olsson et al. 2011, J. Chem. Theory Comput. 7:525), or, where the optional
package propka is installed (extra ``conditions``), those that it predicts for this structure.
"""

from __future__ import annotations

import dataclasses
import logging
import string
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refine.structure.protein import Connection, Protein, ResidueId, Site
from refine.structure.write import write_pdb

N_END, C_END = "N+", "C-"
MODEL_PKA: Mapping[str, float] = {
    "D": 3.8, "E": 4.5, "H": 6.5, "C": 9.0, "Y": 10.0, "K": 10.5, "R": 12.5, N_END: 8.0, C_END: 3.2,
}  # fmt: skip
BASES = frozenset("HKR") | {N_END}
_ATOMS: Mapping[str, tuple[str, ...]] = {
    "D": ("OD1", "OD2"), "E": ("OE1", "OE2"), "H": ("ND1", "NE2"), "C": ("SG",), "Y": ("OH",), "K": ("NZ",),
    "R": ("NH1", "NH2"), N_END: ("N",), C_END: ("C",),
}  # fmt: skip
"""Atoms whose middle carries the charge."""
_NAMES = {
    "ASP": "D",
    "GLU": "E",
    "HIS": "H",
    "CYS": "C",
    "TYR": "Y",
    "LYS": "K",
    "ARG": "R",
    N_END: N_END,
    C_END: C_END,
}
_NONE = 99.0
"""pKa by which propka says that a cysteine is bridged."""


@dataclasses.dataclass(frozen=True)
class Group:
    """A titratable group: residue, kind (a key of ``MODEL_PKA``), the slots of its atoms, and its pKa."""

    residue: int
    kind: str
    slots: tuple[int, ...]
    pka: float

    def charge(self, ph: float) -> float:
        """Mean charge (e) at a pH, by Henderson and Hasselbalch."""
        if self.kind in BASES:
            return float(1.0 / (1.0 + 10.0 ** (ph - self.pka)))
        return float(-1.0 / (1.0 + 10.0 ** (self.pka - ph)))


def titratable(protein: Protein) -> tuple[Group, ...]:
    """Groups of replica 0 with all their atoms, that nothing else is bonded to, with pKa values of groups in water.

    Ends of chains count, ends at gaps do not.
    """
    bonded = {site for one in protein.connections for site in (one.first, one.second)}
    groups = []
    for residue, aa in enumerate(protein.sequence):
        kinds = [aa] if aa in _ATOMS else []
        chain = protein.residue_ids[residue].chain
        kinds += [N_END] if residue == 0 or protein.residue_ids[residue - 1].chain != chain else []
        kinds += [C_END] if residue + 1 == len(protein) or protein.residue_ids[residue + 1].chain != chain else []
        for kind in kinds:
            slots = tuple(protein.atom_names(residue).index(name) for name in _ATOMS[kind])
            free = not any(Site(residue, slot) in bonded for slot in slots)
            if free and protein.mask[residue, list(slots)].all():
                groups.append(Group(residue, kind, slots, MODEL_PKA[kind]))
    return tuple(groups)


def predicted(protein: Protein) -> tuple[tuple[Group, ...], str]:
    """Groups with the pKa values that propka predicts, and by what they are, in words; those in water without propka,
    for more chains than letters, and of groups that propka leaves out. Hetero atoms are not looked at.
    """
    groups = titratable(protein)
    if find_spec("propka") is None:
        return groups, "of groups in water (propka is not installed: pip install 'refine[conditions]')"
    if len(protein.chains) > len(string.ascii_uppercase):
        return groups, "of groups in water (too many chains for propka)"
    found = _by_propka(protein)
    changed = tuple(dataclasses.replace(g, pka=found.get((g.residue, g.kind), g.pka)) for g in groups)
    return changed, "predicted by propka"


def _by_propka(protein: Protein) -> dict[tuple[int, str], float]:
    """Residue and kind → pKa."""
    import propka.run

    plain = _renumbered(protein)
    logging.getLogger("propka").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "protein.pdb"
        write_pdb(plain, path)
        molecule = propka.run.single(str(path), optargs=["--quiet"], write_pka=False)
    place = {(r.chain, r.number): i for i, r in enumerate(plain.residue_ids)}
    found = {}
    for group in molecule.conformations[molecule.conformation_names[0]].groups:
        kind = _NAMES.get(group.residue_type)
        residue = place.get((group.atom.chain_id, group.atom.res_num))
        if kind is not None and residue is not None and group.pka_value < _NONE:
            found[residue, kind] = float(group.pka_value)
    return found


def _renumbered(protein: Protein) -> Protein:
    """Replica 0 alone, chains A, B, … and numbers from 1, without hetero atoms, so that names tell residues apart."""
    letters = dict(zip(protein.chains, string.ascii_uppercase, strict=False))
    numbers: dict[str, int] = {}
    ids = []
    for one in protein.residue_ids:
        numbers[one.chain] = numbers.get(one.chain, 0) + 1
        ids.append(ResidueId(letters[one.chain], numbers[one.chain]))
    kept: tuple[Connection, ...] = tuple(c for c in protein.connections if min(c.first.residue, c.second.residue) >= 0)
    return dataclasses.replace(protein.replica(0), residue_ids=tuple(ids), hetero=(), connections=kept)


def charges(groups: tuple[Group, ...], ph: float) -> NDArray[np.float64]:
    """(S,) e at a pH."""
    return np.array([group.charge(ph) for group in groups], np.float64)

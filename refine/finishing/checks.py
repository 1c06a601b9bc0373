"""What finishing must not break: chirality, peptide isomers, disulfides."""

from __future__ import annotations

import dataclasses

import numpy as np

from refine.assess.stereochemistry import MIN_CHIRAL_VOLUME
from refine.structure.atom_sites import residue_of
from refine.structure.chemistry import DISULFIDE_MAX, chiral_volumes
from refine.structure.connections import position_of
from refine.structure.peptides import cis_peptides
from refine.structure.protein import Connection, Protein

_MOST_STRETCHED = 0.3
"""Å by which a connection may be longer than in the input."""


@dataclasses.dataclass(frozen=True)
class Stereo:
    """Stereochemistry of one structure.

    Attributes:
        wrong_chirality: residues whose CA is not L, whose CB (ILE, THR) has the wrong hand, or one of these so flat
            that it counts as an outlier (``MIN_CHIRAL_VOLUME``).
        cis: residues i whose peptide bond to i + 1 is cis, proline at i + 1 or not.
        parted: connections of the protein that are longer than they may be: a disulfide by ``DISULFIDE_MAX``, any
            other by 0.3 Å more than in the input.
    """

    wrong_chirality: frozenset[int]
    cis: frozenset[int]
    parted: frozenset[Connection]


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """Stereochemistry after finishing against that of the input, residues as author identities.

    Attributes:
        chirality_before, chirality_after: residues with a wrong hand, or next to none.
        new_chirality: those that finishing introduced.
        new_cis: residues before a cis peptide bond that was trans and does not lead to proline.
        changed_proline: bonds to proline whose isomer changed.
        lost_disulfides: pairs "A:3–A:40" that are bonded in the input and have come apart.
        lost_connections: other connections "A:3–A:301" that have come apart.
    """

    chirality_before: tuple[str, ...] = ()
    chirality_after: tuple[str, ...] = ()
    new_chirality: tuple[str, ...] = ()
    new_cis: tuple[str, ...] = ()
    changed_proline: tuple[str, ...] = ()
    lost_disulfides: tuple[str, ...] = ()
    lost_connections: tuple[str, ...] = ()

    @property
    def introduced(self) -> int:
        """Number of errors finishing introduced."""
        lost = len(self.lost_disulfides) + len(self.lost_connections)
        return len(self.new_chirality) + len(self.new_cis) + len(self.changed_proline) + lost


def stereo(protein: Protein) -> Stereo:
    """Chirality, cis peptides and disulfides of replica 0 of ``protein``; residues with the atoms missing are passed
    over.
    """
    residue, _, volume = chiral_volumes(protein)
    return Stereo(
        wrong_chirality=frozenset(residue[volume < MIN_CHIRAL_VOLUME].tolist()),
        cis=frozenset(np.nonzero(cis_peptides(protein))[0].tolist()),
        parted=frozenset(one for one in protein.connections if _has_parted(protein, one)),
    )


def _has_parted(protein: Protein, one: Connection) -> bool:
    length = float(np.linalg.norm(position_of(protein, one.first) - position_of(protein, one.second)))
    return length > (DISULFIDE_MAX if one.kind == "disulfide" else one.distance + _MOST_STRETCHED)


def spoiled_residues(before: Stereo, after: Stereo) -> frozenset[int]:
    """Residues whose hand, peptide isomer or connection is not what it was ``before``."""
    flipped = before.cis ^ after.cis
    parted = {s.residue for one in after.parted - before.parted for s in (one.first, one.second) if s.residue >= 0}
    return frozenset((after.wrong_chirality - before.wrong_chirality) | flipped | {i + 1 for i in flipped} | parted)


def compare_stereo(protein: Protein, before: Stereo, after: Stereo) -> CheckReport:
    """What changed from ``before`` to ``after``, in the author's residue numbers of ``protein``."""

    def names(index: frozenset[int]) -> tuple[str, ...]:
        return tuple(str(protein.residue_ids[i]) for i in sorted(index))

    to_proline = frozenset(i for i in before.cis | after.cis if protein.sequence[i + 1] == "P")

    def pairs(*, disulfides: bool) -> tuple[str, ...]:
        lost = [one for one in protein.connections if one in after.parted and (one.kind == "disulfide") == disulfides]
        return tuple(f"{residue_of(protein, one.first)}–{residue_of(protein, one.second)}" for one in lost)

    return CheckReport(
        chirality_before=names(before.wrong_chirality),
        chirality_after=names(after.wrong_chirality),
        new_chirality=names(after.wrong_chirality - before.wrong_chirality),
        new_cis=names(after.cis - before.cis - to_proline),
        changed_proline=names((before.cis ^ after.cis) & to_proline),
        lost_disulfides=pairs(disulfides=True),
        lost_connections=pairs(disulfides=False),
    )

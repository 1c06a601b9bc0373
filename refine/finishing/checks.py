"""What finishing must not break: chirality, peptide isomers, disulfides."""

from __future__ import annotations

import dataclasses

import numpy as np

from refine.structure.chemistry import chiral_volumes, disulfides
from refine.structure.peptides import cis_peptides
from refine.structure.protein import Protein


@dataclasses.dataclass(frozen=True)
class Stereo:
    """Stereochemistry of one structure.

    Attributes:
        wrong_chirality: residues whose CA is not L, or whose CB (ILE, THR) has the wrong hand.
        cis: residues i whose peptide bond to i + 1 is cis, proline at i + 1 or not.
        disulfides: bonded cysteine pairs.
    """

    wrong_chirality: frozenset[int]
    cis: frozenset[int]
    disulfides: frozenset[tuple[int, int]]


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """Stereochemistry after finishing against that of the input, residues as author identities.

    Attributes:
        chirality_before, chirality_after: residues with a wrong hand.
        new_chirality: those that finishing introduced.
        new_cis: residues before a cis peptide bond that was trans and does not lead to proline.
        changed_proline: bonds to proline whose isomer changed.
        lost_disulfides: pairs "A:3–A:40" that were bonded and are not any more.
    """

    chirality_before: tuple[str, ...] = ()
    chirality_after: tuple[str, ...] = ()
    new_chirality: tuple[str, ...] = ()
    new_cis: tuple[str, ...] = ()
    changed_proline: tuple[str, ...] = ()
    lost_disulfides: tuple[str, ...] = ()

    @property
    def introduced(self) -> int:
        """Number of errors finishing introduced."""
        return len(self.new_chirality) + len(self.new_cis) + len(self.changed_proline) + len(self.lost_disulfides)


def stereo(protein: Protein) -> Stereo:
    """Chirality, cis peptides and disulfides of replica 0 of ``protein``; residues with the atoms missing are passed
    over.
    """
    residue, _, volume = chiral_volumes(protein)
    return Stereo(
        wrong_chirality=frozenset(residue[volume < 0].tolist()),
        cis=frozenset(np.nonzero(cis_peptides(protein))[0].tolist()),
        disulfides=frozenset(disulfides(protein)),
    )


def compare_stereo(protein: Protein, before: Stereo, after: Stereo) -> CheckReport:
    """What changed from ``before`` to ``after``, in the author's residue numbers of ``protein``."""

    def names(index: frozenset[int]) -> tuple[str, ...]:
        return tuple(str(protein.residue_ids[i]) for i in sorted(index))

    to_proline = frozenset(i for i in before.cis | after.cis if protein.sequence[i + 1] == "P")
    lost = sorted(before.disulfides - after.disulfides)
    return CheckReport(
        chirality_before=names(before.wrong_chirality),
        chirality_after=names(after.wrong_chirality),
        new_chirality=names(after.wrong_chirality - before.wrong_chirality),
        new_cis=names(after.cis - before.cis - to_proline),
        changed_proline=names((before.cis ^ after.cis) & to_proline),
        lost_disulfides=tuple(f"{protein.residue_ids[i]}–{protein.residue_ids[j]}" for i, j in lost),
    )

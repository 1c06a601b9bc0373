"""What finishing must not break: chirality, peptide isomers, disulfides."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from refine.constants import ATOM14
from refine.structure.arrays import dihedral
from refine.structure.chemistry import disulfides
from refine.structure.protein import Protein

CIS_LIMIT = 90.0
"""Degrees of omega below which (in absolute value) a peptide bond counts as cis."""

_CB_CENTRES = {"I": ("CA", "CG1", "CG2"), "T": ("CA", "OG1", "CG2")}


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


def _volume(a: NDArray, b: NDArray, c: NDArray, centre: NDArray) -> NDArray[np.float64]:
    a, b, c = (x.astype(np.float64) - centre.astype(np.float64) for x in (a, b, c))
    return np.einsum("...i,...i->...", a, np.cross(b, c))


def omega(protein: Protein) -> NDArray[np.float64]:
    """Omega (L,) in degrees of the peptide bond from each residue to the next in replica 0; NaN where there is none."""
    out = np.full(len(protein), np.nan)
    i = np.nonzero(protein.bonded)[0]
    i = i[protein.mask[i, 1] & protein.mask[i, 2] & protein.mask[i + 1, 0] & protein.mask[i + 1, 1]]
    x = protein.coords[0].astype(np.float64)
    out[i] = np.degrees(dihedral(x[i, 1], x[i, 2], x[i + 1, 0], x[i + 1, 1]))
    return out


def stereo(protein: Protein) -> Stereo:
    """Chirality, cis peptides and disulfides of replica 0 of ``protein``; residues with the atoms missing are passed
    over.
    """
    x, mask = protein.coords[0], protein.mask
    wrong = set(
        np.nonzero(mask[:, [0, 1, 2, 4]].all(1) & (_volume(x[:, 0], x[:, 2], x[:, 4], x[:, 1]) < 0))[0].tolist()
    )
    for i, aa in enumerate(protein.sequence):
        if aa not in _CB_CENTRES:
            continue
        a, b, c = (ATOM14[aa].index(n) for n in _CB_CENTRES[aa])
        if mask[i, [a, b, c, 4]].all() and _volume(x[i, a], x[i, b], x[i, c], x[i, 4]) < 0:
            wrong.add(i)
    angle = np.abs(omega(protein))
    return Stereo(
        wrong_chirality=frozenset(wrong),
        cis=frozenset(np.nonzero(angle < CIS_LIMIT)[0].tolist()),
        disulfides=frozenset(disulfides(protein, x)),
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

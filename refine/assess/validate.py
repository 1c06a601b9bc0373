"""How good a structure is by itself, without a native: contacts, torsions and covalent geometry."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from refine.assess.clashes import Clash, clashes
from refine.assess.stereochemistry import Outlier, Stereochemistry, stereochemistry
from refine.assess.torsions import (
    ALLOWED,
    FAVOURED,
    OUTLIER,
    UNKNOWN,
    Torsions,
    ramachandran_verdict,
    rotamer_verdict,
    torsions,
)
from refine.structure.protein import Protein


@dataclasses.dataclass(frozen=True)
class Validation:
    """Quality of replica 0 of a protein of L residues.

    Attributes:
        clashscore: serious overlaps per 1000 atoms, hydrogens included (``clashes``).
        clashes: worst first.
        ramachandran: (L,) verdicts of ``assess.torsions``: FAVOURED, ALLOWED, OUTLIER, UNKNOWN.
        rotamers: (L,) verdicts, likewise.
        stereochemistry: bonds, angles, peptides and chiral centres.
        torsions: the torsions themselves.
        clashes_per_residue: (L,).
    """

    clashscore: float
    clashes: tuple[Clash, ...]
    ramachandran: NDArray[np.int64]
    rotamers: NDArray[np.int64]
    stereochemistry: Stereochemistry
    torsions: Torsions
    clashes_per_residue: NDArray[np.int64]

    @property
    def ramachandran_favoured(self) -> float:
        """Percent of the residues with phi and psi."""
        return _percent(self.ramachandran, FAVOURED)

    @property
    def ramachandran_outliers(self) -> float:
        """Percent of the residues with phi and psi."""
        return _percent(self.ramachandran, OUTLIER)

    @property
    def rotamer_outliers(self) -> float:
        """Percent of the complete side chains with torsions."""
        return _percent(self.rotamers, OUTLIER)

    @property
    def bond_outliers(self) -> int:
        return self.stereochemistry.count("bond")

    @property
    def angle_outliers(self) -> int:
        return self.stereochemistry.count("angle")

    @property
    def omega_outliers(self) -> int:
        return self.stereochemistry.count("omega")

    @property
    def chirality_outliers(self) -> int:
        return self.stereochemistry.count("chirality")

    @property
    def outliers(self) -> tuple[Outlier, ...]:
        """Bond, angle, omega and chirality outliers, by residue."""
        return self.stereochemistry.outliers

    def totals(self) -> dict[str, float]:
        """The numbers of a report's row; percentages 0–100, outliers of bonds and so on as counts."""
        return {
            "clashscore": self.clashscore,
            "ramachandran_favoured": self.ramachandran_favoured,
            "ramachandran_outliers": self.ramachandran_outliers,
            "rotamer_outliers": self.rotamer_outliers,
            "bond_outliers": self.bond_outliers,
            "angle_outliers": self.angle_outliers,
            "omega_outliers": self.omega_outliers,
            "chirality_outliers": self.chirality_outliers,
            "cis_prolines": len(self.stereochemistry.cis_prolines),
            "bond_rmsz": self.stereochemistry.bond_rmsz,
            "angle_rmsz": self.stereochemistry.angle_rmsz,
        }


def validate(protein: Protein) -> Validation:
    """Check replica 0. Hydrogens are placed for the clashscore only; hetero atoms take no part. Any size down to one
    residue.
    """
    angles = torsions(protein)
    contacts = clashes(protein)
    return Validation(
        clashscore=contacts.score,
        clashes=contacts.clashes,
        ramachandran=ramachandran_verdict(protein, angles),
        rotamers=rotamer_verdict(protein, angles),
        stereochemistry=stereochemistry(protein, angles),
        torsions=angles,
        clashes_per_residue=contacts.per_residue(len(protein)),
    )


def _percent(verdict: NDArray[np.int64], which: int) -> float:
    """Percent of the known verdicts; NaN when none is known."""
    judged = int((verdict != UNKNOWN).sum())
    return 100 * float((verdict == which).sum()) / judged if judged else float("nan")


__all__ = ["ALLOWED", "FAVOURED", "OUTLIER", "UNKNOWN", "Validation", "validate"]

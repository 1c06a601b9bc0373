"""How right models of one protein are, by what the judge expects of each and by how far the others agree with it.

Models that were made independently err in different ways and are right in the same way, so what many of them share is
more likely to be right (3D-jury: Ginalski et al. 2003, Bioinformatics 19:1015; Pcons: Lundström et al. 2001, Protein
Sci. 10:2354). Expected CA lDDT of residue r of model i, with the judge's expectation q and every other model j as a
reference in the native's place:

    agreement_ir = Σ_j w_j lddt_r(i, j) / Σ_j w_j        w_j = v_j · mean_r(q_jr) ^ SHARPNESS
    expected_ir  = (JUDGE_VOTES · q_ir + m · agreement_ir) / (JUDGE_VOTES + m)        m = Σ_j v_j − 1

Copies of a model, which are above ``ALIKE`` in mean CA lDDT to it, share one vote (v_j = 1 / number of copies, itself
included) and vote for each other only where nobody else does. So m counts the independent models beside a model: with
few the judge decides, with many the agreement, and a single model has the judge alone. Who made a model is not asked:
that models of one group share a vote was no better. The constants were chosen by ``benchmarks/consensus.py``.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from refine.assess.lddt import TOLERANCES, local_pairs

SHARPNESS = 4.0
"""Power of a model's mean judged lDDT in the weight of its vote."""
JUDGE_VOTES = 4.0
"""As many independent models as the judge's expectation counts for beside the agreement."""
ALIKE = 0.98
"""Mean CA lDDT, of both directions, above which models are taken for copies."""


@dataclasses.dataclass(frozen=True)
class Consensus:
    """Of N models over the L residues of a protein, NaN where a model has no such residue.

    Attributes:
        agreement: (N, L) in [0, 1], mean CA lDDT to the models that vote; NaN also where none has that residue.
        expected: (N, L) in [0, 1], CA lDDT by judge and agreement; the judge's alone where there is no agreement.
        voters: (N,) models that are no copies of it; where there are none, its copies vote.
        core: (L,) residues that more than half of the models have, copies taken as one.
    """

    agreement: NDArray[np.float64]
    expected: NDArray[np.float64]
    voters: NDArray[np.int64]
    core: NDArray[np.bool_]

    def score(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) means of values (N, L) over the core, in which a residue that a model lacks counts as 0."""
        return np.nan_to_num(values)[:, self.core].mean(1) if self.core.any() else np.zeros(len(values))


def consensus(
    mutual: NDArray[np.floating],
    judged: NDArray[np.floating],
    *,
    sharpness: float = SHARPNESS,
    judge_votes: float = JUDGE_VOTES,
    alike: float = ALIKE,
) -> Consensus:
    """See the module's text.

    Args:
        mutual: (N, N, L) of ``mutual_lddt``.
        judged: (N, L) CA lDDT in [0, 1] that the judge expects, NaN where a model has no such residue.
        sharpness, judge_votes, alike: the constants, for those who choose them.
    """
    present = np.isfinite(judged)
    copies = copies_of(mutual, alike)
    trust = np.array([row[has].mean() if has.any() else 0.0 for row, has in zip(judged, present, strict=True)])
    only_copies = copies.all(1, keepdims=True)
    voters = np.where(only_copies, ~np.eye(len(copies), dtype=np.bool_), ~copies)
    share = 1.0 / copies.sum(1)
    weight = voters * (trust**sharpness * share)[None, :]
    total = np.einsum("ij,ijr->ir", weight, np.isfinite(mutual))
    voted = np.einsum("ij,ijr->ir", weight, np.nan_to_num(mutual))
    agreement = np.divide(voted, total, out=np.full(judged.shape, np.nan), where=total > 0)
    agreement = np.where(present, agreement, np.nan)
    independent = max(float(share.sum()) - 1.0, 0.0)
    blend = (judge_votes * judged + independent * agreement) / max(judge_votes + independent, 1e-9)
    expected = np.where(np.isfinite(agreement), blend, judged)
    core = share @ present > 0.5 * share.sum() + 1e-9
    return Consensus(agreement, expected, (~copies).sum(1), core)


def copies_of(mutual: NDArray[np.floating], alike: float = ALIKE) -> NDArray[np.bool_]:
    """(N, N) which models are copies of each other; each of itself."""
    near = similarity(mutual)
    return (0.5 * (near + near.T) > alike) | np.eye(len(near), dtype=np.bool_)


def similarity(mutual: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, N) mean CA lDDT of each model against each other as reference, over the residues of both; 0 without any."""
    known = np.isfinite(mutual)
    count = known.sum(-1)
    return np.divide(np.nan_to_num(mutual).sum(-1, dtype=np.float64), count, out=np.zeros(count.shape), where=count > 0)


def mutual_lddt(ca: NDArray[np.floating]) -> NDArray[np.float32]:
    """(N, N, L) CA lDDT of residue r of model i against model j as reference, at [i, j, r].

    Args:
        ca: (N, L, 3) Å, NaN where a model has no such residue. Only distances that both models have count; NaN where
            there is none.
    """
    models, length = ca.shape[:2]
    present = np.isfinite(ca[..., 0])
    result = np.full((models, models, length), np.nan, np.float32)
    for j, reference in enumerate(np.asarray(ca, np.float64)):
        has = np.flatnonzero(present[j])
        first, second = (has[index] for index in local_pairs(reference[has], has))
        if len(first) == 0:
            continue
        ends = np.r_[first, second], np.r_[np.arange(len(first)), np.arange(len(first))]
        by_residue = csr_array((np.ones(2 * len(first), np.float32), ends), shape=(length, len(first)))
        distance = np.linalg.norm(ca[:, first] - ca[:, second], axis=-1)
        error = np.abs(distance - np.linalg.norm(reference[first] - reference[second], axis=-1))
        kept = sum((error < tolerance).astype(np.float32) for tolerance in TOLERANCES) / len(TOLERANCES)
        count = by_residue @ np.isfinite(error).T.astype(np.float32)
        with np.errstate(invalid="ignore"):
            result[:, j] = np.where(count > 0, (by_residue @ kept.T) / count, np.nan).T
    return result

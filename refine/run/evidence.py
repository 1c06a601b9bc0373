"""What a run says of its evidence in run.json: every row before and after, and each file as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refine.evidence.ensembles import MEAN, EnsembleRow
from refine.evidence.pairs import FORMS, Pairs
from refine.evidence.read import Evidence
from refine.structure.protein import Protein


def described(evidence: Evidence, structures: Mapping[str, Protein]) -> dict[str, Any]:
    """Rows and files with their satisfaction in ``structures``: ``input``, and ``model_1`` where there is one.

    ``files``: name, kind, rows, and of each structure how many hold (within 2 sigma) and the median violation in Å.
    ``rows``: those measured one by one; entries of matrices are counted in ``files`` alone.
    """
    pairs = evidence.pairs
    distances = {name: pairs.measured(protein) for name, protein in structures.items()}
    files = []
    for number, name in enumerate(pairs.files):
        for kind in dict.fromkeys(k for k, s in zip(pairs.kinds, pairs.source, strict=True) if s == number):
            chosen = (pairs.source == number) & (np.array(pairs.kinds) == kind)
            files.append({"file": name, "kind": kind, "rows": int(chosen.sum())} | _held(pairs, chosen, distances))
    rows = [_row(pairs, k, structures["input"], distances) for k in np.flatnonzero(pairs.single).tolist()]
    return {"files": files, "rows": rows}


def _held(pairs: Pairs, chosen: np.ndarray, distances: Mapping[str, np.ndarray]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, distance in distances.items():
        facts[f"{name}_holds"] = int(pairs.holds(distance)[chosen].sum())
        facts[f"{name}_violation"] = round(float(np.median(np.abs(pairs.excess(distance)[chosen]))), 3)
    return facts


def _row(pairs: Pairs, k: int, protein: Protein, distances: Mapping[str, np.ndarray]) -> dict[str, Any]:
    first, second = (
        _atom(protein, i, s) for i, s in zip(pairs.residue[k].tolist(), pairs.slot[k].tolist(), strict=True)
    )
    upper = float(pairs.upper[k])
    row: dict[str, Any] = {
        "file": pairs.files[pairs.source[k]], "line": int(pairs.line[k]), "kind": pairs.kinds[k], "first": first,
        "second": second, "lower": float(pairs.lower[k]), "upper": upper if np.isfinite(upper) else None,
        "sigma": float(pairs.sigma[k]), "weight": float(pairs.weight[k]), "form": FORMS[pairs.form[k]],
    }  # fmt: skip
    for name, distance in distances.items():
        row[name] = round(float(distance[k]), 3)
        row[f"{name}_holds"] = bool(pairs.holds(distance)[k])
    return row


def described_ensemble(
    rows: Sequence[EnsembleRow], files: Sequence[str], shown: np.ndarray, protein: Protein
) -> list[dict[str, Any]]:
    """Rows on the ensemble, from the distances (F, K) Å that it ``shown``: mean, spread, and for distributions how far
    (total variation, 0–1) the marginal is from the measured one; ``files`` by name.
    """
    return [
        {
            "file": files[row.source], "line": row.line, "kind": row.kind,
            "first": _atom(protein, row.first.residue, row.first.slot),
            "second": _atom(protein, row.second.residue, row.second.slot),
            "value": round(row.value, 3), "sigma": row.sigma,
            "mean": round(float(shown[:, k].mean()), 3), "spread": round(float(shown[:, k].std()), 3),
            "variation": None if row.kind == MEAN else round(row.variation(shown[:, k]), 3),
        }
        for k, row in enumerate(rows)
    ]  # fmt: skip


def _atom(protein: Protein, residue: int, slot: int) -> str:
    return f"{protein.residue_ids[residue]} {protein.atom_names(residue)[slot]}"


def summary(facts: Mapping[str, Any]) -> str:
    """One clause: how many rows hold, before and after; and how many the ensemble was fitted to."""
    rows, before, after = (sum(f[key] for f in facts["files"]) for key in ("rows", "input_holds", "model_1_holds"))
    fitted = len(facts.get("ensemble", ()))
    bent = f"the input was bent to the evidence, of which {after} of {rows} rows hold ({before} before)"
    if not fitted:
        return bent
    clause = f"the ensemble was fitted to {fitted} measured means and distributions"
    return f"{bent}; {clause}" if rows else clause

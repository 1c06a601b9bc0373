"""Validation without a native: Ramachandran oracle, rotamers, totals."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from refine.assess.compare import compare
from refine.assess.torsions import rotamer_verdict, torsions
from refine.assess.validate import ALLOWED, FAVOURED, OUTLIER, UNKNOWN, validate
from tests.assess.structures import DATA, NATIVES, model_and_native, structure

ORACLE = Path(__file__).parent / "oracles" / "ramachandran.csv"
ROTAMERS = Path(__file__).parent / "oracles" / "rotamers.csv"


def test_ramachandran_against_molprobity() -> None:
    """Our contours come from other structures than the Top8000, so shares differ a little: favoured by up to 4 points,
    outliers by 2.
    """
    with ORACLE.open(newline="") as handle:
        rows = list(csv.DictReader(line for line in handle if not line.startswith("#")))
    assert len(rows) >= 10
    favoured, outliers = [], []
    for row in rows:
        v = validate(structure(row["structure"]))
        theirs = np.array([int(row[key]) for key in ("favoured", "allowed", "outliers")])
        assert (v.ramachandran != UNKNOWN).sum() == theirs.sum()
        favoured.append(v.ramachandran_favoured - 100 * theirs[0] / theirs.sum())
        outliers.append(v.ramachandran_outliers - 100 * theirs[2] / theirs.sum())
    assert np.abs(favoured).max() <= 4.1 and np.abs(favoured).mean() <= 1.6, favoured
    assert np.abs(outliers).max() <= 2.0 and np.abs(outliers).mean() <= 0.6, outliers


def test_rotamers_against_the_top500() -> None:
    """The share that is not favoured agrees. Outliers are fewer: our limit is 0.3 % as for the Top8000, theirs 1 %."""
    with ROTAMERS.open(newline="") as handle:
        rows = list(csv.DictReader(line for line in handle if not line.startswith("#")))
    assert len(rows) >= 10
    total: Counter[str] = Counter()
    for row in rows:
        p = structure(row["structure"])
        verdict = rotamer_verdict(p, torsions(p))
        assert abs(int((verdict != UNKNOWN).sum()) - int(row["side_chains"])) <= 1
        outliers = {
            f"{p.residue_ids[i].chain.strip()}:{p.residue_ids[i].number}" for i in np.flatnonzero(verdict == OUTLIER)
        }
        bad, allowed = set(row["outliers"].split()), set(row["allowed"].split())
        assert len(outliers) <= len(bad) + 1, row["structure"]
        total.update(side_chains=int(row["side_chains"]), ours=len(outliers), theirs=len(bad), both=len(outliers & bad))
        total.update(
            rare=len(outliers & (bad | allowed)), unusual=int((verdict != FAVOURED).sum() - (verdict == UNKNOWN).sum())
        )
        total.update(unusual_theirs=len(bad | allowed))
    assert abs(total["unusual"] - total["unusual_theirs"]) / total["side_chains"] < 0.01, total
    assert 0.3 * total["theirs"] < total["ours"] <= total["theirs"], total
    assert total["both"] >= 0.8 * total["ours"] and total["rare"] >= 0.9 * total["ours"], total


def test_torsions_against_the_wwpdb() -> None:
    """The wwPDB's outliers (Kleywegt & Jones 1996, a narrower region than MolProbity's): same torsions, and hardly any
    of them is favoured here; of the others hardly any is an outlier.
    """
    with (DATA / "wwpdb.csv").open(newline="") as handle:
        rows = list(csv.DictReader(line for line in handle if not line.startswith("#")))
    verdicts: Counter[str] = Counter()
    for name, model in sorted({(row["structure"], int(row["model"])) for row in rows}):
        p = structure(name, model)
        v = validate(p)
        number = {r.number: k for k, r in enumerate(p.residue_ids)}
        listed = [row for row in rows if (row["structure"], int(row["model"])) == (name, model)]
        at = [number[int(row["residue"])] for row in listed]
        for angle in ("phi", "psi"):
            ours = np.degrees(getattr(v.torsions, angle)[at])
            np.testing.assert_allclose(ours, [float(row[angle]) for row in listed], atol=0.01)
        others = np.delete(v.ramachandran, at)
        verdicts.update(listed=len(at), favoured=int((v.ramachandran[at] == FAVOURED).sum()))
        verdicts.update(others=len(others), outliers=int((others == OUTLIER).sum()))
    assert verdicts["listed"] == len(rows) == 13 and verdicts["favoured"] <= 2, verdicts
    assert verdicts["outliers"] <= 0.01 * verdicts["others"], verdicts


@pytest.mark.parametrize("pair", ["1a8o", "1dxpA"])
def test_totals_agree_with_the_lists(pair: str) -> None:
    p, _ = model_and_native(pair)
    v = validate(p)
    assert set(np.unique(v.ramachandran)) <= {FAVOURED, ALLOWED, OUTLIER, UNKNOWN}
    for kind in ("bond", "angle", "omega", "chirality"):
        assert sum(o.kind == kind for o in v.outliers) == v.totals()[f"{kind}_outliers"]
    assert v.clashes_per_residue.max() > 0 and v.clashscore == pytest.approx(v.totals()["clashscore"])
    assert v.rotamers[np.array(list(p.sequence)) == "G"].tolist() == [UNKNOWN] * p.sequence.count("G")


@pytest.mark.parametrize("name", NATIVES)
def test_a_turned_side_chain_is_a_rotamer_outlier(name: str) -> None:
    """Eclipsed chi1 of a valine, by turning its CG atoms by 60 degrees about CA-CB."""
    p = structure(name)
    before = validate(p)
    i = next(k for k, aa in enumerate(p.sequence) if aa == "V" and before.rotamers[k] == FAVOURED)
    coords = p.coords.copy()
    axis = coords[0, i, 4] - coords[0, i, 1]
    axis /= np.linalg.norm(axis)
    angle = np.radians(60.0)
    for slot in (5, 6):
        v = coords[0, i, slot] - coords[0, i, 4]
        coords[0, i, slot] = coords[0, i, 4] + (
            v * np.cos(angle) + np.cross(axis, v) * np.sin(angle) + axis * (axis @ v) * (1 - np.cos(angle))
        )
    turned = p.with_coords(coords)
    change = np.degrees(torsions(turned).chi[i, 0] - torsions(p).chi[i, 0]) % 360
    assert change == pytest.approx(60, abs=0.1)
    assert validate(turned).rotamers[i] == OUTLIER


def test_one_residue() -> None:
    p = structure("4cup.pdb").select([5])
    v = validate(p)
    assert np.isnan(v.ramachandran_favoured) and v.omega_outliers == 0


def test_checked_lddt_is_lower_for_a_distorted_model() -> None:
    c = compare(*model_and_native("1dxpA"))
    assert c.lddt_checked < c.lddt
    assert c.rmsd == pytest.approx(9.198, abs=0.01)


def test_checked_lddt_counts_clashing_side_chains_out() -> None:
    model, native = model_and_native("1lcd")
    clean, (i, j) = compare(model, native), [k for k, aa in enumerate(model.sequence) if aa == "Y"][:2]
    crowded = model.coords.copy()
    crowded[0, i, 5] = crowded[0, j, 5]
    c = compare(model.with_coords(crowded), native)
    assert clean.lddt_checked == clean.lddt and c.lddt_checked < c.lddt < clean.lddt

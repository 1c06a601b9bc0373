"""What the B column of a file is taken for: every kind that predictors, servers and experiments write."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest

from refine.structure.file_estimate import FileEstimate, file_estimate
from refine.structure.file_header import FileHeader
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.repair import repair
from refine.structure.write import write_cif, write_pdb

ROOT = Path(__file__).resolve().parent.parent.parent
NATIVE, MODEL = ROOT / "examples" / "1a8o_native.pdb", ROOT / "examples" / "1a8o_model.pdb"


@functools.cache
def globule() -> Protein:
    """The example model with all its atoms, and no B column."""
    protein = repair(read_structure(MODEL)).protein
    return dataclasses.replace(protein, b_factors=np.zeros_like(protein.b_factors))


@functools.cache
def burial() -> np.ndarray:
    """(L,) from 0 at the outside to 1 in the core, smooth along the chain."""
    ca = globule().coords[0, :, 1]
    near = np.exp(-0.5 * (np.linalg.norm(ca[:, None] - ca, axis=-1) / 8.0) ** 2).sum(1)
    return (near - near.min()) / np.ptp(near)


def column(values: np.ndarray, outwards: float = 0.0) -> Protein:
    """The globule with ``values`` (L,) in the B column, and ``outwards`` more at each further atom of a residue."""
    b = (values[:, None] + outwards * np.arange(14)) * globule().mask
    return dataclasses.replace(globule(), b_factors=b.astype(np.float32))


def recognised(values: np.ndarray, outwards: float = 0.0, **header: object) -> FileEstimate:
    return file_estimate(column(values, outwards), FileHeader(**header))  # type: ignore[arg-type]


def plddt() -> np.ndarray:
    return 45.0 + 50.0 * burial()


def error() -> np.ndarray:
    return 0.6 + 4.0 * (1.0 - burial()) ** 2


@pytest.mark.parametrize(
    ("values", "outwards", "scale"),
    [
        (plddt(), 0.0, "0-100"),  # AlphaFold2: one value a residue
        (plddt(), -0.8, "0-100"),  # ESMFold, AlphaFold3: less towards the ends of side chains
        (plddt() / 100.0, 0.0, "0-1"),  # RoseTTAFold2, older ESMFold
        (plddt() / 100.0, -0.008, "0-1"),
        (98.9 - 2.0 * (1.0 - burial()) ** 3, 0.0, "0-100"),  # all very high
    ],
)
def test_plddt_is_known_by_its_values(values: np.ndarray, outwards: float, scale: str) -> None:
    estimate = recognised(values, outwards)
    assert (estimate.kind, estimate.name, estimate.scale) == ("lddt", "pLDDT", scale), estimate.sentence
    np.testing.assert_allclose(estimate.values, values / (100.0 if scale == "0-100" else 1.0), rtol=1e-5, atol=0.009)
    assert estimate.mean == pytest.approx(np.nanmean(estimate.values) * 100.0)
    assert estimate.sentence.startswith("the file's own estimate: pLDDT, mean ")


def test_an_error_in_angstrom_is_known_by_its_values_only_where_atoms_share_it() -> None:
    estimate = recognised(error())
    assert (estimate.kind, estimate.scale) == ("error", "Å") and "Å" in estimate.sentence
    np.testing.assert_allclose(estimate.values, error(), rtol=1e-5)
    assert not recognised(error(), 0.05).given, "it could be the B factor of a very good crystal"


def nothing(kind: str) -> np.ndarray:
    """Columns that say nothing of the model's accuracy."""
    length, random = len(globule()), np.random.default_rng(0)
    return {
        "zero": np.zeros(length),
        "constant": np.full(length, 50.0),
        "random": random.uniform(0, 100, length),
        "dealt out": random.permutation(plddt()),
        "dealt out, 0-1": random.permutation(plddt() / 100.0),
        "negative": plddt() - 60.0,
        "beyond 100": plddt() + 20.0,
        "grouped B factors": 20.0 + 60.0 * (1.0 - burial()),
        "running number": np.arange(1.0, length + 1.0),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["zero", "constant", "random", "dealt out", "dealt out, 0-1", "negative", "beyond 100", "grouped B factors",
     "running number"],
)  # fmt: skip
def test_in_doubt_nothing_is_given(kind: str) -> None:
    estimate = recognised(nothing(kind))
    assert not estimate.given and estimate.mean is None and np.isnan(estimate.values).all()
    assert estimate.reason and "not given" in estimate.sentence


def test_b_factors_grow_outwards_even_where_they_are_higher_in_the_core() -> None:
    """One chain in some 350 has B factors that rise into the core; their side chains tell."""
    assert not recognised(30.0 + 30.0 * burial(), 0.8).given


def test_a_crystal_structure_gives_nothing() -> None:
    read = read_structure(NATIVE)
    assert np.ptp(read.protein.b_factors) > 5 and not read.estimate.given
    assert not read_structure(MODEL).estimate.given


def test_an_experiment_outweighs_whatever_else_is_said() -> None:
    estimate = recognised(plddt(), experiment="X-RAY DIFFRACTION", description="phased with alphafold")
    assert not estimate.given and "x-ray" in estimate.reason


@pytest.mark.parametrize(
    ("header", "values", "kind", "name"),
    [
        ({"metrics": (("pLDDT", "pLDDT"),)}, plddt(), "lddt", "pLDDT"),
        ({"metrics": (("QMEANDisCo", "normalized score"),)}, plddt() / 100.0, "lddt", "QMEANDisCo"),
        ({"metrics": (("PAE", "PAE"),)}, 20.0 + 60.0 * (1.0 - burial()), "", ""),
        ({"description": "title alphafold monomer v2.0 prediction"}, plddt(), "lddt", "pLDDT"),
        ({"description": "title swiss-model server"}, plddt() / 100.0, "lddt", "QMEANDisCo"),
        ({"description": "title alphafold model"}, 20.0 + 60.0 * (1.0 - burial()), "", ""),
        ({"description": "remark rosettafold"}, error(), "error", "predicted error"),
        ({"description": "remark rosettafold"}, plddt() / 100.0, "lddt", "pLDDT"),
        ({"casp": True}, 5.0 * error(), "error", "predicted error"),
        ({"casp": True}, plddt(), "lddt", "pLDDT"),
        ({"description": "remark  99 b column: confidence, 0-100, higher is better"}, plddt(), "", ""),
    ],
)
def test_the_header_tells(header: dict[str, object], values: np.ndarray, kind: str, name: str) -> None:
    estimate = recognised(values, **header)
    assert (estimate.kind, estimate.name) == (kind, name), estimate.sentence


def test_a_short_peptide_is_told_by_its_header_alone() -> None:
    short = column(plddt()).select(list(range(20)))
    assert not file_estimate(short, FileHeader()).given
    assert file_estimate(short, FileHeader(metrics=(("pLDDT", "pLDDT"),))).given


@pytest.mark.parametrize(
    ("lines", "given"),
    [
        (["TITLE     ALPHAFOLD MONOMER V2.0 PREDICTION FOR PROTEIN (P12345)"], True),
        (["EXPDTA    X-RAY DIFFRACTION"], False),
        (["EXPDTA    THEORETICAL MODEL"], True),
        (["REMARK   2 RESOLUTION.    1.90 ANGSTROMS."], False),
        (["REMARK   3   PROGRAM     : REFMAC 5.8"], False),
        ([], True),
    ],
)
def test_a_pdb_file(tmp_path: Path, lines: list[str], given: bool) -> None:
    path = tmp_path / "model.pdb"
    write_pdb(column(plddt()), path)
    path.write_text("\n".join([*lines, path.read_text()]))
    assert read_structure(path).estimate.given == given


def test_an_mmcif_file(tmp_path: Path) -> None:
    path, metric = tmp_path / "model.cif", "\nloop_\n_ma_qa_metric.id\n_ma_qa_metric.mode\n_ma_qa_metric.name\n"
    write_cif(column(plddt()), path)
    text = path.read_text()
    assert read_structure(path).estimate.reason == "by its values"
    path.write_text(f"{text}{metric}_ma_qa_metric.type\n1 global pLDDT pLDDT\n2 local pLDDT pLDDT\n#\n")
    assert "_ma_qa_metric" in read_structure(path).estimate.reason
    path.write_text(f"{text}\n_exptl.entry_id x\n_exptl.method 'ELECTRON MICROSCOPY'\n#\n")
    assert not read_structure(path).estimate.given


def test_refines_own_models_count_as_not_given(tmp_path: Path) -> None:
    confidence = plddt().astype(np.float32)
    write_cif(column(plddt()), tmp_path / "own.cif", confidence=confidence, basis="refine's own estimate")
    write_pdb(column(plddt()), tmp_path / "own.pdb", remarks=["B column: confidence, 0-100, higher is better"])
    for name in ("own.cif", "own.pdb"):
        estimate = read_structure(tmp_path / name).estimate
        assert not estimate.given and "earlier run" in estimate.reason


def test_a_residue_without_a_value_has_none() -> None:
    values = plddt()
    values[3] = 0.0
    estimate = recognised(values)
    assert estimate.given and np.isnan(estimate.values[3]) and np.isfinite(estimate.values).sum() == len(values) - 1

"""What a structure file says of where it comes from: method, programs, and what its quality estimates are."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

import gemmi

from refine.structure.bcif import read_category
from refine.structure.source import Source

EXPERIMENTS = ("X-RAY", "XRAY", "NMR", "ELECTRON", "NEUTRON", "FIBER", "POWDER", "SCATTERING", "EPR", "EXPERIMENTAL")
"""Words in the names of methods by which structures are measured (``EXPDTA``, ``_exptl.method``)."""

_PDB_RECORDS = ("HEADER", "TITLE", "COMPND", "KEYWDS", "AUTHOR", "REMARK")
_REFINEMENT = re.compile(r"^REMARK\s+(2 RESOLUTION\.\s+[\d.]+ ANG|3\s+PROGRAM\s+:\s+\S+)")
"""Records of a refinement against data; a prediction has none."""
_CIF_TEXTS = {
    "_struct": ("title", "pdbx_descriptor"),
    "_entry": ("id",),
    "_software": ("name", "description"),
    "_ma_model_list": ("model_name",),
}


@dataclasses.dataclass(frozen=True)
class FileHeader:
    """What a file says of itself, besides its atoms.

    Attributes:
        experiment: method by which the structure was measured; ``""`` for a model, or where nothing is said.
        metrics: name and type of every estimate of quality per residue (``_ma_qa_metric``, mode local).
        description: title, programs and remarks, in lower case, a line each.
        casp: whether it is a model as servers hand them in to CASP (``PFRMT TS``).
    """

    experiment: str = ""
    metrics: tuple[tuple[str, str], ...] = ()
    description: str = ""
    casp: bool = False


def read_header(source: Source) -> FileHeader:
    """The header of a file; what cannot be read says nothing."""
    if source.format == "pdb":
        return _pdb_header(source.text.split("\n"))
    names = ("_exptl", "_ma_qa_metric", *_CIF_TEXTS)
    if source.format == "bcif":
        columns = {n: read_category(source.data, n, source.path, None, optional=True) for n in names}
        return _cif_header({n: {k: list(map(str, v)) for k, v in table.items()} for n, table in columns.items()})
    tables: dict[str, dict[str, list[str]]] = {}
    for block in gemmi.cif.read_string(source.text):
        for name in names:
            table = block.get_mmcif_category(f"{name}.", raw=True)
            if table and name not in tables:
                tables[name] = {k.lower(): [gemmi.cif.as_string(v) for v in values] for k, values in table.items()}
    return _cif_header(tables)


def _pdb_header(lines: Sequence[str]) -> FileHeader:
    header = [line for line in lines if not line.startswith(("ATOM", "HETATM", "ANISOU", "CONECT", "TER"))]
    methods = " ".join(line[10:].strip() for line in header if line.startswith("EXPDTA"))
    refined = any(_REFINEMENT.match(line) for line in header)
    return FileHeader(
        experiment=_experiment(methods) or ("a refinement against data" if refined else ""),
        description="\n".join(line.strip().lower() for line in header if line.startswith(_PDB_RECORDS)),
        casp=any(re.match(r"PFRMT\s+TS\b", line) for line in header),
    )


def _cif_header(tables: Mapping[str, Mapping[str, Sequence[str]]]) -> FileHeader:
    metric = tables.get("_ma_qa_metric", {})
    rows = zip(metric.get("name", ()), metric.get("type", ()), metric.get("mode", ()), strict=False)
    texts = [text for name, keys in _CIF_TEXTS.items() for key in keys for text in tables.get(name, {}).get(key, ())]
    descriptions = [text for text in metric.get("description", ()) if "refine" in text.lower()]
    return FileHeader(
        experiment=_experiment(" ".join(tables.get("_exptl", {}).get("method", ()))),
        metrics=tuple((name, kind) for name, kind, mode in rows if mode.lower() == "local"),
        description="\n".join([*texts, *descriptions]).lower(),
    )


def _experiment(methods: str) -> str:
    found = methods.strip().upper()
    return found if any(word in found for word in EXPERIMENTS) and "THEORETICAL" not in found else ""

"""Proteins to PDB and mmCIF files: author identities, hetero atoms, order and frame of the input; complete files or
none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from refine.errors import InputError
from refine.files import write_text
from refine.structure.conect_records import add_conect_records
from refine.structure.gemmi_model import build_structure, is_refined
from refine.structure.pdb_short_names import short_residue_names, with_short_atom_names
from refine.structure.protein import Protein

_MAX_HYBRID36 = 1_223_055
"""Largest residue number that four hybrid-36 columns hold."""

MAX_PDB_B = 999.99
"""Largest B factor that its columns hold; gemmi writes larger ones as this."""


def fits_pdb(protein: Protein) -> str | None:
    """Why ``protein`` cannot be written as PDB file, or None when it can.

    Serials above 99,999 and residue numbers above 9,999 do fit: they are written in hybrid-36.
    """
    ids = {(r.chain, r.insertion): r.number for r in protein.residue_ids}
    ids |= {(h.chain, h.insertion): h.number for h in protein.hetero}
    for (chain, insertion), number in ids.items():
        if len(chain) > 1:
            return f"chain id {chain!r} is longer than one letter"
        if insertion.isdigit():
            return f"insertion code {insertion!r} after {number} of chain {chain!r} would be read as a longer number"
    numbers = {r.number: r.chain for r in protein.residue_ids} | {h.number: h.chain for h in protein.hetero}
    for number, chain in numbers.items():
        if not -999 <= number <= _MAX_HYBRID36:
            return f"residue number {number} of chain {chain!r} does not fit four columns"
    places = np.array([h.position for h in protein.hetero], np.float64).reshape(-1, 3)
    if any(((p <= -999.9995) | (p >= 9999.9995)).any() for p in (protein.coords[:, protein.mask], places)):
        return "a coordinate does not fit the columns (-999.999 to 9999.999)"
    return None


def write_pdb(
    protein: Protein, path: Path, *, b_values: NDArray[np.float32] | None = None, remarks: Sequence[str] = ()
) -> None:
    """Write ``protein`` as PDB file, one MODEL per replica when R > 1.

    Hetero atoms and residues whose names are too long for the columns get short ones; REMARK 99 says which. Bonds of
    the table are LINK or SSBOND; these, and the bonds within hetero groups, are CONECT too (see ``conect_records``).

    Args:
        protein: R >= 1.
        path: replaced in one step once the new file is complete.
        b_values: (L,) or (L, 14) for the B column of protein atoms, cut to -99.99..999.99; None writes B factors as
            read.
        remarks: one text a line, written as REMARK 99.

    Raises:
        InputError: the protein does not fit the format (``fits_pdb``).
    """
    reason = fits_pdb(protein)
    if reason:
        raise InputError(
            f"The protein does not fit the PDB format: {reason}", file=str(path), remedy="Write mmCIF instead"
        )
    protein, renamed = with_short_atom_names(protein)
    names = short_residue_names(protein.hetero)
    remarks = [*remarks, *(f"residue name in short: {long} is {short}" for long, short in names.items())]
    remarks += [f"atom name in short: {text}" for text in renamed]
    structure = build_structure(protein, None if b_values is None else np.clip(b_values, -99.99, MAX_PDB_B), names)
    structure.raw_remarks = [f"REMARK  99 {part}" for text in remarks for part in _wrap(text)]
    options = gemmi.PdbWriteOptions()
    options.cryst1_record = False
    options.seqres_records = False
    options.numbered_ter = True
    options.conect_records = True
    add_conect_records(structure)
    write_text(path, structure.make_pdb_string(options))


def write_ensemble_pdb(protein: Protein, path: Path, *, remarks: Sequence[str] = ()) -> None:
    """Write every replica of ``protein`` as a MODEL of one PDB file; with MODEL records even when R = 1.

    Raises:
        InputError: as ``write_pdb``.
    """
    if protein.replicas > 1:
        write_pdb(protein, path, remarks=remarks)
        return
    write_pdb(protein, path, remarks=remarks)
    lines = Path(path).read_text().splitlines()
    first = next(k for k, line in enumerate(lines) if line.startswith(("ATOM", "HETATM")))
    last = next(k for k, line in enumerate(lines) if k > first and line.startswith(("CONECT", "END")))
    model = ["MODEL        1".ljust(80), *lines[first:last], "ENDMDL".ljust(80)]
    write_text(path, "\n".join([*lines[:first], *model, *lines[last:], ""]))


def write_cif(
    protein: Protein,
    path: Path,
    *,
    b_values: NDArray[np.float32] | None = None,
    confidence: NDArray[np.float32] | None = None,
    basis: str = "",
) -> None:
    """Write ``protein`` as mmCIF.

    Args:
        protein: R >= 1, one model number per replica.
        path: replaced in one step once the new file is complete.
        b_values: (L,) or (L, 14) for B_iso_or_equiv of protein atoms; None writes B factors as read.
        confidence: (L,) 0-100, written as ma_qa_metric_local for every model, with its mean as ma_qa_metric_global.
        basis: what the confidence comes from, for the description of the metric.
    """
    structure = build_structure(protein, b_values)
    document = structure.make_mmcif_document()
    block = document.sole_block()
    if confidence is not None:
        _add_confidence(block, structure, protein, np.asarray(confidence, np.float64), basis)
    _quote_connections(block)
    write_text(path, document.as_string())


def _quote_connections(block: gemmi.cif.Block) -> None:
    """Quote what needs it in _struct_conn, where gemmi writes chain ids and insertion codes as they are."""
    loop = block.find_loop("_struct_conn.id").get_loop()
    if loop is None:
        return
    for row in range(loop.length()):
        for column in range(loop.width()):
            loop[row, column] = _quoted(loop[row, column])


def _quoted(value: str) -> str:
    """``value``, in quotes where it does not stand for itself without."""
    if not value:
        return "?"
    already = len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]
    reserved = value[0] in "_#$'\"[];" or value.lower().startswith(("data_", "save_", "loop_", "stop_", "global_"))
    return gemmi.cif.quote(value) if not already and (reserved or " " in value) else value


def _add_confidence(
    block: gemmi.cif.Block,
    structure: gemmi.Structure,
    protein: Protein,
    confidence: NDArray[np.float64],
    basis: str,
) -> None:
    """Tables of the ModelCIF dictionary; a metric of type ``other``, since the scale is pLDDT's but not its meaning."""
    metric = block.init_loop("_ma_qa_metric.", ["id", "name", "description", "type", "mode"])
    text = gemmi.cif.quote("confidence of refine, 0-100" + (f": {basis}" if basis else ""))
    metric.add_row(["1", "confidence", text, "other", "global"])
    metric.add_row(["2", "confidence", text, "other", "local"])
    overall = block.init_loop("_ma_qa_metric_global.", ["ordinal_id", "model_id", "metric_id", "metric_value"])
    names = ["ordinal_id", "model_id", "label_asym_id", "label_seq_id", "label_comp_id", "metric_id", "metric_value"]
    local = block.init_loop("_ma_qa_metric_local.", names)
    ordinal = 0
    for model in structure:
        overall.add_row([str(model.num), str(model.num), "1", f"{confidence.mean():.2f}"])
        polymer = [residue for chain in model for residue in chain if is_refined(residue)]
        order = np.argsort(protein.file_order, kind="stable")
        for residue, i in zip(polymer, order, strict=True):
            ordinal += 1
            value = f"{confidence[i]:.2f}"
            local.add_row(
                [str(ordinal), str(model.num), residue.subchain, str(residue.label_seq), residue.name, "2", value]
            )


def _wrap(text: str, width: int = 68) -> list[str]:
    text = text.encode("ascii", "replace").decode()
    return [line[i : i + width] for line in text.splitlines() or [""] for i in range(0, max(len(line), 1), width)]

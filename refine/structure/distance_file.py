"""Distances between CA atoms in an npz file become a trace, as a protein that has its CA atoms alone."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refine.constants import AMINO_ACIDS
from refine.errors import InputError
from refine.files import stem
from refine.structure.embed import embed, embed_side_chains
from refine.structure.protein import Protein, ResidueId

Array = NDArray[np.float64]

MOST_RESIDUES = 2000
"""Memory and time grow with the square and the cube of it."""
_REMEDY = (
    "Give an npz file with distances (L, L) in Å between CA atoms, or with a distogram of CB atoms: logits or "
    "probabilities (L, L, B) and bin_edges (B - 1)"
)
_NAMES = ("distances", "sigma", "logits", "probabilities", "bin_edges")
_BEYOND = 0.5
"""Probability of the last bin from which on a distance is not known."""


def trace_of_file(path: Path, sequence: str) -> Protein:
    """The CA trace of one chain ``A`` without gaps, numbered from 1.

    Args:
        path: npz with ``distances`` (L, L) Å between CA atoms, NaN where not known, and optionally ``sigma`` (L, L) Å,
            how far each may be off; or a distogram of CB atoms (``of_distogram``).
        sequence: L one-letter codes, or the path of a FASTA file whose first record has them.

    Raises:
        InputError: the file or the sequence cannot be used, or they do not fit each other.
    """
    letters = read_sequence(sequence)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name], np.float64) for name in _NAMES if name in file}
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"cannot read the distances: {error}", file=str(path), remedy=_REMEDY) from error
    try:
        side_chains = "distances" not in arrays
        distances, sigma = of_distogram(arrays) if side_chains else (arrays["distances"], arrays.get("sigma"))
    except InputError as error:
        raise InputError(error.message, file=str(path), remedy=_REMEDY) from error
    length = len(letters)
    if distances.shape != (length, length):
        shape = " by ".join(map(str, distances.shape))
        raise InputError(f"distances of {shape} for {length} residues", file=str(path), remedy=_REMEDY)
    if length > MOST_RESIDUES:
        raise InputError(
            f"{length} residues; the limit is {MOST_RESIDUES}", file=str(path), remedy="Cut it into domains"
        )
    if sigma is not None and (sigma.shape != distances.shape or not (sigma > 0).all()):
        raise InputError("sigma must hold a number above 0 for each distance", file=str(path), remedy=_REMEDY)
    try:
        weights = None if sigma is None else sigma**-2
        glycine = np.array([letter == "G" for letter in letters])
        ca = embed_side_chains(distances, glycine, weights) if side_chains else embed(distances, weights)
    except InputError as error:
        raise InputError(error.message, file=str(path), remedy=error.remedy or _REMEDY) from error
    return _trace(ca, letters, stem(path))


def of_distogram(arrays: Mapping[str, Array]) -> tuple[Array, Array]:
    """Mean distances (L, L) Å between CB atoms (of glycine CA), and their standard deviations.

    Args:
        arrays: ``logits`` or ``probabilities`` (L, L, B) and ``bin_edges`` (B − 1,) Å, the first and the last bin open,
            as AlphaFold and rpdd.npz have them. Pairs that are most likely in the last bin are not known (NaN).

    Raises:
        InputError: the arrays are not there, or do not fit one another.
    """
    given, edges = arrays.get("logits", arrays.get("probabilities")), arrays.get("bin_edges")
    if given is None or edges is None:
        raise InputError("the file holds neither distances nor a distogram (logits or probabilities, and bin_edges)")
    if given.ndim != 3 or edges.shape != (given.shape[2] - 1,) or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise InputError(f"a distogram of shape {given.shape} and edges of shape {edges.shape} do not fit")
    if not np.isfinite(given).all() or ("logits" not in arrays and (given < 0).any()):
        raise InputError("the distogram holds values that are no numbers, or probabilities below 0")
    p = np.exp(given - given.max(-1, keepdims=True)) if "logits" in arrays else given
    p = p / np.maximum(p.sum(-1, keepdims=True), 1e-12)
    width = float(np.diff(edges).mean())
    centres = np.concatenate(([edges[0] - 0.5 * width], 0.5 * (edges[1:] + edges[:-1])))
    inside = p[..., :-1] / np.maximum(p[..., :-1].sum(-1, keepdims=True), 1e-12)
    mean = inside @ centres
    variance = np.maximum(inside @ centres**2 - mean**2, 0.0) + width**2 / 12
    return np.where(p[..., -1] < _BEYOND, mean, np.nan), np.sqrt(variance)


def read_sequence(text: str) -> str:
    """One-letter codes given as such, or as the path of a FASTA file.

    Raises:
        InputError: a letter is none of the 20 amino acids, or the file cannot be read.
    """
    source, letters = "", text
    if Path(text).suffix or "/" in text:
        source = text
        try:
            lines = Path(text).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the sequence: {error}", file=text, remedy="Give a FASTA file") from error
        records = "\n".join(lines).lstrip("\n>").split("\n>")[0].splitlines()
        letters = "".join(records[1:] if "\n".join(lines).lstrip().startswith(">") else records)
    letters = "".join(letters.split()).upper()
    unknown = sorted(set(letters) - set(AMINO_ACIDS))
    if unknown or not letters:
        what = f"has {' '.join(unknown)!r}, which is no standard amino acid" if unknown else "is empty"
        raise InputError(f"the sequence {what}", file=source or None, remedy="Give the letters of the 20 amino acids")
    return letters


def _trace(ca: np.ndarray, letters: str, name: str) -> Protein:
    length = len(letters)
    coords, mask = np.zeros((1, length, 14, 3), np.float32), np.zeros((length, 14), np.bool_)
    coords[0, :, 1], mask[:, 1] = ca, True
    return Protein(
        coords=coords,
        mask=mask,
        sequence=letters,
        residue_ids=tuple(ResidueId("A", i + 1) for i in range(length)),
        bonded=np.zeros(length, np.bool_),
        oxt=np.zeros((1, length, 3), np.float32),
        oxt_mask=np.zeros(length, np.bool_),
        b_factors=np.zeros((length, 14), np.float32),
        occupancies=np.ones((length, 14), np.float32),
        file_order=np.arange(length, dtype=np.int64),
        name=name,
    )

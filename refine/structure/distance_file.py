"""Distances between CA atoms in an npz file become a trace, as a protein that has its CA atoms alone."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from refine.constants import AMINO_ACIDS
from refine.errors import InputError
from refine.files import stem
from refine.structure.embed import embed
from refine.structure.protein import Protein, ResidueId

MOST_RESIDUES = 2000
"""Memory and time grow with the square and the cube of it."""
_REMEDY = "Give an npz file with the array distances (L, L) in Å between CA atoms"


def trace_of_file(path: Path, sequence: str) -> Protein:
    """The CA trace of one chain ``A`` without gaps, numbered from 1.

    Args:
        path: npz with ``distances`` (L, L) Å, NaN where not known, and optionally ``sigma`` (L, L) Å, how far each may
            be off.
        sequence: L one-letter codes, or the path of a FASTA file whose first record has them.

    Raises:
        InputError: the file or the sequence cannot be used, or they do not fit each other.
    """
    letters = read_sequence(sequence)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            distances = np.asarray(arrays["distances"], np.float64)
            sigma = np.asarray(arrays["sigma"], np.float64) if "sigma" in arrays else None
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"cannot read the distances: {error}", file=str(path), remedy=_REMEDY) from error
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
        ca = embed(distances, None if sigma is None else sigma**-2)
    except InputError as error:
        raise InputError(error.message, file=str(path), remedy=error.remedy or _REMEDY) from error
    return _trace(ca, letters, stem(path))


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

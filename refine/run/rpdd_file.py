"""rpdd.npz read back: its arrays are held to what they announce before memory is asked for."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from refine.accuracy.rpdd import BINS, RPDD
from refine.errors import InputError

_PACKING = 1100
"""Deflate makes data no more than 1,032 times smaller."""


def read_rpdd(path: Path) -> RPDD:
    """Distributions of an ``rpdd.npz``; raises InputError when it cannot be read."""
    try:
        _check_sizes(path)
        with np.load(path, allow_pickle=False) as arrays:
            rpdd = RPDD.of_arrays(arrays)
        _check_shapes(rpdd)
    except (
        OSError, KeyError, ValueError, TypeError, EOFError, MemoryError, OverflowError, RuntimeError,
        NotImplementedError, SyntaxError, zipfile.BadZipFile, zlib.error, struct.error,
    ) as error:  # fmt: skip
        raise InputError(
            f"cannot read the distance distributions: {error}", file=str(path), remedy="Run refine again"
        ) from error
    return rpdd


def _check_sizes(path: Path) -> None:
    """Raises ValueError where an array announces another size than the archive, or that more than it can unpack to."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as stream:
                version = npy.read_magic(stream)
                read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                shape, _, kind = read(stream)
                size = stream.tell() + math.prod(shape) * kind.itemsize
            if size != member.file_size or size > _PACKING * (member.compress_size + 1):
                raise ValueError(f"{member.filename} says that it holds {size} bytes")


def _check_shapes(rpdd: RPDD) -> None:
    pairs = (len(rpdd.mean), len(rpdd.mean)) if rpdd.mean.ndim else ()
    square = [rpdd.mean, rpdd.std]
    if rpdd.predicted is not None:
        square += [rpdd.predicted.location, rpdd.predicted.scale]
    fits = all(matrix.shape == pairs for matrix in square) and rpdd.frames > 0
    if not fits or (rpdd.counts is not None and rpdd.counts.shape != (*pairs, BINS)):
        raise ValueError("its arrays do not fit one another")

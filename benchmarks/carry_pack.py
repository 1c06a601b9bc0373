"""A training pack and real models in one file of some 30 MB, for a machine to which little can be carried.

    python benchmarks/carry_pack.py PACK REAL FILE
        pack folder (`refine train DATA --pack-only`) and file of pack_real_models.py into FILE
    python benchmarks/carry_pack.py --unpack FILE FOLDER
        FOLDER/pack and FOLDER/real.npz, for benchmarks/train_wide.py

Backbones are kept as differences of neighbouring atoms, high and low bytes apart, compressed; side chains, which
training a prior or a judge does not look at, stay behind: a likelihood cannot be trained on what comes out.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLAIN, RISING, TEXTS = ("bonded", "residue"), ("position", "origin"), ("chains.tsv", "manifest.json")
BACKBONE = 4
"""Atoms of a residue that are kept of real models."""


def _written(archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    archive.writestr(f"{name}.npy", stream.getvalue())


def carried(pack: Path, real: Path, out: Path) -> None:
    """Writes ``out`` from a pack folder and a file of real models."""
    backbone = np.load(pack / "backbone.npy").reshape(-1, 3).astype(np.int32)
    steps = np.diff(backbone, axis=0, prepend=0).astype(np.int16).view(np.uint16)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as archive:
        _written(archive, "low", (steps & 255).astype(np.uint8))
        _written(archive, "high", (steps >> 8).astype(np.uint8))
        for name in PLAIN:
            _written(archive, name, np.load(pack / f"{name}.npy"))
        for name in RISING:
            _written(archive, name, np.diff(np.load(pack / f"{name}.npy").astype(np.int32), prepend=0))
        for name in TEXTS:
            archive.write(pack / name, name)
        with np.load(real, allow_pickle=False) as models:
            for name in models.files:
                array = models[name]
                _written(archive, f"real/{name}", array[:, :BACKBONE] if name == "start" else array)


def unpacked(file: Path, folder: Path) -> None:
    """Makes ``folder``/pack and ``folder``/real.npz of what ``carried`` wrote."""
    pack = folder / "pack"
    pack.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file) as archive:
        arrays: Mapping[str, NDArray[Any]] = {
            name.removesuffix(".npy"): np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
            for name in archive.namelist()
            if name.endswith(".npy")
        }
        for name in TEXTS:
            (pack / name).write_bytes(archive.read(name))
    steps = (arrays["high"].astype(np.uint16) << 8 | arrays["low"]).view(np.int16)
    np.save(pack / "backbone.npy", np.cumsum(steps, 0, dtype=np.int32).astype(np.int16).reshape(-1, BACKBONE, 3))
    np.save(pack / "side_chain.npy", np.zeros((1, 10, 3), np.int16))
    for name in PLAIN:
        np.save(pack / f"{name}.npy", arrays[name])
    for name in RISING:
        np.save(pack / f"{name}.npy", np.cumsum(arrays[name], dtype=np.int32))
    np.savez(
        folder / "real.npz",
        allow_pickle=False,
        **{name.removeprefix("real/"): array for name, array in arrays.items() if name.startswith("real/")},
    )


def main(arguments: list[str] | None = None) -> int:
    """Pack or unpack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unpack", action="store_true")
    parser.add_argument("paths", type=Path, nargs="+")
    args = parser.parse_args(arguments)
    if len(args.paths) != (2 if args.unpack else 3):
        parser.error("PACK REAL FILE, or --unpack FILE FOLDER")
    (unpacked if args.unpack else carried)(*args.paths)
    return 0


if __name__ == "__main__":
    sys.exit(main())

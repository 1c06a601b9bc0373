"""Run folders damaged in every file that is read back, each in several ways."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def cut(name: str, share: float = 0.5) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(share * len(data))])

    return damage


def bytes_of(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(data) and None


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def directory(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text, (name, old)
        (folder / name).write_text(text.replace(old, new, 1))

    return damage


def record(**changes: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        values = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps(values | changes))

    return damage


def comparison(**changes: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "comparison.json"
        values = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps(values | changes))

    return damage


def arrays(**changes: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        with np.load(folder / "rpdd.npz") as old:
            values = {name: old[name] for name in old.files} | changes
        np.savez_compressed(folder / "rpdd.npz", **{k: v for k, v in values.items() if v is not None})

    return damage


def greedy(folder: Path) -> None:
    """An npz of a kilobyte whose header asks for 149 GiB."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (200000, 200000), }"
    header = header.ljust(117) + b"\n"
    with zipfile.ZipFile(folder / "rpdd.npz", "w") as archive:
        archive.writestr("mean.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"x" * 16)


def _flipped(folder: Path) -> None:
    data = bytearray((folder / "rpdd.npz").read_bytes())
    for k in range(200, len(data) - 200, 97):
        data[k] ^= 0x55
    (folder / "rpdd.npz").write_bytes(data)


def link_to_itself(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        os.symlink(name, folder / name)

    return damage


DEEP = b"[" * 100_000
MODELS: list[Any] = [
    None, {}, [], "model_1", [None], [1], [{"name": "model_1"}], [{"name": 1, "cif": "model_1.cif"}],
    [{"name": "../../etc/passwd", "cif": "/etc/passwd"}], [{"name": "model_1", "cif": "model_1.cif", "finishing": 3}],
    [{"name": "model_1", "cif": "model_1.cif", "finishing": {"mean_ca_shift": "x", "notes": 3, "repacked": {}}}],
]  # fmt: skip
TABLES = ("scores.csv", "per_residue.csv", "trace.csv")

DAMAGES: Mapping[str, Callable[[Path], None]] = {
    **{f"run.json models {k}": record(models=value) for k, value in enumerate(MODELS)},
    **{
        f"run.json {key} {value!r:.20}": record(**{key: value})
        for key in ("status", "notes", "timings", "versions", "settings", "judgement", "chains", "sampling", "seconds",
                    "command", "input", "verdict", "machine", "report", "residues", "files")
        for value in (7, "x", [["y"]], {"z": [1]})
    },
    "run.json deep": bytes_of("run.json", DEEP),
    "run.json a list": bytes_of("run.json", b"[]"),
    "run.json not UTF-8": bytes_of("run.json", b"\xff\xfe{}"),
    "run.json empty": bytes_of("run.json", b""),
    "run.json cut": cut("run.json"),
    "run.json a folder": directory("run.json"),
    "run.json a link to itself": link_to_itself("run.json"),
    "npz cut": cut("rpdd.npz"),
    "npz cut at its end": cut("rpdd.npz", 0.98),
    "npz empty": bytes_of("rpdd.npz", b""),
    "npz no zip": bytes_of("rpdd.npz", b"PK\x03\x04" + b"x" * 99),
    "npz a pickle": bytes_of("rpdd.npz", b"\x80\x04N."),
    "npz greedy": greedy,
    "npz flipped": _flipped,
    "npz without a mean": arrays(mean=None),
    "npz of other shapes": arrays(std=np.zeros((3, 4))),
    "npz of one dimension": arrays(mean=np.zeros(48), std=np.zeros(48)),
    "npz of a number": arrays(mean=np.float32(1.0)),
    "npz counts of other bins": arrays(counts=np.zeros((48, 48, 3), np.uint8)),
    "npz without frames": arrays(frames=np.array(0)),
    "npz frames in a row": arrays(frames=np.arange(3)),
    "npz of words": arrays(mean=np.full((48, 48), "x")),
    **{f"{name} cut": cut(name) for name in (*TABLES, "model_1.cif", "input.cif")},
    **{f"{name} cut early": cut(name, 0.02) for name in TABLES},
    **{f"{name} empty": bytes_of(name, b"") for name in (*TABLES, "model_1.cif", "input.cif")},
    **{f"{name} binary": bytes_of(name, bytes(range(256)) * 9) for name in (*TABLES, "model_1.cif", "input.cif")},
    **{f"{name} of other columns": bytes_of(name, b"a,b\n1,2\n") for name in TABLES},
    **{f"{name} of words": bytes_of(name, b"name,file,source,model,chain,number,insertion,residue,step,x\n"
                                          b"a,a,a,a,a,a,a,a,a,a\n") for name in TABLES},
    **{f"{name} of one huge cell": bytes_of(name, b"name,step\n" + b"9" * 200_000 + b",1\n") for name in TABLES},
    **{f"{name} a folder": directory(name) for name in (*TABLES, "rpdd.npz", "model_1.cif")},
    **{f"{name} gone": removed(name) for name in (*TABLES, "rpdd.npz", "model_1.cif", "model_2.cif", "input.cif")},
    "comparison.json a list": bytes_of("comparison.json", b"[]"),
    "comparison.json empty": bytes_of("comparison.json", b"{}"),
    "comparison.json deep": bytes_of("comparison.json", DEEP),
    "comparison.json cut": bytes_of("comparison.json", b'{"native": "x'),
    **{
        f"comparison.json {key} {value!r:.20}": comparison(**{key: value})
        for key in ("scores", "residues", "native_index", "per_residue", "native_quality", "matching", "native")
        for value in (7, [], {"input": {"lddt": ["x"], "gdt_ha": "x"}})
    },
}  # fmt: skip

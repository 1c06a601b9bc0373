"""Packing: a pack (``refine.training.pack``) made from structure files: read, filter, cluster, split, write.

The input is a folder of PDB, mmCIF or BinaryCIF files, or a table of them (tab-separated, with a header): column ``id``
names ``chains/ID.bcif.gz`` beside the table, or column ``file`` names any file; ``cluster30`` (or ``cluster``),
``split`` and ``quality`` are used where they are given. A file that cannot be used is logged, counted in the manifest
and left out.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refine.constants import AMINO_ACIDS
from refine.errors import InputError, RefineError
from refine.files import STRUCTURE_SUFFIXES, file_hash, harmless, json_text, stem, structure_files, write_text
from refine.networks.environment import CHAIN_BREAK
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.training.pack import ABSENT, COORDINATE_UNIT
from refine.workers import Workers

log = logging.getLogger(__name__)

FORMAT = "refine-pack-2"
SPLITS = ("train", "valid", "test")

_BOND = 2.0  # Å, C to N of the next residue, above which the chain is broken
_WORD = 5  # residues a word, for clustering
_SHARED = 0.3  # share of the shorter chain's words that puts two chains in one cluster
_WIDEST = np.iinfo(np.int16).max * COORDINATE_UNIT


@dataclasses.dataclass(frozen=True)
class PackSettings:
    """What enters a pack and how it is split.

    Attributes:
        min_residues: fewest packed residues of a chain.
        max_missing: largest share of a chain's residues that may lack N, CA, C or O.
        qualities: values of the table's ``quality`` column that are wanted; empty means all.
        valid, test: percent of the clusters in these splits, where the table does not give splits.
        workers: processes; the result does not depend on it.
    """

    min_residues: int = 20
    max_missing: float = 0.5
    qualities: tuple[str, ...] = ()
    valid: int = 5
    test: int = 5
    workers: int = 2


@dataclasses.dataclass(frozen=True)
class StructureFile:
    """One structure file and what the table says of it; ``cluster`` and ``split`` are empty where it says nothing."""

    name: str
    path: Path
    cluster: str = ""
    split: str = ""
    quality: str = "unknown"


@dataclasses.dataclass(frozen=True)
class Chain:
    """One chain, ready to be written: arrays as in a pack, coordinates in Å about its centre, absent atoms NaN."""

    name: str
    source: StructureFile
    backbone: NDArray[np.float32]
    side_chain: NDArray[np.float32]
    residue: NDArray[np.int8]
    position: NDArray[np.int32]
    origin: NDArray[np.int32]
    bonded: NDArray[np.bool_]

    @property
    def sequence(self) -> str:
        return "".join(AMINO_ACIDS[k] for k in self.residue)


@dataclasses.dataclass(frozen=True)
class FileResult:
    """What one file gave: its chains, its content's hash, and why the file or some of its chains were left out."""

    source: StructureFile
    digest: str
    chains: tuple[Chain, ...]
    refused: tuple[str, ...]


def build_pack(data: Path, out: Path, settings: PackSettings | None = None) -> Path:
    """Packs ``data`` (folder or table) into folder ``out``, which it returns; ``manifest.json`` is written last.

    Raises:
        InputError: nothing usable in ``data``, or a table without the needed columns.
    """
    settings = settings or PackSettings()
    sources = list(find_sources(data, settings))
    if not sources:
        raise InputError(
            "no structure files", file=str(data), remedy=f"Wanted: {', '.join(STRUCTURE_SUFFIXES)}, plain or gzipped."
        )
    results = list(_read_all(sources, settings))
    for result in results:
        for reason in result.refused:
            log.warning("%s is left out: %s", result.source.name, reason)
    chains = [chain for result in results for chain in result.chains]
    if not chains:
        raise InputError(
            "no chain of the data can be used", file=str(data), remedy="The log says why each was left out."
        )
    labelled = assign(chains, settings)
    out.mkdir(parents=True, exist_ok=True)
    _write_arrays(chains, out)
    _write_table(chains, labelled, out)
    manifest = _manifest(results, chains, labelled, settings)
    write_text(out / "manifest.json", json_text(manifest))
    log.info(
        "%d chains, %d residues packed; %d left out",
        manifest["chains"],
        manifest["residues"],
        len(manifest["left_out"]),  # type: ignore[arg-type]
    )
    return out


def find_sources(data: Path, settings: PackSettings) -> Iterator[StructureFile]:
    """Structure files of a folder (recursively, by name) or of a table."""
    if data.is_dir():
        for path in structure_files(data, below=True):
            yield StructureFile(stem(path), path)
        return
    try:
        rows = list(csv.DictReader(data.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            "the table of structures cannot be read", file=str(data), remedy="Give a folder or a .tsv file."
        ) from error
    for k, row in enumerate(rows):
        if not row.get("file") and not row.get("id"):
            raise InputError(
                f"row {k + 1} of the table names no structure", file=str(data), remedy="Fill a column 'id' or 'file'."
            )
        path = data.parent / (row.get("file") or f"chains/{row['id']}.bcif.gz")
        split, quality = row.get("split") or "", row.get("quality") or "unknown"
        if split and split not in SPLITS:
            raise InputError(
                f"unknown split '{split}'", file=str(data), residue=row.get("id"), remedy=f"Use {', '.join(SPLITS)}."
            )
        if not settings.qualities or quality in settings.qualities:
            yield StructureFile(
                row.get("id") or stem(path), path, row.get("cluster30") or row.get("cluster") or "", split, quality
            )


def _read_all(sources: Sequence[StructureFile], settings: PackSettings) -> Iterator[FileResult]:
    """What each source gave, in their order."""
    tasks = [(number, source, settings) for number, source in enumerate(sources)]
    if settings.workers < 2:
        yield from map(_read_one, tasks)
        return
    results: dict[int, FileResult] = {}
    with Workers(_read_one, settings.workers) as workers:
        for ended in workers.run(tasks):
            number, source, _ = ended.task
            if ended.raised is not None:
                raise ended.raised
            results[number] = FileResult(source, "", (), (ended.error,)) if ended.error else ended.answer
            if len(results) % 500 == 0:
                log.info("%d of %d files read", len(results), len(tasks))
    yield from (results[number] for number, *_ in tasks)


def _read_one(task: tuple[int, StructureFile, PackSettings]) -> FileResult:
    _, source, settings = task
    try:
        digest = file_hash(source.path)
        protein = read_structure(source.path).protein
    except (RefineError, OSError) as error:
        reason = error.message if isinstance(error, RefineError) else str(error.strerror)
        return FileResult(source, "", (), (reason,))
    chains, refused = [], []
    for name in protein.chains:
        keep = [i for i, r in enumerate(protein.residue_ids) if r.chain == name]
        title = source.name if len(protein.chains) == 1 else f"{source.name}_{name or 'blank'}"
        try:
            chains.append(pack_chain(protein.select(keep), title, source, settings))
        except InputError as error:
            refused.append(error.message)
    return FileResult(source, digest, tuple(chains), tuple(refused))


def pack_chain(protein: Protein, name: str, source: StructureFile, settings: PackSettings) -> Chain:
    """One chain's arrays: residues that lack N, CA, C or O are dropped.

    Raises:
        InputError: too short, too incomplete, or too large for the coordinate unit.
    """
    x, mask = protein.coords[0], protein.mask
    keep = np.flatnonzero(mask[:, :4].all(1))
    if len(keep) < settings.min_residues:
        raise InputError(f"{name}: only {len(keep)} residues with complete backbone")
    if len(keep) < (1.0 - settings.max_missing) * len(protein):
        raise InputError(f"{name}: {len(protein) - len(keep)} of {len(protein)} residues lack backbone atoms")
    backbone = x[keep, :4]
    centre = backbone[:, 1].mean(0)
    side_chain = np.where(mask[keep, 4:, None], x[keep, 4:] - centre, np.nan)
    if max(np.abs(backbone - centre).max(), np.nanmax(np.abs(side_chain), initial=0.0)) > _WIDEST:
        raise InputError(f"{name}: atoms more than {_WIDEST:.0f} Å from the centre")
    bonded = np.r_[np.linalg.norm(backbone[:-1, 2] - backbone[1:, 0], axis=1) < _BOND, False]
    breaks = np.r_[0, np.cumsum(~bonded[:-1])]
    return Chain(
        name=name,
        source=source,
        backbone=(backbone - centre).astype(np.float32),
        side_chain=side_chain.astype(np.float32),
        residue=np.array([AMINO_ACIDS.index(protein.sequence[i]) for i in keep], dtype=np.int8),
        position=(np.arange(len(keep)) + CHAIN_BREAK * breaks).astype(np.int32),
        origin=keep.astype(np.int32),
        bonded=bonded,
    )


def cluster(sequences: Sequence[str]) -> list[int]:
    """Cluster numbers of sequences: greedy, longest first, each joining the earliest founder with enough of its words.

    A sequence joins when at least 30 % of its distinct words of five residues occur in the founder, which happens from
    about 75–80 % identity on (words shared by chance are rarer than that). It keeps near copies out of the test split;
    it does not find remote homologues: for those give clusters in the table.
    """
    founders: dict[str, list[int]] = {}
    numbers = [-1] * len(sequences)
    count = 0
    for k in sorted(range(len(sequences)), key=lambda k: (-len(sequences[k]), sequences[k])):
        s = sequences[k]
        words = {s[i : i + _WORD] for i in range(max(1, len(s) - _WORD + 1))}
        shared = Counter(c for word in words for c in founders.get(word, ()))
        fitting = [c for c, n in shared.items() if n >= _SHARED * len(words)]
        if fitting:
            numbers[k] = min(fitting)
            continue
        numbers[k] = count
        for word in words:
            founders.setdefault(word, []).append(count)
        count += 1
    return numbers


def assign(chains: Sequence[Chain], settings: PackSettings) -> list[tuple[str, str]]:
    """Cluster and split of every chain, from the table or made here: the split by a hash of its cluster's name.

    A cluster made here bears the name of the first of its sequences in alphabetical order, hashed, so that neither the
    order nor the names of the files decide the split.
    """
    numbers = cluster([c.sequence for c in chains]) if any(not c.source.cluster for c in chains) else [0] * len(chains)
    first: dict[int, str] = {}
    for chain, number in zip(chains, numbers, strict=True):
        first[number] = min(first.get(number, chain.sequence), chain.sequence)
    names = [c.source.cluster or _digest(first[n])[:12] for c, n in zip(chains, numbers, strict=True)]
    split_of = {name: c.source.split for c, name in zip(chains, names, strict=True) if c.source.split}
    return [
        (name, c.source.split or split_of.get(name) or _split(name, settings))
        for c, name in zip(chains, names, strict=True)
    ]


def _split(cluster_name: str, settings: PackSettings) -> str:
    place = int(_digest(cluster_name), 16) % 100
    return "test" if place < settings.test else "valid" if place < settings.test + settings.valid else "train"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write_arrays(chains: Sequence[Chain], out: Path) -> None:
    for name in ("backbone", "side_chain"):
        values = np.round(np.concatenate([getattr(c, name) for c in chains]) / COORDINATE_UNIT)
        np.save(out / f"{name}.npy", np.nan_to_num(values, nan=ABSENT).astype(np.int16))
    for name in ("residue", "position", "origin", "bonded"):
        np.save(out / f"{name}.npy", np.concatenate([getattr(c, name) for c in chains]))


def _write_table(chains: Sequence[Chain], labelled: Sequence[tuple[str, str]], out: Path) -> None:
    with (out / "chains.tsv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(("id", "start", "length", "cluster", "split", "quality"))
        start = 0
        for chain, (cluster_name, split) in zip(chains, labelled, strict=True):
            texts = map(harmless, (cluster_name, split, chain.source.quality))
            writer.writerow((harmless(chain.name), start, len(chain.residue), *texts))
            start += len(chain.residue)


def _manifest(
    results: Sequence[FileResult], chains: Sequence[Chain], labelled: Sequence[tuple[str, str]], settings: PackSettings
) -> dict[str, object]:
    """What went in; the hash covers packed files' content, clusters and splits, and the settings that matter."""
    values = {name: v for name, v in dataclasses.asdict(settings).items() if name != "workers"}
    digests = {r.source: r.digest for r in results}
    lines = [
        f"{digests[c.source]} {c.name} {group} {split}" for c, (group, split) in zip(chains, labelled, strict=True)
    ]
    return {
        "format": FORMAT,
        "hash": _digest("\n".join([json.dumps(values, sort_keys=True), *sorted(lines)])),
        "settings": values,
        "files": len(results),
        "chains": len(chains),
        "residues": int(sum(len(c.residue) for c in chains)),
        "clusters": len({group for group, _ in labelled}),
        "splits": dict(sorted(Counter(split for _, split in labelled).items())),
        "qualities": dict(sorted(Counter(c.source.quality for c in chains).items())),
        "left_out": [{"id": r.source.name, "reason": reason} for r in results for reason in r.refused],
    }

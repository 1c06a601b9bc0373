"""What comes from a browser: judged by its content, held to limits, and told before anything runs."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from refine.assess.torsions import OUTLIER
from refine.assess.validate import Validation, validate
from refine.constants import ONE_TO_THREE, WATERS
from refine.errors import InputError, RefineError
from refine.files import stem
from refine.queue.settings import AppSettings
from refine.structure.connections import described
from refine.structure.file_estimate import FileEstimate
from refine.structure.protein import Protein
from refine.structure.read import ReadResult, read_structure
from refine.structure.source import open_source
from refine.structure.write import write_cif

ENDINGS = {"pdb": ".pdb", "mmcif": ".cif", "bcif": ".bcif"}
EVIDENCE_ENDINGS = (".tsv", ".tab", ".txt", ".toml", ".npz", ".json")
STRUCTURE_ENDINGS = (".pdb", ".ent", ".cif", ".mmcif", ".bcif", ".gz")
KNOWN_ENDINGS = {
    "evidence": EVIDENCE_ENDINGS,
    "template": STRUCTURE_ENDINGS,
    "together": STRUCTURE_ENDINGS,
    "density": (".npz",),
}
"""Field of ``Request`` that names files of what is known → their endings."""
MAX_NAME = 60
PROPAGATION, FINISHING, OVERHEAD = 0.0022, 0.029, 4.0
"""Seconds on one core: per residue and step, per residue and finished structure (medians of 42 models of predicted.tsv
on a busy machine, 14 steps, two structures finished and up to four that take their side chains), per run."""
LIGHT = 0.15
"""What a model costs in the finishing that takes the side chains of the first, as part of that one."""


@dataclasses.dataclass(frozen=True)
class Upload:
    """A structure that was found usable, unpacked.

    Attributes:
        name: to be shown: printable, short; still to be escaped like any text.
        file: name on disk: letters, digits, ``-``, ``_`` and ``.`` only, the ending by content.
        data: the file itself.
    """

    name: str
    file: str
    data: bytes


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something wrong at a residue.

    Attributes:
        chain, number, insertion: the residue.
        kind: ``gap``, ``missing``, ``clash``, ``ramachandran``, ``geometry``.
        text: one sentence.
    """

    chain: str
    number: int
    insertion: str
    kind: str
    text: str


@dataclasses.dataclass(frozen=True)
class Preview:
    """What was read from an upload.

    Attributes:
        chains: chain id, first and last residue, number of residues, of each chain.
        residues: of all chains; models: in the file; format: ``pdb``, ``mmcif`` or ``bcif``.
        hetero: residue name → how many (ligands, ions, waters, nucleotides), carried along.
        hetero_places: (x, y, z) in Å of their atoms, waters left out.
        notes: what was decided while reading.
        bonds: what is bonded besides the chain, one text a bond; see ``structure.connections``.
        estimate: what the B column says of the model's accuracy.
        problems: residue by residue, worst kinds first.
        quality: numbers of ``assess.validate``.
        cif: the protein and its hetero atoms, waters left out, for the viewer.
        protein: as read, nothing rebuilt.
    """

    chains: tuple[tuple[str, str, str, int], ...]
    residues: int
    models: int
    format: str
    hetero: dict[str, int]
    hetero_places: tuple[tuple[float, float, float], ...]
    notes: tuple[str, ...]
    bonds: tuple[str, ...]
    estimate: FileEstimate
    problems: tuple[Problem, ...]
    quality: dict[str, float]
    cif: str
    protein: Protein


def shown_name(name: str) -> str:
    """A file name made fit to be shown: last part of any path, printable, at most ``MAX_NAME`` characters."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(c for c in last if c.isprintable()).strip()[:MAX_NAME] or "model"


def disk_name(name: str, form: str) -> str:
    """A file name for the disk of whatever a browser sent; ``form`` as ``Source.format``."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", stem(Path(shown_name(name)))).strip("._-")[:MAX_NAME]
    return f"{safe or 'model'}{ENDINGS[form]}"


def check_upload(name: str, data: bytes, settings: AppSettings, place: Path) -> Upload:
    """Unpack and recognise an upload by its content; ``place`` is a folder for it while that lasts.

    Raises:
        InputError: too large, packed larger than allowed, an archive, or no structure; names the file.
    """
    name_shown = shown_name(name)
    if len(data) > settings.max_upload_mb * 1e6:
        raise InputError(
            f"the file is larger than {settings.max_upload_mb} MB",
            file=name_shown,
            remedy="Cut out the chains you want to refine",
        )
    path = place / "upload"
    path.write_bytes(data)
    try:
        source = open_source(path, max_bytes=int(settings.max_unpacked_mb * 1e6))
    except RefineError as error:
        raise InputError(error.message, file=name_shown, remedy=error.remedy) from error
    return Upload(name_shown, disk_name(name, source.format), source.data)


def examine(upload: Upload, settings: AppSettings, place: Path) -> Preview:
    """Read an upload and say what is there and what is wrong with it.

    Args:
        upload: as checked.
        settings: for the limit of residues.
        place: a folder to work in.

    Raises:
        InputError: it cannot be refined; names file, chain, residue and remedy.
    """
    read = read_checked(upload, settings, place)
    dry = [k for k, h in enumerate(read.protein.hetero) if h.residue_name not in WATERS]
    view = place / "view.cif"
    write_cif(read.protein.with_hetero(dry), view)
    cif = view.read_text(encoding="utf-8")
    checked = validate(read.protein)
    groups = {(h.chain, h.number, h.insertion, h.residue_name) for h in read.protein.hetero}
    return Preview(
        chains=tuple(_chains(read.protein)),
        residues=len(read.protein),
        models=read.models,
        format=read.format,
        hetero=dict(Counter(name for *_, name in sorted(groups)).most_common()),
        hetero_places=tuple(read.protein.hetero[k].position for k in dry),
        notes=tuple(str(note) for note in read.notes),
        bonds=tuple(_bonds(read.protein)),
        estimate=read.estimate,
        problems=tuple(_problems(read, checked)),
        quality=checked.totals(),
        cif=cif,
        protein=read.protein,
    )


def _bonds(protein: Protein) -> Iterator[str]:
    for bond in described(protein):
        yield f"{bond['kind']}: {bond['first']} – {bond['second']}, {bond['distance']:.2f} Å"


def read_checked(upload: Upload, settings: AppSettings, place: Path) -> ReadResult:
    """Read an upload in the folder ``place``; errors name the file as the user knows it. See ``examine``."""
    path = place / upload.file
    path.write_bytes(upload.data)
    try:
        return read_structure(path, max_residues=settings.max_residues)
    except RefineError as error:
        raise InputError(
            error.message, file=upload.name, chain=error.chain, residue=error.residue, remedy=error.remedy
        ) from error


def known_name(name: str, kind: str = "evidence") -> str:
    """A file name for the disk of a file of what is known; ``kind`` of ``KNOWN_ENDINGS``."""
    ending = Path(shown_name(name)).suffix.lower()
    if ending not in KNOWN_ENDINGS[kind]:
        names = {"template": "a relative", "together": "another model", "density": "a torsion density"}
        raise InputError(
            f"{names.get(kind, kind)} is not read from {ending or 'a file without ending'}",
            file=shown_name(name),
            remedy=f"Give {', '.join(KNOWN_ENDINGS[kind])}",
        )
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(shown_name(name)).stem).strip("._-")[:MAX_NAME]
    return f"{kind}_{safe or 'file'}{ending}"


def of_kind(names: Iterable[str], kind: str) -> tuple[str, ...]:
    """Those of ``names`` that ``known_name`` made for ``kind``."""
    return tuple(name for name in names if name.startswith(f"{kind}_"))


def too_much(name: str, what: str) -> InputError:
    """The error of a file that takes more than it may."""
    remedy = "Cut out the chains you want to refine, or use the refine command on your own machine"
    return InputError(f"reading this file {what}, the limit of this server", file=shown_name(name), remedy=remedy)


def estimate(residues: int, steps: int, models: int) -> float:
    """Seconds that a run takes on one core, roughly."""
    return OVERHEAD + residues * (PROPAGATION * steps + FINISHING * (2.0 + LIGHT * (models - 1)))


def _chains(protein: Protein) -> list[tuple[str, str, str, int]]:
    chains = []
    for chain in protein.chains:
        inside = [r for r in protein.residue_ids if r.chain == chain]
        chains.append(
            (
                chain,
                f"{inside[0].number}{inside[0].insertion}",
                f"{inside[-1].number}{inside[-1].insertion}",
                len(inside),
            )
        )
    return chains


def _problems(read: ReadResult, checked: Validation) -> list[Problem]:
    protein = read.protein
    problems: list[Problem] = []

    def add(i: int, kind: str, text: str) -> None:
        identity = protein.residue_ids[i]
        problems.append(Problem(identity.chain, identity.number, identity.insertion, kind, text))

    for i in range(len(protein) - 1):
        if not protein.bonded[i] and protein.residue_ids[i].chain == protein.residue_ids[i + 1].chain:
            add(i, "gap", "the chain is broken after this residue; the gap stays")
    for i, letter in enumerate(protein.sequence):
        names = protein.atom_names(i)
        lost = [name for slot, name in enumerate(names) if not protein.mask[i, slot]]
        if lost:
            add(
                i,
                "missing",
                f"{len(lost)} of {len(names)} atoms of {ONE_TO_THREE[letter]} are missing and will be built",
            )
    for i in np.flatnonzero(checked.ramachandran == OUTLIER).tolist():
        add(i, "ramachandran", "phi and psi are unlikely (Ramachandran outlier)")
    for outlier in checked.outliers:
        add(outlier.residue, "geometry", f"{outlier.kind} outlier: {' '.join(outlier.atoms)}")
    for i in np.flatnonzero(checked.clashes_per_residue).tolist():
        count = int(checked.clashes_per_residue[i])
        add(i, "clash", f"{count} clash{'es' * (count > 1)} with other atoms")
    return problems

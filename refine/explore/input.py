"""What is explored: a peptide, a structure file, or model 1 of a run folder."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refine.errors import InputError
from refine.files import file_hash, stem
from refine.run.folder import RUN_FILE
from refine.run.result import read_run
from refine.sampling.settings import ExploreSettings
from refine.sampling.subject import ModelSubject, PeptideSubject, Subject
from refine.sampling.variables import Variable, backbone_torsions, read_variables
from refine.structure.notes import Note
from refine.structure.prepare import prepare


@dataclasses.dataclass(frozen=True)
class Explored:
    """An input that is ready to be explored.

    Attributes:
        name: of the file or the sequence; digest: SHA-256 of the file, or of the sequence.
        subject: what is simulated; variables: over which; towards: (d,) their values in a second structure.
        notes: on the input.
    """

    name: str
    digest: str
    subject: Subject
    variables: tuple[Variable, ...]
    towards: NDArray[np.float64] | None
    notes: tuple[Note, ...]


def explored_input(
    path: Path | None, sequence: str | None, variables: Path | None, towards: Path | None, settings: ExploreSettings
) -> Explored:
    """Read what is to be explored; exactly one of ``path`` and ``sequence`` is given.

    Raises:
        InputError: the input, the variables or the second structure cannot be used.
    """
    if (path is None) == (sequence is None):
        raise InputError("give an input or --sequence, one of them")
    notes: tuple[Note, ...] = ()
    subject: Subject
    if sequence is not None:
        if settings.loop or settings.freeze:
            raise InputError("a sequence has no --loop and no frozen residues", remedy="Leave them out")
        name, digest, subject = sequence, hashlib.sha256(sequence.encode()).hexdigest(), PeptideSubject(sequence)
    else:
        assert path is not None
        source = source_of(path)
        name, digest = source.name, file_hash(source)
        prepared = prepare(source, model=settings.model, freeze=settings.freeze, keep_hands=settings.keep_hands)
        subject, notes = ModelSubject(prepared, settings.loop, settings.around), prepared.notes
    if variables is None and sequence is None:
        raise InputError("no variables", remedy="Name one to six in a file and give it with --variables")
    chosen = backbone_torsions(subject) if variables is None else read_variables(variables, subject)
    return Explored(name, digest, subject, chosen, _second(towards, chosen, settings, subject), notes)


def source_of(path: Path) -> Path:
    """The file itself, or model 1 of a run folder."""
    if not path.is_dir():
        return path
    if not (path / RUN_FILE).is_file():
        raise InputError("the folder is no run folder", file=str(path), remedy="Give a file, or the folder of a run")
    models = read_run(path).models
    if not models:
        raise InputError("the run has no model", file=str(path), remedy="Run refine again")
    return models[0]


def default_out(path: Path | None, sequence: str | None, ending: str) -> Path:
    """NAME_ending, beside the working directory."""
    name = sequence.lower() if sequence else path.name if path is not None and path.is_dir() else stem(path or Path())
    return Path(f"{name}_{ending}")


def _second(
    towards: Path | None, variables: tuple[Variable, ...], settings: ExploreSettings, subject: Subject
) -> NDArray[np.float64] | None:
    """Values of the variables in a second structure."""
    if towards is None:
        return None
    if settings.bias != "adversary":
        raise InputError("--towards is for --bias adversary", remedy="Leave it out")
    place = subject.placed(source_of(towards))
    values = np.array([float(v.of(place[None])[0]) for v in variables])
    if np.isnan(values).any():
        name = variables[int(np.isnan(values).argmax())].name
        raise InputError(
            f"the second structure lacks an atom of the variable {name!r}, or has another residue there",
            file=str(towards),
            remedy="Give the same protein, numbered alike",
        )
    return values

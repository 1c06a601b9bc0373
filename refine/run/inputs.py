"""An input as the stages of a run take it: prepared, with what is expected and what is known of it."""

from __future__ import annotations

from pathlib import Path

from refine.accuracy.input_accuracy import InputAccuracy, confidence_networks, input_accuracy
from refine.engine import Engine
from refine.evidence.read import Evidence, read_evidence
from refine.evidence.structures import OtherModel
from refine.memory import check_memory
from refine.networks.weights import Networks
from refine.progress import Progress
from refine.settings import RunSettings
from refine.structure.notes import summary_lines
from refine.structure.prepare import Prepared, prepare


def prepared_for(path: Path, settings: RunSettings) -> Prepared:
    """The input as a run with these settings takes it; errors as of ``prepare`` and ``check_memory``."""
    prepared = prepare(path, model=settings.model, freeze=settings.freeze, keep_hands=settings.keep_hands)
    check_memory(len(prepared.protein), str(path))
    return prepared


def accuracy_of(prepared: Prepared, engine: Engine) -> InputAccuracy:
    """What is expected of an input: by the packaged networks, from the input as it came, whatever the settings."""
    networks = confidence_networks(engine.networks, str(engine.system.device))
    return input_accuracy(prepared.usual.replica(0), prepared.estimate, networks)


def evidence_for(prepared: Prepared, settings: RunSettings, networks: Networks | None) -> Evidence | None:
    """What ``settings`` know of an input, None for nothing; errors as of ``read_evidence``."""
    if not settings.evidence_files:
        return None
    models = [other_model(Path(path), settings, networks) for path in settings.together]
    return read_evidence(settings.evidence, prepared.protein, settings.template, models)


def other_model(path: Path, settings: RunSettings, networks: Networks | None) -> OtherModel:
    """A model of the same protein as the input's, with what is expected of it; errors as of ``prepare``."""
    prepared = prepare(path)
    accuracy = accuracy_of(prepared, Engine(prepared.protein, networks, settings))
    return OtherModel(path, prepared.protein, accuracy.error)


def tell_notes(prepared: Prepared, progress: Progress) -> None:
    """Repairs and losses of an input, a line each."""
    for line in summary_lines(prepared.notes):
        progress("repair", message=line)

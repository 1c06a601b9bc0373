"""Variables for the exploration of a peptide: the torsions that a sampler learned from its forces turns most."""

from __future__ import annotations

from pathlib import Path

from refine.errors import InputError
from refine.files import write_output
from refine.physics.dynamics import PEPTIDE_FORCE_FIELD
from refine.progress import Progress
from refine.sampling.peptide_sampler import SETTINGS, TEMPERING, PeptideLaw, learn, variables_text
from refine.sampling.reverse_kl import Batch
from refine.sampling.surrogate import Surrogate, SurrogateSettings
from refine.sampling.tempering import TemperingSettings
from refine.sampling.variables import MOST
from refine.settings_checks import at_least, at_most, within

FINAL_UPDATES = 400


def write_variables(
    sequence: str,
    out: Path,
    *,
    count: int = 2,
    temperature: float = 300.0,
    seed: int = 0,
    progress: Progress | None = None,
    settings: SurrogateSettings = SETTINGS,
    tempering: TemperingSettings = TEMPERING,
    final_updates: int = FINAL_UPDATES,
) -> Path:
    """Learn a sampler of a peptide and write the torsions that it turns most as ``refine explore --variables`` reads
    them.

    Args:
        sequence: ``ACE-ALA-NME``; out: file; count: of torsions at most; temperature: K; seed: of the learning.
        progress: told of every temperature of the learning.

    Raises:
        InputError: the sequence or an option is bad, or the file cannot be written.
        EngineError: OpenMM cannot set the peptide up.
    """
    within("count", count, 1, MOST)
    within("temperature", temperature, 200.0, 600.0)
    at_least("seed", seed, 0)
    at_most("seed", seed, 2**63 - 1)
    if out.exists() and not out.is_file():
        raise InputError("the output file is a folder", file=str(out), remedy="Give another --out")
    law, tell = PeptideLaw(sequence, temperature, PEPTIDE_FORCE_FIELD), progress or Progress()
    done = 0

    def watch(model: Surrogate, batch: Batch) -> dict[str, float]:  # noqa: ARG001
        nonlocal done
        done += 1
        tell("learn", message=f"temperature {done}, mean energy {float(batch.energy.mean()):.0f} kT")
        return {}

    learned = learn(law, seed, settings, tempering, watch, final_updates)
    write_output(out, variables_text(learned, count))
    return out

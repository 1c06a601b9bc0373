"""From a moved backbone with rigidly carried side chains to an all-atom model without severe errors."""

from __future__ import annotations

import dataclasses
import functools
import logging
import time

import numpy as np
import openmm
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from refine.errors import EngineError
from refine.finishing.checks import CheckReport, compare_stereo, spoiled_residues, stereo
from refine.finishing.relax import SOLVENT_MAX_ATOMS, Relaxer, Stage
from refine.finishing.repacking import repack
from refine.finishing.settings import FinishSettings
from refine.structure.atom_list import AtomList
from refine.structure.chemistry import CLASH_OVERLAP
from refine.structure.connections import held_residues
from refine.structure.protein import Protein
from refine.structure.side_chains import complete_side_chains

log = logging.getLogger(__name__)

_REACH = 10.0
"""Å from the protein within which hetero atoms count: side chains turn by up to 6, and clash at up to 4."""
_ROUNDS = 2
"""How often residues that relaxing spoils are put back and the others relaxed around them."""


@dataclasses.dataclass(frozen=True)
class StageReport:
    """Name, energies (kcal/mol), iterations, seconds and end (``done``, ``time``, ``failed``) of one minimisation
    step.
    """

    name: str
    energy_before: float
    energy: float
    iterations: int
    seconds: float
    end: str


@dataclasses.dataclass(frozen=True)
class FinishReport:
    """What finishing did.

    Attributes:
        flag: ``complete``; ``time`` (cap reached, best so far returned); ``partial`` (a less relaxed structure had to
            be taken); ``unrelaxed`` (no minimisation was possible); ``off`` (relaxation not asked for).
        level: which structure was returned: the last minimisation step kept, ``repacked`` or ``input``.
        completed, repacked: residues (author identities) whose side chains were completed or turned.
        clashes_before, clashes_after: heavy-atom pairs overlapping by more than 0.4 Å (quick count).
        mean_ca_shift, max_ca_shift: displacement of CA in Å.
        stages: the minimisation steps.
        checks: stereochemistry before and after.
        platform: OpenMM platform, empty without relaxation.
        seconds: wall time without the set-up of the system; ``setup_seconds`` that of the set-up, 0 when it was there
            already.
        notes: sentences for the user.
    """

    flag: str
    level: str
    completed: tuple[str, ...]
    repacked: tuple[str, ...]
    clashes_before: int
    clashes_after: int
    mean_ca_shift: float
    max_ca_shift: float
    stages: tuple[StageReport, ...]
    checks: CheckReport
    platform: str
    seconds: float
    setup_seconds: float
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class FinishResult:
    """The finished protein (R = 1) and the report."""

    protein: Protein
    report: FinishReport


class Finisher:
    """Finishes many models of one protein; the OpenMM system is built once, at the first one.

    Args:
        reference: the protein all models share (R = 1): its connections, protonation and hetero atoms hold for all of
            them.
        settings: of this stage.
        mobile: (L,) bool, False where heavy atoms must not move; None means all may but those that connections hold.
    """

    def __init__(self, reference: Protein, settings: FinishSettings, mobile: NDArray[np.bool_] | None = None) -> None:
        assert reference.replicas == 1, reference.replicas
        self.settings = settings
        self.mobile = np.ones(len(reference), dtype=np.bool_) if mobile is None else np.array(mobile, dtype=np.bool_)
        assert self.mobile.shape == (len(reference),), self.mobile.shape
        self.mobile &= ~held_residues(reference)
        self._near = _near_hetero(reference)
        reference = reference.with_hetero(self._near)
        self.reference = complete_side_chains(reference).protein if settings.side_chains else reference
        self._relaxer: Relaxer | None = None
        self._lists: dict[bytes, AtomList] = {}
        self._problem = ""

    def _set_up(self) -> float:
        """Build the OpenMM system if that has not been tried; seconds spent."""
        if self._relaxer is not None or self._problem or not self.settings.relax:
            return 0.0
        begun = time.monotonic()
        try:
            self._relaxer = Relaxer(self.reference, self.settings, self.mobile)
        except (EngineError, openmm.OpenMMException) as error:
            self._problem = error.message if isinstance(error, EngineError) else f"OpenMM failed: {error}"
            log.warning("%s: not relaxed: %s", self.reference.name, error)
        return time.monotonic() - begun

    def finish(
        self, protein: Protein, *, refined: bool = False, keep: bool = False, settled: bool = False
    ) -> FinishResult:
        """Finish one model of the reference protein.

        Completes and repacks side chains, then minimises with the backbone restrained. The most relaxed structure that
        has no new stereochemical error and no more clashes than the input is returned. Never fails because minimisation
        does; the flag of the report tells. Coordinates of hetero atoms and of residues that are not mobile stay, but
        for completed atoms.

        Args:
            protein: R = 1, same residues as the reference.
            refined: its backbone comes from the propagation and is held harder, see
                ``FinishSettings.refined_restraint``.
            keep: hold the side chains too where they clash with nothing, see ``FinishSettings.kept_side_chains``.
            settled: its side chains are those of a finished model nearby, see ``Relaxer.relax``.
        """
        assert protein.replicas == 1 and protein.sequence == self.reference.sequence
        whole, protein = protein, protein.with_hetero(self._near)
        setup = self._set_up()
        begun = time.monotonic()
        deadline = begun + self.settings.max_seconds
        completed: tuple[int, ...] = ()
        repacked: tuple[int, ...] = ()
        start = protein
        if self.settings.side_chains:
            completion = complete_side_chains(protein)
            completed = completion.built
            start, repacked = repack(completion.protein, self.mobile, begun + 0.3 * self.settings.max_seconds)
        kept = self._kept(start, {*completed, *repacked}) if keep else frozenset()
        stages, restored, failure = self._relax(protein, start, deadline, kept, refined=refined, settled=settled)
        level, chosen, checks = self._choose(protein, start, stages)
        ids = protein.residue_ids
        notes = tuple(note for note in (self._problem, failure) if note)
        if restored:
            names = ", ".join(str(ids[i]) for i in sorted(restored))
            notes += (f"relaxing spoiled these residues, so they stay as they were: {names}",)
        if self._relaxer is not None and self.settings.solvent and not self._relaxer.with_solvent:
            notes += (f"solvent step left out: more than {SOLVENT_MAX_ATOMS} atoms on a CPU",)
        shift = np.linalg.norm(chosen.coords[0, :, 1] - protein.coords[0, :, 1], axis=-1)[protein.mask[:, 1]]
        report = FinishReport(
            flag=self._flag(level, stages, failure),
            level=level,
            completed=tuple(str(ids[i]) for i in completed),
            repacked=tuple(str(ids[i]) for i in repacked),
            clashes_before=self._clashes(protein),
            clashes_after=self._clashes(chosen),
            mean_ca_shift=float(shift.mean()) if len(shift) else 0.0,
            max_ca_shift=float(shift.max(initial=0.0)),
            stages=tuple(
                StageReport(s.name, s.energy_before, s.energy, s.iterations, s.seconds, s.end) for s in stages
            ),
            checks=checks,
            platform=self._relaxer.platform if self._relaxer is not None else "",
            seconds=time.monotonic() - begun,
            setup_seconds=setup,
            notes=notes,
        )
        moved = whole.with_coords(chosen.coords, oxt=chosen.oxt).with_riders(chosen.rider_places())
        finished = dataclasses.replace(chosen, hetero=moved.hetero, connections=whole.connections)
        return FinishResult(finished, report)

    def _kept(self, protein: Protein, made: set[int]) -> frozenset[int]:
        """Residues none of whose atoms clash; those whose side chains have just been ``made`` are left out."""
        atoms = self._atoms(protein)
        pairs, _ = atoms.overlaps(atoms.positions(protein), CLASH_OVERLAP)
        clashing = set(atoms.residue[pairs].ravel().tolist())
        return frozenset(range(len(protein))) - clashing - made

    def _relax(
        self, protein: Protein, start: Protein, deadline: float, kept: frozenset[int], *, refined: bool, settled: bool
    ) -> tuple[list[Stage], frozenset[int], str]:
        """Minimise; when that spoiled stereochemistry or connections, once more with those residues held hard; and
        when some are spoiled still, or there are more clashes than before, put these residues and their neighbours back
        where they were and relax around them (twice at most, and not more than half of the protein).

        Returns:
            the steps that were done, the residues that were put back, and what OpenMM failed with, empty when it did
            not.
        """
        stages: list[Stage] = []
        region: frozenset[int] = frozenset()
        if self._relaxer is None:
            return stages, region, ""
        before = stereo(protein)
        relax = functools.partial(self._relaxer.relax, refined=refined, settled=settled)
        try:
            stages = relax(start, deadline, kept=kept)
            spoiled = spoiled_residues(before, stereo(_moved(start, stages[-1])))
            if spoiled and time.monotonic() < deadline:
                log.info("%s: minimised again with %d residues held, to keep what they are", protein.name, len(spoiled))
                stages += relax(start, deadline, spoiled, kept)
            for _ in range(_ROUNDS):
                relaxed = _moved(start, stages[-1])
                spoiled = spoiled_residues(before, stereo(relaxed)) | self._newly_clashing(start, relaxed)
                wider = region | self._with_neighbours(spoiled)
                if len(wider) == len(region) or len(wider) > len(protein) / 2 or time.monotonic() >= deadline:
                    break
                region = wider
                log.info("%s: %d residues put back where they were", protein.name, len(region))
                mixed = _restored(relaxed, start, region)
                stages += relax(mixed, deadline, frozenset(), kept, region)
        except EngineError as error:
            log.warning("%s: %s", protein.name, error)
            return stages, region, error.message
        return stages, region, ""

    def _newly_clashing(self, before: Protein, after: Protein) -> frozenset[int]:
        """Residues whose atoms clash ``after`` and did not ``before``; none when there are no more clashes than there
        were.
        """
        atoms = self._atoms(before)
        old, new = (atoms.overlaps(atoms.positions(p), CLASH_OVERLAP)[0] for p in (before, after))
        if len(new) <= len(old):
            return frozenset()
        known = {tuple(pair) for pair in old.tolist()}
        fresh = np.array([pair for pair in new.tolist() if tuple(pair) not in known])
        return frozenset(atoms.residue[fresh].ravel().tolist()) - {-1}

    def _with_neighbours(self, residues: frozenset[int]) -> frozenset[int]:
        bonded = self.reference.bonded
        after = {i + 1 for i in residues if bonded[i]}
        return residues | after | {i - 1 for i in residues if i > 0 and bonded[i - 1]}

    def _atoms(self, protein: Protein) -> AtomList:
        """The atoms of a model, listed once for all models that have the same."""
        key = protein.mask.tobytes() + protein.oxt_mask.tobytes()
        if key not in self._lists:
            self._lists[key] = AtomList.from_protein(protein)
        return self._lists[key]

    def _clashes(self, protein: Protein) -> int:
        atoms = self._atoms(protein)
        return len(atoms.overlaps(atoms.positions(protein), CLASH_OVERLAP)[1])

    def _choose(self, protein: Protein, start: Protein, stages: list[Stage]) -> tuple[str, Protein, CheckReport]:
        """The most relaxed structure that adds neither stereochemical errors nor clashes; failing that, the one with
        fewest.
        """
        before = stereo(protein)
        limit = self._clashes(start)
        best: tuple[tuple[int, int], str, Protein, CheckReport] | None = None
        options = [(s.name, _moved(start, s)) for s in reversed(stages) if s.end != "failed" and s.iterations > 0]
        for level, option in [*options, ("repacked" if start is not protein else "input", start)]:
            checks = compare_stereo(protein, before, stereo(option))
            score = (checks.introduced, max(self._clashes(option) - limit, 0))
            if best is None or score < best[0]:
                best = (score, level, option, checks)
            if score == (0, 0):
                break
        assert best is not None
        return best[1:]

    def _flag(self, level: str, stages: list[Stage], failure: str) -> str:
        if not self.settings.relax:
            return "off"
        if level in ("input", "repacked"):
            return "unrelaxed"
        if stages[-1].end == "time":
            return "time"
        if failure:
            return "partial"
        return "complete" if level == stages[-1].name else "partial"


def _near_hetero(protein: Protein) -> list[int]:
    """Indices of the heavy hetero atoms within ``_REACH`` of the protein; their hydrogens count with them, as those of
    the protein do.
    """
    if not protein.hetero:
        return []
    heavy = np.array([atom.element.strip().upper() not in ("H", "D") for atom in protein.hetero])
    points = np.array([atom.position for atom in protein.hetero])
    own = protein.coords[0][protein.mask].astype(np.float64)
    near = np.isfinite(cKDTree(own).query(points, distance_upper_bound=_REACH)[0])
    return np.flatnonzero(heavy & near).tolist()


def _restored(protein: Protein, source: Protein, region: frozenset[int]) -> Protein:
    """``protein`` with the residues of ``region`` where ``source`` has them."""
    there = np.isin(np.arange(len(protein)), sorted(region))
    coords = np.where(there[None, :, None, None], source.coords, protein.coords)
    back = there[[rider.residue for rider in protein.riders]]
    riders = np.where(back[:, None], source.rider_places(), protein.rider_places())
    mixed = protein.with_coords(coords, oxt=np.where(there[None, :, None], source.oxt, protein.oxt))
    return mixed.with_riders(riders)


def _moved(protein: Protein, stage: Stage) -> Protein:
    return protein.with_coords(stage.coords[None], oxt=stage.oxt[None]).with_riders(stage.riders)


def finish(protein: Protein, settings: FinishSettings, mobile: NDArray[np.bool_] | None = None) -> FinishResult:
    """Finish one protein (R = 1); for several models of the same protein build a ``Finisher`` once.

    Args:
        protein: R = 1.
        settings: of this stage.
        mobile: (L,) bool, False where heavy atoms must not move; None means all may.
    """
    return Finisher(protein, settings, mobile).finish(protein)

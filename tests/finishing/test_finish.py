"""Finishing as a whole: what it must improve, keep, and survive."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import openmm
import pytest

from refine.errors import InputError
from refine.finishing.checks import compare_stereo, stereo
from refine.finishing.finish import Finisher, finish
from refine.finishing.relax import Relaxer, Stage
from refine.finishing.settings import FinishSettings
from refine.structure.connections import connections
from refine.structure.peptides import omega
from refine.structure.protein import HeteroAtom, Protein
from refine.structure.read import read_structure
from tests.finishing.peptides import peptide

SETTINGS = FinishSettings(device="cpu")
SEQUENCE = "MKELLSRGVCWYTDNPAAHQFICEKL"


def joints_bent(chain: Protein, size: float, seed: int = 0) -> Protein:
    """Every residue displaced rigidly at random: stretched peptide bonds, as the engine leaves them."""
    shift = np.random.default_rng(seed).normal(0, size, (1, len(chain), 1, 3)).astype(np.float32)
    return chain.with_coords(np.where(chain.mask[None, :, :, None], chain.coords + shift, 0), oxt=chain.oxt)


def peptide_bond_lengths(chain: Protein) -> np.ndarray:
    i = np.nonzero(chain.bonded)[0]
    return np.linalg.norm(chain.coords[0, i, 2] - chain.coords[0, i + 1, 0], axis=-1)


@pytest.fixture(scope="module")
def bent() -> Protein:
    return joints_bent(peptide(SEQUENCE), 0.25)


def test_bent_joints_are_healed_near_where_they_were(bent: Protein) -> None:
    result = finish(bent, SETTINGS)
    assert np.abs(peptide_bond_lengths(bent) - 1.335).max() > 0.2
    assert np.abs(peptide_bond_lengths(result.protein) - 1.335).max() < 0.05
    assert result.report.flag == "complete" and result.report.level == "solvent"
    assert result.report.mean_ca_shift < 0.35
    assert result.report.clashes_after <= result.report.clashes_before
    assert result.report.checks.introduced == 0
    assert (result.protein.coords[0][~result.protein.mask] == 0).all()


def test_side_chains_that_clash_with_nothing_are_held_when_they_are_to_be_kept() -> None:
    chain = finish(peptide(SEQUENCE), SETTINGS).protein  # strain and clashes are gone
    finisher = Finisher(chain, SETTINGS)

    def moves(keep: bool) -> np.ndarray:
        after = finisher.finish(chain, refined=True, keep=keep).protein
        return np.linalg.norm(after.coords[0] - chain.coords[0], axis=-1)[:, 5:][chain.mask[:, 5:]]

    held, free = moves(True), moves(False)
    assert held.mean() < 0.7 * free.mean()
    crowded = chain.with_coords(chain.coords.copy(), oxt=chain.oxt)
    crowded.coords[0, 20, 4:] += crowded.coords[0, 3, 4] - crowded.coords[0, 20, 4]  # on top of residue 3
    kept = finisher._kept(crowded, {7})
    assert not {3, 7, 20} & kept and len(kept) > 10


def test_same_input_same_bytes(bent: Protein) -> None:
    finisher = Finisher(bent, SETTINGS)
    first = finisher.finish(bent).protein.coords.tobytes()
    finisher.finish(joints_bent(bent, 0.1, seed=5))
    assert finisher.finish(bent).protein.coords.tobytes() == first
    assert finish(bent, SETTINGS).protein.coords.tobytes() == first
    after = finisher.finish(bent, refined=True)  # one that begins near where the last one ended
    assert (
        after.protein.coords.tobytes() == Finisher(bent, SETTINGS).finish(bent, refined=True).protein.coords.tobytes()
    )


def test_frozen_residues_stay_to_the_bit(bent: Protein) -> None:
    mobile = np.ones(len(bent), dtype=np.bool_)
    mobile[5:12] = False
    done = finish(bent, SETTINGS, mobile).protein
    assert np.array_equal(done.coords[0, 5:12], bent.coords[0, 5:12])
    assert not np.array_equal(done.coords[0, 14:], bent.coords[0, 14:])


def test_gaps_stay_open_and_no_terminal_oxygen_appears() -> None:
    chain = peptide(SEQUENCE)
    broken = chain.select([*range(8), *range(12, 18), 21])
    done = finish(broken, SETTINGS)
    gap = np.linalg.norm(done.protein.coords[0, 7, 2] - done.protein.coords[0, 8, 0])
    assert gap == pytest.approx(np.linalg.norm(broken.coords[0, 7, 2] - broken.coords[0, 8, 0]), abs=0.6)
    assert not done.protein.oxt_mask.any()
    assert np.array_equal(done.protein.coords[0, -1], broken.coords[0, -1])
    assert done.report.flag == "complete"


def test_a_terminal_oxygen_of_the_input_moves_along() -> None:
    chain = peptide("AAAAAA")
    oxt = np.zeros((1, 6, 3), np.float32)
    oxt[0, 5] = chain.coords[0, 5, 2] + np.array([0.0, 0.0, 1.2], np.float32)
    mask = np.array([False] * 5 + [True])
    done = finish(dataclasses.replace(chain, oxt=oxt, oxt_mask=mask), SETTINGS).protein
    assert np.array_equal(done.oxt_mask, mask)
    assert np.linalg.norm(done.oxt[0, 5] - done.coords[0, 5, 2]) == pytest.approx(1.25, abs=0.05)
    assert (done.oxt[0, :5] == 0).all()


def test_hetero_atoms_obstruct_and_do_not_move() -> None:
    helix = peptide("A" * 14)
    ca, cb = helix.coords[0, 7, 1], helix.coords[0, 7, 4]
    wall = tuple(float(v) for v in cb + 2.3 * (cb - ca) / np.linalg.norm(cb - ca))
    atom = HeteroAtom("A", 99, "", "LIG", "C1", "C", wall)
    met = dataclasses.replace(helix, hetero=(atom, dataclasses.replace(atom, altloc="B")))
    done = finish(met, SETTINGS).protein
    before, after = (np.linalg.norm(x.coords[0][x.mask] - wall, axis=-1).min() for x in (met, done))
    assert after > before + 0.3
    assert done.hetero == met.hetero


def test_guarded_residues_are_held_harder_than_others(bent: Protein) -> None:
    relaxer = Relaxer(bent, SETTINGS, np.ones(len(bent), dtype=np.bool_))
    free, held = (
        relaxer.relax(bent, time.monotonic() + 60, guarded)[-1].coords for guarded in (frozenset(), frozenset({8, 9}))
    )
    moved = [np.linalg.norm(x[8:10, :5] - bent.coords[0, 8:10, :5], axis=-1).mean() for x in (free, held)]
    assert moved[1] < 0.5 * moved[0]


def test_refined_models_keep_ca_where_it_is_and_the_next_model_is_not_held(bent: Protein) -> None:
    finisher = Finisher(bent, SETTINGS)
    results = [finisher.finish(bent, refined=refined) for refined in (False, True, False)]
    away = [np.linalg.norm(f.protein.coords[0, :, :4] - bent.coords[0, :, :4], axis=-1).mean(0) for f in results]
    assert away[1][1] < 0.4 * away[0][1] and away[1][1] < 0.6 * away[1][[0, 2, 3]].min()
    assert np.array_equal(away[0], away[2])
    assert (
        np.abs(peptide_bond_lengths(results[1].protein) - 1.335).max() < 0.1
        and results[1].report.checks.introduced == 0
    )


def test_spoiled_stereochemistry_is_not_returned(bent: Protein, monkeypatch: pytest.MonkeyPatch) -> None:
    finisher = Finisher(bent, SETTINGS)
    plain, spoil = Relaxer.relax, {"times": 0}

    def spoiling(
        self: Relaxer,
        protein: Protein,
        deadline: float,
        guarded: frozenset[int] = frozenset(),
        kept: frozenset[int] = frozenset(),
        restored: frozenset[int] = frozenset(),
        *,
        refined: bool = False,
        settled: bool = False,
    ) -> list[Stage]:
        stages = plain(self, protein, deadline, guarded, kept, restored, refined=refined, settled=settled)
        spoil["times"] += 1
        mirrored = stages[-1].coords * np.array([1, 1, -1], np.float32)
        return [*stages[:-1], dataclasses.replace(stages[-1], coords=mirrored)]

    monkeypatch.setattr(Relaxer, "relax", spoiling)
    result = finisher.finish(bent)
    assert spoil["times"] == 2
    assert result.report.level == "gas" and result.report.flag == "partial"
    assert result.report.checks.introduced == 0


def test_what_is_spoiled_in_one_place_is_put_back_there_and_relaxed_elsewhere(
    bent: Protein, monkeypatch: pytest.MonkeyPatch
) -> None:
    finisher = Finisher(bent, SETTINGS)
    plain, victim = Relaxer.relax, 12

    def spoiling(self: Relaxer, protein: Protein, *args: object, **named: object) -> list[Stage]:
        stages = plain(self, protein, *args, **named)  # type: ignore[arg-type]
        if len(args) > 3 and victim in args[3]:  # type: ignore[operator]
            return stages
        coords = stages[-1].coords.copy()
        coords[victim, 1] += 3.0 * (coords[victim, [0, 2, 4]].mean(0) - coords[victim, 1])  # CA through its neighbours
        return [*stages[:-1], dataclasses.replace(stages[-1], coords=coords)]

    monkeypatch.setattr(Relaxer, "relax", spoiling)
    result = finisher.finish(bent)
    assert result.report.checks.introduced == 0
    assert result.report.level == "solvent" and result.report.flag == "complete"
    ids = [str(bent.residue_ids[i]) for i in (victim - 1, victim, victim + 1)]
    assert any(", ".join(ids) in text for text in result.report.notes)
    moved = np.linalg.norm(result.protein.coords[0] - bent.coords[0], axis=-1)[:, :4].mean(1)
    assert moved[victim] < 0.15 < moved[[*range(2, victim - 2), *range(victim + 3, 24)]].mean()
    assert np.abs(peptide_bond_lengths(result.protein) - 1.335).max() < 0.15


def test_a_real_model_loses_its_clashes_and_little_else(shared: Path) -> None:
    read = read_structure(shared / "bench" / "refined150-dev" / "1u84A" / "model.pdb").protein
    result = finish(read, SETTINGS)
    assert result.report.clashes_before > 20 and result.report.clashes_after <= 2
    assert result.report.flag == "complete" and result.report.mean_ca_shift < 0.35


def test_large_proteins_skip_the_solvent_on_a_cpu_and_say_so(bent: Protein, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refine.finishing.relax.SOLVENT_MAX_ATOMS", 10)
    report = finish(bent, SETTINGS).report
    assert report.level == "gas" and report.flag == "complete" and "solvent step left out" in report.notes[0]


def test_coincident_atoms_and_no_time_give_a_flag_not_a_failure(bent: Protein) -> None:
    crushed = bent.coords.copy()
    crushed[0, 10] = crushed[0, 11, 0]
    result = finish(bent.with_coords(np.where(bent.mask[None, :, :, None], crushed, 0), oxt=bent.oxt), SETTINGS)
    assert np.isfinite(result.protein.coords).all()
    hurried = finish(bent, dataclasses.replace(SETTINGS, max_seconds=0.0))
    assert hurried.report.flag in ("time", "unrelaxed") and np.isfinite(hurried.protein.coords).all()


def test_without_relaxation_only_side_chains_are_touched(bent: Protein) -> None:
    result = finish(bent, dataclasses.replace(SETTINGS, relax=False))
    assert result.report.flag == "off" and result.report.platform == ""
    assert np.array_equal(result.protein.coords[0, :, :4], bent.coords[0, :, :4])


def test_the_isomer_of_a_peptide_is_kept_cis_or_trans() -> None:
    for angle, cis in ((180.0, 0), (130.0, 0), (20.0, 9)):
        chain = peptide("AAGAAAPAAA", phi=-80.0, psi=140.0, omega=angle)
        result = finish(chain, SETTINGS)
        assert len(stereo(result.protein).cis) == cis, angle
        assert result.report.checks.introduced == 0


def test_mirror_image_is_all_wrong_and_reported_as_such() -> None:
    chain = peptide("AIETK")
    mirrored = chain.with_coords(chain.coords * np.array([1, 1, -1], np.float32), oxt=chain.oxt)
    assert stereo(chain).wrong_chirality == frozenset() and stereo(mirrored).wrong_chirality == frozenset(range(5))
    report = compare_stereo(chain, stereo(chain), stereo(mirrored))
    assert report.new_chirality == ("A:1", "A:2", "A:3", "A:4", "A:5") and report.introduced == 5
    assert compare_stereo(chain, stereo(mirrored), stereo(chain)).introduced == 0


def test_omega_reads_back_what_was_built() -> None:
    got = omega(peptide("AGAGA", omega=-150.0))
    assert np.allclose(got[:-1], -150.0, atol=0.01) and np.isnan(got[-1])


def bridged(gap: float) -> Protein:
    """Two cysteines of a helix whose sulfurs are ``gap`` Å apart."""
    chain = peptide("CAAAC" + "A" * 5, phi=-63.0, psi=-42.0)
    coords = chain.coords.copy()
    middle = (coords[0, 0, 4] + coords[0, 4, 4]) / 2
    direction = (coords[0, 4, 4] - coords[0, 0, 4]) / np.linalg.norm(coords[0, 4, 4] - coords[0, 0, 4])
    coords[0, 0, 5], coords[0, 4, 5] = middle - 0.5 * gap * direction, middle + 0.5 * gap * direction
    chain = chain.with_coords(coords, oxt=chain.oxt)
    return dataclasses.replace(chain, connections=connections(chain)[0])


@pytest.mark.parametrize("gap", [2.04, 2.8])
def test_a_disulfide_is_kept_and_an_open_one_closed(gap: float) -> None:
    done = finish(bridged(gap), SETTINGS)
    assert np.linalg.norm(done.protein.coords[0, 0, 5] - done.protein.coords[0, 4, 5]) == pytest.approx(2.05, abs=0.1)
    assert done.report.flag == "complete" and done.report.checks.lost_disulfides == ()


def test_a_disulfide_that_has_come_apart_is_counted() -> None:
    chain = bridged(2.04)
    coords = chain.coords.copy()
    coords[0, 4, 5] += 2.0
    apart = chain.with_coords(coords, oxt=chain.oxt)
    checks = compare_stereo(chain, stereo(chain), stereo(apart))
    assert checks.lost_disulfides == ("A:1–A:5",) and checks.introduced >= 1


@pytest.mark.parametrize(
    "wrong", [{"device": "tpu"}, {"restraint": -1.0}, {"max_seconds": float("nan")}, {"ph": 20.0}, {"threads": 0}]
)
def test_bad_settings_are_input_errors(wrong: dict) -> None:
    with pytest.raises(InputError):
        FinishSettings(**wrong)


def failing(*_: object, **__: object) -> None:
    raise openmm.OpenMMException("Particle coordinate is NaN")


@pytest.mark.parametrize("method", ["_forget", "_aim", "_energy", "__init__"])
def test_openmm_failing_outside_a_step_gives_the_best_so_far_with_a_flag(
    method: str, bent: Protein, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Relaxer, method, failing)
    result = finish(bent, SETTINGS)
    assert result.report.flag == "unrelaxed" and "Particle coordinate is NaN" in " ".join(result.report.notes)
    assert np.isfinite(result.protein.coords).all() and result.protein.sequence == bent.sequence


def test_coordinates_that_are_no_numbers_are_not_returned(bent: Protein, monkeypatch: pytest.MonkeyPatch) -> None:
    real = openmm.LocalEnergyMinimizer.minimize
    calls = []

    def spoiling(context: openmm.Context, *arguments: object) -> None:
        real(context, *arguments)
        calls.append(1)
        if len(calls) > 1:
            context.setPositions(np.full((context.getSystem().getNumParticles(), 3), np.nan))

    monkeypatch.setattr(openmm.LocalEnergyMinimizer, "minimize", spoiling)
    result = finish(bent, SETTINGS)
    assert len(calls) > 1 and result.report.flag in ("partial", "unrelaxed")
    assert "failed" in {stage.end for stage in result.report.stages}
    assert np.isfinite(result.protein.coords).all()

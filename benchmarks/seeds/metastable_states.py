"""Metastable states of alanine dipeptide by mutual information (IDM), against torsions and a Markov model.

    python benchmarks/seeds/metastable_states.py [--keep FOLDER]

Plain dynamics at 500 K (4 runs of 2.5 ns) and at 300 K (2 runs of 5 ns), as the distances of all heavy atoms.
Judged by the number of states at each lag, by core sets of (phi, psi), and by a Markov model (deeptime, PCCA+) of 36 x
36 torsion bins; this needs the extra ``test``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from limits import write_result
from numpy.typing import NDArray
from plain_dynamics import FRAME_PS, SEQUENCE, torsions, trajectory
from sklearn.metrics import adjusted_mutual_info_score

from refine.physics.peptide import peptide
from refine.sampling.states import States, StateSettings, learn_states, overlap

LAGS = {"2ps": 10, "20ps": 100}
LIMITS = {
    "states_500K_20ps": ("==", 2),
    "states_500K_2ps": ("==", 3),
    "states_300K_2ps": ("==", 2),
    "states_300K_20ps": ("==", 1),
    "seeds_that_agree": (">=", 4),
    "ami_core_sets_500K_20ps": (">=", 0.8),
    "ami_core_sets_500K_2ps": (">=", 0.8),
    "ami_markov_500K_20ps": (">=", 0.8),
    "ami_markov_500K_2ps": (">=", 0.8),
    "hierarchy_entropy_500K": ("<=", 0.15),
}


def heavy_distances(frames: NDArray[np.floating]) -> NDArray[np.float32]:
    """(F, 45) Å of all pairs of heavy atoms."""
    heavy = [atom.index for atom in peptide(SEQUENCE).topology.atoms() if atom.element.symbol != "H"]
    first, second = np.triu_indices(len(heavy), 1)
    x = frames[:, heavy]
    return np.linalg.norm(x[:, first] - x[:, second], axis=2).astype(np.float32)


def core_sets(angles: NDArray[np.floating], by_psi: bool) -> NDArray[np.int64]:
    """Label (F,) of the last core that a run was in: C7ax, beta, alpha; without ``by_psi`` beta and alpha are one."""
    phi, psi = np.degrees(angles).T
    label = np.full(len(phi), -1)
    label[(phi > 40) & (phi < 90)] = 0
    label[(phi < -40) & (phi > -160) & ((psi > 110) | (psi < -170))] = 1
    label[(phi < -40) & (phi > -160) & (psi > -70) & (psi < 20)] = 2 if by_psi else 1
    last = np.maximum.accumulate(np.where(label >= 0, np.arange(len(label)), 0))
    return np.where(label[last] < 0, 1, label[last])


def markov_labels(angles: Sequence[NDArray[np.floating]], lag: int, states: int) -> NDArray[np.int64]:
    """States of deeptime's Markov model of 36 x 36 torsion bins, made coarse by PCCA+."""
    from deeptime.markov.msm import MaximumLikelihoodMSM

    bins = [np.floor((np.degrees(a) + 180) / 10).astype(int).clip(0, 35) @ np.array((36, 1)) for a in angles]
    model = MaximumLikelihoodMSM(reversible=True, lagtime=lag).fit_fetch(bins)
    coarse = model.pcca(states)
    of_bin = np.full(36 * 36, -1)
    of_bin[model.count_model.state_symbols] = coarse.assignments
    return of_bin[np.concatenate(bins)]


def describe(states: States, angles: NDArray[np.floating]) -> dict[str, Any]:
    """Plain numbers of the states at a lag."""
    middle = np.degrees(angles[states.representative])
    return {
        "population": states.population,
        "stay": states.stay,
        "lifetime_ps": states.lifetime * FRAME_PS,
        "representative_phi_psi": middle,
        "states_of_each_seed": states.agreement,
        "information": states.information,
    }


def measure(
    temperature: int, runs: Sequence[NDArray[np.float32]], settings: StateSettings, lags: dict[str, int]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, States]]:
    """Numbers of the limits, what was found at each lag, and the states themselves."""
    angles = [torsions(run) for run in runs]
    features, together = [heavy_distances(run) for run in runs], np.concatenate(angles)
    numbers: dict[str, Any] = {}
    found: dict[str, Any] = {}
    learned: dict[str, States] = {}
    for name, lag in lags.items():
        states = learn_states(features, lag, settings)
        key = f"{temperature}K_{name}"
        learned[name], found[key] = states, describe(states, together)
        count = len(states.population)
        numbers[f"states_{key}"] = count
        numbers[f"agreement_{key}"] = sum(one == count for one in states.agreement)
        if count > 1:
            by_psi = count > 2 or name == "2ps"
            core = np.concatenate([core_sets(a, by_psi) for a in angles])
            numbers[f"ami_core_sets_{key}"] = adjusted_mutual_info_score(core, states.label)
            coarse = markov_labels(angles, lag, count)
            seen = coarse >= 0
            numbers[f"ami_markov_{key}"] = adjusted_mutual_info_score(coarse[seen], states.label[seen])
        print(key, numbers, found[key], flush=True)
    return numbers, found, learned


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="folder of plain trajectories, taken from there if present")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = StateSettings(seeds=5)
    hot = [trajectory(500.0, 2.5, seed, options.keep) for seed in range(4)]
    numbers, found, learned = measure(500, hot, settings, LAGS)
    entropy = overlap(learned["2ps"].label, learned["20ps"].label)[1]
    room = [trajectory(300.0, 5.0, seed, options.keep) for seed in range(2)]
    for part, into in zip(measure(300, room, settings, LAGS), (numbers, found), strict=False):
        into |= part
    numbers["hierarchy_entropy_500K"] = entropy
    numbers["seeds_that_agree"] = min(v for k, v in numbers.items() if k.startswith("agreement_"))
    how = {"command": "python benchmarks/seeds/metastable_states.py", "found": found}
    return 0 if write_result("metastable_states", numbers, LIMITS, how) else 1


if __name__ == "__main__":
    sys.exit(main())

"""How the decoys of training are wrong, beside how real models are wrong.

    python benchmarks/decoy_statistics.py PACK --pairs PAIRS.tsv [--bench ../shared/bench] [--count 400]

Real models: the tune halves of refined150-dev and perturbed-40, and the server models of casp13-decoys. Decoys: those
that the settings of the shipped prior (benchmarks/training/elastic.toml) and of the shipped judge (judge.toml) make of
chains of the valid split, by kind. Compared are lDDT, the local error, how displacements of two residues go together
along the chain and in space, and geometry: bonds, the span of strands and the length of hydrogen bonds, by which whole
models are too large or too small. Writes decoy_statistics.json and .png to benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from refine.assess.matching import match_residues
from refine.bench.decoys import find_decoys
from refine.bench.manifest import read_manifest
from refine.settings_file import build_settings, read_toml
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.training import targets
from refine.training.examples import KINDS, Examples
from refine.training.pack import Pack
from refine.training.pairs import read_pairs
from refine.training.train import TrainingSettings, examples_of

ROOT = Path(__file__).resolve().parent.parent
TRAINING, RESULTS = ROOT / "benchmarks" / "training", ROOT / "benchmarks" / "results"
ALONG = (1, 2, 3, 4, 6, 8, 12, 16, 24)
"""Residues along the chain at which displacements are compared."""
APART = (5.0, 8.0, 11.0, 14.0, 18.0, 24.0, 32.0)
"""Å, edges of the distances between residues at least ``FAR`` apart along the chain."""
FAR = 12
CLIP = 4.0
"""Å, longest displacement that counts in full: a tail that hangs out must not speak for the chain."""
STRAND = 6.1
"""Å from the CA of i to that of i + 2, above which the native's chain is called extended."""
HYDROGEN_BOND = 3.3
"""Å from N to O."""
SEED = 77

Array = NDArray[np.float64]
Structure = tuple[Array, Array, NDArray[np.int64]]
"""Native and model backbones (L, 4, 3) Å and positions (L,) along the chain."""


def of_protein(model: Protein, native: Protein) -> Structure | None:
    """The residues that both have, with complete backbones; None when there are fewer than 30."""
    match = match_residues(model, native)
    rows, columns = match.model_index, match.native_index
    whole = model.mask[rows, :4].all(1) & native.mask[columns, :4].all(1)
    rows, columns = rows[whole], columns[whole]
    if len(rows) < 30:
        return None
    return native.coords[0, columns, :4].astype(np.float64), model.coords[0, rows, :4].astype(np.float64), rows


def real(bench: Path) -> Iterator[tuple[str, Structure]]:
    """Label and structure of the real models."""
    for name in ("refined150-dev", "perturbed-40"):
        for target in read_manifest(bench / "targets.tsv", chosen_set=name, split="tune"):
            structure = of_protein(read_structure(target.model).protein, read_structure(target.native).protein)
            if structure is not None:
                yield f"{name} (tune)", structure
    for decoy in find_decoys(bench / "casp13-decoys"):
        structure = (
            None
            if decoy.is_native
            else of_protein(read_structure(decoy.path).protein, read_structure(decoy.native).protein)
        )
        if structure is not None:
            yield f"casp13-decoys {decoy.target}", structure


def generated(examples: Examples, label: str) -> Iterator[tuple[str, Structure]]:
    """Label and structure of generated decoys; natives, which are hardly moved, left out."""
    for n in range(len(examples)):
        example = examples[n]
        kind = KINDS[int(example["kind"])]
        if kind != "native":
            yield (
                f"{label}: {kind}",
                (example["native"].astype(np.float64), example["start"].astype(np.float64), example["position"]),
            )


def statistics(structures: Sequence[Structure]) -> dict[str, object]:
    """Of the structures of one label."""
    lddt, error, along, apart, joint, crowded, helix = [], [], [], [], [], [], []
    virtual, strands, bonds = [], [], []
    for native, model, position in structures:
        ca, goal = model[:, 1], native[:, 1]
        lddt.append(float(targets.lddt_ca(goal, ca).mean()))
        rot, shift = targets.local_superpositions(goal, ca)
        error.append(np.linalg.norm((rot @ goal[..., None])[..., 0] + shift - ca, axis=-1))
        turn, along_to = targets.whole_superposition(goal, ca)
        move = goal @ turn.T + along_to - ca
        size = np.linalg.norm(move, axis=-1, keepdims=True)
        move *= np.minimum(1.0, CLIP / np.maximum(size, 1e-9))
        power = float((move**2).sum(-1).mean())
        if power > 1e-4:
            along.append([_together(move, np.equal(np.subtract.outer(position, position), k)) / power for k in ALONG])
            between, far = cdist(ca, ca), np.abs(np.subtract.outer(position, position)) >= FAR
            pairs = [far & (between >= a) & (between < b) for a, b in zip(APART[:-1], APART[1:], strict=True)]
            apart.append([_together(move, chosen) / power for chosen in pairs])
        next_to = np.diff(position) == 1
        joint.append(
            float(np.sqrt(np.mean((np.linalg.norm(model[:-1, 2] - model[1:, 0], axis=-1)[next_to] - 1.33) ** 2)))
        )
        virtual.append(_spans(ca, 1)[next_to & (_spans(goal, 1) > 3.6)])
        three = position[2:] - position[:-2] == 2
        strands.append((_spans(ca, 2) - _spans(goal, 2))[three & (_spans(goal, 2) > STRAND)])
        bonds.append(_bond_changes(native, model, position))
        near = cdist(ca, ca) < 3.6
        crowded.append(100.0 * float(np.triu(near, 2).sum()) / len(ca))
        helix.append(float(np.mean(np.linalg.norm(ca[3:] - ca[:-3], axis=-1) < 6.0)))
    local = np.concatenate(error)
    return {
        "structures": len(structures),
        "lddt": _quantiles(lddt),
        "local_error": _quantiles(local),
        "share_of_residues_off_by_0.5_to_4": float(np.mean((local > 0.5) & (local < 4.0))),
        "correlation_along_chain": dict(zip(map(str, ALONG), _mean(along), strict=True)),
        "correlation_in_space": dict(zip(map(str, APART[1:]), _mean(apart), strict=True)),
        "peptide_bond_rms": _quantiles(joint),
        "virtual_bond": _quantiles(np.concatenate(virtual)),
        "strand_stretch": _quantiles(np.concatenate(strands)),
        "hydrogen_bond_stretch": _quantiles(np.concatenate(bonds)),
        "ca_pairs_below_3.6_per_100": _quantiles(crowded),
        "helix_share": _quantiles(helix),
    }


def _spans(ca: Array, step: int) -> Array:
    """Distances (L - step,) Å of CA ``step`` places apart."""
    return np.asarray(np.linalg.norm(ca[step:] - ca[:-step], axis=-1))


def _bond_changes(native: Array, model: Array, position: NDArray[np.int64]) -> Array:
    """How much longer than in the native the N–O distances of its backbone hydrogen bonds are, Å."""
    true = cdist(native[:, 0], native[:, 3])
    first, second = np.nonzero((true < HYDROGEN_BOND) & (np.abs(np.subtract.outer(position, position)) > 2))
    return np.asarray(np.linalg.norm(model[first, 0] - model[second, 3], axis=-1) - true[first, second])


def _together(move: Array, chosen: NDArray[np.bool_]) -> float:
    """Mean scalar product of the displacements of the chosen pairs; NaN without one."""
    return float((move @ move.T)[chosen].mean()) if chosen.any() else float("nan")


def _mean(rows: Sequence[Sequence[float]]) -> list[float]:
    table = np.array(rows)
    finite = np.isfinite(table)
    return (np.where(finite, table, 0).sum(0) / np.maximum(finite.sum(0), 1)).tolist()


def _quantiles(values: Iterable[float] | Array) -> dict[str, float]:
    quantiles = np.quantile(np.asarray(list(values)), (0.05, 0.25, 0.5, 0.75, 0.95))
    return dict(zip(("q05", "q25", "q50", "q75", "q95"), (round(float(v), 4) for v in quantiles), strict=True))


def plot(summaries: dict[str, dict[str, object]], path: Path) -> None:
    """Real models in black and grey, decoys in colour."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, 2, figsize=(13, 13))
    labels = list(summaries)
    real_ones = [x for x in labels if ":" not in x]
    tones = dict(zip(real_ones, ("#000000", "#505050", "#888888", "#b4b4b4"), strict=False))
    colours = tones | {x: f"C{k}" for k, x in enumerate(x for x in labels if x not in tones)}

    def boxes(axis: plt.Axes, key: str, title: str, label: str) -> None:
        for k, name in enumerate(labels):
            q = summaries[name][key]
            assert isinstance(q, dict)
            axis.plot((q["q05"], q["q95"]), (k, k), color=colours[name], linewidth=1.2)
            axis.plot((q["q25"], q["q75"]), (k, k), color=colours[name], linewidth=6, solid_capstyle="butt")
            axis.plot(q["q50"], k, "o", color="white", markeredgecolor=colours[name], markersize=6)
        axis.set(yticks=range(len(labels)), yticklabels=labels, xlabel=label, title=title)
        axis.invert_yaxis()

    def curves(axis: plt.Axes, key: str, title: str, label: str) -> None:
        for name in labels:
            values = summaries[name][key]
            assert isinstance(values, dict)
            real_one = name in tones
            x = [float(k) for k in values]
            axis.plot(
                x,
                list(values.values()),
                color=colours[name],
                linewidth=2.4 if real_one else 1.3,
                marker="o",
                markersize=3,
                label=name,
            )
        axis.axhline(0, color="0.85", linewidth=0.8, zorder=0)
        axis.set(xlabel=label, ylabel="correlation of displacements", title=title)

    boxes(axes[0, 0], "lddt", "Cα lDDT of whole structures (5, 25, 50, 75, 95 %)", "lDDT")
    boxes(axes[0, 1], "local_error", "Local error of residues (5, 25, 50, 75, 95 %)", "Å")
    axes[0, 1].set_xscale("log")
    axes[0, 1].set_yticklabels([])
    curves(axes[1, 0], "correlation_along_chain", "Displacements along the chain", "residues apart")
    curves(
        axes[1, 1],
        "correlation_in_space",
        f"Displacements in space, at least {FAR} residues apart",
        "Å apart, upper edge",
    )
    axes[1, 0].legend(frameon=False, fontsize=7.5)
    boxes(axes[2, 0], "virtual_bond", "Length of the virtual bond CA–CA (natives: 3.81 Å)", "Å")
    boxes(axes[2, 1], "strand_stretch", "CA to CA two residues on in strands, less the native's", "Å")
    for axis, middle, limits in ((axes[2, 0], 3.806, (3.6, 4.0)), (axes[2, 1], 0.0, (-1.5, 1.5))):
        axis.axvline(middle, color="0.85", linewidth=0.8, zorder=0)
        axis.set_xlim(*limits)
    axes[2, 1].set_yticklabels([])
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    shared = Path(os.environ.get("REFINE_SHARED") or ROOT.parent / "shared")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--bench", type=Path, default=shared / "bench")
    parser.add_argument("--count", type=int, default=400, help="decoys of each training")
    args = parser.parse_args()
    pack = Pack(args.pack)
    pairs = read_pairs(args.pairs, pack) if args.pairs else []
    by_label: dict[str, list[Structure]] = {}
    for label, structure in real(args.bench):
        by_label.setdefault(label, []).append(structure)
    for network, stage in (("prior", "elastic"), ("judge", "judge")):
        settings = read_toml(TRAINING / f"{stage}.toml", lambda values: build_settings(TrainingSettings, values))
        for label, structure in generated(examples_of(pack, pairs, "valid", settings, SEED, args.count), network):
            by_label.setdefault(label, []).append(structure)
    summaries = {label: statistics(by_label[label]) for label in by_label}
    (RESULTS / "decoy_statistics.json").write_text(json.dumps(_rounded(summaries), indent=1) + "\n", encoding="utf-8")
    plot(summaries, RESULTS / "decoy_statistics.png")
    for label, s in summaries.items():
        print(f"{label:32s} {s['structures']:4d} lDDT {s['lddt']} local {s['local_error']}")


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()

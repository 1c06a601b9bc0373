"""Chooses the constants of ``refine.accuracy.consensus``, on models of one protein that are not those of casp13-decoys.

    python benchmarks/consensus.py --real real.npz --predicted PREDICTED --pack PACK --pairs pairs.tsv --out FOLDER

real.npz (pack_real_models.py) has ProMod3 models of one target from several templates, PREDICTED/index.tsv models of
predictors: all proteins with three models or more. Most of their clusters were in the judge's training. From PACK come
chains of the valid and test splits with generated rivals (``refine.training.rivals``), ``scattered`` independently
about the native, which flatters a consensus, and in ``families``: a dozen rivals with one to six variants each, which
share their errors as models of servers do; and both again with a judge that is spoiled by noise, since rivals are what
it was trained on. What the judge expects is kept in FOLDER, so that the table can be made again at once.
Printed: mean Spearman's correlation of scores with true CA lDDT, and its loss, over the sets of each kind.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from refine.accuracy.consensus import ALIKE, JUDGE_VOTES, SHARPNESS, consensus, mutual_lddt
from refine.assess.compare import compare
from refine.assess.lddt import lddt
from refine.bench.rank import spearman
from refine.bench.statistics import SEED
from refine.files import csv_text, write_output
from refine.networks.judge import Judge
from refine.networks.weights import Networks, load_networks
from refine.ranking import judged_model, on_one_sequence
from refine.settings import RunSettings
from refine.structure.read import read_structure
from refine.training import decoys
from refine.training.examples import Arrays, ExampleSettings
from refine.training.pack import Pack
from refine.training.pairs import cluster_held_out as held_out
from refine.training.pairs import read_pairs
from refine.training.real_models import RealModel, RealModels
from refine.training.rivals import Rivals, RivalSettings

FEWEST = 3
HOMOLOGY, PREDICTED = "homology model", "predicted"
SHARPNESSES = (0.0, 1.0, 2.0, 4.0, 8.0)
VOTES = (0.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
ALIKES = (0.9, 0.95, 0.98, 0.99, 2.0)
RIVALS, BASES, LONGEST = 30, 12, 180
SPOILED = 0.15
"""Standard deviation of what is added to all residues of a model as judged: on rivals as it was trained on it is too
good.
"""
TRAINED = ExampleSettings(crop=LONGEST, homologues=0.7, misaligned=0.6, misfolded=0.1)
"""As the judge's own rivals (training/judge.toml), of whole chains."""


@dataclasses.dataclass(frozen=True)
class ModelSet:
    """Models of one protein: CA atoms (N, L, 3) Å and judged lDDT (N, L), NaN where absent; true CA lDDT (N,), in which
    residues that a model lacks count as wrong.
    """

    name: str
    kind: str
    unseen: bool
    ca: NDArray[np.float32]
    judged: NDArray[np.float32]
    truth: NDArray[np.float64]


def judged_lddt(judge: Judge, model: Arrays) -> NDArray[np.float32]:
    """(L,) CA lDDT that the judge expects."""
    with torch.no_grad():
        keys = ("start", "residue", "position")
        inputs = [torch.from_numpy(np.ascontiguousarray(model[key]))[None] for key in keys]
        chain = torch.zeros_like(inputs[2])
        expected: NDArray[np.float32] = judge(*inputs, chain, torch.ones_like(chain, dtype=torch.bool))[0].numpy()
    return expected


def model_set(name: str, kind: str, unseen: bool, models: list[Arrays], judge: Judge) -> ModelSet:
    """Models (keys start, native (n, 4, 3), residue, position) over all residues that any of them has."""
    place = {p: r for r, p in enumerate(sorted({int(p) for m in models for p in m["position"]}))}
    ca = np.full((len(models), len(place), 3), np.nan, np.float32)
    native, judged = np.full(ca.shape[1:], np.nan), np.full(ca.shape[:2], np.nan, np.float32)
    for k, model in enumerate(models):
        rows = np.array([place[int(p)] for p in model["position"]])
        ca[k, rows] = model["start"][:, 1]
        judged[k, rows] = judged_lddt(judge, model)
        own = model["native"][:, 1].astype(np.float64)
        known = np.isfinite(native[rows, 0])  # natives of different models differ in their origin alone
        native[rows] = own + ((native[rows] - own)[known].mean(0) if known.any() else 0.0)
    whole = np.ones((len(place), 1), np.bool_)
    truth = [lddt(x[:, None], native[:, None], np.isfinite(x[:, :1]), whole).score for x in ca]
    return ModelSet(name, kind, unseen, ca, judged, np.array(truth))


def homology_sets(path: Path, judge: Judge) -> Iterator[ModelSet]:
    """Models by ProMod3 of one chain from ``FEWEST`` templates or more."""
    real = RealModels(path)
    members: dict[str, list[RealModel]] = defaultdict(list)
    for m in (m for split in ("train", "valid", "test") for group in real.groups(HOMOLOGY, split) for m in group):
        members[real[m].name.rsplit("_", 1)[0]].append(real[m])
    for name, models in members.items():
        if len(models) >= FEWEST:
            arrays = [
                {"start": m.atoms[:, :4], "native": m.native, "residue": m.residue, "position": m.position}
                for m in models
            ]
            yield model_set(name, HOMOLOGY, models[0].split != "train" or held_out(models[0].cluster), arrays, judge)


def predicted_sets(folder: Path, networks: Networks) -> Iterator[ModelSet]:
    """Models by predictors of one protein, ``FEWEST`` or more, read and matched by sequence as ``refine rank`` does."""
    proteins: dict[str, list[dict[str, str]]] = defaultdict(list)
    with (folder / "index.tsv").open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            proteins[row["protein"]].append(row)
    for name, rows in proteins.items():
        if len(rows) < FEWEST:
            continue
        native = read_structure(folder / name / "native.pdb.gz").protein
        models = [judged_model(folder / row["model"], RunSettings(), networks) for row in rows]
        ca, judged, refused = on_one_sequence(models)
        truth = [compare(model.protein, native).lddt_ca for model in models if model.path not in refused]
        unseen = rows[0]["split"] != "train" or held_out(rows[0]["cluster30"])
        yield ModelSet(name, PREDICTED, unseen, ca, judged, np.array(truth))


def generated_sets(pack: Pack, pairs: Path, count: int, judge: Judge) -> Iterator[ModelSet]:
    """``count`` natives of each of the splits valid and test, their rivals scattered and in families."""
    rng = np.random.default_rng(SEED)
    for split in ("valid", "test"):
        groups = [g for g in read_pairs(pairs, pack) if pack.chains[g[0].chain].split == split]
        rivals = Rivals(pack, groups, split, TRAINED, RivalSettings(of_one=RIVALS), SEED, 100 * count * RIVALS)
        made, n = 0, 0
        while made < count:
            models = [rivals[n * RIVALS + k] for k in range(RIVALS)]
            n += 1
            if max(len(m["residue"]) for m in models) >= LONGEST:
                continue  # cropped: its models would not be of the same residues
            made += 1
            yield model_set(f"{split}_{n}", "scattered", True, models, judge)
            yield model_set(f"{split}_{n}", "families", True, families(models[:BASES], rng), judge)


def families(bases: list[Arrays], rng: np.random.Generator) -> list[Arrays]:
    """Rivals with one to six variants each, as a server submits them and as servers use the same templates."""
    models = []
    for base in bases:
        for _ in range(int(rng.integers(1, 7))):
            start = decoys.deformed(base["start"], rng, float(np.exp(rng.uniform(np.log(0.1), np.log(1.0)))))
            bonded = np.r_[np.diff(base["position"]) == 1, False]
            start = decoys.disguised(start, bonded, rng, TRAINED.noise)
            models.append({**base, "start": start})
    return models


def kept_sets(path: Path, make: Callable[[], Iterator[ModelSet]]) -> list[ModelSet]:
    """The sets of ``path``, made and written when it is not there."""
    fields = [field.name for field in dataclasses.fields(ModelSet)]
    if not path.is_file():
        sets = list(make())
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {f"{k}.{name}": getattr(one, name) for k, one in enumerate(sets) for name in fields}
        np.savez_compressed(path, allow_pickle=False, **arrays)
    with np.load(path, allow_pickle=False) as file:
        count = len(file.files) // len(fields)
        every = [{name: file[f"{k}.{name}"] for name in fields} for k in range(count)]
    return [
        ModelSet(**v | {"name": str(v["name"]), "kind": str(v["kind"]), "unseen": bool(v["unseen"])}) for v in every
    ]


def spoiled(one: ModelSet) -> ModelSet:
    """A set whose judge is about as wrong as on models of other kinds than its own training's."""
    noise = np.random.default_rng(SEED).normal(scale=SPOILED, size=(len(one.judged), 1))
    return dataclasses.replace(one, kind=f"{one.kind}, judge spoiled", judged=np.clip(one.judged + noise, 0.02, 0.98))


def formulas() -> dict[str, dict[str, float]]:
    """The settings that are compared."""
    chosen = {f"sharpness {p:g}, votes {k:g}": {"sharpness": p, "judge_votes": k} for p in SHARPNESSES for k in VOTES}
    return chosen | {f"alike {alike:g}": {"alike": alike} for alike in ALIKES}


def measured(one: ModelSet) -> dict[str, tuple[float, float]]:
    """(Spearman with true CA lDDT, loss of the first in points) of every score of a set."""
    mutual, rng = mutual_lddt(one.ca), np.random.default_rng(SEED)
    shuffled = one.judged.copy()
    has = np.isfinite(one.judged).all(0)
    shuffled[:, has] = one.judged[rng.permutation(len(one.judged))][:, has]
    scores = {"judge alone": np.nanmean(one.judged, 1), "compactness": -spread(one.ca)}
    for name, settings in formulas().items():
        result = consensus(mutual, one.judged, **settings)
        scores[name] = result.score(result.expected)
    equal, shuffled_weights = consensus(mutual, one.judged, sharpness=0.0), consensus(mutual, shuffled)
    weighted = consensus(mutual, one.judged)
    scores["judge alone, missing as 0"] = weighted.score(one.judged)
    scores |= {
        f"agreement alone, {name}": of.score(of.agreement)
        for name, of in (("equal votes", equal), ("votes by the judge", weighted), ("shuffled", shuffled_weights))
    }
    return {
        name: (spearman(values, one.truth), 100 * float(one.truth.max() - one.truth[values == values.max()].mean()))
        for name, values in scores.items()
    }


def spread(ca: NDArray[np.float32]) -> NDArray[np.float64]:
    """Radius of gyration (N,) in Å."""
    return np.sqrt(np.nansum((ca - np.nanmean(ca, 1, keepdims=True)) ** 2, (1, 2)) / np.isfinite(ca[..., 0]).sum(1))


def main() -> int:
    """Make the sets, measure every formula on each, print means by kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("real", "predicted", "pack", "pairs", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--networks", default="small")
    parser.add_argument("--count", type=int, default=10, help="natives of each of the splits valid and test")
    args = parser.parse_args()
    torch.set_num_threads(1)
    networks = load_networks(args.networks)
    judge = networks.judge
    if judge is None:
        raise SystemExit(f"{networks.folder} has no judge")
    sources = {
        "homology": lambda: homology_sets(args.real, judge),
        "predicted": lambda: predicted_sets(args.predicted, networks),
        "generated": lambda: generated_sets(Pack(args.pack), args.pairs, args.count, judge),
    }
    sets = [one for name, make in sources.items() for one in kept_sets(args.out / f"{name}.npz", make)]
    sets += [spoiled(one) for one in sets if one.kind not in (HOMOLOGY, PREDICTED)]
    results = [(one, measured(one)) for one in sets]
    kinds = list(dict.fromkeys(one.kind for one in sets))
    lines = []
    for name in results[0][1]:
        means = [np.nanmean([of[name] for one, of in results if one.kind == kind], 0) for kind in kinds]
        lines.append([name, *(f"{v:.3f}" for v in (*np.mean(means, 0), *np.ravel(means)))])
    head = ["score", *(f"{what} {kind}" for kind in ("mean", *kinds) for what in ("spearman", "loss"))]
    text = csv_text(head, lines)
    write_output(args.out / "consensus.csv", text)
    counts = ", ".join(
        f"{kind} {sum(o.kind == kind for o in sets)} ({sum(o.unseen for o in sets if o.kind == kind)} unseen)"
        for kind in kinds
    )
    sys.stdout.write(f"{text}sets: {counts}; now SHARPNESS {SHARPNESS}, JUDGE_VOTES {JUDGE_VOTES}, ALIKE {ALIKE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Trains a wide prior or judge on a GPU for a given time, from a trained one of half the width or of its own size.

    python benchmarks/train_wide.py PACK PAIRS REAL OUT --init models/small/prior.safetensors --until 400

What ``refine train`` does on a CPU, arranged for a GPU: decoys come from processes into a store on the device, labels
are made there in whole batches (``refine.training.labels``), so are the network's own moves, and gathers of neighbours
are matrix products (``refine.training.products``). The learning rate follows the clock, so that a lease is used to its
end. OUT gets ``log.jsonl`` and, at every report, the running average of the weights, from which ``--init`` goes on.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import functools
import json
import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from refine.networks.judge import Judge, JudgeSettings
from refine.networks.network import TrunkSettings
from refine.networks.prior import Prior, PriorSettings
from refine.networks.weights import load_network, save_network
from refine.training import decoys
from refine.training.examples import KINDS, REAL, Examples, ExampleSettings, collate
from refine.training.labels import bonds_swept, labels
from refine.training.losses import judge_loss, prior_loss
from refine.training.pack import Pack
from refine.training.pairs import read_pairs
from refine.training.products import Round, judge_output, messages, prior_output
from refine.training.real_models import RealExamples, RealModels, RealSettings
from refine.training.rivals import Rivals, RivalSettings
from refine.training.unrolled import Moves, UnrolledSettings, moved_by, unrolled_loss
from refine.training.widen import widened

CROP = 160
ENDLESS = 10_000_000
AVERAGE = 0.998
"""Decay of the running average of the weights."""
PRIOR_EXAMPLES = ExampleSettings(
    crop=CROP, homologues=0.22, thermal=0.22, assembled=0.34, natives=0.06, misaligned=0.4, misfolded=0.05,
    disturbed=0.7, strained=0.7, noise=0.06, inflation=0.015,
)  # fmt: skip
"""Few real models and homologues: they are of some 470 and 820 clusters of 3,167, whose natives a wide network learns
by heart.
"""
JUDGE_EXAMPLES = ExampleSettings(
    crop=CROP, homologues=0.7, misaligned=0.6, misfolded=0.1, disturbed=0.5, strained=0.3, noise=0.1, inflation=0.01
)
UNROLLED = UnrolledSettings(steps=1, fraction=0.8, whole=True, weight=1.0, lddt=2.0, gdt=2.0)
OF_ONE = 4
MOVES = 12
"""Mean number of own moves of an example that goes on."""
REPORTS = (0.25, 0.5, 0.75, 0.9, 1.0)
"""Parts of the time after which the weights are kept."""
SWEEPS = 6
Batch = dict[str, Tensor]


class _Bare:
    """Examples without labels, which the device makes: start, native, residue, position and kind of a crop."""

    def _example(self, chain: int, rows: Any, start: Any, native: Any, kind: str, rng: Any) -> dict[str, Any]:
        keep = self._crop(start[:, 1], rng, CROP)  # type: ignore[attr-defined]
        residue, position = self.pack.residue(chain)[rows[keep]], self.pack.position(chain)[rows[keep]]  # type: ignore[attr-defined]
        return _bare(start[keep], native[keep], residue, position, KINDS.index(kind))


def _bare(start: Any, native: Any, residue: Any, position: Any, kind: int, number: int = 0) -> dict[str, Any]:
    return {
        "start": start - start[:, 1].mean(0), "native": native - native[:, 1].mean(0), "kind": np.array(kind),
        "residue": residue.astype(np.int64), "position": position.astype(np.int64), "set": np.array(number),
    }  # fmt: skip


def _disguised(model: Any, settings: ExampleSettings, rng: Any) -> Any:
    """N, CA, C, O of a real model, half of the time with its local geometry disguised."""
    if rng.random() < 0.5:
        return model.atoms[:, :4]
    bonded = np.r_[np.diff(model.position) == 1, False]
    return decoys.disguised(model.atoms[:, :4], bonded, rng, settings.noise, settings.inflation)


class BareExamples(_Bare, RealExamples):
    """Generated decoys and real models. Homologues are nearer than ``refine train`` takes: as wrong as real models."""

    kept_by_likeness = (0.3, 0.45, 0.6, 0.88, 0.95, 1.0), (0.0, 0.4, 1.0, 1.0, 0.4, 0.05)

    def _real(self, model: Any, rng: Any) -> dict[str, Any]:
        start = _disguised(model, self.settings, rng)
        keep = self._crop(start[:, 1], rng, CROP)
        return _bare(
            start[keep], model.native[keep], model.residue[keep], model.position[keep], KINDS.index(model.kind)
        )


class BareRivals(_Bare, Rivals):
    """Rivals, and in ``real_share`` of the sets real models of one native, filled up with decoys of the same native."""

    models: RealModels
    targets: list[list[int]]
    real_share = 0.35

    def with_models(self, models: RealModels, split: str) -> BareRivals:
        self.models = models
        by_target: dict[str, list[int]] = {}
        for kind in REAL:
            for group in models.groups(kind, split):
                for m in group:
                    by_target.setdefault(f"{kind} {models[m].name.rsplit('_', 1)[0]}", []).append(m)
        several = [group for group in by_target.values() if len(group) > 1]
        self.targets = several + list(by_target.values())
        return self

    def __getitem__(self, n: int) -> dict[str, Any]:
        number = n // OF_ONE
        shared, rng = np.random.default_rng((self.seed, number, 3)), np.random.default_rng((self.seed, n, 4))
        if shared.random() >= self.real_share:
            return super().__getitem__(n)
        group = self.targets[shared.integers(len(self.targets))]
        chosen = shared.permutation(group)
        place = n % OF_ONE
        model = self.models[int(chosen[place % len(chosen)])]
        start, kind = _disguised(model, self.settings, rng), KINDS.index(model.kind)
        if place >= len(chosen):
            bonded = np.r_[np.diff(model.position) == 1, False]
            base = model.native if rng.random() < 0.5 else model.atoms[:, :4]
            severity = float(np.exp(rng.uniform(np.log(0.1), np.log(2.0))))
            start = decoys.disguised(decoys.deformed(base, rng, severity), bonded, rng, self.settings.noise)
        size = min(len(model.residue), CROP)
        first = int(shared.integers(0, len(model.residue) - size + 1))
        keep = np.arange(first, first + size)  # the same residues of all rivals, as their differences are learned
        return _bare(start[keep], model.native[keep], model.residue[keep], model.position[keep], kind, number)


collated = functools.partial(collate, length=CROP)


class Store:
    """The latest examples on the device, from which batches are drawn."""

    def __init__(self, size: int, device: str) -> None:
        self.size, self.device, self.filled, self.place = size, device, 0, 0
        self.values: Batch = {}

    def add(self, batch: Batch) -> None:
        """The oldest give way."""
        count = len(batch["kind"])
        if not self.values:
            shapes = {name: (self.size, *value.shape[1:]) for name, value in batch.items()}
            self.values = {k: torch.zeros(shapes[k], dtype=v.dtype, device=self.device) for k, v in batch.items()}
        where = ((self.place + torch.arange(count)) % self.size).to(self.device)
        for name, value in batch.items():
            self.values[name][where] = value.to(self.device, non_blocking=True)
        self.place, self.filled = (self.place + count) % self.size, min(self.size, self.filled + count)

    def drawn(self, count: int, generator: torch.Generator, together: int = 1) -> Batch:
        """A batch in which ``together`` examples that came one after another stay together."""
        first = torch.randint(self.filled // together, (count // together,), device=self.device, generator=generator)
        which = (together * first[:, None] + torch.arange(together, device=self.device)).flatten()
        return {name: value[which] for name, value in self.values.items()}


class Loss(NamedTuple):
    """Loss, figures, what a prior proposes, and the true whole displacements (B, L, 3)."""

    loss: Tensor
    figures: dict[str, Tensor]
    moves: Moves | None
    true: Tensor


def loss_of(network: Any, batch: Batch, bf16: bool) -> Loss:
    """Of a batch as ``collated`` gives it."""
    truth = labels(batch["start"], batch["native"], batch["mask"])
    batch = batch | truth
    with torch.autocast(batch["start"].device.type, torch.bfloat16, enabled=bf16):
        if isinstance(network, Judge):
            loss, figures, _ = judge_loss(network, batch)
            return Loss(loss, figures, None, truth["whole_shift"])
        loss, figures, out = prior_loss(network, batch)
        further, more = unrolled_loss(network, batch, out, UNROLLED)
    moves = Moves(out.whole_shift, out.whole_turn, out.region.rot, out.region.origin)
    return Loss(loss + further, figures | more, moves, truth["whole_shift"])


def validated(network: Any, batches: dict[str, list[Batch]], bf16: bool) -> dict[str, float]:
    """Mean figures by kind of batch, with the cosine of proposed and true whole displacements of 0.5 to 4 Å."""
    rows: dict[str, float] = {}
    for kind, several in batches.items():
        figures: dict[str, list[float]] = {}
        for batch in several:
            with torch.no_grad():
                made = loss_of(network, batch, bf16)
            values = {name: float(value) for name, value in made.figures.items()}
            if made.moves is not None:
                size = made.true.norm(dim=-1)
                use = batch["mask"] & (size > 0.5) & (size < 4)
                values["cosine"] = float(F.cosine_similarity(made.moves.shift, made.true, -1)[use].mean())
            for name, value in values.items():
                figures.setdefault(name, []).append(value)
        rows |= {f"{kind}/{name}": round(float(np.mean(v)), 4) for name, v in figures.items()}
    return rows


def learning_rate(part: float, step: int, most: float) -> float:
    """Of the part of the time that is gone: risen after 200 steps, held, then lowered to zero from 0.35 on."""
    return most * min(1.0, (step + 1) / 200) * min(1.0, max(0.0, (1 - part) / 0.65))


def network_of(options: argparse.Namespace, one_round: Round) -> Any:
    """The network to train, with the weights of ``--init``, widened where these are of half the width."""
    given, _ = load_network(options.init, options.network)
    trunk = TrunkSettings(options.width, options.layers)
    network: Any = Prior(PriorSettings(trunk)) if options.network == "prior" else Judge(JudgeSettings(trunk))
    for layer in network.trunk.layers[len(given.trunk.layers) :]:  # type: ignore[union-attr,arg-type]
        layer.begin_as_identity()
    network.load_state_dict(widened(given.state_dict(), network, options.seed))
    output = prior_output if options.network == "prior" else judge_output
    network.forward = functools.partial(output, network, one_round=one_round)
    return network


def judge_data(options: argparse.Namespace, pack: Pack, models: RealModels) -> tuple[Examples, dict[str, Examples]]:
    """Sets of rivals for training; for validation those of generated decoys and those of real models."""

    def of(split: str, seed: int, share: float) -> BareRivals:
        settings = RivalSettings(of_one=OF_ONE)
        made = BareRivals(pack, read_pairs(options.pairs, pack), split, JUDGE_EXAMPLES, settings, seed, ENDLESS)
        made.real_share = share
        return made.with_models(models, split)

    check: dict[str, Examples] = {
        name: of("valid", options.seed + 1, k) for name, k in (("rivals", 0.0), ("real", 1.0))
    }
    return of("train", options.seed, BareRivals.real_share), check


def prior_data(options: argparse.Namespace, pack: Pack, models: RealModels) -> tuple[Examples, dict[str, Examples]]:
    """Examples for training, and for validation by kind."""

    def of(split: str, seed: int, settings: ExampleSettings, real: RealSettings) -> BareExamples:
        pairs = read_pairs(options.pairs, pack)
        return BareExamples(pack, pairs, split, settings, seed, ENDLESS, models=models, real=real)

    check: dict[str, Examples] = {}
    for name in ("homologue", "thermal", "assembled", "perturbed", "predicted", "homology model"):
        parts = {"homologues": name == "homologue", "thermal": name == "thermal", "assembled": name == "assembled"}
        settings = dataclasses.replace(PRIOR_EXAMPLES, **{k: float(v) for k, v in parts.items()}, natives=0.0)
        share, predicted = float(name in REAL), float(name == "predicted")
        check[name] = of("valid", options.seed + 1, settings, RealSettings(share=share, predicted=predicted))
    return of("train", options.seed, PRIOR_EXAMPLES, RealSettings(share=options.real_share, predicted=0.4)), check


class _Parts(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Several sets of examples one after another, ``each`` of every one."""

    def __init__(self, parts: list[Examples], each: int) -> None:
        self.parts, self.each = parts, each

    def __getitem__(self, k: int) -> dict[str, Any]:
        return self.parts[k // self.each][k % self.each]


def checks(check: dict[str, Examples], options: argparse.Namespace) -> dict[str, list[Batch]]:
    """Batches for validation by kind, on the device."""
    size, count = (64, 3) if options.device == "cuda" else (8, 1)
    loader = torch.utils.data.DataLoader(
        _Parts(list(check.values()), size * count),
        batch_size=size,
        sampler=range(size * count * len(check)),
        collate_fn=collated,
        num_workers=options.workers,
    )
    made = [{k: v.to(options.device) for k, v in batch.items()} for batch in loader]
    return {name: made[count * n : count * (n + 1)] for n, name in enumerate(check)}


class Feed:
    """Batches of new examples, made by processes that begin before the device is touched."""

    def __init__(self, train: Examples, workers: int) -> None:
        self.waiting: queue.Queue[Batch] = queue.Queue(maxsize=64)
        loader = torch.utils.data.DataLoader(
            train, batch_size=32, sampler=range(ENDLESS), collate_fn=collated, num_workers=workers, prefetch_factor=4
        )
        self.batches = iter(loader)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._feed, daemon=True)
        self.thread.start()

    def _feed(self) -> None:
        while not self.stopped.is_set():
            self.waiting.put(next(self.batches))

    def close(self) -> None:
        """Ends the thread and, with what it reads from, the processes."""
        self.stopped.set()
        while self.thread.is_alive():
            while not self.waiting.empty():
                self.waiting.get()
            self.thread.join(0.1)
        del self.batches


class Learner:
    """A network, its optimiser and the step that both make; with ``graph`` a step is recorded once and replayed, which
    spares the GPU its waits for the CPU.
    """

    def __init__(self, network: Any, device: str, graph: bool) -> None:
        self.network, self.bf16, self.graph = network, device == "cuda", graph
        rate = torch.zeros((), device=device)
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=rate, weight_decay=0.01, fused=True, capturable=device == "cuda"
        )
        self.replay: Callable[[], None] | None = None
        self.inputs: Batch = {}
        self.made: tuple[Loss, Tensor]

    def learn(self, batch: Batch, rate: float) -> tuple[Loss, Tensor]:
        """One step at a learning rate; what came of it and the norm of the gradient, both valid until the next."""
        self.optimiser.param_groups[0]["lr"].fill_(rate)
        if not self.graph:
            self.optimiser.zero_grad(set_to_none=True)
            return self._step(batch)
        if self.replay is None:
            self._record(batch)
        assert self.replay is not None
        for name, value in batch.items():
            self.inputs[name].copy_(value)
        self.replay()
        return self.made

    def _step(self, batch: Batch) -> tuple[Loss, Tensor]:
        made = loss_of(self.network, batch, self.bf16)
        made.loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        # the optimiser leaves out a step whose gradient is not finite, without the CPU having to look
        self.optimiser.found_inf = (~torch.isfinite(norm)).float()  # type: ignore[attr-defined]
        self.optimiser.step()
        return made, norm

    def _record(self, batch: Batch) -> None:
        """Some steps as they are, which compile, then one that is recorded."""
        self.inputs = {name: value.clone() for name, value in batch.items()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.optimiser.zero_grad(set_to_none=True)
                self._step(self.inputs)
        torch.cuda.current_stream().wait_stream(side)
        self.optimiser.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self.made = self._step(self.inputs)
        self.replay = graph.replay


class Training:
    """One run, see the module's text."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.began = options, time.monotonic()
        options.out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(options.seed)
        self.device = options.device
        self.own = options.network == "prior"
        data = prior_data if self.own else judge_data
        train, check = data(options, Pack(options.pack), RealModels(options.real))
        self.feed = Feed(train, options.workers)
        self.checks = checks(check, options)
        compiled = functools.partial(torch.compile, dynamic=False, fullgraph=True) if options.compiled else _as_it_is
        self.network = network_of(options, compiled(messages)).to(self.device)
        self.learner = Learner(self.network, self.device, options.graph)
        self.average = network_of(options, messages).to(self.device)
        self.moved_by, self.swept = compiled(moved_by), compiled(bonds_swept)
        self.store, self.moved = Store(8192, self.device), Store(1024, self.device)
        self.draws = torch.Generator(self.device).manual_seed(options.seed)
        self.steps, self.made = 0, 0
        self.running: dict[str, float] = {}

    def run(self) -> None:
        """Trains until the time is over."""
        while self.store.filled < 2 * self.options.batch:
            self.store.add(self.feed.waiting.get())
        self.report("before")
        self.step(0.0)  # compiles
        start, reports, part = time.monotonic(), iter((*REPORTS, 2.0)), 0.0
        end, following = self.began + self.options.until, next(reports)
        while part < 1.0:
            self.step(part)
            part = (time.monotonic() - start) / max(end - start, 1.0)
            if part >= following:
                following = next(reports)
                self.report(f"{part:.2f} of the time")
        self.feed.close()

    def step(self, part: float) -> None:
        """One step of the optimiser, when ``part`` of the time is gone."""
        while self.made < (self.steps + 2) * self.options.batch and not self.feed.waiting.empty():
            batch = self.feed.waiting.get()
            self.made += len(batch["kind"])
            self.store.add(batch)
        batch = self.batch()
        made, norm = self.learner.learn(batch, learning_rate(part, self.steps, self.options.rate))
        with torch.no_grad():
            kept = min(AVERAGE, (self.steps + 1) / (self.steps + 10))
            torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - kept)
            if made.moves is not None:
                self.go_on(batch, made.moves)
        if self.steps % 20 == 0:
            for name, value in (made.figures | {"loss": made.loss.detach(), "norm": norm}).items():
                self.running[name] = 0.9 * self.running.get(name, float(value)) + 0.1 * float(value)
        self.steps += 1

    def batch(self) -> Batch:
        """New examples; for a prior half of them, and half that it has moved."""
        count = self.options.batch
        if not self.own:
            return self.store.drawn(count, self.draws, OF_ONE)
        others = self.moved if self.moved.filled >= count else self.store
        halves = self.store.drawn(count // 2, self.draws), others.drawn(count - count // 2, self.draws)
        return {name: torch.cat([half[name] for half in halves]) for name in halves[0]}

    def go_on(self, batch: Batch, moves: Moves) -> None:
        """Puts examples of a batch, moved by a part of what the network proposes, among those that go on."""
        count, draws = len(batch["start"]), {"device": self.device, "generator": self.draws}
        chance, part = torch.rand(count, **draws), 0.2 + torch.rand(count, **draws)
        limit = torch.full((count,), 1 - 1 / MOVES, device=self.device)
        limit[: count // 2] = 1.5 / MOVES
        start = self.moved_by(batch["start"], Moves(*(value.detach() for value in moves)), part[:, None, None])
        bonded = F.pad(batch["position"].diff(dim=1) == 1, (0, 1))
        for _ in range(SWEEPS):
            start = self.swept(start, bonded)
        level = PRIOR_EXAMPLES.noise * torch.rand(count, 1, 1, 1, **draws)
        start = start + level * torch.randn(start.shape, **draws)
        start = torch.where(batch["mask"][:, :, None, None], start, batch["start"])
        going = torch.isfinite(start).flatten(1).all(1) & (chance < limit)
        self.moved.add({name: (start if name == "start" else value)[going] for name, value in batch.items()})

    def report(self, when: str) -> None:
        """One line of the log, and the weights in half precision: far finer than what training leaves undecided."""
        row: dict[str, Any] = {"when": when, "step": self.steps, "seconds": round(time.monotonic() - self.began, 1)}
        row |= {"made": self.made} | {name: round(value, 4) for name, value in self.running.items()}
        row |= validated(self.average, self.checks, self.learner.bf16)
        with (self.options.out / "log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()
        path = self.options.out / f"{self.options.network}.safetensors"
        save_network(copy.deepcopy(self.average).half(), path, {"training": row})


def _as_it_is(function: Any) -> Any:
    return function


def main() -> None:
    """Train what the options name."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("pack", type=Path, help="made by `refine train DATA --pack-only`")
    options.add_argument("pairs", type=Path, help="homologue pairs")
    options.add_argument("real", type=Path, help="file of benchmarks/pack_real_models.py")
    options.add_argument("out", type=Path)
    options.add_argument("--network", choices=("prior", "judge"), default="prior")
    options.add_argument("--init", type=Path, required=True, help="trained file")
    options.add_argument("--width", type=int, default=256)
    options.add_argument("--layers", type=int, default=8)
    options.add_argument("--until", type=float, default=400, help="seconds after the start at which training ends")
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--rate", type=float, default=8e-4, help="largest learning rate")
    options.add_argument("--real-share", type=float, default=0.06, help="of a prior's new examples")
    options.add_argument("--workers", type=int, default=15, help="processes that make decoys")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--device", default="cuda")
    options.add_argument("--graph", action="store_true", help="record a step and replay it; for a GPU")
    options.add_argument("--compiled", action=argparse.BooleanOptionalAction, default=True)
    Training(options.parse_args()).run()


if __name__ == "__main__":
    main()

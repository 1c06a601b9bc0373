"""Trains a wide prior or judge on a GPU for a given time, from a shipped one of half the width.

    python benchmarks/train_wide.py PACK PAIRS REAL OUT --network prior --init models/small/prior.safetensors --seconds 400

What ``refine train`` does on a CPU, arranged for a GPU: decoys come from processes into a store on the device, labels
are made there in whole batches (``refine.training.labels``), the network's own moves too, and gathers of neighbours
are matrix products. The learning rate follows the clock, so that a lease is used to its end. Not to be resumed.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import queue
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from refine.networks.environment import Region
from refine.networks.judge import Judge, JudgeSettings
from refine.networks.network import Trunk, TrunkSettings
from refine.networks.prior import Prior, PriorSettings
from refine.networks.weights import load_network
from refine.training import decoys
from refine.training.examples import KINDS, REAL, Examples, ExampleSettings
from refine.training.labels import labels, moved_on
from refine.training.losses import judge_loss, prior_loss
from refine.training.pack import Pack
from refine.training.pairs import read_pairs
from refine.training.real_models import RealExamples, RealModels, RealSettings
from refine.training.rivals import Rivals, RivalSettings
from refine.training.targets import lddt_ca as lddt_of
from refine.training.unrolled import UnrolledSettings, unrolled_loss
from refine.training.widen import widened

CROP = 160
PRIOR_EXAMPLES = ExampleSettings(
    crop=CROP, homologues=0.55, thermal=0.2, misaligned=0.4, misfolded=0.05, disturbed=0.7, strained=0.7, noise=0.06,
    inflation=0.015,
)  # fmt: skip
JUDGE_EXAMPLES = ExampleSettings(
    crop=CROP, homologues=0.7, misaligned=0.6, misfolded=0.1, disturbed=0.5, strained=0.3, noise=0.1, inflation=0.01
)
UNROLLED = UnrolledSettings(steps=1, fraction=0.8, whole=True, weight=1.0, lddt=2.0, gdt=2.0)
OF_ONE = 4
MOVES = 12


class _Bare:
    """Examples without labels, which the device makes: start, native, residue, position and kind of a crop."""

    def _example(self, chain: int, rows: Any, start: Any, native: Any, kind: str, rng: Any) -> dict[str, Any]:
        keep = self._crop(start[:, 1], rng, CROP)  # type: ignore[attr-defined]
        residue, position = self.pack.residue(chain)[rows[keep]], self.pack.position(chain)[rows[keep]]  # type: ignore[attr-defined]
        return _bare(start[keep], native[keep], residue, position, KINDS.index(kind))


def _bare(start: Any, native: Any, residue: Any, position: Any, kind: int) -> dict[str, Any]:
    return {"start": start, "native": native, "residue": residue, "position": position, "kind": kind}


def _disguised(model: Any, settings: ExampleSettings, rng: Any) -> Any:
    """N, CA, C, O of a real model, half of the time with its local geometry disguised."""
    if rng.random() < 0.5:
        return model.atoms[:, :4]
    bonded = np.r_[np.diff(model.position) == 1, False]
    return decoys.disguised(model.atoms[:, :4], bonded, rng, settings.noise, settings.inflation)


class BareExamples(_Bare, RealExamples):
    """Generated decoys and real models; homologues nearer than ``refine train`` takes, about as wrong as real models."""

    def _kept(self, pair: Any) -> float:
        native, template = self.pack.backbone(pair.chain)[pair.rows], self.pack.backbone(pair.template)[pair.template_rows]
        likeness = float(lddt_of(native[:, 1].astype(float), template[:, 1].astype(float)).mean())
        return float(np.interp(likeness, (0.3, 0.45, 0.6, 0.88, 0.95, 1.0), (0.0, 0.4, 1.0, 1.0, 0.4, 0.05)))

    def _real(self, model: Any, rng: Any) -> dict[str, Any]:
        start = _disguised(model, self.settings, rng)
        keep = self._crop(start[:, 1], rng, CROP)
        return _bare(start[keep], model.native[keep], model.residue[keep], model.position[keep], KINDS.index(model.kind))


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
        return {**_bare(start[keep], model.native[keep], model.residue[keep], model.position[keep], kind), "set": number}


def collated(batch: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Padded to ``CROP``; padded residues lie far apart."""
    count = len(batch)
    far = np.arange(CROP, dtype=np.float32)[None, :, None, None] * 50.0 + 2000.0
    unit = np.array([[-0.5, 1.4, 0.0], [0.0, 0.0, 0.0], [1.5, 0.0, 0.0], [2.1, 1.0, 0.0]], np.float32)
    out: dict[str, Any] = {name: np.broadcast_to(far + unit, (count, CROP, 4, 3)).copy() for name in ("start", "native")}
    out |= {name: np.zeros((count, CROP), np.int64) for name in ("residue", "position")}
    out |= {"mask": np.zeros((count, CROP), bool), "kind": np.array([e["kind"] for e in batch]),
            "set": np.array([e.get("set", 0) for e in batch])}  # fmt: skip
    for b, example in enumerate(batch):
        size = len(example["residue"])
        out["mask"][b, :size] = True
        centre = {name: example[name][:, 1].mean(0) for name in ("start", "native")}
        for name in ("start", "native"):
            out[name][b, :size] = example[name] - centre[name]
        for name in ("residue", "position"):
            out[name][b, :size] = example[name]
    return {name: torch.from_numpy(value) for name, value in out.items()}


def products(trunk: Trunk, region: Region, offset: Tensor, residue: Tensor) -> tuple[Tensor, Tensor]:
    """``Trunk.forward`` with every gather as a matrix product, whose gradient needs no scattered additions."""
    length, neighbours = region.index.shape[1:]
    with torch.autocast(region.edge.device.type, enabled=False):
        classes = F.one_hot(offset, trunk.offset_in.num_embeddings).to(region.edge.dtype)
        weight = torch.cat((trunk.edge_in.weight, trunk.offset_in.weight.T), 1)
        edge = F.silu(F.linear(torch.cat((region.edge, classes), -1), weight, trunk.edge_in.bias))
    dtype = torch.get_autocast_dtype(region.edge.device.type) if torch.is_autocast_enabled(region.edge.device.type) else edge.dtype
    edge = edge.to(dtype)
    pick = F.one_hot(region.index.flatten(1), length).to(dtype)
    envelope = region.envelope.unsqueeze(-1).to(dtype)
    node = trunk.node_in(region.node) + F.one_hot(residue, 20).to(dtype) @ trunk.residue_in.weight  # type: ignore[union-attr]
    for layer in trunk.layers:
        x = layer.norm_in(node)
        z = torch.bmm(pick, layer.neighbour(x)).unflatten(1, (length, neighbours))
        z = F.silu(z + layer.centre(x).unsqueeze(2) + layer.edge(edge))
        z = F.silu(layer.mix(z))
        node = node + layer.out((z * envelope).sum(2) / 16.0)
        node = node + layer.transition(layer.norm_out(node))
        edge = layer.edge_out(z) + edge
    return node, edge


class Store:
    """The latest examples on the device, from which batches are drawn; new ones come in from a thread."""

    def __init__(self, size: int, device: str) -> None:
        self.size, self.device, self.filled, self.place = size, device, 0, 0
        self.values: dict[str, Tensor] = {}

    def add(self, batch: dict[str, Tensor]) -> None:
        count = len(batch["kind"])
        if not self.values:
            self.values = {k: torch.zeros(self.size, *v.shape[1:], dtype=v.dtype, device=self.device) for k, v in batch.items()}
        where = (self.place + torch.arange(count)) % self.size
        for name, value in batch.items():
            self.values[name][where.to(self.device)] = value.to(self.device, non_blocking=True)
        self.place, self.filled = (self.place + count) % self.size, min(self.size, self.filled + count)

    def draw(self, which: Tensor) -> dict[str, Tensor]:
        return {name: value[which] for name, value in self.values.items()}


def joined(a: dict[str, Tensor], b: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.cat((a[name], b[name])) for name in a}


def loss_of(network: Any, batch: dict[str, Tensor], bf16: bool) -> tuple[Tensor, dict[str, float], Any]:
    batch = batch | labels(batch["start"], batch["native"], batch["mask"])
    with torch.autocast(batch["start"].device.type, torch.bfloat16, enabled=bf16):
        if isinstance(network, Judge):
            return judge_loss(network, batch)
        loss, figures, out = prior_loss(network, batch)
        further, more = unrolled_loss(network, batch, out, UNROLLED)
    return loss + further, figures | more, out


def validated(network: Any, batches: dict[str, list[dict[str, Tensor]]], bf16: bool) -> dict[str, float]:
    """Mean figures by kind of batch, with the cosine of proposed and true whole displacements of 0.5 to 4 Å."""
    rows: dict[str, float] = {}
    with torch.no_grad():
        for kind, several in batches.items():
            figures: dict[str, list[float]] = {}
            for batch in several:
                loss, values, out = loss_of(network, batch, bf16)
                for name, value in values.items():
                    figures.setdefault(name, []).append(value)
                if out is not None:
                    true = labels(batch["start"], batch["native"], batch["mask"])["whole_shift"]
                    size = true.norm(dim=-1)
                    use = batch["mask"] & (size > 0.5) & (size < 4)
                    figures.setdefault("cosine", []).append(F.cosine_similarity(out.whole_shift, true, -1)[use].mean().item())
            rows |= {f"{kind}/{name}": round(float(np.mean(v)), 4) for name, v in figures.items()}
    return rows


def learning_rate(part: float, step: int, most: float) -> float:
    """Of the part of the time that is gone: risen after 200 steps, held, then lowered to zero from 0.35 on."""
    return most * min(1.0, (step + 1) / 200) * min(1.0, max(0.0, (1 - part) / 0.65))


def network_of(options: argparse.Namespace) -> Any:
    """The wide network, begun from the narrow one."""
    narrow, _ = load_network(options.init, options.network)
    trunk = TrunkSettings(options.width, options.layers)
    network: Any = Prior(PriorSettings(trunk)) if options.network == "prior" else Judge(JudgeSettings(trunk))
    for layer in network.trunk.layers[len(narrow.trunk.layers) :]:  # type: ignore[union-attr,arg-type]
        layer.begin_as_identity()
    network.load_state_dict(widened(narrow.state_dict(), network, 0))
    return network


def saved(network: Any, path: Path) -> None:
    """Weights in half precision, which is far finer than what training leaves undecided."""
    torch.save({name: value.half().cpu() for name, value in network.state_dict().items()}, path)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("pack", type=Path)
    options.add_argument("pairs", type=Path)
    options.add_argument("real", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--network", choices=("prior", "judge"), default="prior")
    options.add_argument("--init", type=Path, required=True)
    options.add_argument("--width", type=int, default=256)
    options.add_argument("--layers", type=int, default=8)
    options.add_argument("--seconds", type=float, default=400)
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--rate", type=float, default=8e-4)
    options.add_argument("--real-share", type=float, default=0.2)
    options.add_argument("--workers", type=int, default=15)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--device", default="cuda")
    options.add_argument("--compiled", action=argparse.BooleanOptionalAction, default=True)
    return options


def datasets(options: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """Examples for training, and for validation by kind."""
    pack, models = Pack(options.pack), RealModels(options.real)
    pairs, endless = read_pairs(options.pairs, pack), 10_000_000
    if options.network == "judge":
        settings = RivalSettings(of_one=OF_ONE)
        train = BareRivals(pack, pairs, "train", JUDGE_EXAMPLES, settings, options.seed, endless)
        check = {}
        for name, share in (("rivals", 0.0), ("real", 1.0)):
            part = BareRivals(pack, pairs, "valid", JUDGE_EXAMPLES, settings, options.seed + 1, endless)
            check[name] = part.with_models(models, "valid")
            check[name].real_share = share
        return train.with_models(models, "train"), check
    check = {}
    shares = {"homologue": (1.0, 0.0, 0.0, 0.0), "thermal": (0.0, 1.0, 0.0, 0.0), "perturbed": (0.0, 0.0, 0.0, 0.0),
              "predicted": (0.0, 0.0, 1.0, 1.0), "homology model": (0.0, 0.0, 1.0, 0.0)}  # fmt: skip
    for name, (homologues, thermal, share, predicted) in shares.items():
        settings = dataclasses.replace(PRIOR_EXAMPLES, homologues=homologues, thermal=thermal, natives=0.0)
        real = RealSettings(share=share, predicted=predicted)
        check[name] = BareExamples(pack, pairs, "valid", settings, options.seed + 1, endless, models=models, real=real)
    real = RealSettings(share=options.real_share, predicted=0.4)
    return BareExamples(pack, pairs, "train", PRIOR_EXAMPLES, options.seed, endless, models=models, real=real), check


class _Parts(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Several sets of examples one after another, ``each`` of every one."""

    def __init__(self, parts: list[Examples], each: int) -> None:
        self.parts, self.each = parts, each

    def __getitem__(self, k: int) -> dict[str, Any]:
        return self.parts[k // self.each][k % self.each]  # type: ignore[return-value]


def checks(check: dict[str, Examples], options: argparse.Namespace) -> dict[str, list[dict[str, Tensor]]]:
    """Batches for validation by kind, on the device."""
    size, count = (64, 3) if options.device == "cuda" else (8, 1)
    parts = _Parts(list(check.values()), size * count)
    loader = torch.utils.data.DataLoader(
        parts, batch_size=size, sampler=range(size * count * len(check)), collate_fn=collated, num_workers=options.workers
    )
    made = [{k: v.to(options.device) for k, v in batch.items()} for batch in loader]
    return {name: made[count * n : count * (n + 1)] for n, name in enumerate(check)}


def fed(train: Examples, options: argparse.Namespace) -> queue.Queue[dict[str, Tensor]]:
    """Batches of new examples, made by processes that begin before the device is touched."""
    waiting: queue.Queue[dict[str, Tensor]] = queue.Queue(maxsize=64)
    loader = iter(torch.utils.data.DataLoader(
        train, batch_size=32, sampler=range(0, 10_000_000), collate_fn=collated, num_workers=options.workers,
        prefetch_factor=4,
    ))  # fmt: skip

    def feed() -> None:
        for batch in loader:
            waiting.put(batch)

    threading.Thread(target=feed, daemon=True).start()
    return waiting


def main() -> None:
    options = parser().parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    began = time.monotonic()
    train, check = datasets(options)
    waiting = fed(train, options)
    device, bf16 = options.device, options.device == "cuda"
    batches = checks(check, options)
    network = network_of(options).to(device)
    print(f"{sum(p.numel() for p in network.parameters())} parameters, {time.monotonic() - began:.1f} s", flush=True)
    plain = functools.partial(products, network.trunk)
    network.trunk.forward = torch.compile(plain, dynamic=False) if options.compiled else plain
    shadow = network_of(options).to(device)  # running average of the weights
    shadow.trunk.forward = functools.partial(products, shadow.trunk)
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.rate, weight_decay=0.01, fused=bf16)
    store, moved, draws = Store(8192, device), Store(1024, device), torch.Generator(device).manual_seed(options.seed)
    own = options.network == "prior"
    fresh = options.batch // 2 if own else options.batch
    clock, step, seen, reports = 0.0, 0, 0, 0
    running: dict[str, Tensor] = {}
    log = (options.out / "log.jsonl").open("a")

    def report(part: str) -> None:
        row = {"part": part, "step": step, "seconds": round(time.monotonic() - began, 1), "made": seen}
        row |= {k: round(float(v), 4) for k, v in running.items()} | validated(shadow, batches, bf16)
        log.write(json.dumps(row) + "\n")
        log.flush()
        print(json.dumps(row), flush=True)
        saved(shadow, options.out / f"{options.network}.pt")

    while store.filled < 2 * options.batch:
        store.add(waiting.get())
    report("before")
    while clock < options.seconds:
        while not waiting.empty():
            batch = waiting.get()
            seen += len(batch["kind"])
            store.add(batch)
        if own:
            which = torch.randint(store.filled, (fresh,), device=device, generator=draws)
        else:  # whole sets stand beside each other
            sets = torch.randint(store.filled // OF_ONE, (fresh // OF_ONE,), device=device, generator=draws)
            which = (OF_ONE * sets[:, None] + torch.arange(OF_ONE, device=device)).flatten()
        batch = store.draw(which)
        if own and moved.filled >= options.batch:
            places = torch.randperm(moved.filled, device=device, generator=draws)[: options.batch - fresh]
            batch = joined(batch, moved.draw(places))
        elif own:
            batch = joined(batch, store.draw(torch.randint(store.filled, (options.batch - fresh,), device=device, generator=draws)))
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(clock / options.seconds, step, options.rate)
        loss, figures, out = loss_of(network, batch, bf16)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        if torch.isfinite(norm):
            optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(shadow.parameters()), list(network.parameters()), 1 - min(0.998, (step + 1) / (step + 10)))
        if own:
            with torch.no_grad():
                go_on(batch, out, moved, fresh, draws)
        for name, value in (figures | {"loss": loss.item(), "norm": norm.item()}).items():
            running[name] = value if name not in running else 0.98 * running[name] + 0.02 * value  # type: ignore[assignment]
        step += 1
        if step == 3:
            start = time.monotonic()
        if step >= 3:
            clock = time.monotonic() - start
        if clock > (reports + 1) * options.seconds / 4 and clock < 0.99 * options.seconds:
            reports += 1
            report(f"{clock:.0f} s of training")
    report("end")
    (options.out / "done.json").write_text(json.dumps({"steps": step, "examples": seen, "options": {k: str(v) for k, v in vars(options).items()}}))
    print(f"{step} steps, {step / max(clock, 1e-9):.1f} a second, {seen} examples made", flush=True)


def go_on(batch: dict[str, Tensor], out: Any, moved: Store, fresh: int, draws: torch.Generator) -> None:
    """Puts examples of a batch, moved by a part of what the network proposes, among those that go on."""
    device = batch["start"].device
    count = len(batch["start"])
    chance = torch.rand(count, device=device, generator=draws)
    limit = torch.full((count,), 1 - 1 / MOVES, device=device)
    limit[:fresh] = 1.5 / MOVES
    stays = chance < limit
    part = 0.2 + torch.rand(count, device=device, generator=draws)
    bonded = F.pad(batch["position"].diff(dim=1) == 1, (0, 1))
    start = moved_on(batch["start"], out, part, bonded, PRIOR_EXAMPLES.noise, draws)
    going = torch.isfinite(start).flatten(1).all(1) & stays
    start = torch.where(batch["mask"][:, :, None, None], start, batch["start"])
    kept = {name: (start if name == "start" else value)[going] for name, value in batch.items()}
    moved.add(kept)


if __name__ == "__main__":
    main()

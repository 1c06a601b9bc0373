"""Training examples: decoys with their natives, made on the fly from a pack.

Example number n of a run is a function of (seed, n) alone, so that a resumed training sees exactly what an
uninterrupted one would have seen.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from refine.errors import InputError
from refine.structure.arrays import frames
from refine.training import decoys, targets
from refine.training.fragments import FragmentLibrary, assembled
from refine.training.pack import Pack
from refine.training.pairs import Pair, held_out

Arrays = dict[str, NDArray[Any]]
SHORTEST = 40
"""Residues that a chain, or an alignment of homologues, must have to give examples."""
REAL = ("homology model", "predicted")
"""Kinds of real models, see ``real_models``."""
KINDS = ("perturbed", "homologue", "native", "rearranged", "unrelated", "thermal", "assembled", *REAL)
"""Kinds of example; ``rearranged`` and ``unrelated`` are of ``rivals`` alone."""


@dataclasses.dataclass(frozen=True)
class ExampleSettings:
    """How examples are made. Fractions are of all examples; the rest are perturbed natives.

    Attributes:
        crop: most residues of one example (the nearest to a random centre).
        homologues: fraction threaded on a homologue's backbone.
        thermal: fraction as dynamics leave a structure.
        assembled: fraction put together from fragments of other proteins, see ``fragments``.
        natives: fraction left nearly untouched, so that the network learns to hold still.
        misaligned: mean number of stretches in the wrong register of a homologue example.
        misfolded: fraction of the homologue examples in the wrong register throughout.
        blend: fraction of the homologue examples drawn part of the way towards the native.
        disturbed: fraction of the homologue examples perturbed on top.
        strained: fraction of these that are strained instead.
        smooth: fraction of the perturbations that leave secondary structure well-formed.
        noise: Å, most atomic noise with which every example's local geometry is disguised; 0 leaves geometry as it is.
        inflation: largest relative error of all covalent lengths of an example, and of its size with them.
    """

    crop: int = 160
    homologues: float = 0.75
    thermal: float = 0.0
    assembled: float = 0.0
    natives: float = 0.05
    misaligned: float = 0.0
    misfolded: float = 0.0
    blend: float = 0.25
    disturbed: float = 0.4
    strained: float = 0.0
    smooth: float = 0.7
    noise: float = 0.12
    inflation: float = 0.0


class Examples(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Examples as dictionaries of arrays; ``split`` is train, valid or test.

    Keys: start, native (L, 4, 3) Å; residue, position (L,); shift, turn, whole_shift, whole_turn (L, 3) in the start's
    residue frames; side_chain (L, 10, 3) and present (L, 10), the native's side chains riding on the start; lddt (L,);
    kind, a place in ``KINDS``.
    """

    kept_by_likeness = (0.3, 0.4, 0.72, 0.82, 0.92, 1.0), (0.0, 1.0, 1.0, 0.4, 0.1, 0.03)
    """CA lDDT of a homologue's backbone, and the probability of taking it."""

    def __init__(
        self,
        pack: Pack,
        pairs: list[list[Pair]],
        split: str,
        settings: ExampleSettings,
        seed: int,
        count: int,
    ) -> None:
        self.pack, self.settings, self.seed, self.count = pack, settings, seed, count
        training = split == "train"
        self.pairs = [group for group in pairs if held_out(group, pack) != training]
        clusters: dict[str, list[int]] = {}
        for k, chain in enumerate(pack.chains):
            if chain.split == split and chain.length >= SHORTEST:
                clusters.setdefault(chain.cluster, []).append(k)
        self.clusters = [clusters[name] for name in sorted(clusters)]
        self.library = FragmentLibrary(pack, split) if settings.assembled else None
        if not self.clusters:
            raise InputError(
                f"no chain of the split '{split}' has {SHORTEST} residues or more", remedy="Give more structures."
            )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, n: int) -> Arrays:
        rng = np.random.default_rng((self.seed, n))
        u = rng.random()
        if self.pairs and u < self.settings.homologues:
            return self._homologue(rng)
        chain = self._chain(rng)
        native = self.pack.backbone(chain)
        keep = self._crop(native[:, 1], rng, self.settings.crop * 7 // 5)
        native = native[keep]
        bonded = self.pack.bonded(chain)[keep] & np.r_[np.diff(keep) == 1, False]
        kind, place = "perturbed", 1 - u
        if place < self.settings.natives:
            kind = "native"
            start = decoys.jittered(native, rng, rng.uniform(0.0, 0.12))
        elif place < self.settings.natives + self.settings.thermal:
            kind = "thermal"
            start = decoys.thermal(native, rng, float(rng.uniform(0.5, 1.4)))
        elif self.library and place < self.settings.natives + self.settings.thermal + self.settings.assembled:
            kind = "assembled"
            start = self._assembled(native, bonded, self.library, rng)
        elif rng.random() < self.settings.smooth:
            start = decoys.deformed(native, rng, float(np.exp(rng.uniform(np.log(0.3), np.log(2.0)))))
        else:
            start = decoys.perturbed(native, rng, float(np.exp(rng.uniform(np.log(0.3), np.log(2.4)))))
        return self._example(chain, keep, self._disguised(start, bonded, rng), native, kind, rng)

    def _assembled(
        self,
        native: NDArray[np.float32],
        bonded: NDArray[np.bool_],
        library: FragmentLibrary,
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """Put together from fragments, and in most cases bent or strained as a whole."""
        start = assembled(native, bonded, library, rng, float(rng.uniform(0.2, 1.0)), float(rng.uniform(0.0, 0.4)))
        start = decoys.restore_bonds(start, bonded, 8)
        u = rng.random()
        if u < 0.4:
            return decoys.strained(start, rng, float(rng.uniform(0.3, 1.2)))
        if u < 0.8:
            return decoys.deformed(start, rng, float(np.exp(rng.uniform(np.log(0.1), np.log(1.2)))))
        return start

    def _chain(self, rng: np.random.Generator) -> int:
        members = self.clusters[rng.integers(len(self.clusters))]
        return members[rng.integers(len(members))]

    def _crop(self, ca: NDArray[np.float32], rng: np.random.Generator, size: int) -> NDArray[np.int64]:
        if len(ca) <= size:
            return np.arange(len(ca))
        d = ((ca - ca[rng.integers(len(ca))]) ** 2).sum(-1)
        return np.sort(np.argpartition(d, size - 1)[:size])

    def _homologue(self, rng: np.random.Generator) -> Arrays:
        for _ in range(20):
            group = self.pairs[rng.integers(len(self.pairs))]
            pair = group[rng.integers(len(group))]
            if len(pair.rows) >= SHORTEST and rng.random() < self._kept(pair):
                break
        return self._threaded(pair, rng)

    def _kept(self, pair: Pair) -> float:
        """Probability of keeping a homologue pair by its likeness: examples are to be about as wrong as real models."""
        native, template = (
            self.pack.backbone(pair.chain)[pair.rows],
            self.pack.backbone(pair.template)[pair.template_rows],
        )
        likeness = float(targets.lddt_ca(native[:, 1].astype(np.float64), template[:, 1].astype(np.float64)).mean())
        return float(np.interp(likeness, *self.kept_by_likeness))

    def _threaded(self, pair: Pair, rng: np.random.Generator) -> Arrays:
        """The target of ``pair`` on its template's backbone."""
        native = self.pack.backbone(pair.chain)[pair.rows]
        template = self.pack.backbone(pair.template)[pair.template_rows]
        rot, shift = targets.whole_superposition(template[:, 1].astype(np.float64), native[:, 1].astype(np.float64))
        template = (template @ rot.T + shift).astype(np.float32)
        whole, bonded = self.pack.backbone(pair.chain), self.pack.bonded(pair.chain)
        rows = pair.rows
        if rng.random() < self.settings.misfolded:
            rows, template = decoys.misaligned(rows, template, rng, throughout=True)
        for _ in range(rng.poisson(self.settings.misaligned)):
            rows, template = decoys.misaligned(rows, template, rng)
        rows, template = decoys.threaded(whole, rows, template, bonded, rng)
        keep = self._crop(template[:, 1], rng, self.settings.crop * 7 // 5)
        rows, template = rows[keep], template[keep]
        native, joined = whole[rows], bonded[rows] & np.r_[np.diff(rows) == 1, False]
        if rng.random() < self.settings.blend:
            template = (native + rng.uniform(0.25, 0.9) * (template - native)).astype(np.float32)
        if rng.random() < self.settings.disturbed:
            template = self._disturbed(template, rng)
        return self._example(pair.chain, rows, self._disguised(template, joined, rng), native, "homologue", rng)

    def _disguised(
        self, backbone: NDArray[np.float32], bonded: NDArray[np.bool_], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        return decoys.disguised(backbone, bonded, rng, self.settings.noise, self.settings.inflation)

    def _disturbed(self, template: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """A homologue's backbone a little more wrong."""
        if rng.random() < self.settings.strained:
            return decoys.strained(template, rng, float(rng.uniform(0.3, 1.2)))
        change = decoys.deformed if rng.random() < self.settings.smooth else decoys.perturbed
        return change(template, rng, float(rng.uniform(0.05, 0.8)))

    def _example(
        self,
        chain: int,
        rows: NDArray[np.int64],
        start: NDArray[np.float32],
        native: NDArray[np.float32],
        kind: str,
        rng: np.random.Generator,
    ) -> Arrays:
        keep = self._crop(start[:, 1], rng, self.settings.crop)
        residues = rows[keep]
        packed = self.pack.backbone(chain)[residues]
        side_chain, present = self.pack.side_chain(chain)
        return {
            "residue": self.pack.residue(chain)[residues].astype(np.int64),
            "position": self.pack.position(chain)[residues].astype(np.int64),
            "side_chain": _carried(side_chain[residues], packed, start[keep]),
            "present": present[residues],
            "kind": np.array(KINDS.index(kind)),
            **_targets(start, native, keep),
        }


def labelled(
    start: NDArray[np.float32],
    native: NDArray[np.float32],
    before: NDArray[np.float32],
    side_chain: NDArray[np.float32],
    present: NDArray[np.bool_],
    residue: NDArray[np.int64],
    position: NDArray[np.int64],
    keep: NDArray[np.int64],
    kind: int,
) -> Arrays:
    """An example of the residues ``keep`` of a model (L, 4, 3) whose side chains (L, 10, 3) belong to the backbone
    ``before``.
    """
    return {
        "residue": residue[keep],
        "position": position[keep],
        "side_chain": _carried(side_chain[keep], before[keep], start[keep]),
        "present": present[keep],
        "kind": np.array(kind),
        **_targets(start, native, keep),
    }


def moved_on(
    example: Arrays, shift: NDArray[np.float32], turn: NDArray[np.float32], noise: float, rng: np.random.Generator
) -> Arrays:
    """An example a step later: moved as a network proposed, geometry disguised as in every example, labels made anew.

    Args:
        example: as ``Examples`` gives it, not padded.
        shift: (L, 3) Å and turn: (L, 3) rad, in the residue frames of its start.
        noise: ``ExampleSettings.noise``.
    """
    start = example["start"].astype(np.float64)
    frame = frames(*start[:, :3].swapaxes(0, 1))
    moves = [(frame @ v[..., None].astype(np.float64))[..., 0] for v in (shift, turn)]
    bonded = np.r_[np.diff(example["position"]) == 1, False]
    moved = decoys.restore_bonds(decoys.move_residues(start.astype(np.float32), *moves), bonded, 4)
    moved = decoys.disguised(moved, bonded, rng, noise)
    return {
        **example,
        "side_chain": _carried(example["side_chain"], example["start"], moved),
        **_targets(moved, example["native"], np.arange(len(moved))),
    }


def _targets(start: NDArray[np.float32], native: NDArray[np.float32], keep: NDArray[np.int64]) -> Arrays:
    """Coordinates and labels of the residues ``keep`` of a start (L, 4, 3); lDDT and whole superposition see all."""
    ca, native_ca = start[:, 1].astype(np.float64), native[:, 1].astype(np.float64)
    lddt = targets.lddt_ca(native_ca, ca)
    whole_rot, whole_shift = targets.whole_superposition(native_ca, ca)
    now, goal = start[keep].astype(np.float64), native[keep].astype(np.float64)
    local_rot, local_shift = targets.local_superpositions(goal[:, 1], now[:, 1])
    shift, turn = _frame_motion(now, goal, local_rot, local_shift)
    whole = np.broadcast_to(whole_rot, local_rot.shape), np.broadcast_to(whole_shift, local_shift.shape)
    whole_t, whole_w = _frame_motion(now, goal, *whole)
    return {
        "start": now.astype(np.float32),
        "native": goal.astype(np.float32),
        "shift": shift,
        "turn": turn,
        "whole_shift": whole_t,
        "whole_turn": whole_w,
        "lddt": lddt[keep].astype(np.float32),
    }


def _carried(points: NDArray[np.float32], old: NDArray[np.float32], new: NDArray[np.float32]) -> NDArray[np.float32]:
    """Points (L, P, 3) that ride on their residues' frames from one backbone to another."""
    before, after = old.astype(np.float64), new.astype(np.float64)
    turn = frames(*before[:, :3].swapaxes(0, 1)) @ frames(*after[:, :3].swapaxes(0, 1)).transpose(0, 2, 1)
    return ((points - before[:, 1:2]) @ turn + after[:, 1:2]).astype(np.float32)


def _frame_motion(
    start: NDArray[np.float64], native: NDArray[np.float64], rot: NDArray[np.float64], shift: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Displacement and rotation vector (L, 3), seen from the start's frames, to native frames laid by rot and shift."""
    now, goal = frames(*start[:, :3].swapaxes(0, 1)), rot @ frames(*native[:, :3].swapaxes(0, 1))
    place = (rot @ native[:, 1, :, None])[..., 0] + shift
    t = (now.transpose(0, 2, 1) @ (place - start[:, 1])[..., None])[..., 0]
    w = Rotation.from_matrix(now.transpose(0, 2, 1) @ goal).as_rotvec()
    return t.astype(np.float32), w.astype(np.float32)


def collate(examples: list[Arrays], length: int = 0) -> dict[str, Tensor]:
    """Examples padded to ``length`` or the longest, with ``mask`` (B, L); padded residues lie far apart."""
    longest = max(length, *(len(e["residue"]) for e in examples))
    batch: dict[str, Tensor] = {"mask": torch.zeros(len(examples), longest, dtype=torch.bool)}
    for key, value in examples[0].items():
        shape = () if value.ndim == 0 else (longest, *value.shape[1:])
        batch[key] = torch.zeros(len(examples), *shape, dtype=torch.from_numpy(np.empty(0, value.dtype)).dtype)
    for b, example in enumerate(examples):
        length = len(example["residue"])
        batch["mask"][b, :length] = True
        for key, value in example.items():
            if value.ndim == 0:
                batch[key][b] = value.item()
            else:
                batch[key][b, :length] = torch.from_numpy(np.ascontiguousarray(value))
    far = torch.arange(longest, dtype=torch.float32)[None, :, None, None] * 50.0 + 2000.0
    unit = torch.tensor([[-0.5, 1.4, 0.0], [0.0, 0.0, 0.0], [1.5, 0.0, 0.0], [2.1, 1.0, 0.0]])
    padding = (far + unit).expand(len(examples), -1, -1, -1)
    for key in ("start", "native"):
        batch[key] = torch.where(batch["mask"][:, :, None, None], batch[key], padding)
    return batch

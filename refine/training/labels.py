"""Labels of whole batches, made where the network is: what ``targets`` and ``examples`` make of one structure in numpy.

On a GPU they cost less than the time in which 16 cores would make them, so that cores are left for decoys.
"""

from __future__ import annotations

import torch
from torch import Tensor

from refine.energy.bonds import ANGLES, BONDS
from refine.networks.prior import PriorOutput
from refine.structure.geometry import distance, frames, kabsch, rotation_from_vector, to_global, vector_from_rotation
from refine.training.targets import LDDT_LIMITS, LDDT_RADIUS, NEIGHBOURHOOD

_SWEEP = (*BONDS[:3], *ANGLES[:2], BONDS[3], ANGLES[2], ANGLES[4], ANGLES[3])


def whole_superpositions(native: Tensor, decoy: Tensor, mask: Tensor, rounds: int = 6, scale: float = 2.0) -> tuple[Tensor, Tensor]:
    """Rotations (B, 3, 3) and shifts (B, 3) as of ``targets.whole_superposition`` for CA (B, L, 3) where ``mask``."""
    weight = mask.to(native.dtype)
    rot, shift = torch.eye(3, dtype=native.dtype, device=native.device).expand(len(native), 3, 3), native[:, 0] * 0
    for _ in range(rounds):
        w = (weight / weight.sum(1, keepdim=True)).unsqueeze(-1)
        cn, cd = (w * native).sum(1), (w * decoy).sum(1)
        rot = kabsch((w * (decoy - cd[:, None])).transpose(1, 2) @ (native - cn[:, None]))
        shift = cd - (rot @ cn.unsqueeze(-1)).squeeze(-1)
        square = ((native @ rot.transpose(1, 2) + shift[:, None] - decoy) ** 2).sum(-1)
        weight = mask / (1.0 + square / scale**2) ** 2
    return rot, shift


def local_superpositions(native: Tensor, decoy: Tensor, mask: Tensor, rounds: int = 2) -> tuple[Tensor, Tensor]:
    """Rotations (B, L, 3, 3) and shifts (B, L, 3) as of ``targets.local_superpositions``."""
    x = ((torch.cdist(decoy, decoy) - 8.0) / (NEIGHBOURHOOD - 8.0)).clamp(0, 1)
    near = (1 - x * x * (3 - 2 * x)) * mask[:, None]
    eye = torch.eye(decoy.shape[1], dtype=decoy.dtype, device=decoy.device)
    near = torch.where(mask[:, :, None], near, eye)
    outer = (decoy[:, :, :, None] * native[:, :, None, :]).flatten(2)
    weight = near
    for _ in range(rounds):
        w = weight / weight.sum(-1, keepdim=True)
        cn, cd = w @ native, w @ decoy
        rot = kabsch((w @ outer).unflatten(-1, (3, 3)) - cd[..., :, None] * cn[..., None, :])
        shift = cd - (rot @ cn.unsqueeze(-1)).squeeze(-1)
        laid = native[:, None] @ rot.transpose(-1, -2) + shift[:, :, None]
        weight = near / (1.0 + ((laid - decoy[:, None]) ** 2).sum(-1) / 4.0)
    return rot, shift


def lddt_ca(native: Tensor, decoy: Tensor, mask: Tensor) -> Tensor:
    """Per-residue CA lDDT (B, L) in [0, 1] of CA (B, L, 3) where ``mask``; 1 where no pair counts."""
    true = torch.cdist(native, native)
    counted = (true < LDDT_RADIUS) & mask[:, :, None] & mask[:, None]
    counted &= ~torch.eye(true.shape[1], dtype=torch.bool, device=true.device)
    error = (torch.cdist(decoy, decoy) - true).abs()
    kept = torch.stack([((error < limit) & counted).sum(-1) for limit in LDDT_LIMITS]).to(true.dtype).mean(0)
    pairs = counted.sum(-1)
    return torch.where(pairs > 0, kept / pairs.clamp_min(1), torch.ones_like(kept))


def frame_motion(start: Tensor, native: Tensor, rot: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Displacements and rotation vectors (B, L, 3), seen from the start's frames, to native frames laid by rot, shift.

    Args:
        start, native: (B, L, 4, 3) Å.
        rot, shift: (B, L, 3, 3) and (B, L, 3), or broadcast to these.
    """
    now, goal = frames(*start[:, :, :3].unbind(2)), rot @ frames(*native[:, :, :3].unbind(2))
    place = (rot @ native[:, :, 1].unsqueeze(-1)).squeeze(-1) + shift
    back = now.transpose(-1, -2)
    return (back @ (place - start[:, :, 1]).unsqueeze(-1)).squeeze(-1), vector_from_rotation(back @ goal)


def labels(start: Tensor, native: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Labels of ``examples.Examples`` for backbones (B, L, 4, 3) Å, of the residues at hand."""
    ca, native_ca = start[:, :, 1], native[:, :, 1]
    shift, turn = frame_motion(start, native, *local_superpositions(native_ca, ca, mask))
    whole_rot, whole_shift = whole_superpositions(native_ca, ca, mask)
    whole = frame_motion(start, native, whole_rot[:, None], whole_shift[:, None])
    lddt = lddt_ca(native_ca, ca, mask)
    return {"shift": shift, "turn": turn, "whole_shift": whole[0], "whole_turn": whole[1], "lddt": lddt}


def restored_bonds(backbone: Tensor, bonded: Tensor, sweeps: int, scale: Tensor | float = 1.0) -> Tensor:
    """``decoys.restore_bonds`` for a batch (B, L, 4, 3) with ``bonded`` (B, L); scale broadcasts to (B, 1, 1)."""
    atoms = list(backbone.unbind(2))
    joined = bonded[:, :-1, None].to(backbone.dtype)
    for _ in range(sweeps):
        for link in _SWEEP:
            first, second = link.first, link.second % 4
            a, b = (atoms[first][:, :-1], atoms[second][:, 1:]) if link.to_next else (atoms[first], atoms[second])
            delta = b - a
            move = 0.5 * (1.0 - scale * link.ideal / distance(a, b).clamp_min(1e-6).unsqueeze(-1)) * delta
            if link.to_next:
                nothing = torch.zeros_like(atoms[first][:, :1])
                atoms[first] = atoms[first] + torch.cat((move * joined, nothing), 1)
                atoms[second] = atoms[second] - torch.cat((nothing, move * joined), 1)
            else:
                atoms[first], atoms[second] = a + move, b - move
    return torch.stack(atoms, 2)


def moved_on(
    start: Tensor, out: PriorOutput, part: Tensor, bonded: Tensor, noise: float, generator: torch.Generator
) -> Tensor:
    """Backbones (B, L, 4, 3) a step later: moved by ``part`` (B,) of what ``out`` proposes, geometry disguised again.

    Args:
        start: (B, L, 4, 3) Å; bonded: (B, L); noise: most Å, as ``examples.ExampleSettings.noise``.
    """
    region = out.region
    share = part[:, None, None]
    turned = region.rot @ rotation_from_vector(share * out.whole_turn) @ region.rot.transpose(-1, -2)
    place = to_global(region.rot, region.origin, share * out.whole_shift)
    x = (start - start[:, :, 1:2]) @ turned.transpose(-1, -2) + place.unsqueeze(2)
    x = restored_bonds(x, bonded, 6)
    level = noise * torch.rand(len(x), 1, 1, 1, device=x.device, generator=generator)
    return x + level * torch.randn(x.shape, device=x.device, generator=generator)

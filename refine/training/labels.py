"""Labels of whole batches, made where the network is: what ``targets`` and ``examples`` make of one structure in numpy.

On a GPU they cost less than the time in which 16 cores would make them, so that cores are left for decoys.
"""

from __future__ import annotations

import torch
from torch import Tensor

from refine.structure.geometry import distance, frames, vector_from_rotation
from refine.training.decoys import SWEEP
from refine.training.targets import LDDT_LIMITS, LDDT_RADIUS, NEIGHBOURHOOD


def fitted_rotation(covariance: Tensor) -> Tensor:
    """What ``geometry.kabsch`` returns for (..., 3, 3), by quaternions (Horn 1987): products alone, fast in batches.

    The quaternion of the rotation is the leading eigenvector of a symmetric 4 × 4 matrix, which is found by squaring.
    """
    c = covariance.transpose(-1, -2)
    xx, xy, xz, yx, yy, yz, zx, zy, zz = c.flatten(-2).unbind(-1)
    rows = (
        (xx + yy + zz, yz - zy, zx - xz, xy - yx),
        (yz - zy, xx - yy - zz, xy + yx, zx + xz),
        (zx - xz, xy + yx, yy - xx - zz, yz + zy),
        (xy - yx, zx + xz, yz + zy, zz - xx - yy),
    )
    k = torch.stack([torch.stack(row, -1) for row in rows], -2)
    size = k.square().sum((-1, -2), keepdim=True).sqrt().clamp_min(1e-12)
    k = k / size + torch.eye(4, dtype=k.dtype, device=k.device)
    for _ in range(14):
        k = k @ k
        k = k / k.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    best = k.diagonal(dim1=-2, dim2=-1).argmax(-1)
    q = k.gather(-1, best[..., None, None].expand(*k.shape[:-1], 1)).squeeze(-1)
    w, x, y, z = (q / q.norm(dim=-1, keepdim=True)).unbind(-1)
    return torch.stack(
        (
            torch.stack((1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)), -1),
            torch.stack((2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)), -1),
            torch.stack((2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)), -1),
        ),
        -2,
    )


def whole_superpositions(
    native: Tensor, decoy: Tensor, mask: Tensor, rounds: int = 6, scale: float = 2.0
) -> tuple[Tensor, Tensor]:
    """Rotations (B, 3, 3) and shifts (B, 3) as of ``targets.whole_superposition`` for CA (B, L, 3) where ``mask``."""
    weight = mask.to(native.dtype)
    rot, shift = torch.eye(3, dtype=native.dtype, device=native.device).expand(len(native), 3, 3), native[:, 0] * 0
    for _ in range(rounds):
        w = (weight / weight.sum(1, keepdim=True)).unsqueeze(-1)
        cn, cd = (w * native).sum(1), (w * decoy).sum(1)
        rot = fitted_rotation((w * (decoy - cd[:, None])).transpose(1, 2) @ (native - cn[:, None]))
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
        rot = fitted_rotation((w @ outer).unflatten(-1, (3, 3)) - cd[..., :, None] * cn[..., None, :])
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


def bonds_swept(backbone: Tensor, bonded: Tensor) -> Tensor:
    """One sweep of ``decoys.restore_bonds`` over a batch (B, L, 4, 3) with ``bonded`` (B, L)."""
    atoms = list(backbone.unbind(2))
    joined = bonded[:, :-1, None].to(backbone.dtype)
    for link in SWEEP:
        first, second = link.first, link.second % 4
        a, b = (atoms[first][:, :-1], atoms[second][:, 1:]) if link.to_next else (atoms[first], atoms[second])
        move = 0.5 * (1.0 - link.ideal / distance(a, b).clamp_min(1e-6).unsqueeze(-1)) * (b - a)
        if link.to_next:
            nothing = torch.zeros_like(atoms[first][:, :1])
            atoms[first] = atoms[first] + torch.cat((move * joined, nothing), 1)
            atoms[second] = atoms[second] - torch.cat((nothing, move * joined), 1)
        else:
            atoms[first], atoms[second] = a + move, b - move
    return torch.stack(atoms, 2)

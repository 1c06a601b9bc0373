"""Losses of the networks, and the figures that tell whether they learn."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from refine.networks.environment import neighbour_values
from refine.networks.judge import Judge
from refine.networks.likelihood import Likelihood
from refine.networks.prior import Prior, PriorOutput, student
from refine.structure.geometry import distance, virtual_cb

Batch = dict[str, Tensor]
_TELLING = 0.02  # lDDT; decoys nearer to each other have no order
_FARTHEST_CHANGE = 10.0  # Å; a pair that differs by more says nothing local


def masked_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean; the weights broadcast."""
    weight = weight.expand_as(values).to(values.dtype)
    return (values * weight).sum() / weight.sum().clamp_min(1.0)


def prior_loss(network: Prior, batch: Batch) -> tuple[Tensor, dict[str, Tensor], PriorOutput]:
    """−log likelihood of the native frames and distances, plus the whole-model displacement and the expected lDDT.

    Returns:
        the loss, and figures: ``error_ratio`` of predicted to no displacement (1 = nothing learned), ``whole_ratio``
        and ``pair_ratio`` likewise, ``lddt_error`` (mean absolute); and the network's output.
    """
    out = network(
        batch["start"], batch["residue"], batch["position"], torch.zeros_like(batch["position"]), batch["mask"]
    )
    mask = batch["mask"]
    shift = masked_mean(student(((batch["shift"] - out.shift) ** 2).sum(-1), out.shift_log_b, 3), mask)
    turn = masked_mean(student(((batch["turn"] - out.turn) ** 2).sum(-1), out.turn_log_b, 3), mask)
    whole = _relative(out.whole_shift, batch["whole_shift"], mask, 2.0) + 0.5 * _relative(
        out.whole_turn, batch["whole_turn"], mask, 0.5
    )
    change, weight = distance_changes(out, batch["native"])
    pair = masked_mean(student((change - out.delta) ** 2, out.delta_log_b, 1), weight)
    lddt = masked_mean((out.lddt - batch["lddt"]).abs(), mask)
    loss = shift + 0.5 * turn + 2.0 * whole + 1.5 * pair + 3.0 * lddt
    with torch.no_grad():
        figures = {
            "shift_nll": shift.detach(),
            "turn_nll": turn.detach(),
            "pair_nll": pair.detach(),
            "error_ratio": _ratio(out.shift, batch["shift"], mask),
            "whole_ratio": _ratio(out.whole_shift, batch["whole_shift"], mask),
            "pair_ratio": (
                masked_mean((out.delta - change).abs(), weight) / masked_mean(change.abs(), weight).clamp_min(1e-3)
            ),
            "lddt_error": lddt.detach(),
        }
    return loss, figures, out


def distance_changes(out: PriorOutput, native: Tensor) -> tuple[Tensor, Tensor]:
    """Native minus present CA–CA and CB–CB distances (B, L, K, 2) of the region's pairs, and their weights."""
    n, ca, c, _ = native.unbind(-2)
    index, origin, cb = out.region.index, out.region.origin, out.region.cb
    native_cb = virtual_cb(n, ca, c)
    change = torch.stack(
        (
            distance(neighbour_values(ca, index), ca.unsqueeze(2))
            - distance(neighbour_values(origin, index), origin.unsqueeze(2)),
            distance(neighbour_values(native_cb, index), native_cb.unsqueeze(2))
            - distance(neighbour_values(cb, index), cb.unsqueeze(2)),
        ),
        dim=-1,
    )
    return change.clamp(-_FARTHEST_CHANGE, _FARTHEST_CHANGE), out.region.envelope.unsqueeze(-1)


def _relative(predicted: Tensor, true: Tensor, mask: Tensor, knee: float) -> Tensor:
    """Error left relative to no move, mean over structures; quadratic below ``knee``, linear above."""

    def cost(v: Tensor) -> Tensor:
        return ((((v * v).sum(-1) + knee**2).sqrt() - knee) * mask).sum(-1) / mask.sum(-1).clamp_min(1)

    return (cost(predicted - true) / (cost(true) + 0.02 * knee)).mean()


def _ratio(predicted: Tensor, true: Tensor, mask: Tensor) -> Tensor:
    """Mean error left over residues at most 4 Å off, relative to no move."""
    weight = mask & (true.norm(dim=-1) < 4.0)
    after, before = masked_mean((predicted - true).norm(dim=-1), weight), masked_mean(true.norm(dim=-1), weight)
    return after / before.clamp_min(1e-3)


def likelihood_loss(network: Likelihood, batch: Batch) -> tuple[Tensor, dict[str, Tensor], None]:
    """Cross entropy of the central residue's identity given its region.

    Natives and mildly perturbed structures alike, so that the likelihood stays smooth where models live.
    """
    labels = batch["residue"], batch["position"], torch.zeros_like(batch["position"]), batch["mask"]
    logits = network(batch["start"], batch["side_chain"], batch["present"], *labels).float()
    entropy = F.cross_entropy(logits.flatten(0, 1), batch["residue"].flatten(), reduction="none").view_as(
        batch["residue"]
    )
    loss = masked_mean(entropy, batch["mask"])
    with torch.no_grad():
        right = (logits.argmax(-1) == batch["residue"]).float()
        figures = {"cross_entropy": loss.detach(), "top1": masked_mean(right, batch["mask"])}
    return loss, figures, None


def judge_loss(network: Judge, batch: Batch) -> tuple[Tensor, dict[str, Tensor], None]:
    """Mean absolute error of each residue's lDDT, and of the differences in mean lDDT between decoys of one native.

    Returns:
        the loss, and figures: ``lddt_error``, ``difference_error``, and ``order``, the share of pairs of one native, at
        least 0.02 apart, that come in the right order (NaN without such a pair).
    """
    mask = batch["mask"]
    expected = network(batch["start"], batch["residue"], batch["position"], torch.zeros_like(batch["position"]), mask)
    error = masked_mean((expected - batch["lddt"]).abs(), mask)
    count = mask.sum(-1).clamp_min(1)
    mean, true = (expected * mask).sum(-1) / count, (batch["lddt"] * mask).sum(-1) / count
    rivals = (batch["set"][:, None] == batch["set"][None]).triu(1)
    difference, true_difference = mean[:, None] - mean[None], true[:, None] - true[None]
    wrong = ((difference - true_difference).abs() * rivals).sum() / rivals.sum().clamp_min(1)
    telling = rivals & (true_difference.abs() >= _TELLING)
    figures = {
        "lddt_error": error.detach(),
        "difference_error": wrong.detach(),
        "order": (telling & (difference * true_difference > 0)).sum() / telling.sum(),
    }
    return error + 2.0 * wrong, figures, None

"""A widened network computes what the narrow one does, and so do gathers by products."""

import pytest
import torch

from refine.errors import ModelError
from refine.networks.judge import Judge, JudgeSettings
from refine.networks.network import TrunkSettings
from refine.networks.prior import Prior, PriorSettings
from refine.training.products import judge_output, prior_output
from refine.training.widen import widened
from tests.training.test_labels import example


def inputs() -> tuple[torch.Tensor, ...]:
    """One structure as the networks take it, with two padded residues."""
    one = example(30, 1)
    mask = torch.ones(1, 30, dtype=torch.bool)
    mask[:, 28:] = False
    backbone, residue, position = (torch.from_numpy(one[name])[None] for name in ("start", "residue", "position"))
    return backbone, residue.long(), position.long(), torch.zeros_like(position), mask


def trained(network: Prior | Judge) -> Prior | Judge:
    """The network with weights that say something (heads begin at zero)."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


def test_twice_as_wide_and_two_layers_deeper_computes_the_same() -> None:
    narrow = trained(Prior(PriorSettings(TrunkSettings(8, 2))))
    wide = Prior(PriorSettings(TrunkSettings(16, 4)))
    for layer in wide.trunk.layers[2:]:
        layer.begin_as_identity()  # type: ignore[operator]
    wide.load_state_dict(widened(narrow.state_dict(), wide, 0))
    with torch.no_grad():
        before, after = narrow(*inputs()), wide(*inputs())
    mask = inputs()[-1]
    for name in ("shift", "whole_shift", "whole_turn", "delta", "delta_log_b", "lddt"):
        assert torch.allclose(getattr(before, name)[mask], getattr(after, name)[mask], atol=1e-4), name
    assert before.whole_shift[mask].abs().max() > 1e-3


def test_the_copies_of_a_channel_part_ways() -> None:
    narrow = trained(Judge(JudgeSettings(TrunkSettings(8, 1))))
    wide = Judge(JudgeSettings(TrunkSettings(16, 1)))
    wide.load_state_dict(widened(narrow.state_dict(), wide, 0))
    wide(*inputs()).sum().backward()
    gradient = wide.trunk.layers[0].mix.weight.grad  # type: ignore[union-attr]
    assert isinstance(gradient, torch.Tensor) and not torch.allclose(gradient[:8], gradient[8:])


def test_what_is_not_half_as_wide_is_refused() -> None:
    narrow, wide = Judge(JudgeSettings(TrunkSettings(8, 1))), Judge(JudgeSettings(TrunkSettings(24, 1)))
    with pytest.raises(ModelError, match="cannot become"):
        widened(narrow.state_dict(), wide, 0)


def test_products_give_what_gathers_give() -> None:
    mask = inputs()[-1]
    prior, judge = (
        trained(Prior(PriorSettings(TrunkSettings(8, 2)))),
        trained(Judge(JudgeSettings(TrunkSettings(8, 2)))),
    )
    assert isinstance(prior, Prior) and isinstance(judge, Judge)
    with torch.no_grad():
        plain, product = prior(*inputs()), prior_output(prior, *inputs())
        for name in ("shift", "whole_turn", "delta", "lddt", "hidden"):
            assert torch.allclose(getattr(plain, name)[mask], getattr(product, name)[mask], atol=1e-5), name
        assert torch.allclose(judge(*inputs())[mask], judge_output(judge, *inputs())[mask], atol=1e-6)

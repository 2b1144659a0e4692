"""The residual network: shapes, and what gaps mean."""

import torch

from ecglens.models.residual import ResidualNet


def inputs(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(count, 12, length, generator=generator) for length in (1000, 100))  # type: ignore[return-value]


def test_a_batch_of_signals_gives_a_batch_of_logits() -> None:
    net = ResidualNet(7).eval()
    assert net(*inputs(3)).shape == (3, 7)
    assert net.features(inputs(3)[0]).shape == (3, 256, 1, 63)


def test_the_network_answers_for_each_record_alone() -> None:
    net = ResidualNet(7).eval()
    signal, beats = inputs(4)
    alone = torch.cat([net(signal[i : i + 1], beats[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(net(signal, beats), alone, atol=1e-5, rtol=1e-5)


def test_a_gap_is_told_from_a_flat_line() -> None:
    net = ResidualNet(7).eval()
    signal, beats = inputs(1)
    for given in (signal, beats):
        flat, missing = given.clone(), given.clone()
        flat[:, 3], missing[:, 3] = 0, torch.nan
        answers = [net(*(other if given is each else each for each in (signal, beats))) for other in (flat, missing)]
        assert all(torch.isfinite(answer).all() for answer in answers)
        assert not torch.allclose(*answers)

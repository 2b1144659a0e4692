"""The signal network: shapes, and what missing scalars mean."""

import torch

from ecglens.models.inception import InceptionNet


def test_a_batch_of_signals_gives_a_batch_of_logits() -> None:
    net = InceptionNet(7).eval()
    assert net(torch.randn(3, 12, 1500)).shape == (3, 7)
    assert net.features(torch.randn(3, 12, 1500)).shape == (3, 128, 1, 250)


def test_the_network_answers_for_each_record_alone() -> None:
    net = InceptionNet(7, scalars=True).eval()
    signal, scalars = torch.randn(4, 12, 1500), torch.randn(4, 8)
    together = net(signal, scalars)
    alone = torch.cat([net(signal[i : i + 1], scalars[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_a_missing_scalar_is_told_from_an_average_one() -> None:
    net = InceptionNet(7, scalars=True).eval()
    net.scalar_mean.fill_(160.0)
    signal = torch.randn(1, 12, 1500)
    average, missing = torch.full((1, 8), 160.0), torch.full((1, 8), torch.nan)
    assert torch.isfinite(net(signal, missing)).all()
    assert not torch.allclose(net(signal, average), net(signal, missing))

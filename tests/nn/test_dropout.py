import pytest
import torch

from nlp_lstm.nn.dropout import drop_weights


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.75])
@pytest.mark.parametrize("shape", [(400, 250), (333, 301)])
def test_the_share_is_dropped_and_the_mean_stays(rate, shape):
    found = drop_weights(torch.ones(shape), rate)
    assert found.unique().tolist() == [0, pytest.approx(1 / (1 - rate), rel=1e-4)]
    error = (rate * (1 - rate) / found.numel()) ** 0.5
    assert (found == 0).float().mean().item() == pytest.approx(rate, abs=4 * error)
    assert found.mean().item() == pytest.approx(1, abs=4 * error / (1 - rate))
    for axis in (0, 1):  # no row or column is dropped more often than others
        shares = (found == 0).float().mean(dim=axis)
        assert shares.std().item() == pytest.approx((rate * (1 - rate) / shape[axis]) ** 0.5, rel=0.2)


def test_a_rate_of_zero_changes_nothing_and_the_same_seed_drops_the_same():
    weights = torch.randn(7, 5)
    assert torch.equal(drop_weights(weights, 0.0), weights)
    torch.manual_seed(3)
    first = drop_weights(weights, 0.4)
    torch.manual_seed(3)
    assert torch.equal(drop_weights(weights, 0.4), first)
    assert not torch.equal(drop_weights(weights, 0.4), first)


def test_the_gradient_reaches_what_was_kept():
    weights = torch.randn(30, 11, dtype=torch.float64, requires_grad=True)
    dropped = drop_weights(weights, 0.3)
    dropped.sum().backward()
    expected = torch.where(dropped.detach() == 0, 0.0, 65536 / (65536 - round(0.3 * 65536)))
    torch.testing.assert_close(weights.grad, expected.double())

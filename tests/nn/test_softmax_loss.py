"""The loss of a plain softmax, against torch's own."""

import pytest
import torch
from torch import nn

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.softmax import TiedSoftmax
from nlp_lstm.nn.softmax_loss import softmax_losses


def numbers(num_rows=11, num_words=30):
    generator = torch.Generator().manual_seed(4)
    sizes = ((num_rows, 6), (num_words, 6), (num_words,))
    parts = [torch.randn(size, generator=generator, dtype=torch.float64).requires_grad_() for size in sizes]
    return parts, torch.randint(num_words, (num_rows,), generator=generator)


def expected(parts, ids, smoothing):
    outputs, weight, bias = parts
    logits = nn.functional.linear(outputs, weight, bias)
    return nn.functional.cross_entropy(logits, ids, reduction="none", label_smoothing=smoothing)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_losses_and_gradients_are_torchs(smoothing):
    parts, ids = numbers()
    found, wanted = softmax_losses(*parts, ids, smoothing), expected(parts, ids, smoothing)
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)
    shares = torch.linspace(-1, 3, len(ids), dtype=torch.float64)
    gradients = (torch.autograd.grad(losses, parts, shares) for losses in (found, wanted))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def test_what_needs_no_gradient_gets_none():
    parts, ids = numbers()
    with torch.no_grad():
        torch.testing.assert_close(softmax_losses(*parts, ids), expected(parts, ids, 0.0), atol=1e-12, rtol=0)
    parts[1].requires_grad_(False)
    softmax_losses(*parts, ids).sum().backward()
    assert parts[1].grad is None
    assert parts[0].grad is not None


def test_in_bfloat16_it_is_torchs_loss_of_the_rounded_logits():
    parts, ids = numbers()
    parts = [part.detach().float() for part in parts]
    with torch.autocast("cpu", torch.bfloat16):
        logits = nn.functional.linear(*parts).float()
        wanted = nn.functional.cross_entropy(logits, ids, label_smoothing=0.1)
        assert softmax_losses(*parts, ids, 0.1).mean() == wanted


def test_gradients_in_bfloat16_are_torchs_but_for_roundings():
    parts, ids = numbers(num_rows=200, num_words=500)
    parts = [part.detach().float().requires_grad_() for part in parts]
    with torch.autocast("cpu", torch.bfloat16):
        found = torch.autograd.grad(softmax_losses(*parts, ids, 0.1).mean(), parts)
    wanted = torch.autograd.grad(expected(parts, ids, 0.1).mean(), parts)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.01 * other.norm()


def test_large_logits_do_not_overflow():
    parts, ids = numbers()
    parts[0].data *= 1e4
    found = softmax_losses(*parts, ids)
    torch.testing.assert_close(found, expected(parts, ids, 0.0), atol=1e-6, rtol=1e-12)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(found.sum(), parts))


def test_a_softmax_with_cutoffs_has_no_such_loss():
    words = TiedSoftmax(30, 6, cutoffs=(10,))
    with pytest.raises(ConfigError, match="a softmax with cutoffs"):
        words.mean_loss(torch.zeros(2, 6), torch.tensor([1, 2]))

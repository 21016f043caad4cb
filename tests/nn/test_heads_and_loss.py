from __future__ import annotations

import math

import pytest
import torch

from nlp_lstm.nn.heads import CRFTagHead, LinearTagHead
from nlp_lstm.nn.loss import label_loss_per_token, soft_label_loss
from nlp_lstm.nn.recurrent import make_mask

MASK = make_mask(torch.tensor([3, 1]), 3)
LABELS = torch.tensor([[0, 1, 1], [1, 0, 0]])


def test_loss_equals_a_hand_computation() -> None:
    # Scores that are the logarithms of whole numbers: the probabilities are 1/4, 3/4; 1/2, 1/2; 1/3, 2/3; 4/5, 1/5.
    logits = torch.tensor([[[1.0, 3.0], [2.0, 2.0], [1.0, 2.0]], [[4.0, 1.0], [1.0, 9.0], [1.0, 9.0]]]).log()
    expected = -(math.log(1 / 4) + math.log(1 / 2) + math.log(2 / 3) + math.log(1 / 5)) / 4
    assert label_loss_per_token(logits, LABELS, MASK).item() == pytest.approx(expected, abs=1e-6)  # float32 rounding


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_loss_ignores_padding(label_smoothing: float) -> None:
    logits = torch.randn(2, 3, 5)
    loss = label_loss_per_token(logits, LABELS, MASK, label_smoothing)
    changed = torch.where(MASK[..., None], logits, 1e9)
    assert torch.equal(label_loss_per_token(changed, LABELS, MASK, label_smoothing), loss)
    other_labels = torch.where(MASK, LABELS, 4)
    assert torch.equal(label_loss_per_token(logits, other_labels, MASK, label_smoothing), loss)


@pytest.mark.parametrize("label_smoothing", [0.05, 0.3])
def test_label_smoothing_equals_its_formula(label_smoothing: float) -> None:
    logits = torch.randn(2, 3, 5, dtype=torch.float32)
    log_probs = logits.log_softmax(2)
    right = -log_probs.gather(2, LABELS[..., None])[..., 0]
    # Szegedy et al. 2016, section 7: (1 - e) H(q, p) + e H(u, p), with u uniform over all labels.
    smoothed = (1 - label_smoothing) * right - label_smoothing * log_probs.mean(2)
    expected = (smoothed * MASK).sum() / MASK.sum()
    found = label_loss_per_token(logits, LABELS, MASK, label_smoothing)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)  # float32 rounding


def test_loss_is_taken_in_float32_from_half_precision_scores() -> None:
    logits = torch.randn(2, 3, 5).bfloat16()
    loss = label_loss_per_token(logits, LABELS, MASK)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, label_loss_per_token(logits.float(), LABELS, MASK))


def test_linear_head_has_the_loss_of_its_scores() -> None:
    head = LinearTagHead(4, 5)
    logits = head(torch.randn(2, 3, 4))
    assert logits.shape == (2, 3, 5)
    assert torch.equal(head.loss_per_token(logits, LABELS, MASK, 0.1), label_loss_per_token(logits, LABELS, MASK, 0.1))


def test_crf_head_divides_the_chains_loss_by_the_real_tokens() -> None:
    head = CRFTagHead(4, 5)
    torch.nn.init.normal_(head.crf.transitions)
    logits = head(torch.randn(2, 3, 4))
    loss = head.loss_per_token(logits, LABELS, MASK, 0.0)
    expected = head.crf.negative_log_likelihood(logits, LABELS, MASK).sum() / 4
    torch.testing.assert_close(loss, expected)
    changed = torch.where(MASK[..., None], logits, 50.0)
    torch.testing.assert_close(head.loss_per_token(changed, LABELS, MASK, 0.0), loss)


def test_crf_head_without_transitions_has_the_linear_heads_loss() -> None:
    linear, chain = LinearTagHead(4, 5), CRFTagHead(4, 5)
    logits = linear(torch.randn(2, 3, 4))
    found = chain.loss_per_token(logits, LABELS, MASK, 0.0)
    torch.testing.assert_close(found, linear.loss_per_token(logits, LABELS, MASK, 0.0))


@pytest.mark.parametrize("head_type", [LinearTagHead, CRFTagHead])
def test_gradient_reaches_every_parameter_of_a_head(head_type: type[LinearTagHead] | type[CRFTagHead]) -> None:
    head = head_type(4, 5)
    head.loss_per_token(head(torch.randn(2, 3, 4)), LABELS, MASK, 0.0).backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


# ---- one target distribution per row


SURE = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, 1, 0]])
MIXED = torch.tensor([[0.8, 0.2, 0], [0, 0, 1], [0.5, 0.25, 0.25]])


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("targets", [SURE, MIXED], ids=["sure", "mixed"])
def test_soft_loss_without_weights_is_torchs_cross_entropy(targets: torch.Tensor, label_smoothing: float) -> None:
    logits = torch.randn(3, 3)
    expected = torch.nn.functional.cross_entropy(logits, targets, label_smoothing=label_smoothing)
    found = soft_label_loss(logits, targets, label_smoothing=label_smoothing)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)  # float32 rounding


def test_soft_loss_with_weights_is_torchs_weighted_mean_on_sure_labels() -> None:
    logits, weights = torch.randn(3, 3), torch.tensor([0.5, 4.0, 1.5])
    expected = torch.nn.functional.cross_entropy(logits, SURE.argmax(1), weight=weights)
    torch.testing.assert_close(soft_label_loss(logits, SURE, weights), expected, atol=1e-6, rtol=1e-6)


def test_a_row_with_a_mixed_target_has_the_mean_weight_of_its_labels() -> None:
    # Probabilities 1/4, 3/4 and 1/2, 1/2; weights of the rows 0.5 * 1 + 0.5 * 3 = 2, and 3.
    logits = torch.tensor([[1.0, 3.0], [2.0, 2.0]]).log()
    targets, weights = torch.tensor([[0.5, 0.5], [0.0, 1.0]]), torch.tensor([1.0, 3.0])
    first, second = -(math.log(1 / 4) + math.log(3 / 4)) / 2, -math.log(1 / 2)
    expected = (2 * first + 3 * second) / 5
    assert soft_label_loss(logits, targets, weights).item() == pytest.approx(expected, abs=1e-6)


def test_rows_count_by_their_weights():
    logits, targets = torch.randn(3, 4), torch.rand(3, 4).softmax(1)
    alone = [soft_label_loss(logits[row : row + 1], targets[row : row + 1]).item() for row in range(3)]
    found = soft_label_loss(logits, targets, row_weights=torch.tensor([1.0, 0.5, 0.25]))
    assert found.item() == pytest.approx((alone[0] + alone[1] / 2 + alone[2] / 4) / 1.75, abs=1e-6)


def test_the_soft_loss_is_lowest_where_the_probabilities_are_the_target() -> None:
    target = torch.tensor([[0.7, 0.2, 0.1]])
    logits = target.log().requires_grad_()
    loss = soft_label_loss(logits, target)
    assert loss.item() == pytest.approx(-sum(p * math.log(p) for p in (0.7, 0.2, 0.1)), abs=1e-6)  # its entropy
    loss.backward()
    assert logits.grad.abs().max() < 1e-6

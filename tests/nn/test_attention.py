"""Attention against torch's own and against its formula, and where it may not look."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.attention import NUM_HEADS
from nlp_lstm.nn.settings import attentions

TOLERANCE = 1e-6
LENGTHS = torch.tensor([5, 3])
MASK = torch.arange(5) < LENGTHS[:, None]
POSITIONS = torch.arange(4).expand(2, 4)


def asked(kind: str, query_size: int = 8, memory_size: int = 8):
    torch.manual_seed(2)
    attention = attentions.get(kind)(query_size, memory_size)
    outputs, queries = torch.randn(2, 5, memory_size), torch.randn(2, 4, query_size)
    return attention, outputs, queries, attention(queries, attention.prepare(outputs, MASK), POSITIONS)


@pytest.mark.parametrize("kind", sorted(name for name in attentions if attentions.get(name).has_weights))
def test_weights_are_shares_of_the_real_positions(kind):
    _, _, _, found = asked(kind)
    torch.testing.assert_close(found.weights.sum(dim=2), torch.ones(2, 4))
    assert not found.weights[1, :, 3:].any()


@pytest.mark.parametrize("kind", sorted(attentions))
def test_padding_and_other_queries_change_nothing(kind):
    attention, outputs, queries, found = asked(kind)
    outputs = torch.cat((torch.where(MASK[..., None], outputs, 9.0), torch.full((2, 2, 8), -9.0)), dim=1)
    memory = attention.prepare(outputs, torch.arange(7) < LENGTHS[:, None])
    for step in range(4):
        alone = attention(queries[:, step : step + 1], memory, POSITIONS[:, step : step + 1])
        torch.testing.assert_close(alone.contexts[:, 0], found.contexts[:, step], atol=TOLERANCE, rtol=0)


def test_several_heads_are_those_of_torch():
    attention, outputs, queries, found = asked("multi-head", memory_size=6)
    reference = nn.MultiheadAttention(8, NUM_HEADS, kdim=6, vdim=6, batch_first=True)
    with torch.no_grad():
        reference.q_proj_weight.copy_(attention.to_queries.weight)
        reference.k_proj_weight.copy_(attention.to_keys.weight)
        reference.v_proj_weight.copy_(attention.to_values.weight)
        parts = (attention.to_queries.bias, attention.to_keys.bias, attention.to_values.bias)
        reference.in_proj_bias.copy_(torch.cat(parts))
        reference.out_proj.weight.copy_(torch.eye(8))
        reference.out_proj.bias.zero_()
    contexts, weights = reference(queries, outputs, outputs, key_padding_mask=~MASK)
    torch.testing.assert_close(found.contexts, contexts, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(found.weights, weights, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("kind", ["dot", "general", "additive"])
def test_scores_are_those_of_the_papers(kind):
    attention, outputs, queries, found = asked(kind)
    for row, length in enumerate(LENGTHS.tolist()):
        for step in range(4):
            scores = []
            for output in outputs[row, :length]:
                query = queries[row, step]
                if kind == "additive":
                    inner = attention.to_queries.weight @ query + attention.to_keys.weight @ output
                    scores.append(attention.weight @ torch.tanh(inner + attention.to_keys.bias))
                else:
                    scores.append(query @ (attention.to_keys.weight @ output if kind == "general" else output))
            expected = torch.stack(scores).softmax(dim=0)
            torch.testing.assert_close(found.weights[row, step, :length], expected, atol=TOLERANCE, rtol=0)
            context = expected @ outputs[row, :length]
            torch.testing.assert_close(found.contexts[row, step], context, atol=TOLERANCE, rtol=0)


def test_aligned_words_look_at_their_own_place_and_not_beyond_the_end():
    _, outputs, _, found = asked("aligned")
    torch.testing.assert_close(found.contexts[0], outputs[0, :4])
    torch.testing.assert_close(found.contexts[1, :3], outputs[1, :3])
    assert not found.contexts[1, 3].any()


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match=r"8 features.*6.*general"):
        attentions.get("dot")(8, 6)
    with pytest.raises(ConfigError, match="10 features"):
        attentions.get("multi-head")(10, 6)

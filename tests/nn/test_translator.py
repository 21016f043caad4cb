"""A translator writes the same word by word as with all words given, alone as in company, and learns to copy."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nlp_lstm.decoding.beam import beam_search
from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.cells.product import PackedWeight, can_pack
from nlp_lstm.nn.settings import attentions, cells
from nlp_lstm.nn.translator import Translator

TOLERANCE = 1e-5
BOS, EOS = 2, 3
LENGTHS = torch.tensor([6, 3])


def translator(**changes) -> Translator:
    settings = {
        "embed_size": 12,
        "cell": "lstm",
        "hidden_size": 16,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "attention": "general",
        **changes,
    }
    torch.manual_seed(3)
    return Translator(30, **settings).eval()


def numbers(seed: int = 0):
    torch.manual_seed(seed)
    source, target = torch.randint(4, 30, (2, 6)), torch.randint(4, 30, (2, 5))
    target[:, 0] = BOS
    return source, target


FORMS = [
    *({"attention": kind, "feeds_input": feeds} for kind in sorted(attentions) for feeds in (True, False)),
    *({"cell": cell} for cell in sorted(cells)),
    {"attention": "aligned", "decoder_layers": 0, "feeds_input": False, "is_bidirectional": False},
    {"is_lexical": False},
    {"num_source_words": 30, "source_embed_size": 8},
]


def test_words_looked_at_are_added_to_the_combined_vector():
    """The formula of Nguyen and Chiang 2018, section 4, with the table of the words for both parts."""
    model = translator(feeds_input=False, num_source_words=30, source_embed_size=8)
    source, target = numbers()
    written = model.write(target, model.read(source, LENGTHS))
    looked_at = torch.tanh(written.weights @ model.source_words.embed(source))
    added = torch.tanh(looked_at @ model.lexical.weight.T + model.lexical.bias)
    model.lexical = None  # then the memory has no words either
    without = model.write(target, model.read(source, LENGTHS))
    torch.testing.assert_close(written.outputs, without.outputs + added, atol=TOLERANCE, rtol=0)


def test_only_attention_with_weights_looks_at_words():
    assert [kind for kind in sorted(attentions) if translator(attention=kind).lexical is None] == ["aligned", "none"]


@pytest.mark.skipif(not can_pack(torch.zeros(1, 1)), reason="torch has no oneDNN here")
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_packed_weights_write_what_plain_ones_do_and_follow_training(form):
    model = translator(**form)
    source, target = numbers()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        state = model.read(source, LENGTHS)
        plain, _ = model.step(target[:, 0], state)
        with torch.no_grad():
            packed, _ = model.step(target[:, 0], state)
            of_a_copy, _ = copy.deepcopy(model).step(target[:, 0], state)
        torch.testing.assert_close(packed, plain, atol=TOLERANCE, rtol=0)
        assert torch.equal(of_a_copy, packed)
        plain.logsumexp(dim=1).sum().backward()
        optimizer.step()


@pytest.mark.skipif(not can_pack(torch.zeros(1, 1)), reason="torch has no oneDNN here")
@given(rows=st.integers(1, 70), columns=st.integers(1, 300), count=st.integers(1, 200))
def test_a_row_by_a_packed_weight_is_the_same_to_the_last_bit_among_any_number_of_rows(rows, columns, count):
    generator = torch.Generator().manual_seed(rows)
    weight, bias = torch.randn(rows, columns, generator=generator), torch.randn(rows, generator=generator)
    inputs = torch.randn(count, columns, generator=generator)
    packed = PackedWeight(weight)
    products = packed.multiply(inputs, bias)
    torch.testing.assert_close(products, torch.nn.functional.linear(inputs, weight, bias), atol=1e-4, rtol=0)
    assert torch.equal(torch.cat([packed.multiply(inputs[:1], bias), packed.multiply(inputs[1:], bias)]), products)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_word_by_word_is_all_words_at_once(form):
    model = translator(**form)
    source, target = numbers()
    written = model.write(target, model.read(source, LENGTHS))
    state = model.read(source, LENGTHS)
    for step in range(target.shape[1]):
        logits, state = model.step(target[:, step], state)
        expected = model.words.logits(written.outputs[:, step])
        torch.testing.assert_close(logits, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_sentence_is_translated_alone_as_in_company(form):
    model = translator(**form)
    source, _ = numbers()
    together = beam_search(
        model.step, model.read(source, LENGTHS), torch.tensor([BOS, BOS]), num_beams=3, eos_id=EOS, max_steps=8
    )
    for row, length in enumerate(LENGTHS.tolist()):
        state = model.read(source[row : row + 1, :length], LENGTHS[row : row + 1])
        alone = beam_search(model.step, state, torch.tensor([BOS]), num_beams=3, eos_id=EOS, max_steps=8)
        assert [found.ids for found in alone[0]] == [found.ids for found in together[row]]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_gradients_reach_every_weight_that_is_used(form):
    model = translator(**form)
    source, target = numbers()
    written = model(SimpleNamespace(source_ids=source, source_lengths=LENGTHS, target_ids=target))
    model.words.logits(written.outputs.flatten(0, 1)).square().sum().backward()
    unused = {"words.clusters", "words.cluster_bias"}
    for name, parameter in model.named_parameters():
        assert name in unused or (parameter.grad is not None and parameter.grad.any()), name


def test_dropout_is_the_same_at_every_step_and_off_in_use():
    model = translator(dropout=0.5).train()
    source, _ = numbers()
    target = torch.full((2, 5), 7)
    outputs = model.write(target, model.read(source, LENGTHS)).outputs
    assert ((outputs == 0) == (outputs[:, :1] == 0)).all()
    assert 0.2 < (outputs == 0).float().mean() < 0.8
    model.eval()
    assert not (model.write(target, model.read(source, LENGTHS)).outputs == 0).any()


@pytest.mark.parametrize("cell", sorted(cells))
@pytest.mark.parametrize("attention", sorted(attentions))
def test_gradients_formed_once_are_those_of_step_after_step(cell, attention):
    """Teacher forcing against the steps of a search, which autograd follows one by one."""
    model = translator(cell=cell, attention=attention).double()
    source, target = numbers()
    lengths = torch.tensor([6, 4])

    def gradients(outputs):
        return torch.autograd.grad(outputs.sin().sum(), list(model.parameters()), allow_unused=True)

    found = gradients(model.words.logits(model.write(target, model.read(source, lengths)).outputs.flatten(0, 1)))
    state, steps = model.read(source, lengths), []
    for tokens in target.unbind(dim=1):
        logits, state = model.step(tokens, state)
        steps.append(logits)
    expected = gradients(torch.stack(steps, dim=1).flatten(0, 1))
    for (name, _), one, other in zip(model.named_parameters(), found, expected, strict=True):
        assert (one is None) == (other is None), name
        if one is not None:
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5, msg=name)  # logits are in float32


def test_frozen_parts_of_a_decoder_stay_frozen():
    model = translator()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("encoder" in name)
    source, target = numbers()
    model.write(target, model.read(source, torch.tensor([6, 4]))).outputs.sum().backward()
    assert {name.split(".")[0] for name, found in model.named_parameters() if found.grad is not None} == {"encoder"}


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="even number"):
        translator(hidden_size=15)
    with pytest.raises(ConfigError, match="aligned"):
        translator(decoder_layers=0)


@pytest.mark.parametrize("feeds_input", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_it_learns_to_turn_a_text_around(feeds_input):
    model = translator(hidden_size=64, embed_size=32, decoder_layers=1, feeds_input=feeds_input).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    generator = torch.Generator().manual_seed(5)
    for _ in range(250):
        source = torch.randint(4, 30, (32, 6), generator=generator)
        expected = torch.cat((source.flip(1), torch.full((32, 1), EOS)), dim=1)
        target = torch.cat((torch.full((32, 1), BOS), expected[:, :-1]), dim=1)
        written = model.write(target, model.read(source, torch.full((32,), 6)))
        loss = torch.nn.functional.cross_entropy(model.words.logits(written.outputs.flatten(0, 1)), expected.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    source = torch.randint(4, 30, (50, 6), generator=generator)
    state = model.read(source, torch.full((50,), 6))
    found = beam_search(model.step, state, torch.full((50,), BOS), num_beams=1, eos_id=EOS, max_steps=8)
    right = [list(row[0].ids) == line for row, line in zip(found, source.flip(1).tolist(), strict=True)]
    assert sum(right) >= 40

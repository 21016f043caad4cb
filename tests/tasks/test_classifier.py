from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import review_examples, tiny_sentiment_recipe
from torch import Tensor

from nlp_lstm.data.example import LabelledExample
from nlp_lstm.nn.settings import poolings
from nlp_lstm.tasks import predict_examples
from nlp_lstm.tasks.classification import LongText
from nlp_lstm.tasks.classifier import Classifier
from nlp_lstm.tasks.sentiment import ClassificationTask
from nlp_lstm.text.document import Document
from nlp_lstm.text.tokenize import Tokenizer

WORDS = [word for example in review_examples() for word in example.document.words]
SMALLER = ("model.hidden=8", "model.embedding.word_size=8")
WHOLE = 10_000  # words: a window that no text here fills

every_pooling = pytest.mark.parametrize("pooling", sorted(poolings))


@cache
def make_task(*overrides: str, window: int = WHOLE) -> ClassificationTask:
    recipe = tiny_sentiment_recipe(*SMALLER, f"model.bptt_window={window}", *overrides)
    return ClassificationTask.prepare(recipe.model, review_examples())


def make_model(task: ClassificationTask) -> Classifier:
    """The network with weights that depend on nothing but the settings."""
    torch.manual_seed(0)
    model = task.build_model().eval()
    assert isinstance(model, Classifier)
    return model


def logits_of(task: ClassificationTask, model: Classifier, rows: Sequence[Sequence[str]]) -> Tensor:
    with torch.no_grad():
        return model.read_tokens(task.batches.make_batch(rows))


@dataclass
class Trace:
    """The outputs that a network's pooling was given, stretch by stretch."""

    stretches: list[Tensor]

    @property
    def whole(self) -> Tensor:
        return torch.cat(self.stretches, dim=1)


def trace(task: ClassificationTask, words: Sequence[str], monkeypatch) -> Trace:
    model = make_model(task)
    found: list[Tensor] = []
    read = model.pooling.read

    def watched(carried, outputs, mask):
        found.append(outputs)
        return read(carried, outputs, mask)

    monkeypatch.setattr(model.pooling, "read", watched)
    logits_of(task, model, [words])
    return Trace(found)


# ---- stretches


@every_pooling
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("layers", [1, 2])
def test_one_direction_read_in_stretches_equals_one_read_whole(pooling, cell, layers):
    overrides = (
        "model.bidirectional=false",
        f"model.pooling={pooling}",
        f"model.cell={cell}",
        f"model.layers={layers}",
    )
    rows = [WORDS[:30], WORDS[30:37], WORDS[40:41], WORDS[50:58]]
    whole = make_task(*overrides)
    expected = logits_of(whole, make_model(whole), rows)
    for window in (1, 4, 7, 29, 30):
        task = make_task(*overrides, window=window)
        found = logits_of(task, make_model(task), rows)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)  # kernels of other lengths in float32


def test_two_directions_carry_the_forward_state_and_begin_the_backward_one_anew(monkeypatch):
    words = WORDS[:11]
    whole = trace(make_task(), words, monkeypatch).whole
    stretches = trace(make_task(window=4), words, monkeypatch).stretches
    assert [part.shape[1] for part in stretches] == [4, 4, 3]
    size = whole.shape[2] // 2
    forward = torch.cat(stretches, dim=1)[..., :size]
    torch.testing.assert_close(forward, whole[..., :size], atol=1e-6, rtol=0)
    for start, part in zip((0, 4, 8), stretches, strict=True):
        alone = trace(make_task(), words[start : start + 4], monkeypatch).whole
        torch.testing.assert_close(part[..., size:], alone[..., size:], atol=1e-6, rtol=0)
        if start:
            assert not torch.allclose(part[..., :size], alone[..., :size], atol=1e-3)  # else nothing was carried


@every_pooling
@pytest.mark.parametrize("encoder", ["recurrent", "window", "none"])
def test_a_row_that_ends_early_is_the_same_as_alone(pooling, encoder):
    task = make_task(f"model.pooling={pooling}", f"model.encoder={encoder}", window=4)
    model = make_model(task)
    rows = [WORDS[:3], WORDS[3:25], WORDS[25:29], WORDS[29:36]]
    together = logits_of(task, model, rows)
    for row, found in zip(rows, together, strict=True):
        torch.testing.assert_close(logits_of(task, model, [row])[0], found, atol=1e-6, rtol=0)


@settings(max_examples=15)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(2, 12))
def test_stretches_of_words_equal_slices_of_a_batch(lengths, window):
    task = make_task(window=window)
    model = make_model(task)
    rows = [WORDS[length : 2 * length] for length in lengths]
    together = logits_of(task, model, rows)
    for row, found in zip(rows, together, strict=True):
        parts = [row[start : start + window] for start in range(0, len(row), window)]
        with torch.no_grad():
            alone = model.read_stretches(task.batches.make_batch([part]) for part in parts)[0]
        torch.testing.assert_close(alone, found, atol=1e-6, rtol=0)


# ---- gradients


def gradient_by_word(task: ClassificationTask, num_words: int, label: int = 0) -> Tensor:
    """How strongly the first label's logit depends on each word's vector: the norm of its gradient."""
    model = make_model(task)
    embedded = torch.randn(1, num_words, model.backbone.embedding.output_size, requires_grad=True)
    logits = model.classify(lambda start, end: embedded[:, start:end], torch.tensor([num_words]))
    logits[0, label].backward()
    return embedded.grad[0].norm(dim=1)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_gradient_stops_at_the_border_of_a_stretch_and_flows_inside(cell):
    overrides = ("model.bidirectional=false", "model.pooling=last", f"model.cell={cell}")
    cut = gradient_by_word(make_task(*overrides, window=4), 11)
    assert (cut > 0).tolist() == [False] * 8 + [True] * 3
    whole = gradient_by_word(make_task(*overrides), 11)
    assert (whole > 0).all()
    torch.testing.assert_close(cut[8:], whole[8:], atol=1e-6, rtol=1e-4)  # float32 rounding


@pytest.mark.parametrize("pooling", ["attention", "mean"])
def test_through_the_pooling_every_stretch_learns(pooling):
    assert (gradient_by_word(make_task(f"model.pooling={pooling}", window=4), 11) > 0).all()


def test_the_gradient_of_the_logits_is_right_in_float64():
    task = make_task("model.pooling=attention", "model.cell=gru", window=3)
    model = make_model(task).double()
    embedded = torch.randn(2, 3, model.backbone.embedding.output_size, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([3, 2])
    assert torch.autograd.gradcheck(
        lambda rows: model.classify(lambda start, end: rows[:, start:end], lengths), embedded
    )


# ---- long texts


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer("en")


@every_pooling
@pytest.mark.parametrize("encoder", ["recurrent", "window", "none"])
def test_a_text_tokenised_while_it_is_read_gets_the_answer_of_its_words_in_a_batch(pooling, encoder, tokenizer):
    task = make_task(f"model.pooling={pooling}", f"model.encoder={encoder}", window=16)
    model = make_model(task)
    text = " ".join(example.document.text for example in review_examples()[:12])
    for end in (20, 200, len(text)):
        long = LongText(text=text[:end], tokenizer=tokenizer)
        example = LabelledExample(document=Document.from_words(list(long.words())))
        slow, fast = predict_examples(task, model, [long, example])
        assert slow.probabilities == pytest.approx(fast.probabilities, abs=1e-6)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 32, 33, 100])
def test_every_length_around_the_borders_of_the_stretches_is_read_to_its_end(length, tokenizer):
    task = make_task(window=16)
    model = make_model(task)
    words = list(itertools.islice(itertools.cycle(["quiet", "dull", "film"]), length))
    long = LongText(text=" ".join(words), tokenizer=tokenizer)
    assert list(long.words()) == words
    slow, fast = predict_examples(task, model, [long, LabelledExample(document=Document.from_words(words))])
    assert slow.probabilities == pytest.approx(fast.probabilities, abs=1e-6)


def test_the_temperature_is_stored_with_the_weights():
    model = make_model(make_task())
    assert model.state_dict()["temperature"].item() == 1
    assert "temperature" not in dict(model.named_parameters())

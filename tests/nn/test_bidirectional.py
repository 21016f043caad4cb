"""The bidirectional language model: no position sees what it predicts, and neighbours and padding never matter."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.bilm import BidirectionalLanguageModel
from nlp_lstm.nn.embedding import WordFeatures
from nlp_lstm.nn.recurrent import make_mask
from nlp_lstm.nn.settings import EmbeddingSettings, EmbeddingSizes, WordSettings, cells

TOLERANCE = 1e-5
NUM_WORDS = 30
SIZES = EmbeddingSizes(words=NUM_WORDS, characters=12, affixes=9, vectors=0, vector_size=0)
EMBEDDING = EmbeddingSettings(
    word_size=6, character_size=4, character_hidden=3, affix_size=2, word_dropout=0.0, min_count=1
)


def model(cell: str = "lstm", layers: int = 2, cutoffs: tuple[int, ...] = (10, 20)) -> BidirectionalLanguageModel:
    settings = WordSettings(cell=cell, hidden=5, layers=layers, input_dropout=0.0, dropout=0.0, embedding=EMBEDDING)
    return BidirectionalLanguageModel(settings, SIZES, NUM_WORDS, softmax_size=8, cutoffs=cutoffs)


def batch(rows: list[list[int]], pad_to: int = 0) -> SimpleNamespace:
    """Sentences of words that are all different in spelling, each with the ids of its neighbours; 3 is the end."""
    generator = torch.Generator().manual_seed(7)
    features = WordFeatures(
        word_ids=torch.arange(NUM_WORDS),
        vector_ids=torch.ones(NUM_WORDS, dtype=torch.int64),
        character_ids=torch.randint(1, 12, (NUM_WORDS, 5), generator=generator),
        character_lengths=torch.full((NUM_WORDS,), 5),
        affix_ids=torch.randint(1, 9, (NUM_WORDS, 7), generator=generator),
    )
    lengths = torch.tensor([len(row) for row in rows])
    time = max(int(lengths.max()), pad_to)

    def padded(of_rows: list[list[int]]) -> torch.Tensor:
        return torch.tensor([[*row, *([0] * (time - len(row)))] for row in of_rows])

    labels = {"next": padded([[*row[1:], 3] for row in rows]), "previous": padded([[3, *row[:-1]] for row in rows])}
    return SimpleNamespace(
        features=features, index=padded(rows), lengths=lengths, mask=make_mask(lengths, time), labels=labels
    )


@pytest.mark.parametrize("cell", sorted(cells))
def test_a_later_word_changes_nothing_that_was_said_before_it(cell):
    network = model(cell).eval()
    if cell == "rnn-relu":  # so that its units fire
        for name, parameter in network.named_parameters():
            if "_encoder." in name:
                parameter.data = parameter.data.abs() + (0.5 if name.endswith("bias") else 0)
    row = [4, 25, 9, 14, 6, 28]
    for place in range(len(row)):
        changed = [*row[:place], 11, *row[place + 1 :]]
        with torch.inference_mode():
            before, after = network(batch([row])), network(batch([changed]))
        # At `place - 1` and `place + 1` the word itself is predicted; up to there nothing may have moved.
        kept_next, kept_previous = max(place - 1, 0), place + 2
        torch.testing.assert_close(after.next[:, :kept_next], before.next[:, :kept_next], atol=0, rtol=0)
        torch.testing.assert_close(
            after.previous[:, kept_previous:], before.previous[:, kept_previous:], atol=0, rtol=0
        )
        assert (after.next[:, place:] != before.next[:, place:]).all()
        assert (after.previous[:, : place + 1] != before.previous[:, : place + 1]).all()


def test_hidden_states_know_their_own_side_alone():
    network = model().eval()
    first, second = batch([[4, 25, 9, 14]]), batch([[4, 25, 7, 14]])
    with torch.inference_mode():
        one = network.read(first.features, first.index, first.lengths)
        two = network.read(second.features, second.index, second.lengths)
    assert torch.equal(one.forward[:, :2], two.forward[:, :2])
    assert torch.equal(one.backward[:, 3:], two.backward[:, 3:])
    assert not torch.equal(one.forward[:, 2], two.forward[:, 2])
    assert not torch.equal(one.backward[:, 2], two.backward[:, 2])


def test_neighbours_and_padding_never_matter():
    network = model().eval()
    rows = [[4, 25, 9, 14, 6, 28], [5], [17, 8, 29]]
    with torch.inference_mode():
        together = network(batch(rows, pad_to=11))
        for number, row in enumerate(rows):
            alone = network(batch([row]))
            for found, expected in zip(together, alone, strict=True):
                torch.testing.assert_close(found[number, : len(row)], expected[0], atol=TOLERANCE, rtol=0)
                assert not found[number, len(row) :].any()


def test_the_probabilities_of_all_next_words_sum_to_one():
    network = model().eval()
    with torch.inference_mode():
        scores = torch.stack([network(batch([[4, 25, other]])).next[0, 1] for other in range(NUM_WORDS)])
    assert float(scores.exp().sum()) == pytest.approx(1, abs=TOLERANCE)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_gradient_reaches_every_parameter(layers):
    network = model(layers=layers)
    outputs = network(batch([[4, 25, 9, 14, 6, 28, *range(10, 30)], [5, 7]]))
    (outputs.next.sum() + outputs.previous.sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_words_made_of_nothing_are_refused():
    nothing = EmbeddingSettings(words="none", characters="none", affix_size=0)
    with pytest.raises(ConfigError, match="leaves words without any input"):
        BidirectionalLanguageModel(WordSettings(embedding=nothing), SIZES, NUM_WORDS, softmax_size=8)

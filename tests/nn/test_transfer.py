"""A network that begins as language models: it computes what they do, and learns its layers one by one."""

from __future__ import annotations

import pytest
import torch

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.language_model import LanguageModel
from nlp_lstm.nn.recurrent import Recurrent, reverse_rows
from nlp_lstm.nn.settings import cells
from nlp_lstm.nn.transfer import (
    begin_decoder,
    begin_direction,
    begin_encoder,
    begin_half,
    depth_of,
    parameters_by_depth,
    put_words,
)
from nlp_lstm.nn.translator import Translator

TOLERANCE = 1e-6  # the same sums in another order
LENGTHS = torch.tensor([6, 4])


def language_model(cell: str, embed_size: int) -> LanguageModel:
    """A language model with two layers of random weights."""
    return LanguageModel(20, embed_size=embed_size, cell=cell, hidden_size=5, num_layers=2).eval()


@pytest.mark.parametrize("cell", sorted(cells))
def test_both_directions_compute_what_the_language_models_do(cell):
    torch.manual_seed(1)
    forward, backward = language_model(cell, 3), language_model(cell, 4)
    ids = torch.randint(20, (2, 6))
    encoder = Recurrent(cell, 2 + 3 + 4, 5, num_layers=2).eval()  # two features of something else come first
    for direction, (source, column) in enumerate(((forward, 2), (backward, 5))):
        begin_direction(encoder, source.encoder, direction=direction, first_column=column)
    inputs = torch.cat((torch.randn(2, 6, 2), forward.words.embed(ids), backward.words.embed(ids)), dim=2)
    found = encoder(inputs, LENGTHS).outputs
    mask = (torch.arange(6) < LENGTHS[:, None])[..., None]
    torch.testing.assert_close(found[..., :5], forward.read(ids).hidden * mask, atol=TOLERANCE, rtol=0)
    mirrored = backward.read(reverse_rows(ids[..., None].float(), LENGTHS)[..., 0].long()).hidden
    expected = reverse_rows(mirrored, LENGTHS) * mask
    torch.testing.assert_close(found[..., 5:], expected, atol=TOLERANCE, rtol=0)


def test_what_does_not_fit_is_refused_with_what_to_change():
    encoder = Recurrent("lstm", 3, 6)
    with pytest.raises(ConfigError, match=r"LSTMCell of 5 features.*model\.hidden"):
        begin_direction(encoder, language_model("lstm", 3).encoder, direction=0, first_column=0)
    with pytest.raises(ConfigError, match="GRUCell"):
        begin_direction(Recurrent("lstm", 3, 5), language_model("gru", 3).encoder, direction=0, first_column=0)


def test_gradients_reach_what_began_without_influence():
    encoder = Recurrent("lstm", 7, 5, num_layers=2)
    begin_direction(encoder, language_model("lstm", 3).encoder, direction=0, first_column=0)
    encoder(torch.randn(2, 6, 7), LENGTHS).outputs.square().sum().backward()
    for parameter in encoder.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


COPY_WORDS, COPY_LENGTH = 200, 7


def sentences(count: int, generator: torch.Generator) -> torch.Tensor:
    """Sentences of a made-up language: each word has three that may follow it, and the first one has all."""
    followers = torch.randint(1, COPY_WORDS, (COPY_WORDS, 3), generator=torch.Generator().manual_seed(0))
    ids = [torch.randint(1, COPY_WORDS, (count,), generator=generator)]
    for _ in range(COPY_LENGTH - 1):
        ids.append(followers[ids[-1], torch.randint(3, (count,), generator=generator)])
    return torch.stack(ids, dim=1)


class Copier(torch.nn.Module):
    """An encoder-decoder: the decoder begins with the last state of the encoder, and its sentences with 0."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = language_model_to_copy(), language_model_to_copy()

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        read = self.source.read(ids.flip(1))  # reversed, as Sutskever et al. 2014 did
        written = self.target.read(begun(ids), read.states)
        return -self.target.words.log_probability(written.outputs.flatten(0, 1), ids.flatten()).mean()


def language_model_to_copy() -> LanguageModel:
    return LanguageModel(COPY_WORDS, embed_size=24, cell="lstm", hidden_size=48, num_layers=1)


def begun(ids: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(ids[:, :-1], (1, 0))


def learn(loss_of, module: torch.nn.Module, steps: int, seed: int) -> float:
    """Train on fresh sentences; return the mean loss of the last ten steps."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(module.parameters(), lr=5e-3, weight_decay=0.0)
    losses = []
    for _ in range(steps):
        loss = loss_of(sentences(32, generator))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses[-10:]) / 10


def test_an_encoder_and_a_decoder_that_begin_as_two_language_models_learn_to_copy_sooner():
    torch.manual_seed(1)
    source, target = language_model_to_copy(), language_model_to_copy()

    def next_word_loss(model: LanguageModel, ids: torch.Tensor) -> torch.Tensor:
        outputs = model.read(begun(ids)).outputs
        return -model.words.log_probability(outputs.flatten(0, 1), ids.flatten()).mean()

    learn(lambda ids: next_word_loss(source, ids.flip(1)), source, 300, seed=2)
    learn(lambda ids: next_word_loss(target, ids), target, 300, seed=3)
    fresh, pretrained = Copier(), Copier()
    for half, language in ((pretrained.source, source), (pretrained.target, target)):
        begin_half(half.words, half.encoder, half.projection, language)
    ids = sentences(4, torch.Generator().manual_seed(4))
    torch.testing.assert_close(pretrained.target.read(ids).outputs, target.read(ids).outputs)
    torch.testing.assert_close(pretrained.source.read(ids).outputs, source.read(ids).outputs)
    without = learn(fresh, fresh, 80, seed=5)
    with_it = learn(pretrained, pretrained, 80, seed=5)
    assert with_it < 0.6 * without
    with pytest.raises(ConfigError, match=r"has 20 words of 3 features, the task 200 of 24"):
        begin_half(fresh.source.words, fresh.source.encoder, None, language_model("lstm", 3))


@pytest.mark.parametrize("feeds_input", [True, False])
@pytest.mark.parametrize(("embed", "hidden"), [(6, 10), (10, 10)])
@pytest.mark.parametrize("is_bidirectional", [True, False])
def test_a_translator_begins_as_language_models_of_both_languages(feeds_input, embed, hidden, is_bidirectional):
    torch.manual_seed(1)
    size = hidden // 2 if is_bidirectional else hidden
    forward, backward = (
        LanguageModel(25, embed_size=width, cell="lstm", hidden_size=size, num_layers=2).eval() for width in (3, 4)
    )
    target = LanguageModel(20, embed_size=embed, cell="lstm", hidden_size=hidden, num_layers=2).eval()
    translator = Translator(
        20,
        embed_size=embed,
        cell="lstm",
        hidden_size=hidden,
        encoder_layers=2,
        decoder_layers=2,
        is_bidirectional=is_bidirectional,
        feeds_input=feeds_input,
        num_source_words=25,
        source_embed_size=7 if is_bidirectional else 3,
        is_squashed=False,
    ).eval()
    begin_encoder(translator, forward, backward if is_bidirectional else None)
    begin_decoder(translator, target, begin_id=2, end_id=3)
    ids, written = torch.randint(4, 25, (2, 6)), torch.randint(4, 20, (2, 5))
    read = translator.read(ids, LENGTHS)
    mask = read.memory.mask[..., None]
    outputs = read.memory.values
    torch.testing.assert_close(outputs[..., :size], forward.read(ids).hidden * mask, atol=TOLERANCE, rtol=0)
    if is_bidirectional:
        mirrored = backward.read(reverse_rows(ids[..., None].float(), LENGTHS)[..., 0].long()).hidden
        torch.testing.assert_close(outputs[..., size:], reverse_rows(mirrored, LENGTHS) * mask, atol=TOLERANCE, rtol=0)
    begins, after_a_line = (torch.nn.functional.pad(written[:, :-1], (1, 0), value=first) for first in (2, 3))
    found = translator.words.log_probabilities(translator.write(begins, read).outputs.flatten(0, 1))
    logits = target.words.logits(target.read(after_a_line).outputs.flatten(0, 1))
    logits[:, 2] = -torch.inf  # the begin token is never written
    assert found[:, 2].max() < -20
    others = [number for number in range(20) if number != 2]
    torch.testing.assert_close(found[:, others], logits.log_softmax(1)[:, others], atol=1e-5, rtol=0)
    translator.train()
    optimizer = torch.optim.SGD(translator.parameters(), lr=0.1)
    for _ in range(2):  # at the first step nothing of the source has a say, so the encoder learns from the second on
        optimizer.zero_grad()
        translator.write(begins, translator.read(ids, LENGTHS)).outputs.square().sum().backward()
        optimizer.step()
    for parameter in translator.encoder.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


def test_words_are_put_into_their_rows():
    table = torch.nn.Embedding(4, 2)
    put_words(table, [3, 1], torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert table.weight[3].tolist() == [1, 2]
    assert table.weight[1].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("head.linear.weight", 0),
        ("output.bias", 0),
        ("backbone.encoder.layers.1.0.weight_ih", 1),
        ("backbone.encoder.layers.0.1.bias", 2),
        ("backbone.embedding.words.weight", 3),
        ("backbone.embedding.characters.recurrent.layers.0.0.bias", 3),
    ],
)
def test_the_depth_of_a_parameter_counts_from_the_head(name, depth):
    assert depth_of(name, 2) == depth


def test_every_parameter_is_in_one_group():
    network = torch.nn.ModuleDict(
        {
            "backbone": torch.nn.ModuleDict(
                {"encoder": Recurrent("gru", 3, 5, num_layers=2), "embedding": torch.nn.Embedding(4, 3)}
            ),
            "output": torch.nn.Linear(10, 2),
        }
    )
    groups = parameters_by_depth(network)
    assert [sum(parameter.numel() for parameter in group) for group in groups] == [
        22,
        sum(parameter.numel() for parameter in network["backbone"]["encoder"].layers[1].parameters()),
        sum(parameter.numel() for parameter in network["backbone"]["encoder"].layers[0].parameters()),
        12,
    ]

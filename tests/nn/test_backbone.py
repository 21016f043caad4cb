from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.backbone import Backbone, WindowEncoder
from nlp_lstm.nn.embedding import NUM_AFFIXES, WordFeatures
from nlp_lstm.nn.recurrent import make_mask
from nlp_lstm.nn.settings import BackboneSettings, EmbeddingSizes, cells
from nlp_lstm.settings import parse_settings

SIZES = EmbeddingSizes(words=12, characters=9, affixes=8, vectors=0, vector_size=0)
LENGTHS = (4, 7, 1)
SMALL_EMBEDDING = {"word_size": 3, "character_size": 4, "character_hidden": 2, "affix_size": 2}
OPTIONS = [
    *(("recurrent", cell, 2, True) for cell in cells),
    *(
        ("recurrent", "lstm", layers, bidirectional)
        for layers, bidirectional in itertools.product((1, 3), (True, False))
    ),
    ("window", "lstm", 1, True),
    ("none", "lstm", 1, True),
]


def make_backbone(**changes: object) -> Backbone:
    values = {"hidden": 5, "embedding": SMALL_EMBEDDING, **changes}
    return Backbone(parse_settings(BackboneSettings, values, "test"), SIZES).eval()


def make_features(num_words: int = 10) -> WordFeatures:
    lengths = torch.randint(2, 7, (num_words,))
    characters = torch.randint(1, SIZES.characters, (num_words, 6))
    return WordFeatures(
        word_ids=torch.arange(2, num_words + 2),
        vector_ids=torch.ones(num_words, dtype=torch.int64),
        character_ids=characters * make_mask(lengths, 6),
        character_lengths=lengths,
        affix_ids=torch.randint(1, SIZES.affixes, (num_words, NUM_AFFIXES)),
    )


def make_index(padding: int = 0) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor(LENGTHS)
    time = max(LENGTHS) + padding
    return torch.randint(0, 10, (len(LENGTHS), time)) * make_mask(lengths, time), lengths


@pytest.mark.parametrize(("encoder", "cell", "layers", "bidirectional"), OPTIONS)
def test_every_option_is_zero_at_padding_and_the_same_for_one_row_alone(
    encoder: str, cell: str, layers: int, bidirectional: bool
) -> None:
    backbone = make_backbone(encoder=encoder, cell=cell, layers=layers, bidirectional=bidirectional)
    features = make_features()
    index, lengths = make_index(padding=2)
    outputs = backbone(features, index, lengths)
    assert outputs.shape == (*index.shape, backbone.output_size)
    sizes = {"recurrent": 10 if bidirectional else 5, "window": 5, "none": backbone.embedding.output_size}
    assert backbone.output_size == sizes[encoder]
    assert not outputs[~make_mask(lengths, index.shape[1])].any()
    for row, length in enumerate(LENGTHS):
        alone = backbone(features, index[row : row + 1, :length], lengths[row : row + 1])
        # DESIGN.md's bound in float32: kernels differ by batch shape.
        torch.testing.assert_close(alone[0], outputs[row, :length], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("encoder", "cell", "layers", "bidirectional"), OPTIONS)
def test_every_option_learns(encoder: str, cell: str, layers: int, bidirectional: bool) -> None:
    backbone = make_backbone(encoder=encoder, cell=cell, layers=layers, bidirectional=bidirectional).train()
    outputs = backbone(make_features(), *make_index())
    (outputs * torch.randn_like(outputs)).sum().backward()
    for name, parameter in backbone.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("encoder", ["recurrent", "window"])
def test_dropout_is_off_in_evaluation_and_on_in_training(encoder: str) -> None:
    backbone = make_backbone(encoder=encoder)
    features, (index, lengths) = make_features(), make_index()
    assert torch.equal(backbone(features, index, lengths), backbone(features, index, lengths))
    backbone.train()
    assert not torch.equal(backbone(features, index, lengths), backbone(features, index, lengths))


@pytest.mark.parametrize("changed", range(9))
def test_the_window_sees_two_neighbours_on_each_side(changed: int) -> None:
    encoder = WindowEncoder(3, 8)
    inputs, lengths = torch.randn(1, 9, 3), torch.tensor([9])
    before = encoder(inputs, lengths).outputs
    inputs[0, changed] += 10
    is_different = (encoder(inputs, lengths).outputs != before).any(2)[0]
    assert is_different.tolist() == [abs(step - changed) <= 2 for step in range(9)]


def test_the_window_does_not_see_past_a_rows_end_or_into_other_rows() -> None:
    encoder = WindowEncoder(3, 8)
    inputs, lengths = torch.randn(2, 6, 3), torch.tensor([4, 6])
    before = encoder(inputs, lengths).outputs
    inputs[0, 4:] += 10
    inputs[1] += 10
    assert torch.equal(encoder(inputs, lengths).outputs[0], before[0])


def test_the_window_equals_a_plain_loop() -> None:
    encoder = WindowEncoder(2, 3, radius=1)
    inputs = torch.randn(1, 4, 2)
    found = encoder(inputs, torch.tensor([4])).outputs
    nothing = torch.zeros(2)
    words = [nothing, *inputs[0], nothing]
    for step in range(4):
        expected = torch.relu(encoder.hidden.weight @ torch.cat(words[step : step + 3]) + encoder.hidden.bias)
        torch.testing.assert_close(found[0, step], expected, atol=1e-6, rtol=1e-5)  # float32 rounding


def test_without_an_encoder_each_word_stands_for_itself() -> None:
    backbone = make_backbone(encoder="none")
    features, (index, lengths) = make_features(), make_index(padding=1)
    expected = backbone.embedding(features, index) * make_mask(lengths, index.shape[1])[..., None]
    assert torch.equal(backbone(features, index, lengths), expected)


def test_encode_goes_on_from_the_given_states() -> None:
    backbone = make_backbone(bidirectional=False)
    features, index, lengths = make_features(), torch.randint(0, 10, (2, 7)), torch.tensor([7, 7])
    embedded = backbone.embedding(features, index)
    whole = backbone.encode(embedded, lengths, need_states=True)
    first = backbone.encode(embedded[:, :4], torch.tensor([4, 4]), need_states=True)
    rest = backbone.encode(embedded[:, 4:], torch.tensor([3, 3]), first.states, need_states=True)
    # DESIGN.md's bound in float32: kernels differ by batch shape.
    torch.testing.assert_close(rest.outputs, whole.outputs[:, 4:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(rest.states[-1].cell, whole.states[-1].cell, atol=1e-5, rtol=1e-5)


def test_unknown_cell_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r'recipe\.yaml: .*cell "ltsm".*Did you mean "lstm"\?'):
        parse_settings(BackboneSettings, {"cell": "ltsm"}, "recipe.yaml")


def test_all_faults_of_the_settings_are_reported_together() -> None:
    values = {"layers": 0, "dropout": 1.0, "hiden": 3, "embedding": {"words": "learnt"}}
    with pytest.raises(ConfigError) as caught:
        parse_settings(BackboneSettings, values, "recipe.yaml")
    message = str(caught.value)
    assert all(part in message for part in ("layers", "dropout", 'Did you mean "hidden"?', "embedding.words"))


def test_words_without_any_input_are_refused() -> None:
    with pytest.raises(ConfigError, match="without any input"):
        make_backbone(embedding={"words": "none", "characters": "none", "affix_size": 0})

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nlp_lstm.nn.embedding import (
    NUM_AFFIXES,
    UNKNOWN_ID,
    CharacterBiLSTM,
    CharacterCNN,
    EmbeddingSettings,
    EmbeddingSizes,
    QuantisedVectors,
    WordEmbedding,
    WordFeatures,
)

NUM_WORDS, NUM_CHARACTERS, NUM_AFFIX_IDS, NUM_VECTORS, VECTOR_SIZE = 7, 9, 11, 6, 5
CHARACTER_LENGTHS = (4, 2, 6, 3)  # of four distinct words; 2 is the shortest, the marks of a word's two ends alone


def make_settings(**changes: object) -> EmbeddingSettings:
    small = {"word_size": 3, "character_size": 4, "character_hidden": 5, "affix_size": 2}
    return EmbeddingSettings.model_validate({**small, **changes})


def make_sizes(*, has_vectors: bool = False) -> EmbeddingSizes:
    return EmbeddingSizes(
        words=NUM_WORDS,
        characters=NUM_CHARACTERS,
        affixes=NUM_AFFIX_IDS,
        vectors=NUM_VECTORS if has_vectors else 0,
        vector_size=VECTOR_SIZE if has_vectors else 0,
    )


def make_features() -> WordFeatures:
    lengths = torch.tensor(CHARACTER_LENGTHS)
    characters = torch.randint(1, NUM_CHARACTERS, (len(CHARACTER_LENGTHS), max(CHARACTER_LENGTHS)))
    return WordFeatures(
        word_ids=torch.tensor([2, 1, 6, 3]),
        vector_ids=torch.tensor([2, 1, 5, 3]),
        character_ids=characters * (torch.arange(characters.shape[1]) < lengths[:, None]),
        character_lengths=lengths,
        affix_ids=torch.randint(1, NUM_AFFIX_IDS, (len(CHARACTER_LENGTHS), NUM_AFFIXES)),
    )


EVERY_ONE = torch.arange(len(CHARACTER_LENGTHS))[None, :]  # one row that holds each distinct word once
OPTIONS = [
    options
    for options in itertools.product(
        ("learned", "one-hot", "none"), ("bilstm", "cnn", "none"), (0, 2), ("none", "4 bits", "8 bits")
    )
    if options != ("none", "none", 0, "none")
]


@pytest.mark.parametrize(("words", "characters", "affix_size", "vectors"), OPTIONS)
def test_every_option_gives_vectors_of_the_stated_size_and_learns(
    words: str, characters: str, affix_size: int, vectors: str
) -> None:
    settings = make_settings(
        words=words, characters=characters, affix_size=affix_size, vector_bits=4 if vectors == "4 bits" else 8
    )
    embedding = WordEmbedding(settings, make_sizes(has_vectors=vectors != "none"))
    expected_size = (
        {"learned": 3, "one-hot": NUM_WORDS, "none": 0}[words]
        + {"bilstm": 10, "cnn": 15, "none": 0}[characters]
        + affix_size * NUM_AFFIXES
        + (VECTOR_SIZE if vectors != "none" else 0)
    )
    assert embedding.output_size == expected_size
    embedded = embedding(make_features(), EVERY_ONE)
    assert embedded.shape == (1, 4, expected_size)
    assert embedded.dtype == torch.float32
    parameters = dict(embedding.named_parameters())
    if parameters:
        (embedded * torch.randn_like(embedded)).sum().backward()
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in parameters.values())


def test_words_are_laid_out_by_the_index() -> None:
    embedding = WordEmbedding(make_settings(), make_sizes()).eval()
    features = make_features()
    distinct = embedding(features, EVERY_ONE)[0]
    index = torch.tensor([[3, 1, 1], [0, 2, 0]])
    found = embedding(features, index)
    for row, step in itertools.product(range(2), range(3)):
        assert torch.equal(found[row, step], distinct[index[row, step]])


def test_one_hot_vectors_are_rows_of_the_identity() -> None:
    embedding = WordEmbedding(make_settings(words="one-hot", characters="none", affix_size=0), make_sizes()).eval()
    features = make_features()
    assert torch.equal(embedding(features, EVERY_ONE)[0], torch.eye(NUM_WORDS)[features.word_ids])


def test_parts_stand_side_by_side_words_vectors_characters_affixes() -> None:
    embedding = WordEmbedding(make_settings(), make_sizes(has_vectors=True)).eval()
    embedding.vectors.load_rows(torch.randn(NUM_VECTORS - 2, VECTOR_SIZE))
    features = make_features()
    words, vectors, characters, affixes = embedding(features, EVERY_ONE)[0].split((3, VECTOR_SIZE, 10, 14), dim=1)
    assert torch.equal(words, embedding.words.weight[features.word_ids])
    assert torch.equal(vectors, embedding.vectors(features.vector_ids))
    assert torch.equal(characters, embedding.characters(features.character_ids, features.character_lengths))
    assert torch.equal(affixes, embedding.affixes.weight[features.affix_ids].flatten(1))


def test_word_dropout_gives_the_unknown_words_vector_in_training_only() -> None:
    settings = make_settings(characters="none", affix_size=0, word_dropout=0.5)
    embedding = WordEmbedding(settings, make_sizes())
    features = make_features()._replace(word_ids=torch.full((4,), 5))
    unknown, known = embedding.words.weight[UNKNOWN_ID], embedding.words.weight[5]
    seen = {
        "unknown" if torch.equal(vector, unknown) else "known" if torch.equal(vector, known) else "neither"
        for _ in range(20)
        for vector in embedding(features, EVERY_ONE)[0]
    }
    assert seen == {"unknown", "known"}
    assert torch.equal(embedding.eval()(features, EVERY_ONE)[0], known.expand(4, 3))


def make_encoder(encoder_type: type[CharacterBiLSTM] | type[CharacterCNN]) -> CharacterBiLSTM | CharacterCNN:
    """A character encoder; a CNN's filters answer most where nothing stands, which shows reading past a word's end."""
    encoder = encoder_type(NUM_CHARACTERS, make_settings())
    if isinstance(encoder, CharacterCNN):
        with torch.no_grad():
            encoder.embedding.weight.abs_()
            for convolution in encoder.filters:
                convolution.weight.abs_().neg_()
                convolution.bias.fill_(10.0)
    return encoder


@pytest.mark.parametrize("encoder_type", [CharacterBiLSTM, CharacterCNN])
def test_a_word_reads_the_same_alone_and_beside_longer_words(
    encoder_type: type[CharacterBiLSTM] | type[CharacterCNN],
) -> None:
    encoder = make_encoder(encoder_type)
    features = make_features()
    ids = torch.nn.functional.pad(features.character_ids, (0, 5))
    together = encoder(ids, features.character_lengths)
    assert together.shape == (4, encoder.output_size)
    for word, length in enumerate(CHARACTER_LENGTHS):
        alone = encoder(ids[word : word + 1, :length], features.character_lengths[word : word + 1])
        # float32 kernels differ by batch shape
        torch.testing.assert_close(alone[0], together[word], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("encoder_type", [CharacterBiLSTM, CharacterCNN])
def test_what_stands_after_a_words_last_character_is_not_read(
    encoder_type: type[CharacterBiLSTM] | type[CharacterCNN],
) -> None:
    encoder = make_encoder(encoder_type)
    features = make_features()
    garbage = torch.where(features.character_ids == 0, 8, features.character_ids)
    clean = encoder(features.character_ids, features.character_lengths)
    torch.testing.assert_close(encoder(garbage, features.character_lengths), clean, atol=1e-7, rtol=0)


def test_character_bilstm_gives_the_two_final_states() -> None:
    encoder = CharacterBiLSTM(NUM_CHARACTERS, make_settings())
    features = make_features()
    states = encoder.recurrent(
        encoder.embedding(features.character_ids), features.character_lengths, need_states=True
    ).states
    expected = torch.cat([state.hidden for state in states], dim=1)
    found = encoder(features.character_ids, features.character_lengths)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)  # float32, padded against packed kernel


def test_character_cnn_keeps_each_filters_maximum_over_the_words_own_windows() -> None:
    encoder = CharacterCNN(NUM_CHARACTERS, make_settings())
    ids = torch.tensor([[2, 5, 7, 3]])
    embedded = encoder.embedding(ids)[0]
    expected = []
    for convolution in encoder.filters:
        width = convolution.kernel_size[0]
        zeros = torch.zeros(width - 1, embedded.shape[1])
        padded = torch.cat((zeros, embedded, zeros))
        windows = [padded[start : start + width].T for start in range(len(padded) - width + 1)]
        sums = [(convolution.weight * window).sum((1, 2)) + convolution.bias for window in windows]
        expected.append(torch.relu(torch.stack(sums)).amax(0))
    torch.testing.assert_close(encoder(ids, torch.tensor([4]))[0], torch.cat(expected), atol=1e-6, rtol=1e-5)


@given(st.sampled_from([4, 8]), st.integers(1, 9), st.integers(2, 12), st.integers(0, 1000))
def test_rounding_vectors_errs_by_half_a_step_at_most(bits: int, size: int, rows: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(rows, size, generator=generator) * 3
    table = QuantisedVectors(rows + 2, size, bits)
    table.load_rows(vectors)
    scaled = vectors / vectors.std()
    step = scaled.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    error = (table(torch.arange(2, rows + 2)) - scaled).abs()
    # The step is stored in float16, whose relative rounding is 2**-11 of the whole value.
    assert (error <= step * 0.5 + scaled.abs() * 2**-11 + 1e-6).all()


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("size", [1, 4, 5])
def test_the_rows_of_padding_and_no_vector_are_zero(bits: int, size: int) -> None:
    table = QuantisedVectors(5, size, bits)
    table.load_rows(torch.randn(3, size))
    assert table(torch.tensor([0, 1, 0])).tolist() == [[0.0] * size] * 3
    assert table(torch.tensor([2, 3, 4])).any(1).all()


@pytest.mark.parametrize(("bits", "size", "bytes_per_row"), [(8, 5, 5), (4, 4, 2), (4, 5, 3), (4, 1, 1)])
def test_vectors_take_one_or_half_a_byte_a_feature(bits: int, size: int, bytes_per_row: int) -> None:
    assert QuantisedVectors(10, size, bits).codes.shape == (10, bytes_per_row)


@pytest.mark.parametrize("bits", [4, 8])
def test_an_all_zero_vector_stays_zero(bits: int) -> None:
    table = QuantisedVectors(4, 3, bits)
    table.load_rows(torch.tensor([[0.0, 0, 0], [1, -2, 3]]))
    assert not table(torch.tensor([2])).any()


@pytest.mark.parametrize("bits", [4, 8])
def test_vectors_on_the_grid_come_back_exactly(bits: int) -> None:
    limit = 2 ** (bits - 1) - 1
    vectors = torch.tensor([[limit, -limit, 1, 0, -3], [-limit, 2, 5, -1, limit]], dtype=torch.float32)
    table = QuantisedVectors(4, 5, bits)
    table.load_rows(vectors)
    codes = table(torch.tensor([2, 3])) / table.scales[2:].float()[:, None]
    torch.testing.assert_close(codes, vectors, atol=1e-4, rtol=0)  # float32 rounding of a product and a quotient


def test_vectors_are_frozen_and_saved() -> None:
    table = QuantisedVectors(4, 3, 8)
    assert not list(table.parameters())
    assert set(table.state_dict()) == {"codes", "scales"}

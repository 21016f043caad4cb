from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nlp_lstm.data import words as words_module
from nlp_lstm.data.batch import BatchMaker, pad_ids
from nlp_lstm.data.words import BOS_ID, CHARACTERS_KEPT, EOS_ID, WordVocabularies, word_affixes
from nlp_lstm.errors import CheckpointError
from nlp_lstm.nn.embedding import NUM_AFFIXES
from nlp_lstm.nn.settings import EmbeddingSettings

COUNTS = {"the": 9, "cat": 5, "sat": 4, "mat": 3, "The": 2, "dogma": 1}


@pytest.fixture
def vocabularies() -> WordVocabularies:
    return WordVocabularies.build(COUNTS, EmbeddingSettings(), vectors=["the", "cat", "Paris", "rare"], vector_size=3)


@pytest.fixture
def maker(vocabularies: WordVocabularies) -> BatchMaker:
    return BatchMaker(vocabularies)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("McDonald", ("-d", "-ld", "-ald", "-nald", "mc-", "mcd-", "XxXxx")),
        ("running", ("-g", "-ng", "-ing", "-ning", "ru-", "run-", "xx")),
        ("a", ("-a", "-a", "-a", "-a", "a-", "a-", "x")),
        ("USA", ("-a", "-sa", "-usa", "-usa", "us-", "usa-", "XX")),
        ("1984", ("-4", "-84", "-984", "-1984", "19-", "198-", "99")),
        ("3.14", ("-4", "-14", "-.14", "-3.14", "3.-", "3.1-", "9.99")),
        ("B-52s", ("-s", "-2s", "-52s", "--52s", "b--", "b-5-", "X-99x")),
        ("Ærø", ("-ø", "-rø", "-ærø", "-ærø", "ær-", "ærø-", "Xxx")),
        ("٣٤", ("-٤", "-٣٤", "-٣٤", "-٣٤", "٣٤-", "٣٤-", "99")),
        ("猫", ("-猫", "-猫", "-猫", "-猫", "猫-", "猫-", "猫")),
        ("🙂🙂🙂", ("-🙂", "-🙂🙂", "-🙂🙂🙂", "-🙂🙂🙂", "🙂🙂-", "🙂🙂🙂-", "🙂🙂")),
        ("...", ("-.", "-..", "-...", "-...", "..-", "...-", "..")),
    ],
)
def test_affixes_and_shapes_of_words(word: str, expected: tuple[str, ...]) -> None:
    assert word_affixes(word) == expected


@given(st.text(min_size=1, max_size=80))
def test_every_word_has_the_same_number_of_affixes(word: str) -> None:
    affixes = word_affixes(word)
    assert len(affixes) == NUM_AFFIXES
    assert len(affixes[-1]) <= 8


def test_long_words_are_read_at_both_ends_only(maker: BatchMaker) -> None:
    start, end = "the" * 4, "cat" * 4
    assert len(start) == len(end) == CHARACTERS_KEPT
    short = maker.make_batch([[start + end]]).features
    long = maker.make_batch([[start + "m" * 100_000 + end]]).features
    assert short.character_ids.shape == (1, 2 * CHARACTERS_KEPT + 2)
    assert torch.equal(long.character_ids, short.character_ids)
    assert torch.equal(long.affix_ids, short.affix_ids)


def test_a_batch_holds_each_distinct_word_once_and_says_where_it_stands(maker: BatchMaker) -> None:
    batch = maker.make_batch([["the", "cat", "sat"], ["the"], ["cat", "the"]])
    known = maker.vocabularies
    assert batch.features.word_ids.tolist() == known.words.ids(["the", "cat", "sat"])
    assert batch.index.tolist() == [[0, 1, 2], [0, 0, 0], [1, 0, 0]]
    assert batch.lengths.tolist() == [3, 1, 2]
    assert batch.mask.tolist() == [[True, True, True], [True, False, False], [True, True, False]]
    assert batch.num_tokens == 6
    assert batch.labels == {}


def test_characters_stand_between_the_marks_of_a_words_two_ends(maker: BatchMaker) -> None:
    features = maker.make_batch([["the", "at"]]).features
    ids = maker.vocabularies.characters.ids
    assert features.character_ids.tolist() == [[BOS_ID, *ids("the"), EOS_ID], [BOS_ID, *ids("at"), EOS_ID, 0]]
    assert features.character_lengths.tolist() == [5, 4]


def test_the_ids_of_the_marks_are_those_of_the_vocabulary(vocabularies: WordVocabularies) -> None:
    assert vocabularies.characters.tokens[BOS_ID] == "<bos>"
    assert vocabularies.characters.tokens[EOS_ID] == "<eos>"


def test_words_rarer_than_the_least_count_are_unknown(maker: BatchMaker) -> None:
    word_ids = maker.make_batch([["The", "dogma", "zebra"]]).features.word_ids.tolist()
    assert word_ids == [maker.vocabularies.words.id("The"), 1, 1]
    assert word_ids[0] > 1


def test_characters_and_affixes_never_seen_are_unknown(maker: BatchMaker) -> None:
    features = maker.make_batch([["🙂"]]).features
    assert features.character_ids.tolist() == [[BOS_ID, 1, EOS_ID]]
    assert features.affix_ids.tolist() == [[1] * NUM_AFFIXES]


@pytest.mark.parametrize("special", ["<pad>", "<unk>", "<bos>", "<eos>"])
def test_a_word_that_looks_like_a_special_token_is_only_a_word(maker: BatchMaker, special: str) -> None:
    features = maker.make_batch([[special]]).features
    assert features.word_ids.tolist() == [1]
    assert features.vector_ids.tolist() == [1]


def test_pretrained_vectors_fall_back_to_lower_case(maker: BatchMaker) -> None:
    vectors = maker.vocabularies.vectors
    ids = maker.make_batch([["cat", "Cat", "CAT", "Paris", "paris", "zebra"]]).features.vector_ids.tolist()
    cat, paris = vectors.id("cat"), vectors.id("Paris")
    assert ids == [cat, cat, cat, paris, 1, 1]
    assert min(cat, paris) >= 2


def test_vectors_keep_the_order_of_their_rows(vocabularies: WordVocabularies) -> None:
    assert vocabularies.vectors.ids(["the", "cat", "Paris", "rare"]) == [2, 3, 4, 5]


def test_labels_are_padded_with_zero(maker: BatchMaker) -> None:
    batch = maker.make_batch([["the", "cat"], ["sat"]], {"upos": [[3, 4], [5]], "xpos": [[1, 1], [2]]}, pad_to=3)
    assert batch.labels["upos"].tolist() == [[3, 4, 0], [5, 0, 0]]
    assert batch.labels["xpos"].tolist() == [[1, 1, 0], [2, 0, 0]]


def test_padding_further_changes_the_width_only(maker: BatchMaker) -> None:
    rows = [["the", "cat"], ["sat"]]
    plain, padded = maker.make_batch(rows), maker.make_batch(rows, pad_to=6)
    assert padded.index.shape == padded.mask.shape == (2, 6)
    assert torch.equal(padded.index[:, :2], plain.index)
    assert torch.equal(padded.lengths, plain.lengths)
    assert not padded.mask[:, 2:].any()
    assert maker.make_batch(rows, pad_to=1).index.shape == (2, 2)
    for one, other in zip(padded.features, plain.features, strict=True):
        assert torch.equal(one, other)


def test_a_batch_moves_as_a_whole(maker: BatchMaker) -> None:
    moved = maker.make_batch([["the"]], {"upos": [[1]]}).to(torch.device("meta"))
    tensors = [*moved.features, moved.index, moved.lengths, moved.mask, *moved.labels.values()]
    assert all(tensor.device.type == "meta" for tensor in tensors)


def test_remembered_words_are_bounded_and_never_change_a_batch(
    maker: BatchMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [[f"word{number}", "cat"] for number in range(40)]
    expected = maker.make_batch(rows)
    monkeypatch.setattr(words_module, "CODES_REMEMBERED", 5)
    forgetful = BatchMaker(maker.vocabularies)
    for found in (forgetful.make_batch(rows), forgetful.make_batch(rows)):
        for one, other in zip(found.features, expected.features, strict=True):
            assert torch.equal(one, other)
        assert len(forgetful._codes) <= 5


@given(st.lists(st.lists(st.integers(1, 99), max_size=6), min_size=1, max_size=5), st.integers(0, 8))
def test_padded_ids_hold_every_row_and_zeros(rows: list[list[int]], time: int) -> None:
    padded = pad_ids(rows, time)
    assert padded.shape == (len(rows), max(time, *map(len, rows), 0))
    for row, found in zip(rows, padded.tolist(), strict=True):
        assert found == row + [0] * (padded.shape[1] - len(row))


def test_sizes_are_those_of_the_vocabularies(vocabularies: WordVocabularies) -> None:
    sizes = vocabularies.sizes
    assert sizes.words == 2 + 5  # "dogma" is too rare
    assert sizes.vectors == 2 + 4
    assert sizes.vector_size == 3
    assert sizes.characters == len(vocabularies.characters)
    assert sizes.affixes == len(vocabularies.affixes)


def test_without_pretrained_vectors_their_size_is_zero() -> None:
    vocabularies = WordVocabularies.build(COUNTS, EmbeddingSettings())
    assert (vocabularies.sizes.vectors, vocabularies.sizes.vector_size) == (0, 0)
    assert BatchMaker(vocabularies).make_batch([["cat"]]).features.vector_ids.tolist() == [1]


def test_vocabularies_survive_json(vocabularies: WordVocabularies) -> None:
    assert WordVocabularies.from_dict(json.loads(json.dumps(vocabularies.to_dict()))) == vocabularies


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.integers(1, 5), max_size=20))
def test_vocabularies_of_any_words_survive_the_round_trip(counts: dict[str, int]) -> None:
    vocabularies = WordVocabularies.build(counts, EmbeddingSettings())
    assert WordVocabularies.from_dict(vocabularies.to_dict()) == vocabularies


DAMAGES: dict[str, Any] = {
    "a part is missing": lambda values: values.pop("words"),
    "a part is no mapping": lambda values: values.update(characters=["a"]),
    "tokens are missing": lambda values: values["affixes"].pop("tokens"),
    "specials are missing": lambda values: values["words"].pop("specials"),
    "more specials than tokens": lambda values: values["words"].update(specials=10_000),
    "fewer specials than needed": lambda values: values["words"].update(specials=1),
    "no marks among the characters": lambda values: values["characters"].update(specials=2),
    "a token twice": lambda values: values["words"]["tokens"].append("cat"),
    "a token that is no string": lambda values: values["words"]["tokens"].append(7),
    "a token that cannot be hashed": lambda values: values["words"]["tokens"].append(["cat"]),
    "the vectors' size is missing": lambda values: values.pop("vector_size"),
    "the vectors' size is a string": lambda values: values.update(vector_size="3"),
    "the vectors' size is a boolean": lambda values: values.update(vector_size=True),
    "the vectors' size is negative": lambda values: values.update(vector_size=-3),
    "specials are a boolean": lambda values: values["words"].update(specials=True),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_vocabularies_are_refused(vocabularies: WordVocabularies, damage: str) -> None:
    values = copy.deepcopy(vocabularies.to_dict())
    DAMAGES[damage](values)
    with pytest.raises(CheckpointError, match="damaged vocabulary"):
        WordVocabularies.from_dict(values)

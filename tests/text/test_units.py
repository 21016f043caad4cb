from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import running_examples, tagged_examples

from nlp_lstm.errors import CheckpointError, DataError
from nlp_lstm.text.detokenize import detokenise
from nlp_lstm.text.document import Document
from nlp_lstm.text.tokenize import Tokenizer
from nlp_lstm.text.units import (
    BOS_ID,
    EOS_ID,
    PAD_ID,
    SPECIALS,
    UNK_ID,
    CharacterUnits,
    SubwordUnits,
    TextWriter,
    Units,
    WordUnits,
    build_units,
    units_from_dict,
)

NAMES = ("word", "subword", "character")
SIZES = {"word": 10_000, "subword": 400, "character": 10_000}

every_unit = pytest.mark.parametrize("name", NAMES)


@lru_cache
def units_of(name: str) -> Units:
    """The units of the letters and the hand-tagged sentences."""
    return build_units(name, documents(), min_count=1, max_size=SIZES[name])[0]


def documents() -> list[Document]:
    return [example.document for example in (*running_examples(), *tagged_examples())]


@lru_cache
def wiki_units() -> WordUnits:
    """Words of a text of WikiText's kind."""
    words = "<unk> the north @-@ east wind of 1 @,@ 000 days cost 2 @.@ 50 - , . self well @-@ known mid-1980s"
    return WordUnits.build(dict.fromkeys(words.split(), 2), min_count=1, max_size=100)


def wiki_document(text: str) -> Document:
    return Tokenizer("en").tokenize(text)


def write_all(units: Units, ids, before=()) -> str:
    writer = TextWriter(units, before)
    return "".join(writer.write(id) for id in ids)


# ---- round trips


@every_unit
def test_real_sentences_come_back(name):
    for document in documents():
        ids = units_of(name).encode(document)
        assert UNK_ID not in ids
        expected = detokenise(document.words) if name == "word" else document.text
        assert units_of(name).decode(ids) == expected
        assert [units_of(name).token(id) for id in ids] == [piece.text for piece in units_of(name).pieces(document)]


def test_most_sentences_of_words_come_back_as_they_were_typed():
    units = units_of("word")
    same = [units.decode(units.encode(document)) == document.text for document in documents()]
    assert sum(same) > 0.9 * len(same)


@given(st.text())
def test_every_text_of_known_characters_comes_back(text):
    units = CharacterUnits.build(dict.fromkeys(text, 1), min_count=1, max_size=1_000)
    document = Document(text=text)
    assert units.decode(units.encode(document)) == text
    assert all(id >= len(SPECIALS) for id in units.encode(document))


@given(st.text())
def test_every_text_comes_back_from_subwords(text):
    text = text.replace("\u2581", "")  # sentencepiece's own sign for a space
    units = units_of("subword")
    assert units.decode(units.encode(Document(text=text))) == text


@every_unit
def test_the_specials_have_no_text(name):
    units = units_of(name)
    ids = units.encode(documents()[1])
    assert units.decode([BOS_ID, *ids[:1], PAD_ID, *ids[1:], EOS_ID]) == units.decode(ids)
    assert [units.token(id) for id in range(4)] == list(SPECIALS)
    assert units.decode([]) == ""


def test_what_is_unknown_is_shown():
    words = units_of("word")
    assert words.encode(Document.from_words(["Zzyzx", "the"]))[0] == UNK_ID
    assert words.decode([UNK_ID, words.encode(Document.from_words(["the"]))[0]]) == "<unk> the"
    assert units_of("character").decode([UNK_ID]) == "\ufffd"


# ---- building


def test_words_come_by_frequency_and_rare_ones_are_unknown():
    texts = [Document.from_words(words.split()) for words in ("b a b c", "b a <unk>")]
    units, counts = build_units("word", iter(texts), min_count=2, max_size=10)
    assert [units.token(id) for id in range(len(units))] == [*SPECIALS, "b", "a"]
    assert counts == {"b": 3, "a": 2, "c": 1, "<unk>": 1}
    assert len(build_units("word", texts, min_count=1, max_size=1)[0]) == 4 + 1


def test_the_unknown_word_of_a_corpus_is_no_word():
    units, _ = build_units("word", [Document.from_words(["<unk>", "<eos>", "a"])], min_count=1, max_size=10)
    assert len(units) == 5
    assert units.encode(Document.from_words(["<unk>", "a"])) == [UNK_ID, 4]


@every_unit
@pytest.mark.parametrize("texts", [[], [Document.from_words([])]], ids=["no line", "an empty line"])
def test_a_text_without_words_is_refused(name, texts):
    with pytest.raises(DataError, match="text"):
        build_units(name, texts, min_count=1, max_size=400)


# ---- marks of WikiText


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("the north-east wind", "the north @-@ east wind"),
        ("the wind - well, east", "the wind - well , east"),
        ("1,000 days", "1 @,@ 000 days"),
        ("1,000,000 days", "1 @,@ 000 @,@ 000 days"),
        ("cost 2.50.", "cost 2 @.@ 50 ."),
        ("well-known, self-known", "well @-@ known , self @-@ known"),
        ("mid-1980s", "mid-1980s"),  # the vocabulary has it whole
    ],
)
def test_the_marks_are_read_and_not_written(text, tokens):
    units = wiki_units()
    document = wiki_document(text)
    pieces = units.pieces(document)
    assert [units.token(id) for id in units.encode(document)] == tokens.split()
    assert [piece.text for piece in pieces] == tokens.split()
    assert units.decode(units.encode(document)) == text
    for piece in pieces:
        stands_there = text[piece.start : piece.end]
        assert stands_there == (piece.text[1] if piece.text in ("@-@", "@,@", "@.@") else piece.text)


def test_a_text_that_has_the_marks_is_read_as_it_is():
    words = ["the", "north", "@-@", "east", "wind", "of", "1", "@,@", "000", "days"]
    units = wiki_units()
    assert [units.token(id) for id in units.encode(Document.from_words(words))] == words
    assert units.decode(units.encode(Document.from_words(words))) == "the north-east wind of 1,000 days"


def test_without_marks_in_the_vocabulary_nothing_is_cut():
    units = WordUnits.build({"north-east": 1, "1,000": 1}, min_count=1, max_size=10)
    document = Document.from_words(["north-east", "1,000", "well-known"])
    assert units.pieces(document) == list(document.tokens)
    assert units.encode(document)[2] == UNK_ID


def test_characters_are_read_without_the_marks():
    document = Document(text="the north @-@ east <unk> cost 1 @,@ 000 @,@ 000 @.@ 50 @")
    units, counts = build_units("character", [document], min_count=1, max_size=100)
    ids = units.encode(document)
    assert units.decode(ids) == "the north - east \ufffd cost 1,000,000.50 @"
    assert ids.count(UNK_ID) == 1
    assert counts.total() == len(ids)
    assert (counts["<unk>"], counts["@"], counts["-"]) == (1, 1, 1)
    pieces = units.pieces(document)
    assert [units.token(id) for id in ids] == [piece.text for piece in pieces]
    marks = [document.text[piece.start : piece.end] for piece in pieces if len(piece.text) < piece.end - piece.start]
    assert marks == ["@-@", " @,@ ", " @,@ ", " @.@ "]
    assert "".join(document.text[piece.start : piece.end] for piece in pieces) == document.text


@pytest.mark.parametrize("name", ["word", "character"])
def test_pieces_stand_where_they_say(name):
    for document in documents():
        pieces = units_of(name).pieces(document)
        assert all(document.text[piece.start : piece.end] == piece.text for piece in pieces)
        assert len(pieces) == len(units_of(name).encode(document))


# ---- one after the other


@every_unit
def test_text_written_one_by_one_is_that_of_all_at_once(name):
    units = units_of(name)
    for document in documents():
        ids = units.encode(document)
        assert write_all(units, ids) == units.decode(ids)
        for middle in (1, len(ids) // 2):
            if not units.decode(ids[:middle]).endswith("\ufffd"):
                assert units.decode(ids[:middle]) + write_all(units, ids[middle:], ids[:middle]) == units.decode(ids)


def test_marks_are_written_one_by_one_too():
    units = wiki_units()
    ids = units.encode(wiki_document("the north-east wind cost 1,000.50"))
    assert write_all(units, ids) == "the north-east wind cost 1,000.50"


@pytest.mark.parametrize("text", ["naïve 日本 😀 café", "😀😀", "a\u00a0b", "ﬁ½"])
def test_a_character_of_several_bytes_is_written_once_it_is_whole(text):
    units = units_of("subword")
    ids = units.encode(Document(text=text))
    assert write_all(units, ids) == text
    for middle in range(len(ids)):
        if not units.decode(ids[:middle]).endswith("\ufffd"):
            assert units.decode(ids[:middle]) + write_all(units, ids[middle:], ids[:middle]) == text


@given(st.lists(st.integers(4, 399), max_size=30))
def test_any_subwords_are_written_as_at_once_but_for_half_a_character_at_the_end(ids):
    units = units_of("subword")
    whole = units.decode(ids)
    found = write_all(units, ids)
    assert whole.startswith(found)
    assert set(whole[len(found) :]) <= {"\ufffd"}


@every_unit
def test_writing_holds_a_bounded_number_of_ids(name):
    units = units_of(name)
    ids = [id for document in documents()[:8] for id in units.encode(document)] * 3
    writer = TextWriter(units)
    written = [writer.write(id) for id in ids]
    assert len(ids) > 200
    assert len(writer._last) <= 64
    if name != "word":  # words: whether a quotation is open is seen no further back than that
        assert "".join(written) == units.decode(ids)


# ---- saving


@every_unit
def test_units_come_back_from_plain_values_and_files(name):
    units = units_of(name)
    again = units_from_dict(units.to_dict(), units.files())
    assert type(again) is type(units)
    assert len(again) == len(units)
    assert again.to_dict() == units.to_dict()
    for document in documents()[:5]:
        assert again.encode(document) == units.encode(document)
    assert set(units.files()) == ({SubwordUnits.FILE} if name == "subword" else set())


GOOD = {"specials": 4, "tokens": [*SPECIALS, "a"]}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"unit": "phrase"},
        {"unit": ["word"]},
        {"unit": "word"},
        {"unit": "word", "words": None},
        {"unit": "word", "words": {**GOOD, "specials": 2}},
        {"unit": "character", "words": {**GOOD, "tokens": ["a", *SPECIALS]}},
        {"unit": "character", "words": {**GOOD, "tokens": [*SPECIALS, "a", "a"]}},
        {"unit": "word", "words": {**GOOD, "tokens": [*SPECIALS, 3]}},
        {"unit": "word", "words": {**GOOD, "tokens": [*SPECIALS, "\ud800"]}},
        {"unit": "word", "words": GOOD, "marks": ["@-@"]},
        {"unit": "subword", "words": GOOD},
        {"unit": "subword"},
    ],
)
def test_a_damaged_vocabulary_is_refused(values):
    with pytest.raises(CheckpointError, match="damaged vocabulary"):
        units_from_dict(values, {})


@pytest.mark.parametrize("keep", [0, 10, 2_000])
def test_a_truncated_subword_model_is_refused(keep):
    units = units_of("subword")
    with pytest.raises(CheckpointError, match="the subword model"):
        units_from_dict(units.to_dict(), {SubwordUnits.FILE: units.files()[SubwordUnits.FILE][:keep]})

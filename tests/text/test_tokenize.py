import gzip
from itertools import islice

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import corpus_file

from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.text import tokenize
from nlp_lstm.text.tokenize import LONGEST_RUN, Tokenizer, check_text

ENGLISH = """Dr. Smith didn't buy the $3.50 ticket — he'd rather walk (in the rain!).
"Why?" asked Ana. "Because U.S. trains are late," he said.  It's 9 p.m. already…

Chapter two
Mail me at ana@example.org or see https://example.org/a?b=c; thanks :-) 👍🏽 👩‍👩‍👧
"""
HINDI = "राम घर गया। सीता ने खाना बनाया, और वह बाज़ार भी गई। क्या आप कल आएँगे? हाँ!\n\nयह दूसरा अनुच्छेद है॥"
MIXED = "नमस्ते world, es ist 5°C — où ça? 東京に行く。Ελλάδα; ½ kg\u00a0flour"


@pytest.fixture(scope="module")
def english() -> Tokenizer:
    return Tokenizer("en")


def assert_tokens_are_exact(language: str, text: str) -> None:
    """Offsets are exact, nothing but white space is lost, and the tokens are those of spaCy."""
    document = Tokenizer(language).tokenize(text)
    assert all(text[token.start : token.end] == token.text for token in document.tokens)
    assert all(left.end <= right.start for left, right in zip(document.tokens, document.tokens[1:], strict=False))
    assert "".join("".join(document.words).split()) == "".join(text.split())
    expected = [(token.text, token.idx) for token in spacy.blank(language).tokenizer(text) if not token.is_space]
    assert [(token.text, token.start) for token in document.tokens] == expected


def sentence_words(language: str, text: str) -> list[list[str]]:
    return [sentence.words for sentence in Tokenizer(language).sentences(text)]


@pytest.mark.parametrize(
    ("language", "text"), [("en", ENGLISH), ("hi", HINDI), ("xx", MIXED), ("de", MIXED), ("en", MIXED)]
)
def test_offsets_are_exact_and_tokens_are_those_of_spacy(language, text):
    assert_tokens_are_exact(language, text)


def test_offsets_are_exact_on_real_english():
    with gzip.open(corpus_file("ud-english-ewt/*-test.conllu.gz"), "rt", encoding="utf-8") as file:
        lines = file.read().splitlines()
    text = "\n".join(line.removeprefix("# text = ") for line in lines if line.startswith("# text = "))
    assert_tokens_are_exact("en", text)


def test_offsets_are_exact_on_real_hindi():
    with gzip.open(corpus_file("hindencorp-slice/*.tsv.gz"), "rt", encoding="utf-8") as file:
        hindi = [line.rstrip("\n").split("\t")[2] for line in islice(file, 500)]
    assert_tokens_are_exact("hi", "\n".join(hindi))


def test_a_title_with_a_period_ends_no_sentence():
    assert sentence_words("en", "Dr. Smith came late. He left early.") == [
        ["Dr.", "Smith", "came", "late", "."],
        ["He", "left", "early", "."],
    ]


def test_a_danda_ends_a_hindi_sentence():
    assert [words[-1] for words in sentence_words("hi", HINDI)] == ["।", "।", "?", "!", "है॥"]


@pytest.mark.parametrize("gap", [" ", "  ", "\n", " \n", "\t", "\n\n", "\u00a0 "])
def test_any_white_space_may_stand_between_two_sentences(gap):
    assert sentence_words("en", f"It rains.{gap}We stay in.") == [["It", "rains", "."], ["We", "stay", "in", "."]]


@pytest.mark.parametrize("blank", ["\n\n", "\n \n", "\r\n\r\n", "\n\t\n\n"])
def test_a_blank_line_ends_a_sentence(blank):
    assert sentence_words("en", f"Chapter two{blank}It rains") == [["Chapter", "two"], ["It", "rains"]]


def test_one_line_break_ends_no_sentence():
    assert sentence_words("en", "It rains\nin Porto") == [["It", "rains", "in", "Porto"]]


def test_closing_marks_stay_with_their_sentence():
    assert sentence_words("en", '"It rains." We stay.') == [['"', "It", "rains", ".", '"'], ["We", "stay", "."]]


pieces_of_text = st.lists(
    st.sampled_from(["It", "don't", "rains", "Dr.", "घर", "👍🏽", ".", "!", "?", "।", '"', "(", ")", "U.S.", "3.5"]),
    max_size=30,
)
gaps = st.lists(st.sampled_from([" ", " ", "", "\n", "\n\n", "  ", "\t", " \n "]), min_size=30, max_size=30)


@settings(max_examples=150, deadline=None)
@given(words=pieces_of_text, between=gaps, piece_size=st.integers(1, 300))
def test_tokens_never_depend_on_the_piece_size(english, words, between, piece_size):
    text = "".join(word + gap for word, gap in zip(words, between, strict=False))
    whole = list(english.sentences(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenize, "PIECE_SIZE", piece_size)
        cut = list(english.sentences(text))
        at_once = english.tokenize(text)
    assert [token for sentence in cut for token in sentence.tokens] == [
        token for sentence in whole for token in sentence.tokens
    ]
    assert at_once == english.tokenize(text)
    assert list(at_once.tokens) == [token for sentence in whole for token in sentence.tokens]
    longest = max((sentence.tokens[-1].end - sentence.tokens[0].start for sentence in whole), default=0)
    if 2 * longest + 10 < piece_size:  # only a sentence longer than a piece is cut
        assert cut == whole


@pytest.mark.parametrize("piece_size", [200, 333, 1_000])
def test_sentences_do_not_depend_on_the_piece_size(english, monkeypatch, piece_size):
    text = ENGLISH * 20
    whole = list(english.sentences(text))
    monkeypatch.setattr(tokenize, "PIECE_SIZE", piece_size)
    assert list(english.sentences(text)) == whole


def test_sentences_come_lazily(english, monkeypatch):
    monkeypatch.setattr(tokenize, "PIECE_SIZE", 1_000)
    calls = []
    split = english.split
    monkeypatch.setattr(english, "split", lambda *piece: calls.append(piece) or split(*piece))
    next(english.sentences("It rains. " * 10_000))
    assert len(calls) == 1


@pytest.mark.parametrize("text", ["", " ", "\n\n\t \u00a0\u3000", "\r\n"])
def test_blank_text_has_no_token(english, text):
    assert list(english.sentences(text)) == []
    assert english.tokenize(text).tokens == ()


@pytest.mark.parametrize("text", ["x" * 100_000, "(" * 100_000, "👍" * 50_000, "." * (LONGEST_RUN + 1)])
def test_a_run_without_white_space_is_one_token_however_long(english, text):
    document = english.tokenize(f"See {text} there.")
    assert document.words == ["See", text, "there", "."]


@pytest.mark.parametrize(
    "text", ["👍", "👍🏽👩‍👩‍👧 🇮🇳", "nul\x00byte", "\x00", "e\u0301te\u0301", "\u0301", "\u200b", "\ufeffIt rains."]
)
def test_odd_characters_keep_exact_offsets(english, text):
    document = english.tokenize(text)
    assert document.tokens
    assert all(text[token.start : token.end] == token.text for token in document.tokens)
    assert "".join(document.words) == "".join(text.split())


@pytest.mark.parametrize("text", ["\ud83d", "fine until \udce9 here"])
def test_half_a_character_is_refused_with_its_place(english, text):
    with pytest.raises(DataError, match=f"at character {len(text.encode('utf-8', 'replace').split(b'?')[0])}"):
        list(english.sentences(text))


@pytest.mark.parametrize("value", [None, 3, b"bytes", ["a"]])
def test_what_is_no_string_is_refused(value):
    with pytest.raises(DataError, match=r"input 7 is .* give a string"):
        check_text(value, "input 7")


@pytest.mark.parametrize("language", ["klingon", "", "english", "char_classes", "EN", "qq", "en\n"])
def test_an_unknown_language_is_named(language):
    with pytest.raises(ConfigError, match=f'language "{language}"'):
        Tokenizer(language)


def test_what_spacy_remembers_of_an_endless_text_is_bounded(monkeypatch):
    tokenizer = Tokenizer("es")  # whose rules are spaCy's own
    words = tokenizer._splitter._nlp.vocab
    text = "¿Qué es la palabra{}? No lo sé."
    expected = [word for document in tokenizer.sentences(text.format("x")) for word in document.words]
    monkeypatch.setattr("nlp_lstm.text.tokenize.WORDS_REMEMBERED", len(words) - 1)
    before = sum(1 for _ in words), len(words.strings)
    for number in range(200):
        found = [word for document in tokenizer.sentences(text.format(number)) for word in document.words]
        assert [word.replace(str(number), "x") for word in found] == expected
    assert (sum(1 for _ in words), len(words.strings)) == before

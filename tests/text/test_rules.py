"""The rules applied here against spaCy itself."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import LETTERS, PAIRS, REVIEWS, TAGGED, corpus_file

from nlp_lstm.data.readers import read_conllu
from nlp_lstm.text.rules import FOLDER, LANGUAGES, export_rules, load_rules

CORPORA = {
    "ud-english-ewt/en_ewt-ud-test.conllu.gz": "en",
    "wikitext-2/wiki.train.tokens.gz": "en",
    "sst2/train.tsv": "en",
    "sst-trees/train.txt.gz": "en",
    "trec-questions/train.tsv": "en",
    "multi30k/train.en.gz": "en",
    "multi30k/train.de.gz": "de",
    "tatoeba-manythings/eng-deu.tsv.gz": "de",
    "tatoeba-manythings/eng-hin.tsv.gz": "hi",
    "hindencorp-slice/en-hi.tsv.gz": "hi",
}
LINES_AT_ONCE = 40  # so that whole paragraphs are split too


@lru_cache(maxsize=3)
def pipeline(language: str) -> Any:
    nlp = spacy.blank(language)
    nlp.add_pipe("sentencizer")
    return nlp


def check_text(language: str, text: str) -> None:
    rules = load_rules(language)
    assert rules is not None
    words, starts = rules.split(text)
    expected = pipeline(language)(text)
    assert list(zip(words, starts, strict=True)) == [(token.text, token.idx) for token in expected]
    assert rules.sentence_starts(words) == [token.is_sent_start for token in expected]


def read_texts(path: Path) -> Iterator[str]:
    """Yield each line of a corpus, and now and then many lines together."""
    if ".conllu" in path.name:
        yield from (example.document.text for example in read_conllu(path))
        return
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        lines = iter(file)
        while some := list(islice(lines, LINES_AT_ONCE)):
            yield from some
            yield "".join(some)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_files_hold_the_rules_of_the_installed_spacy(language):
    stored = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    assert stored == export_rules(language)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", [TAGGED, REVIEWS, PAIRS, LETTERS], ids=lambda path: path.name)
def test_the_samples_are_split_as_spacy_splits_them(language, path):
    for text in read_texts(path):
        check_text(language, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_special_case_is_split_as_spacy_splits_it_wherever_it_stands(language):
    texts = list(pipeline(language).tokenizer.rules)
    for text in texts[:: max(1, len(texts) // 150)]:
        for around in ("{}", "({})", "{}.", "a-{}", "“{}”,", "{}/{}", "x {} y", "{}'s"):
            check_text(language, around.format(text, text))


ODD_TEXTS = [
    "",
    " ",
    "  ",
    " a",
    "a ",
    "a  b",
    "a \n b\n\n c\t\td ",
    "\u00a0a\u3000b\x85c\x1cd",
    "http://example.com/a-b?c=d. See www.example.org, or mail a.b@c.de!",
    "(Really?!) “Yes...” he said.He left at 5p.m.; she, at 10a.m.",
    "I'm can't won't y'all'd've gonna cannot Ma'am o'clock",
    "3.14km $5.00 US$3 10%! 5-6 1/2 2×3 a+b=c C++ x86_64 v1.2.3",
    ":) :-( <3 ^_^ (-_-) ¯\\_(ツ)_/¯ 👍🏽👩‍👩‍👧 🇮🇳",
    "z.B. u.a. d.h. 's ist's Straße/Weg 3. Oktober „So“",
    "नमस्ते। आप कैसे हैं? १२३ रु॰ 50%",
    "a,b;c:d!e?f...g--h—i…j",
    "''' \"\" ``x'' ((((((a))))))",
    "(" * 50 + "a" + ")" * 50,
]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_text_is_split_as_spacy_splits_it(language, text):
    check_text(language, text)


PIECES = [
    "a",
    "I",
    "don't",
    "'",
    '"',
    ".",
    "...",
    "-",
    "(",
    ")",
    " ",
    "  ",
    "\n",
    "1",
    "km",
    "$",
    "U.S.",
    ":)",
    "é",
    "ß",
]
PIECES += ["ß", "?", "।", "/", "@", "%"]


@settings(max_examples=150)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join), st.sampled_from(LANGUAGES))
def test_text_of_awkward_pieces_is_split_as_spacy_splits_it(text, language):
    check_text(language, text)


@settings(max_examples=100)
@given(st.text(max_size=30), st.sampled_from(LANGUAGES))
def test_any_text_is_split_as_spacy_splits_it(text, language):
    check_text(language, text)


@settings(max_examples=60)
@given(st.from_regex(re.compile("[A-Za-z]{1,12}"), fullmatch=True), st.sampled_from(LANGUAGES))
def test_no_rule_touches_a_word_of_plain_letters_but_special_cases(word, language):
    rules = load_rules(language)
    assert rules is not None
    if word not in rules._special_cases:
        assert not rules._prefix_size(word)
        assert not rules._suffix_size(word)
        assert not list(rules._find_infixes(word))


@pytest.mark.parametrize("count", [120, pytest.param(20_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("pattern", CORPORA)
def test_corpora_are_split_as_spacy_splits_them(pattern, count):
    for text in islice(read_texts(corpus_file(pattern)), count):
        check_text(CORPORA[pattern], text)

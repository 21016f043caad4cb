import random
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_lstm.data.example import LabelledExample, LabelledPart, TaggedExample
from nlp_lstm.data.overlap import ProtectedTexts, normal_form, remove_overlap
from nlp_lstm.text.document import Document

SENTENCE = "The long walk home was worth every step of it, and the rain made it better."


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("It ca n't be -LRB- is n't it ? -RRB-", "It can't be (isn't it?)"),
        ("the caf\u00e9 in \u0130zmir", "THE CAFE in Izmir"),
        ("caf\u00e9", "cafe\u0301"),
        ("salt &amp; pepper &#39;n&#39; eggs", "salt & pepper 'n' eggs"),
        ("\ufb01rst stra\u00dfe", "first strasse"),
        ("`` well -- '' he_said", '"Well \u2014" he said'),
        ("a -lsb- b -rcb- c", "[a] {b} c"),
    ],
)
def test_the_same_words_have_one_form(text, same):
    assert normal_form(text) == normal_form(same)


def test_a_form_is_letters_and_digits_and_its_own_form():
    assert normal_form("Caf\u00e9 no. 7, isn't it?") == "cafeno7isntit"
    assert normal_form(" !!! \u2026 :-)") == ""


def test_vowel_signs_of_hindi_tell_words_apart():
    assert len({normal_form(word) for word in ("दिन", "दीन", "दाना")}) == 3
    assert normal_form("अच्छी है") != normal_form("अच्छा हो")
    assert normal_form("❤️ cafe\u0301") == "cafe"


@given(st.text())
def test_forms_are_stable(text):
    form = normal_form(text)
    assert normal_form(form) == form


def test_near_texts_are_found_and_others_are_not():
    protected = ProtectedTexts({"a test": [SENTENCE, "Go."], "b dev": ["It never rains here, or so they say."]})
    assert protected.find(SENTENCE.upper().replace(" ", "  ")) == "a test"
    assert protected.find(SENTENCE.replace("better", "worse")) == "a test"
    assert protected.find("It never rains here, or so they say!!") == "b dev"
    assert protected.find("The long walk home was worth it.") is None
    assert protected.find("Going.") is None
    assert protected.find("") is None
    assert len(protected) == 3


def test_text_that_holds_a_protected_sentence_is_found():
    protected = ProtectedTexts({"a test": [SENTENCE, "The end was sad."]})
    around = "We set out early. {} Then we slept for a whole day, and nobody called, and nothing else happened."
    assert protected.find(around.format(SENTENCE)) == "a test"
    assert protected.find(around.format(SENTENCE[:60])) is None
    assert protected.find(around.format("The end was sad.")) is None  # short enough to be chance


def test_similarity_must_be_over_four_fifths():
    protected = ProtectedTexts({"x": ["abcdefghijklmno"]})  # 11 grams
    assert protected.find("abcdefghijklm") == "x"  # 9 of 11
    assert protected.find("abcdefghijkl") is None  # 8 of 11
    exactly = ProtectedTexts({"x": ["abcdefghi"]})  # 5 grams
    assert exactly.find("abcdefgh") is None  # 4 of 5


def test_punctuation_alone_must_be_equal():
    protected = ProtectedTexts({"x": ["!!! "]})
    assert protected.find(" !!!") == "x"
    assert protected.find("!!") is None
    assert protected.find("?") is None
    assert ProtectedTexts({}).find("word") is None


def test_equal_text_comes_before_a_near_one():
    near = SENTENCE.replace("better", "worse")
    assert ProtectedTexts({"near": [near], "equal": [SENTENCE]}).find(SENTENCE) == "equal"


def brute_force(texts, text):
    """The definition: an equal normal form, else the first inside, else the first with a similarity over 0.8."""

    def grams(form):
        return {form[i : i + 5] for i in range(len(form) - 4)}

    form = normal_form(text)
    pairs = [(name, other) for name, others in texts.items() for other in others]
    if not form:
        return next((name for name, other in pairs if other.strip() == text.strip() and not normal_form(other)), None)
    equal = next((name for name, other in pairs if normal_form(other) == form), None)
    if equal:
        return equal
    inside = next((name for name, other in pairs if len(normal_form(other)) >= 30 and normal_form(other) in form), None)
    if inside:
        return inside
    for name, other in pairs:
        mine, its = grams(form), grams(normal_form(other))
        if mine | its and 10 * len(mine & its) > 8 * len(mine | its):
            return name
    return None


letters = st.text("ab .", max_size=60)
blocks = st.lists(st.sampled_from(["abcdefgh", "ijklmn", "opq", "abcd", "x", "!"]), max_size=12).map(" ".join)


@given(st.dictionaries(st.sampled_from(["dev", "test"]), st.lists(letters | blocks, max_size=8)), letters | blocks)
def test_search_equals_comparing_with_every_text(texts, text):
    protected = ProtectedTexts(texts)
    assert protected.find(text) == brute_force(texts, text)
    for others in texts.values():
        for other in others:
            for near in (other[:-2], f"c{other}ddd", text + other):  # often near the bound, or around
                assert protected.find(near) == brute_force(texts, near)


def test_search_in_long_texts_equals_comparing_with_every_text():
    drawn = random.Random(1)
    words = [f"{word}{number}" for word in SENTENCE.split() for number in range(9)]
    texts = {"dev": [" ".join(drawn.choices(words, k=drawn.randrange(100, 300))) for _ in range(30)]}
    protected = ProtectedTexts(texts)
    answers = []
    for text in texts["dev"]:
        parts = text.split()
        for _ in range(4):  # some words are exchanged, and the first left out: on both sides of the bound
            changed = [drawn.choice(words) if drawn.random() < drawn.uniform(0.02, 0.12) else part for part in parts]
            near = " ".join(changed[drawn.randrange(20) :])
            answers.append(protected.find(near))
            assert answers[-1] == brute_force(texts, near)
    assert set(answers) == {None, "dev"}


def test_examples_of_both_kinds_are_removed_and_counted():
    protected = ProtectedTexts({"a test": [SENTENCE]})
    tagged = [TaggedExample(document=Document.from_words(text.split()), labels={}) for text in (SENTENCE, "Home.")]
    kept, removed = remove_overlap(tagged, protected)
    assert (kept, removed) == (tagged[1:], {"a test": 1})
    labelled = [LabelledExample(document=example.document, label="x") for example in reversed(tagged)]
    assert remove_overlap(labelled, protected) == (labelled[:1], {"a test": 1})


def test_parts_that_are_protected_texts_are_left_out():
    words = ["Quiet", "wonder", ",", "a", "lovely", "film", ",", "and", "more", "of", "it"]
    parts = (LabelledPart(0, 2, {"x": 1.0}), LabelledPart(3, 6, {"x": 1.0}), LabelledPart(0, 6, {"y": 1.0}))
    example = LabelledExample(document=Document.from_words(words), label="x", parts=parts)
    kept, removed = remove_overlap([example], ProtectedTexts({"a test": ["A lovely film!"]}))
    assert kept == [replace(example, parts=(parts[0], parts[2]))]
    assert not removed
    assert remove_overlap([example], ProtectedTexts({"a test": ["Home."]}))[0] == [example]


def test_a_large_data_set_is_searched_in_seconds(data_dir):
    """Every span of ten words of SST-2's training sentences against the sentences of its dev and test parts."""

    def sentences(split):
        rows = (data_dir / "sst2" / f"{split}.tsv").read_text("utf-8").splitlines()
        return [max(row.split("\t"), key=len) for row in rows]

    texts = {split: sentences(split) for split in ("dev", "test")}
    start = time.process_time()
    protected = ProtectedTexts(texts)
    spans = {
        " ".join(words[at : at + 10])
        for words in (sentence.split() for sentence in sentences("train"))
        for at in range(max(1, len(words) - 9))
    }
    found = sum(protected.find(span) is not None for span in spans)
    assert len(spans) > 50_000
    assert found < 100
    assert time.process_time() - start < 20

import collections
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import SAMPLES

from nlp_lstm.data.catalogue import find_data
from nlp_lstm.data.reading import ReadingSettings
from nlp_lstm.data.trees import parse_tree, read_trees
from nlp_lstm.errors import DataError
from nlp_lstm.text.tokenize import Tokenizer

TREES = SAMPLES / "trees.txt"


@pytest.fixture(scope="module")
def english():
    return Tokenizer("en")


def test_roots_are_sentences_put_together(english):
    examples = read_trees(TREES, ReadingSettings(phrases=False), english)
    assert [(example.label, example.document.text) for example in examples] == [
        ("3", "It's a quiet film."),
        ("4", "quiet wonder!"),
        ("1", "It isn't good (or new/old)"),
        ("3", "quiet film"),
        ("1", 'It\'s a "plot"'),
    ]
    assert not any(example.is_phrase for example in examples)
    assert examples[2].document.words == ["It", "is", "n't", "good", "(", "or", "new", "/", "old", ")"]


def test_every_other_phrase_comes_once_with_its_most_frequent_label(english):
    examples = read_trees(TREES, ReadingSettings(), english)
    phrases = {example.document.text: example.label for example in examples if example.is_phrase}
    assert phrases["quiet"] == "3"  # twice 3, once 4
    assert phrases["isn't"] == "1"
    assert "quiet film" not in phrases  # a sentence elsewhere in the file, which has its own label
    assert [example.label for example in examples if example.document.text == "quiet film"] == ["3"]
    assert sum(not example.is_phrase for example in examples) == 5
    assert [example.is_phrase for example in examples[:3]] == [False, True, True]


def test_phrases_are_also_the_parts_of_their_sentence_with_the_label_they_have_there(english):
    first, second, *_ = [example for example in read_trees(TREES, ReadingSettings(), english) if not example.is_phrase]
    assert [(first.document.words[part.start : part.end], part.target) for part in first.parts] == [
        (["It"], {"2": 1.0}),
        (["'s"], {"2": 1.0}),
        (["a"], {"2": 1.0}),
        (["quiet"], {"3": 1.0}),
        (["film"], {"2": 1.0}),
        (["quiet", "film"], {"3": 1.0}),
        (["a", "quiet", "film"], {"3": 1.0}),
        (["'s", "a", "quiet", "film"], {"3": 1.0}),
        (["."], {"2": 1.0}),
        (["'s", "a", "quiet", "film", "."], {"3": 1.0}),
    ]
    assert second.parts[:3] == ((0, 1, {"3": 1.0}), (1, 2, {"4": 1.0}), (0, 2, {"4": 1.0}))
    assert not any(example.parts for example in read_trees(TREES, ReadingSettings(phrases=False), english))


def test_parts_begin_and_end_with_tokens_and_take_the_meaning_of_their_label(english, tmp_path):
    (tmp_path / "a.txt").write_text("(3 (2 (1 9) (2 p.m)) (2 .))\n")  # "9 p.m." has the token "p.m."
    reading = ReadingSettings(labels={"1": {"low": 0.9, "high": 0.1}, "2": None, "3": "high"})
    (sentence, *_) = read_trees(tmp_path / "a.txt", reading, english)
    assert sentence.parts == ((0, 1, {"low": 0.9, "high": 0.1}),)


def test_of_equally_frequent_labels_the_first_in_the_alphabet_counts(english, tmp_path):
    (tmp_path / "a.txt").write_text("(3 (2 so) (4 good))\n\n(1 (1 so) (0 bad))\n")
    examples = read_trees(tmp_path / "a.txt", ReadingSettings(), english)
    assert {example.document.text: example.label for example in examples}["so"] == "1"


def test_labels_get_their_names_and_may_be_left_out(english):
    labels = {"1": "bad", "2": None, "3": "good", "4": "good"}
    examples = read_trees(TREES, ReadingSettings(labels=labels, is_tokenised=True), english)
    assert {example.label for example in examples} == {"bad", "good"}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("(3 (2 It)", "ends with a bracket that is not closed"),
        ("(3 (2 It) (", "ends with a bracket that is not closed"),
        ("(3", "ends with a bracket that is not closed"),
        ("(3 (2 It)) (2 is)", r"'\(2 is\)' follows the tree's last bracket"),
        ("(3 (2 It)))", r"'\)' follows the tree's last bracket"),
        (")", r"the \) at character 0 closes a bracket that was not opened"),
        ("(3 It (2))", r"the \) at character 8 closes a bracket with no word"),
        ("(3 It ()", r"the \) at character 7 closes a bracket with no word"),
        ("((2 It))", r"the \( at character 1 stands where a label belongs"),
        ("It rains", "'It rains' does not begin with a bracket"),
    ],
)
def test_what_is_no_tree_is_named_with_its_line(english, tmp_path, line, fault):
    (tmp_path / "a.txt").write_text(f"(3 fine)\n{line}\n")
    with pytest.raises(DataError, match=rf"a\.txt:2: .*{fault}"):
        read_trees(tmp_path / "a.txt", ReadingSettings(), english)


words = st.text("abc.é-", min_size=1, max_size=3)
trees = st.recursive(
    st.tuples(st.sampled_from("01234"), words),
    lambda inner: st.tuples(st.sampled_from("01234"), st.lists(inner, min_size=1, max_size=3)),
    max_leaves=8,
)


@given(trees)
def test_phrases_are_those_of_the_tree(tree):
    expected = []

    def write(node):
        label, inside = node
        if isinstance(inside, str):
            expected.append((label, (inside,)))
            return f"({label} {inside})", (inside,)
        pieces, spans = zip(*map(write, inside), strict=True)
        expected.append((label, sum(spans, ())))
        return f"({label} {' '.join(pieces)})", sum(spans, ())

    line, sentence = write(tree)
    phrases = parse_tree(line, "a:1")
    assert [(phrase.label, phrase.words) for phrase in phrases] == expected
    for phrase in phrases:
        assert sentence[phrase.start : phrase.start + len(phrase.words)] == phrase.words


def test_a_deep_tree_is_read():
    depth = 20_000
    assert len(parse_tree("(1 " * depth + "deep" + ")" * depth, "a:1")) == depth


def test_published_trees_have_their_published_counts(data_dir):
    """Counts as stated in the README beside the files; only sentences are read for dev and test."""
    found = find_data(["sst-trees"])
    counts = {"dev": (139, 289, 229, 279, 165), "test": (279, 633, 389, 510, 399)}
    names = ("very negative", "negative", "neutral", "positive", "very positive")
    for split, expected in counts.items():
        examples = found.read(split)
        tally = collections.Counter(example.label for example in examples)
        assert tuple(tally[name] for name in names) == expected
        assert not any(example.is_phrase for example in examples)


def test_a_phrase_inside_a_token_is_tokenised_alone(english, tmp_path):
    (tmp_path / "a.txt").write_text("(3 (2 (2 9) (2 p.m)) (2 .))\n")  # "9 p.m." has the token "p.m."
    examples = read_trees(tmp_path / "a.txt", ReadingSettings(), english)
    found = {example.document.text: example.document.words for example in examples}
    assert found == {"9 p.m.": ["9", "p.m."], "9": ["9"], "p.m": ["p.m"], "9 p.m": ["9", "p.m"], ".": ["."]}


def test_phrases_have_the_tokens_that_they_have_alone(english, data_dir):
    """Of 24,773 in the dev trees all but 31, which begin with a clitic: alone, "'ve" and "'m" are split further."""
    (path,) = find_data(["sst-trees"]).splits["dev"]
    examples = read_trees(path, ReadingSettings(), english)
    others = [example for example in examples if example.document != english.tokenize(example.document.text)]
    assert len(others) < 0.005 * len(examples)
    for example in others:
        clitic, *words = example.document.words
        assert clitic in ("'ve", "'m")
        assert english.tokenize(example.document.text).words == ["'", clitic[1:], *words]


@pytest.mark.slow
def test_published_training_trees_give_each_phrase_once(data_dir):
    """8,544 sentences, and no phrase beside them twice."""
    examples = find_data(["sst-trees"]).read("train")
    sentences = [example for example in examples if not example.is_phrase]
    phrases = [tuple(example.document.words) for example in examples if example.is_phrase]
    assert len(sentences) == 8_544
    assert len(phrases) > 150_000
    assert len(set(phrases)) > 0.998 * len(phrases)  # words that differ in the file may be the same as text
    without_parts = [dataclasses.replace(sentence, parts=()) for sentence in sentences]
    assert find_data(["sst-trees"]).read("train", ReadingSettings(phrases=False)) == without_parts

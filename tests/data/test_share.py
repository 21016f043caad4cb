"""A share of the labels: the same sentences whatever else is read, and no phrase of a sentence left out."""

import pytest
from samples import LETTERS, TAGGED, corpus_file

from nlp_lstm.data.catalogue import find_data
from nlp_lstm.data.overlap import normal_form
from nlp_lstm.data.share import take_share
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.recipes import load_recipe
from nlp_lstm.run_data import read_run_data


def texts(examples):
    return [example.document.text for example in examples]


@pytest.fixture(scope="module")
def trees():
    corpus_file("sst-trees/train.txt.gz")
    recipe = load_recipe("sentiment")
    return find_data(["sst-trees"]).read("train", recipe.reading, "en")


def test_the_share_is_about_what_was_asked_for_and_smaller_ones_lie_inside_larger_ones():
    corpus_file("ud-english-ewt/en_ewt-ud-train.conllu.gz")
    examples = find_data(["ud-english-ewt"]).read("train")
    few, more = take_share(examples, 0.05), take_share(examples, 0.2)
    assert len(few) / len(examples) == pytest.approx(0.05, abs=0.01)
    assert len(more) / len(examples) == pytest.approx(0.2, abs=0.015)
    assert set(texts(few)) < set(texts(more)) < set(texts(examples))
    assert take_share(examples, 1.0) == examples


@pytest.mark.slow
def test_phrases_come_with_their_sentences_alone(trees):
    few = take_share(trees, 0.05)
    sentences = [example.document.text for example in few if not example.is_phrase]
    phrases = [example.document.text for example in few if example.is_phrase]
    assert len(sentences) == pytest.approx(0.05 * sum(not example.is_phrase for example in trees), rel=0.2)
    assert len(phrases) > len(sentences)
    assert all(any(phrase in sentence for sentence in sentences) for phrase in phrases)


@pytest.mark.slow
def test_two_data_sets_keep_the_same_sentences(trees):
    recipe = load_recipe("sentiment")
    short = find_data(["sst2"]).read("train", recipe.reading, "en")
    sentences = [example for example in trees if not example.is_phrase]
    common = {normal_form(text) for text in texts(short)} & {normal_form(text) for text in texts(sentences)}
    assert len(common) > 5_000
    of_short, of_trees = ({normal_form(text) for text in texts(take_share(whole, 0.2))} for whole in (short, sentences))
    assert of_short & common == of_trees & common


def test_a_share_of_a_recipe_is_what_is_learnt_and_running_text_has_none():
    whole, part = (
        read_run_data(load_recipe("pos", [f"share={share}"]), TAGGED, lambda line: None) for share in (1, 0.5)
    )
    assert 0 < len(part.training) < len(whole.training)
    assert texts(part.test) == texts(whole.test)
    with pytest.raises(DataError, match="share=1e-09 leaves no training sentence"):
        read_run_data(load_recipe("pos", ["share=1e-9"]), TAGGED, lambda line: None)
    with pytest.raises(ConfigError, match=r"share: running text has no labels"):
        read_run_data(load_recipe("lm", ["share=0.5"]), LETTERS, lambda line: None)

"""The translators that come with the package."""

from __future__ import annotations

import gzip

import pytest
from samples import bundled_model, corpus_file

from nlp_lstm import Pipeline
from nlp_lstm.data.lecture import lecture_sentences
from nlp_lstm.evaluation.references import mean_order, score_output


@pytest.fixture(scope="module")
def to_german() -> Pipeline:
    return Pipeline(bundled_model("translate-en-de"))


def test_languages_choose_the_model(to_german: Pipeline) -> None:
    assert to_german.predict("A dog runs.") == {"translation_text": "Ein Hund rennt."}
    to_english = Pipeline(bundled_model("translate-de-en"))
    found = to_english.predict("Ein Hund rennt über die Wiese.")
    assert found == {"translation_text": "A dog runs through the grass."}
    assert Pipeline("translate").predict("A dog runs.") == to_german.predict("A dog runs.")
    assert Pipeline("translate", source="de", target="en").folder == to_english.folder


@pytest.mark.parametrize("num_beams", [1, 4])
def test_a_sentence_is_translated_alike_alone_and_in_any_batch(to_german: Pipeline, num_beams: int) -> None:
    path = corpus_file("multi30k/test_2016_flickr.en.gz")
    sentences = gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()[:24]
    together = to_german.predict(sentences, num_beams=num_beams)
    assert to_german.predict(sentences[::-1], num_beams=num_beams) == together[::-1]
    assert [to_german.predict(sentence, num_beams=num_beams) for sentence in sentences] == together


@pytest.mark.parametrize("text", ["a", "?", "\u2603\u2603\u2603", "ქართული ენა", "dog " * 2_000], ids=str.split)
def test_odd_texts_end(to_german: Pipeline, text: str) -> None:
    found = to_german.predict(text, num_beams=1)["translation_text"]
    assert isinstance(found, str)
    assert len(found) < 20 * len(text) + 200


def test_hindi_has_the_order_of_hindi() -> None:
    """The lecture's example and sentences, which no run learns; equal to a translation that is right, or not."""
    to_hindi = Pipeline(bundled_model("translate-en-hi"))
    assert to_hindi.predict("I am going.") == {"translation_text": "मैं जा रहा हूँ।"}
    sentences = lecture_sentences()
    outputs = [found["translation_text"] for found in to_hindi.predict([one.english for one in sentences])]
    scores = [score_output(output, one.hindi) for output, one in zip(outputs, sentences, strict=True)]
    assert sum(score.is_equal for score in scores) > len(sentences) / 2
    assert mean_order(scores) > 0.9
    assert Pipeline("translate", source="en", target="hi").folder == to_hindi.folder

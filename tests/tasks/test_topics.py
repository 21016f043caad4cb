"""Language models that are told what they write about."""

from __future__ import annotations

import math
import random
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from samples import SMALL_LANGUAGE_MODEL, review_examples

from nlp_lstm.data.example import LabelledExample, TextExample
from nlp_lstm.errors import CheckpointError, ConfigError, DataError
from nlp_lstm.recipes import load_recipe
from nlp_lstm.tasks import TopicTask, predict_examples
from nlp_lstm.tasks.language import score_stream
from nlp_lstm.text.document import Document
from nlp_lstm.text.tokenize import Tokenizer
from nlp_lstm.text.units import EOS_ID
from nlp_lstm.training import train

COLOURS = {"warm": "red orange yellow", "cold": "blue green violet"}


def recipe(*overrides: str):
    return load_recipe("topics", [*SMALL_LANGUAGE_MODEL, *overrides])


def colour_examples() -> list[LabelledExample]:
    """Lines that begin alike, and end in a colour that fits the label in nine of ten cases."""
    chance = random.Random(3)
    examples = []
    for number in range(2_400):
        topic = ("warm", "cold")[number % 2]
        kind = topic if chance.random() < 0.9 else ("cold", "warm")[number % 2]
        words = ["I", "see", "something", chance.choice(COLOURS[kind].split())]
        examples.append(LabelledExample(document=Document.from_words(words), label=topic))
    chance.shuffle(examples)
    return examples


@cache
def painter() -> tuple[TopicTask, torch.nn.Module]:
    """A model of the colours."""
    import tempfile

    settings = recipe("training.tokens=30_000", "training.learning_rate=0.01", "model.hidden=32", "model.layers=1")
    task = TopicTask.prepare(settings.model, colour_examples())
    with tempfile.TemporaryDirectory() as folder:
        return task, train(task, colour_examples(), colour_examples()[:40], settings.training, Path(folder)).model


def colours_written(**options) -> Counter[str]:
    task, model = painter()
    example = TextExample(document=Document.from_words(["I", "see", "something"]))
    options = {"num_return_sequences": 100, "max_new_tokens": 2, **options}
    (written,) = predict_examples(task, model, [example], options=options)
    return Counter(kind for text in written.texts for kind, names in COLOURS.items() if text.strip() in names.split())


def test_a_topic_decides_what_is_written_and_guidance_makes_it_surer():
    """Nine of ten lines of a topic have its colours; without a topic, half of all lines."""
    plain, told, guided = colours_written(), colours_written(topic="warm"), colours_written(topic="warm", guidance=2.0)
    assert 30 < plain["warm"] < 70
    assert 80 < told["warm"] < 98
    assert guided["warm"] >= 98
    assert colours_written(topic="cold", guidance=2.0)["cold"] >= 98


def test_marks_are_neither_written_nor_scored():
    task, model = painter()
    written = colours_written(topic="warm", temperature=50.0)
    assert written.total() < 100  # other words, too
    texts = predict_examples(
        task,
        model,
        [TextExample(document=Document.from_words(["I"]))],
        options={"num_return_sequences": 50, "temperature": 50.0},
    )[0].texts
    assert not any("topic" in text for text in texts)
    example = colour_examples()[0]
    (line,) = predict_examples(task, model, [example])
    assert len(line.log_probability) == len(example.document) + 1
    scored = task.score_text(model, "I see something red\n\nI see something blue", Tokenizer("en"))
    assert [token["token"] for token in scored["tokens"]] == [
        *["I", "see", "something", "red", "<eos>", "I", "see", "something", "blue", "<eos>"]
    ]


def test_a_told_line_is_less_surprising_than_an_untold_one():
    task, model = painter()
    words = Document.from_words(["I", "see", "something", "orange"])

    def surprise(example) -> float:
        return -float(predict_examples(task, model, [example])[0].log_probability[3])

    told = surprise(LabelledExample(document=words, label="warm"))
    untold = surprise(TextExample(document=words))
    wrong = surprise(LabelledExample(document=words, label="cold"))
    assert told == pytest.approx(math.log(3 / 0.9), abs=0.35)
    assert untold == pytest.approx(math.log(6), abs=0.35)
    assert told < untold < wrong


def test_texts_are_learnt_in_mixed_order_and_cut_every_few_sentences(tmp_path):
    texts = {"cold": "It is blue and green and violet here . " * 6, "warm": "Red ! " * 25}
    examples = [
        LabelledExample(document=Document.from_words(text.split()), label=label)
        for label, text in texts.items()
        for _ in range(50)
    ]
    task = TopicTask.prepare(recipe().model, examples)
    untold, cold, warm = (task._mark_ids[topic] for topic in (None, "cold", "warm"))
    written = task.encode(examples, tmp_path).ids
    heads = written[np.flatnonzero(written[:-1] == EOS_ID) + 1]
    told = heads[heads != untold]
    assert len(heads) == 50 * 2 + 50 * 3  # pieces of 27 words; of 20, 20 and 10
    assert set(told.tolist()) == {cold, warm}
    assert np.count_nonzero(np.diff(told)) > 20
    pieces = np.split(written, np.flatnonzero(written == EOS_ID) + 1)
    assert max(map(len, pieces)) == 1 + 27 + 1


def test_each_line_of_a_text_begins_with_the_mark_and_one_in_five_tells_nothing(tmp_path):
    text = "One line. \n\n  Another one.\n"
    example = LabelledExample(document=Tokenizer("en").tokenize(text), label="POSITIVE")
    task = TopicTask.prepare(recipe().model, [*review_examples(), example])
    marks = [task._mark_ids[topic] for topic in (None, "NEGATIVE", "POSITIVE")]
    assert len(set(marks)) == 3
    lines = [task.units.encode(Tokenizer("en").tokenize(line)) for line in ("One line.", "Another one.")]
    expected = [EOS_ID, marks[2], *lines[0], EOS_ID, marks[2], *lines[1], EOS_ID]
    assert task.encode_development([example]).ids.tolist() == expected
    written = task.encode(review_examples(), tmp_path).ids
    heads = written[np.flatnonzero(written[:-1] == EOS_ID) + 1]
    assert (heads[::5] == marks[0]).all()
    assert not (np.delete(heads, slice(None, None, 5)) == marks[0]).any()


def test_development_scores_are_those_of_the_words_alone():
    task, model = painter()
    stream = task.encode_development(colour_examples()[:6])
    with torch.inference_mode():
        scores = score_stream(model, stream)
    words = scores[task._are_scored(stream.ids[1:])]
    found = task.score_development(model, colour_examples()[:6], use_bf16=False)
    assert len(words) == len(scores) - 6
    assert found["log_probability"] == pytest.approx(float(words.mean()), abs=1e-5)


def test_odd_requests_say_what_is_known():
    task, model = painter()
    example = [TextExample(document=Document.from_words(["I"]))]
    with pytest.raises(ConfigError, match=r'topic is .warn.; known topics: cold, warm\. Did you mean "warm"\?'):
        predict_examples(task, model, example, options={"topic": "warn"})
    with pytest.raises(ConfigError, match="guidance is 2, but there is no topic"):
        predict_examples(task, model, example, options={"guidance": 2.0})
    with pytest.raises(ConfigError, match="less than or equal to 20"):
        predict_examples(task, model, example, options={"topic": "warm", "guidance": 21})
    with pytest.raises(ConfigError, match="unit=word and direction=forward"):
        recipe("model.unit=character")
    with pytest.raises(DataError, match=r"the texts have one label, .cold.; topics need two or more"):
        TopicTask.prepare(recipe().model, [one for one in colour_examples() if one.label == "cold"])
    with pytest.raises(ConfigError, match="leave out the marks of topics"):
        TopicTask.prepare(recipe("model.vocabulary=2").model, colour_examples())


@pytest.mark.parametrize("topics", [None, ["warm"], ["warm", "warm"], ["warm", 5], ["warm", "hot"]])
def test_a_damaged_list_of_topics_is_refused(topics):
    task, _ = painter()
    with pytest.raises(CheckpointError, match="damaged vocabulary"):
        TopicTask.from_folder(task.settings, {**task.vocabulary(), "topics": topics}, {})

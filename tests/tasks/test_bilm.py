"""The bidirectional language model as a task: what it reads, predicts, reports and stores."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from samples import (
    corpus_file,
    running_examples,
    split_running_text,
    tiny_bidirectional_recipe,
    tiny_bidirectional_run,
    without_corpora,
)

from nlp_lstm.data.example import TextExample
from nlp_lstm.data.readers import read_examples
from nlp_lstm.errors import CheckpointError, ConfigError, DataError
from nlp_lstm.evaluation.perplexity import END
from nlp_lstm.inference.opening import open_model
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.runs import run_recipe
from nlp_lstm.tasks import BidirectionalTask, predict_examples
from nlp_lstm.text.document import Document
from nlp_lstm.training import loop, train

TOLERANCE = 1e-5


def line(text: str) -> TextExample:
    return TextExample(document=Document.from_words(text.split()))


def make(*overrides: str, examples=None) -> tuple[BidirectionalTask, torch.nn.Module]:
    task = BidirectionalTask.prepare(tiny_bidirectional_recipe(*overrides).model, examples or running_examples())
    torch.manual_seed(2)
    model = task.build_model().eval()
    task.fill_model(model)
    return task, model


def test_an_untrained_network_gives_about_the_shares_of_the_words():
    task, model = make()
    torch.nn.init.zeros_(model.forward_projection.weight)
    torch.nn.init.zeros_(model.backward_projection.weight)
    examples = running_examples()[:6]
    shares = task.baseline_predictions(running_examples(), (), examples)["shares of the words"]
    for found, expected in zip(predict_examples(task, model, examples), shares, strict=True):
        assert found.next == pytest.approx(expected.next, abs=TOLERANCE)
        assert found.previous == pytest.approx(expected.previous, abs=TOLERANCE)


def test_a_line_is_read_sentence_by_sentence():
    task, model = make()
    first, second = "The ferry leaves at six .", "We wait for the ferry !"
    [both] = predict_examples(task, model, [line(f"{first} {second}")])
    one, two = predict_examples(task, model, [line(first), line(second)])
    assert both.next == pytest.approx(one.next + two.next, abs=TOLERANCE)
    assert both.previous == pytest.approx(one.previous + two.previous, abs=TOLERANCE)


def test_the_result_says_of_each_word_how_expected_it_is_from_either_side():
    pipeline = Pipeline(tiny_bidirectional_run() / "model")
    text = "The ferry leaves at six.  We wait!"
    results = pipeline.predict(text)
    assert [result["word"] for result in results] == ["The", "ferry", "leaves", "at", "six", ".", "We", "wait", "!"]
    assert [result["index"] for result in results] == list(range(1, 10))
    assert all(text[result["start"] : result["end"]] == result["word"] for result in results)
    forward = [result["forward_log_probability"] for result in results]
    backward = [result["backward_log_probability"] for result in results]
    assert [place for place, score in enumerate(forward) if score is None] == [0, 6]
    assert [place for place, score in enumerate(backward) if score is None] == [5, 8]
    assert all(score < 0 for score in (*forward, *backward) if score is not None)
    [prediction] = predict_examples(pipeline.task, pipeline._model, [line("The ferry leaves at six .")])
    assert forward[1:6] == pytest.approx(prediction.next[:-1], abs=TOLERANCE)
    assert backward[:5] == pytest.approx(prediction.previous[1:], abs=TOLERANCE)


def test_the_scores_count_every_prediction_of_both_directions():
    task, model = make()
    examples = running_examples()[:9]
    predictions = predict_examples(task, model, examples)
    forward = [score for prediction in predictions for score in prediction.next]
    backward = [score for prediction in predictions for score in prediction.previous]
    assert len(forward) == len(backward) == sum(len(example.document) for example in examples)
    scores = task.score(examples, predictions)
    assert scores["log_probability"] == pytest.approx((sum(forward) + sum(backward)) / (2 * len(forward)))
    assert scores["perplexity"] == pytest.approx(math.exp(-scores["log_probability"]))
    assert scores["forward_perplexity"] == pytest.approx(math.exp(-sum(forward) / len(forward)))
    again = task.score_development(model, task.encode_development(examples), use_bf16=False)
    assert again == pytest.approx(scores, rel=TOLERANCE)
    report = task.report(examples, predictions, title="")
    assert [figure.value for figure in report.figures] == pytest.approx(list(scores.values())[1:])


def test_the_loss_is_the_mean_surprise_in_nats():
    task, model = make()
    encoded = task.encode_development(running_examples())
    batch = task.training_batch(encoded, [0, 3, 5], {})
    with torch.inference_mode():
        outputs = model(batch)
    mean = -(outputs.next.sum() + outputs.previous.sum()) / (2 * batch.mask.sum())
    assert float(task.loss(model, outputs, batch)) == pytest.approx(float(mean))


def test_each_epoch_goes_through_every_sentence_once():
    task, _ = make()
    encoded = task.encode_development(running_examples())
    for epoch in range(2):
        plan = task.plan_epoch(encoded, 60, seed=1, epoch=epoch)
        assert sorted(number for part in plan for number in part) == list(range(len(encoded)))
        assert all(len(part) * max(encoded.lengths[part]) <= 60 or len(part) == 1 for part in plan)
    assert task.num_tokens(encoded) == sum(len(example.document) for example in running_examples())


def test_rarer_words_are_predicted_as_unknown_and_small_letters_count_as_capitals_where_they_are_read_so():
    task, _ = make("model.vocabulary=5", "model.embedding.lower_case=true")
    assert task.vocabulary_size == 7
    counts = Counter(word.lower() for example in running_examples() for word in example.document.words)
    assert set(task.targets.tokens[4:]) == {word for word, _ in counts.most_common(5)}
    assert "7 words, <unk> and <eos> among them" in task.facts()["vocabulary"]


def test_marks_of_wikitext_are_read_as_what_they_stand_for():
    task, model = make(examples=[line("a well - known <unk> .")] * 3)
    assert "<unk>" not in task.words.words
    marked, plain = predict_examples(task, model, [line("a well @-@ known <unk> ."), line("a well - known zzz .")])
    assert marked.next[1] == pytest.approx(plain.next[1])  # the hyphen
    assert marked.next[3] == pytest.approx(plain.next[3])  # what is unknown


def test_a_text_without_words_is_refused_and_other_faults_are_named():
    with pytest.raises(DataError, match="the training text is empty"):
        BidirectionalTask.prepare(tiny_bidirectional_recipe().model, [])
    with pytest.raises(ConfigError, match="one-hot leaves nothing for other tasks"):
        tiny_bidirectional_recipe("model.embedding.words=one-hot")
    task, _ = make()
    with pytest.raises(ConfigError, match="cannot begin as a language model"):
        task.begin_as([])
    values = task.vocabulary()
    for damaged in ({**values, "words": 3}, {**values, "targets": {"specials": 0, "tokens": ["a"]}}):
        with pytest.raises(CheckpointError, match="damaged vocabulary"):
            BidirectionalTask.from_vocabulary(task.settings, damaged)


def test_a_run_that_was_killed_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    recipe = tiny_bidirectional_recipe(tokens=3_000)
    examples = running_examples()

    def fit(folder: str, *, should_resume: bool = False):
        task = BidirectionalTask.prepare(recipe.model, examples)
        return train(task, examples, examples[:5], recipe.training, tmp_path / folder, should_resume=should_resume)

    whole = fit("whole")
    take_step = loop._Run._take_step

    def killed(run, part):
        if run.state.step == 9:
            raise RuntimeError("killed")
        return take_step(run, part)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
        patch.setattr(loop, "STEPS_BETWEEN_RECORDS", 4)
        patch.setattr(loop._Run, "_take_step", killed)
        with pytest.raises(RuntimeError, match="killed"):
            fit("killed")
    resumed = fit("killed", should_resume=True)
    found, expected = resumed.model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_recipe_runs_in_tiny_form_and_says_more_than_the_shares_of_words(tmp_path):
    (tmp_path / "text").mkdir()
    with without_corpora():
        run_recipe(tiny_bidirectional_recipe(tokens=400), tmp_path / "run", data=split_running_text(tmp_path / "text"))
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for shown in ("Perplexity forward", "Perplexity backward", "shares of the words", "Rare and frequent tokens"):
        assert shown in page
    assert open_model(tmp_path / "run" / "model").task.name == "bilm"


def test_real_text_is_cut_into_sentences_of_moderate_length():
    examples = read_examples([corpus_file("wikitext-2/wiki.test.tokens.gz")], "tokens")[:300]
    task, _ = make(examples=examples)
    encoded = task.encode_development(examples)
    assert len(encoded.ids) == sum(len(example.document) for example in examples)
    assert 12 < len(encoded.ids) / len(encoded) < 30
    assert task._counts[END] == len(encoded)

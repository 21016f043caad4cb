"""Laws that every registered task keeps."""

import contextlib
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from samples import (
    SMALL_BIDIRECTIONAL_MODEL,
    SMALL_CAPTIONER,
    SMALL_CLASSIFIER,
    SMALL_LANGUAGE_MODEL,
    SMALL_NETWORK,
    SMALL_SERIES,
    SMALL_TRANSLATOR,
    SMALL_VIDEO,
    bundled_model,
    clip_examples,
    corpus_file,
    gif,
    letter_series,
    pair_examples,
    review_examples,
    running_examples,
    scene_examples,
    tagged_examples,
    tiny_language_recipe,
    tiny_pipeline,
    wave_series,
)

from nlp_lstm.data.pictures import to_png
from nlp_lstm.data.readers import read_conllu
from nlp_lstm.evaluation.report import Report
from nlp_lstm.inference.opening import open_model
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.recipes import load_recipe
from nlp_lstm.tasks import LanguageTask, Task, predict_examples, tasks
from nlp_lstm.tasks.beginning import Beginning
from nlp_lstm.tasks.captioning import Described
from nlp_lstm.tasks.classification import EmptyTextWarning
from nlp_lstm.tasks.language import LinePrediction
from nlp_lstm.tasks.series_answers import EmptySeriesWarning, SeriesPrediction
from nlp_lstm.tasks.translation import Translated
from nlp_lstm.training import TrainingResult, TrainingSettings, train
from nlp_lstm.weights import save_model

TOLERANCE = 1e-5  # of probabilities, in fp32, between batches; DESIGN.md, "How a sentence travels"


@dataclass(frozen=True)
class Sample:
    """What the laws need to know of a task: its examples, the recipe they train with, and some texts.

    ``context`` gives the language models that it reads with, if any.
    ``empty_result`` is the answer for a text without words after training on the first twenty examples, and
    ``empty_warning`` what comes with it. ``is_fitted`` says whether the scores are those of a task that knows its
    examples. ``use_options`` are given where an example is answered as in use and not evaluated, for tasks that tell
    the two apart: a language model scores a text in its context, and writes on from each of many beginnings.
    ``rounding`` is how far the best score in training may be from the one computed again, relative to it: a language
    model's is a sum of small numbers over other rows. ``tokens`` is how long the task trains.
    """

    examples: Callable[[], Sequence[Any]]
    recipe: str
    overrides: tuple[str, ...]
    texts: tuple[Any, ...]
    empty_result: Callable[[Pipeline, str], Any]
    empty_warning: type[Warning] | None = None
    is_fitted: Callable[[Mapping[str, float]], bool] = lambda scores: min(scores.values()) > 0.97
    use_options: Mapping[str, Any] | None = None
    rounding: float = 1e-6
    tokens: int = 10_000
    context: Callable[[], Sequence[Beginning]] = tuple

    def expect_empty(self) -> contextlib.AbstractContextManager[Any]:
        """Where a text without words is answered; any other warning stays an error."""
        return pytest.warns(self.empty_warning) if self.empty_warning else contextlib.nullcontext()


def language_models() -> list[Beginning]:
    """Untrained language models of characters, one of each direction."""
    models = []
    for direction in ("forward", "backward"):
        recipe = tiny_language_recipe("model.unit=character", f"model.direction={direction}")
        task = LanguageTask.prepare(recipe.model, running_examples())
        is_backward = direction == "backward"
        network = task.build_model().eval()
        models.append(Beginning(name=direction, units=task.units, network=network, is_backward=is_backward))
    return models


SAMPLES = {
    "pos": Sample(
        examples=tagged_examples,
        recipe="pos",
        overrides=SMALL_NETWORK,
        texts=("The old ferry leaves at six.", "Zzyzx qwrtplk 👍🏽 नाव Ω", "We wait. They don't!"),
        empty_result=lambda pipeline, text: [],
    ),
    "pos in context": Sample(
        examples=tagged_examples,
        recipe="pos",
        overrides=(*SMALL_NETWORK, "model.context_size=16"),
        texts=("The old ferry leaves at six.", "Zzyzx qwrtplk 👍🏽 नाव Ω", "We wait. They don't!"),
        empty_result=lambda pipeline, text: [],
        context=language_models,
    ),
    "sentiment": Sample(
        examples=review_examples,
        recipe="sentiment",
        overrides=SMALL_CLASSIFIER,
        texts=("A quiet, wonderful film.", "Zzyzx qwrtplk 👍🏽 नाव Ω", "The bread is fresh. They don't answer!"),
        empty_result=lambda pipeline, text: {"label": "NEGATIVE", "score": 0.5},  # ten of twenty; the first of equals
        empty_warning=EmptyTextWarning,
    ),
    "lm": Sample(
        examples=running_examples,
        recipe="lm",
        overrides=(
            *SMALL_LANGUAGE_MODEL,
            "model.hidden=64",
            "model.embed=48",
            "training.batch_tokens=40",
            "training.learning_rate=0.02",
        ),
        texts=("The old ferry leaves at six.", "Zzyzx qwrtplk 👍🏽 नाव Ω", "Late"),
        empty_result=lambda pipeline, text: {"generated_text": text + "".join(pipeline.stream())},  # a line of its own
        is_fitted=lambda scores: scores["perplexity"] < 1.2,
        rounding=1e-5,
        use_options={"max_new_tokens": 10},
    ),
    "topics": Sample(
        examples=review_examples,
        recipe="topics",
        overrides=(
            *SMALL_LANGUAGE_MODEL,
            "model.hidden=64",
            "model.embed=48",
            "training.batch_tokens=40",
            "training.learning_rate=0.02",
        ),
        texts=("The bread is", "Zzyzx qwrtplk 👍🏽 नाव Ω", "Late"),
        empty_result=lambda pipeline, text: {
            "generated_text": text + "".join(pipeline.stream("", topic=None)),
        },
        is_fitted=lambda scores: scores["perplexity"] < 1.3,
        rounding=1e-5,
        use_options={"max_new_tokens": 10, "topic": "POSITIVE", "guidance": 1.0},
    ),
    "bilm": Sample(
        examples=running_examples,
        recipe="bilm",
        overrides=(
            *SMALL_BIDIRECTIONAL_MODEL,
            "model.hidden=64",
            "model.softmax_size=48",
            "model.embedding.word_dropout=0",
            "training.learning_rate=0.02",
        ),
        texts=("The old ferry leaves at six.", "Zzyzx qwrtplk 👍🏽 नाव Ω", "We wait. They don't!"),
        empty_result=lambda pipeline, text: [],
        is_fitted=lambda scores: scores["perplexity"] < 1.3,
        rounding=1e-5,
    ),
    "translate": Sample(
        examples=pair_examples,
        recipe="translate",
        overrides=SMALL_TRANSLATOR,
        tokens=40_000,
        texts=("The old ferry leaves at six.", "Zzyzx qwrtplk 👍🏽 नाव Ω", "We don't know. Good night!"),
        empty_result=lambda pipeline, text: {"translation_text": ""},
        is_fitted=lambda scores: scores["bleu"] > 90,
        use_options={"num_beams": 3},
    ),
    "caption": Sample(
        examples=scene_examples,
        recipe="caption",
        overrides=SMALL_CAPTIONER,
        tokens=24_000,
        texts=(
            scene_examples()[3].picture,
            to_png(scene_examples()[30].picture.draw()),
            np.zeros((9, 70, 3), np.uint8),
        ),
        empty_result=lambda pipeline, text: {"generated_text": ""},
        is_fitted=lambda scores: scores["bleu"] > 90,
        use_options={"num_beams": 3},
    ),
    "video": Sample(
        examples=clip_examples,
        recipe="video",
        overrides=SMALL_VIDEO,
        tokens=24_000,
        texts=(clip_examples()[3].picture, gif(clip_examples()[30].picture.draw()), np.zeros((3, 9, 70, 3), np.uint8)),
        empty_result=lambda pipeline, text: {"generated_text": ""},
        is_fitted=lambda scores: scores["bleu"] > 90,
        use_options={"num_beams": 3},
    ),
    "series": Sample(
        examples=letter_series,
        recipe="series",
        overrides=SMALL_SERIES,
        texts=("ABCADDB", "Zzyzx 👍🏽 नाव Ω", "A"),
        empty_result=lambda pipeline, text: [],
    ),
    "series as a whole": Sample(
        examples=wave_series,
        recipe="series",
        overrides=(*SMALL_SERIES, "model.answers=series", "model.bidirectional=true"),
        texts=({"x": [10.1, 9.2, 9.9], "y": [0.3, -0.4, 1]}, {"y": [0], "x": [1e9]}, np.ones((30, 2))),
        empty_result=lambda pipeline, text: {"label": "fast", "score": 0.5},  # ten of twenty; the first of equals
        empty_warning=EmptySeriesWarning,
    ),
}

every_task = pytest.mark.parametrize(  # the fit of clips takes as long as those of the others together
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "video" else ()) for name in sorted(SAMPLES)]
)


@cache
def fit_twenty(name: str) -> tuple[Task, TrainingResult]:
    """Train the task on twenty examples until it knows them."""
    import tempfile

    sample = SAMPLES[name]
    examples = sample.examples()[:20]
    recipe = load_recipe(sample.recipe, sample.overrides)
    settings = recipe.model.model_copy(update={"dropout": 0.0, "input_dropout": 0.0})
    task = tasks.get(recipe.task).prepare(settings, examples)
    models = sample.context()
    if models:
        task.take_context(models)
    schedule = TrainingSettings(
        **{**recipe.training.model_dump(), "tokens": sample.tokens, "patience": 10, "evaluations": 5}
    )
    with tempfile.TemporaryDirectory() as folder:
        return task, train(task, examples, examples, schedule, Path(folder))


def saved(name: str, folder: Path, precision: str = "fp32") -> Path:
    task, result = fit_twenty(name)
    save_model(
        folder,
        task=task.name,
        language="en",
        data="twenty",
        model_settings=task.settings,
        vocabulary=task.vocabulary(),
        vocabulary_files=task.vocabulary_files(),
        weights=result.model.state_dict(),
        precision=precision,
    )
    return folder


@pytest.fixture
def pipeline(name, tmp_path) -> Pipeline:
    return Pipeline(saved(name, tmp_path / "model"))


def plain(task: Task, examples: Sequence[Any], predictions: Sequence[Any]) -> list[Any]:
    """The results as a user sees them, one per example."""
    return [task.format([(example, answer)]) for example, answer in zip(examples, predictions, strict=True)]


def exactly(predictions: Sequence[Any]) -> list[Any]:
    """Predictions as values that are equal only where every number is; of translations, where every word is."""
    values: list[Any] = []
    for found in predictions:
        if isinstance(found, LinePrediction):
            adapted = {name: scores.tolist() for name, scores in found.adapted.items()}
            values.append((found.log_probability.tolist(), adapted))
        elif isinstance(found, SeriesPrediction) and found.probabilities is not None:
            values.append(found.probabilities.tolist())
        else:
            values.append(found.texts if isinstance(found, (Described, Translated)) else found)
    return values


def assert_same(found: Any, expected: Any) -> None:
    """Equal in everything, numbers within the tolerance."""
    assert type(found) is type(expected)
    if isinstance(found, dict):
        assert found.keys() == expected.keys()
        for key in found:
            assert_same(found[key], expected[key])
    elif isinstance(found, list):
        assert len(found) == len(expected)
        for left, right in zip(found, expected, strict=True):
            assert_same(left, right)
    elif isinstance(found, float):
        assert math.isclose(found, expected, rel_tol=0, abs_tol=TOLERANCE)
    else:
        assert found == expected


def test_every_task_has_a_sample_here():
    assert {sample.recipe for sample in SAMPLES.values()} == set(tasks)


@every_task
def test_twenty_examples_are_fitted(name):
    task, result = fit_twenty(name)
    losses = [record["loss"] for record in result.history if "loss" in record]
    assert losses[-1] < 0.2 * losses[0]
    examples = SAMPLES[name].examples()[:20]
    scores = task.score(examples, predict_examples(task, result.model, examples))
    assert SAMPLES[name].is_fitted(scores)
    assert result.best_score == pytest.approx(next(iter(scores.values())), rel=SAMPLES[name].rounding)


@every_task
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_saved_model_predicts_the_same_when_it_is_opened_again(name, precision, tmp_path):
    folder = saved(name, tmp_path / "one", precision)
    opened = open_model(folder)
    examples = SAMPLES[name].examples()
    use = SAMPLES[name].use_options
    for options in (None,) if use is None else (None, use):
        expected = exactly(predict_examples(opened.task, opened.model, examples, options=options))
        if precision == "fp32":
            task, result = fit_twenty(name)
            assert exactly(predict_examples(task, result.model, examples, options=options)) == expected
        Pipeline(folder).save(tmp_path / "two")
        again = open_model(tmp_path / "two")
        assert exactly(predict_examples(again.task, again.model, examples, options=options)) == expected


@every_task
def test_the_vocabulary_comes_back_from_plain_values(name):
    task, _ = fit_twenty(name)
    again = type(task).from_folder(task.settings, task.vocabulary(), task.vocabulary_files())
    assert again.vocabulary() == task.vocabulary()


@every_task
@pytest.mark.parametrize("text", ["", "   ", "\n\n"])
def test_empty_text_is_no_error(name, pipeline, text):
    sample = SAMPLES[name]
    expected = sample.empty_result(pipeline, text)
    with sample.expect_empty():
        assert pipeline.predict(text) == expected
    with sample.expect_empty():
        assert pipeline.predict([text, text]) == [expected] * 2


@every_task
def test_one_text_and_many_texts_get_the_same_answers(name, pipeline):
    sample = SAMPLES[name]
    texts = [*sample.texts, "", *sample.texts]
    with sample.expect_empty():
        singles = [pipeline.predict(text) for text in texts]
    with sample.expect_empty():
        assert_same(pipeline.predict(texts), singles)
    with sample.expect_empty():
        assert_same(pipeline.predict(tuple(texts)), singles)
    lazy = pipeline.predict(iter(texts))
    assert isinstance(lazy, Iterator)
    with sample.expect_empty():
        assert_same(list(lazy), singles)


@every_task
def test_the_report_renders(name, tmp_path):
    task, result = fit_twenty(name)
    examples = SAMPLES[name].examples()
    predictions = predict_examples(task, result.model, examples)
    rivals = task.baseline_predictions(examples[:20], examples[:20], examples)
    report = task.report(examples, predictions, title="<On> paper", training=examples[:20], rivals=rivals)
    assert isinstance(report, Report)
    page = report.write(tmp_path).read_text(encoding="utf-8")
    assert "&lt;On&gt; paper" in page
    assert all(rival in page for rival in rivals)
    assert report.summary()


@pytest.mark.parametrize("name", sorted(tasks))
def test_the_recipe_of_the_task_loads(name):
    recipe = load_recipe(name)
    assert recipe.task == name
    assert isinstance(recipe.model, tasks.get(name).settings_type)


@pytest.mark.parametrize("name", sorted(tasks))
def test_the_task_says_what_it_is_for(name):
    task_type = tasks.get(name)
    assert task_type.name == name
    assert all((task_type.title, task_type.intended_use, task_type.known_failures, task_type.__doc__))


def assert_company_never_matters(
    task: Task, model: torch.nn.Module, examples: Sequence[Any], options: Mapping[str, Any] | None = None
) -> None:
    """The answer for an example is the same alone, in batches, shuffled and padded."""

    def predict(some: Sequence[Any], **batches: int) -> list[Any]:
        return predict_examples(task, model, some, options=options, **batches)

    alone = plain(task, examples, [predict([example])[0] for example in examples])
    batched: list[Any] = []
    for start in range(0, len(examples), 32):
        batched += predict(examples[start : start + 32], batch_tokens=100_000)
    assert_same(plain(task, examples, batched), alone)
    order = list(range(len(examples)))
    random.shuffle(order)
    shuffled = predict([examples[index] for index in order], batch_tokens=700)
    back = [answer for _, answer in sorted(zip(order, shuffled, strict=True), key=lambda pair: pair[0])]
    assert_same(plain(task, examples, back), alone)
    padded = predict(examples, pad_to=400)
    assert_same(plain(task, examples, padded), alone)


@every_task
def test_an_answer_never_depends_on_the_company_it_is_in(name):
    task, result = fit_twenty(name)
    assert_company_never_matters(task, result.model, SAMPLES[name].examples(), SAMPLES[name].use_options)


@pytest.fixture(params=["tiny", "bundled"])
def tagger(request) -> Pipeline:
    return tiny_pipeline() if request.param == "tiny" else Pipeline(bundled_model("pos-en"))


@pytest.mark.parametrize("count", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_a_tag_never_depends_on_the_company_on_real_sentences(tagger, count):
    examples = read_conllu(corpus_file("ud-english-ewt/*-test.conllu.gz"))[:count]
    assert_company_never_matters(tagger.task, tagger._model, examples)


@pytest.mark.parametrize("batch_tokens", [1, 50, 10_000])
def test_the_size_of_the_batches_never_matters(batch_tokens):
    texts = [text for sample in SAMPLES.values() for text in sample.texts if isinstance(text, str)]
    other = Pipeline(tiny_pipeline().folder, batch_tokens=batch_tokens)
    assert_same(other.predict(texts), tiny_pipeline().predict(texts))

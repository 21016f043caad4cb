import dataclasses
import math
import shutil
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from samples import (
    running_examples,
    split_running_text,
    tagged_examples,
    tiny_language_model,
    tiny_language_recipe,
    tiny_language_run,
    tiny_model,
    tiny_pipeline,
)

from nlp_lstm.artifacts import CONFIG_NAME
from nlp_lstm.data.example import TextExample
from nlp_lstm.data.stream import TokenStream
from nlp_lstm.errors import CheckpointError, ConfigError, DataError
from nlp_lstm.inference.opening import open_model
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.recipes import load_recipe
from nlp_lstm.tasks import LanguageTask, adaptation, generation, language, lm, predict_examples
from nlp_lstm.tasks.adaptation import ADAPTATIONS, BOTH, CACHE, DYNAMIC, Adaptation, score_adaptively, tune_adaptation
from nlp_lstm.tasks.generation import GenerationOptions, generate
from nlp_lstm.tasks.language import start_writing
from nlp_lstm.tasks.ngrams import NgramModel
from nlp_lstm.text.document import Document
from nlp_lstm.text.tokenize import Tokenizer
from nlp_lstm.text.units import EOS_ID, NEVER_WRITTEN
from nlp_lstm.text.vectors import WordVectors
from nlp_lstm.training import train
from nlp_lstm.weights import load_model

UNITS = ("word", "subword", "character")
TOLERANCE = 1e-4  # nats: fp32, and kernels that round differently at other lengths

every_unit = pytest.mark.parametrize("unit", UNITS)


def example(text: str) -> TextExample:
    """A line from words with spaces between."""
    return TextExample(document=Document.from_words(text.split()))


@lru_cache
def test_lines() -> tuple[TextExample, ...]:
    """Sentences that the tiny models were not trained on."""
    return tuple(TextExample(document=tagged.document) for tagged in tagged_examples()[:16])


test_lines.__test__ = False


def make(*overrides: str, examples=None) -> tuple[LanguageTask, torch.nn.Module]:
    """A task and its untrained network, whose weights are large enough to make a difference."""
    task = LanguageTask.prepare(tiny_language_recipe(*overrides).model, examples or running_examples())
    model = task.build_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return task, model.eval()


def opened(unit: str = "word") -> tuple[LanguageTask, torch.nn.Module]:
    pipeline = tiny_language_model(unit)
    return pipeline.task, pipeline._model


def score_one_by_one(task: LanguageTask, model, examples) -> list[float]:
    """The log-probability of every token, reading one at a time and never a batch."""
    states, scores = None, []
    ids = [EOS_ID, *(id for one in examples for id in (*task.units.encode(one.document), EOS_ID))]
    with torch.no_grad():
        for before, after in pairwise(ids):
            read = model.read(torch.tensor([[before]]), states)
            states = read.states
            scores.append(float(model.words.log_probabilities(read.outputs[0])[0, after]))
    return scores


def unigram_perplexity(ids: list[int]) -> float:
    """The perplexity of single ids with their shares in the text itself: the entropy's exponential."""
    shares = [count / len(ids) for count in Counter(ids).values()]
    return math.exp(-sum(share * math.log(share) for share in shares))


# ---- learning


def test_a_small_text_is_learnt_better_than_its_unigrams(tmp_path):
    """The unigrams' perplexity on their own text is as low as any model of single words can come."""
    recipe = tiny_language_recipe(tokens=6_000)
    lines = running_examples()
    task = LanguageTask.prepare(recipe.model, lines)
    result = train(task, lines, lines, recipe.training, tmp_path)
    ids = [id for line in lines for id in (*task.units.encode(line.document), EOS_ID)]
    scores = task.score(lines, predict_examples(task, result.model, lines))
    assert scores["perplexity"] < 0.5 * unigram_perplexity(ids)
    assert scores["log_probability"] == pytest.approx(-math.log(scores["perplexity"]))
    assert result.best_score == pytest.approx(scores["log_probability"], abs=TOLERANCE)


def test_words_begin_as_pretrained_vectors():
    words = ["ferry", "boat", "bread", "loaf"]
    matrix = np.array([[1, 0, 0], [0.9, 0.1, 0], [0, 0, 1], [0, 0.1, 0.9]], dtype=np.float32)
    text = [TextExample(document=Document.from_words(["Ferry", "boat", "bread", "loaf", "unheard"]))]
    settings = tiny_language_recipe("model.cutoffs=[5]").model
    said: list[str] = []
    vectors = WordVectors(name="mine", words=words, matrix=matrix, sha256="0" * 64)
    task = LanguageTask.prepare(settings, text, [vectors], said.append)
    model = task.build_model()
    task.fill_model(model)
    ids = task.units.encode(text[0].document)
    rows = torch.nn.functional.normalize(model.words.embed(torch.tensor([ids])).detach()[0], dim=1)
    likeness = rows @ rows.T
    assert likeness[0, 1] > 0.9 > 0.3 > likeness[0, 2]
    assert likeness[2, 3] > 0.9
    assert any("60.0% of the training tokens found as written, 20.0% in lower case" in line for line in said)
    assert "begin as them" in task.facts()["pretrained vectors"]


def test_only_words_have_vectors():
    with pytest.raises(ConfigError, match="vectors are those of words, and unit is character"):
        tiny_language_recipe("model.unit=character", "model.vectors=[vectors-100d]")


@every_unit
def test_development_text_is_scored_by_the_untrained_network_like_unigrams(unit):
    settings = tiny_language_recipe(
        f"model.unit={unit}", *(["model.vocabulary=400"] if unit == "subword" else [])
    ).model
    task = LanguageTask.prepare(settings, running_examples())
    model = task.build_model()
    task.fill_model(model)
    found = task.score_development(model, running_examples(), use_bf16=False)
    assert found["perplexity"] < 1.3 * len(task.units)
    assert list(found) == ["log_probability", "perplexity"]
    if unit == "word":
        ids = [id for line in running_examples() for id in (*task.units.encode(line.document), EOS_ID)]
        assert found["perplexity"] == pytest.approx(unigram_perplexity(ids), rel=0.1)


@pytest.mark.parametrize("rows", [1, 3])
def test_development_text_in_one_row_is_scored_as_in_context(monkeypatch, rows):
    task, model = opened()
    monkeypatch.setattr(lm, "SCORED_AT_ONCE", 40)
    monkeypatch.setattr(lm, "DEVELOPMENT_ROWS", rows)
    found = task.score_development(model, running_examples(), use_bf16=False)
    whole = task.score(running_examples(), task.predict_in_context(model, running_examples()))
    # each further row begins without a state and costs a little
    assert found["log_probability"] == pytest.approx(whole["log_probability"], abs=TOLERANCE if rows == 1 else 0.3)


# ---- scores in context


@pytest.mark.parametrize("override", ["cell=lstm", "cell=gru", "cutoffs=[40]", "layers=2"])
def test_every_token_is_scored_as_one_by_one(override):
    task, model = make(f"model.{override}")
    lines = running_examples()[:8]
    predictions = task.predict_in_context(model, lines)
    assert [len(line.log_probability) for line in predictions] == [len(line.document) + 1 for line in lines]
    found = np.concatenate([line.log_probability for line in predictions])
    assert found.tolist() == pytest.approx(score_one_by_one(task, model, lines), abs=TOLERANCE)


@pytest.mark.parametrize("at_once", [1, 7, 10_000])
def test_how_many_tokens_are_scored_at_once_never_matters(monkeypatch, at_once):
    task, model = opened()
    expected = [line.log_probability for line in task.predict_in_context(model, running_examples())]
    monkeypatch.setattr(language, "SCORED_AT_ONCE", at_once)
    found = [line.log_probability for line in task.predict_in_context(model, running_examples())]
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, right, atol=TOLERANCE)


def test_lines_are_read_in_their_context():
    task, model = opened()
    alone = task.predict_in_context(model, running_examples()[3:4])[0].log_probability
    after = task.predict_in_context(model, running_examples()[:4])[3].log_probability
    assert np.abs(alone - after).max() > 0.01


# ---- backward


def turned(lines):
    return [example(" ".join(reversed(line.document.words))) for line in reversed(lines)]


def test_a_backward_model_scores_like_a_forward_one_on_the_text_turned_around():
    forward, model = make()
    backward = LanguageTask(forward.settings.model_copy(update={"direction": "backward"}), forward.units)
    lines = [example("The ferry leaves at six ."), example("a b"), *running_examples()[:3]]
    found = backward.predict_in_context(model, lines)
    expected = forward.predict_in_context(model, turned(lines))
    for line, other in zip(found, reversed(expected), strict=True):
        assert np.array_equal(line.log_probability, other.log_probability)
    assert backward.score_development(model, lines, use_bf16=False) == forward.score_development(
        model, turned(lines), use_bf16=False
    )


def test_a_backward_model_gives_each_token_of_a_text_its_own_score():
    forward, model = make()
    backward = LanguageTask(forward.settings.model_copy(update={"direction": "backward"}), forward.units)
    tokenizer = Tokenizer("en")
    found = backward.score_text(model, "Late is a word.\nfor trains", tokenizer)
    expected = forward.score_text(model, "trains for\n. word a is Late", tokenizer)
    assert [token["token"] for token in found["tokens"]] == [
        "<eos>",
        "Late",
        "is",
        "a",
        "word",
        ".",
        "<eos>",
        "for",
        "trains",
    ]
    assert [token["token"] for token in expected["tokens"]] == [
        "trains",
        "for",
        "<eos>",
        ".",
        "word",
        "a",
        "is",
        "Late",
        "<eos>",
    ]
    scores = [token["log_probability"] for token in expected["tokens"]]
    assert [token["log_probability"] for token in found["tokens"]] == scores[::-1]
    assert found["log_probability"] == pytest.approx(expected["log_probability"])


def test_a_backward_model_does_not_write_and_its_report_renders(tmp_path):
    task, model = make("model.direction=backward")
    with pytest.raises(ConfigError, match="reads from the end of a text to its beginning; it cannot write on"):
        predict_examples(task, model, [example("The")], options={})
    with pytest.raises(ConfigError, match="cannot write on"):
        task.stream(model, Tokenizer("en").tokenize("The"))
    lines = test_lines()
    predictions = predict_examples(task, model, lines)
    rivals = task.baseline_predictions(running_examples(), lines, lines)
    report = task.report(lines, predictions, title="Backwards", training=running_examples(), rivals=rivals)
    assert task.examine(model, lines, predictions) == []
    assert "Backwards" in report.write(tmp_path).read_text(encoding="utf-8")


# ---- the score of a text


def test_the_scores_of_a_text_are_those_of_its_tokens_where_they_stand():
    task, model = opened()
    text = "  The ferry leaves at six.\n\n\tNobody spoke: it's Zzyzx!\r\nLate"
    found = task.score_text(model, text, Tokenizer("en"))
    tokens = found["tokens"]
    words = "The ferry leaves at six . <eos> Nobody spoke : it 's Zzyzx ! <eos> Late <eos>"
    assert " ".join(token["token"] for token in tokens) == words
    for token in tokens:
        stands_there = text[token["start"] : token["end"]]
        assert stands_there == ("" if token["token"] == "<eos>" else token["token"])
    assert [token["start"] for token in tokens if token["token"] == "<eos>"] == [26, 54, len(text)]
    assert found["log_probability"] == pytest.approx(math.fsum(token["log_probability"] for token in tokens))
    assert found["perplexity"] == pytest.approx(math.exp(-found["log_probability"] / len(tokens)))
    lines = [TextExample(document=Tokenizer("en").tokenize(line)) for line in text.split("\n") if line]
    lines = [TextExample(document=Tokenizer("en").tokenize(line.document.text.strip())) for line in lines]
    expected = score_one_by_one(task, model, lines)
    assert [token["log_probability"] for token in tokens] == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("space", ["\x0c", "\x1d", "\x85", "\u2028", "\r"])
def test_the_lines_of_a_text_are_those_that_an_evaluation_counts(space, tmp_path):
    text = f"The ferry leaves.{space}Nobody spoke.\nLate"
    path = tmp_path / "lines.txt"
    path.write_bytes(text.encode())
    found = tiny_language_model().score(text)
    metrics = tiny_language_model().evaluate(path).metrics
    assert [token["token"] for token in found["tokens"]].count("<eos>") == metrics["num_ends"] == 2
    assert len(found["tokens"]) == metrics["num_tokens"]
    assert found["perplexity"] == pytest.approx(metrics["perplexity"])


@pytest.mark.parametrize("text", ["", "  ", "\n \n"])
def test_a_text_without_tokens_has_no_perplexity(text):
    assert tiny_language_model().score(text) == {"tokens": [], "log_probability": 0.0, "perplexity": None}


@every_unit
def test_one_text_and_many_are_scored_alike(unit):
    pipeline = tiny_language_model(unit)
    texts = ["The ferry leaves.", "", "Nobody spoke, née Łódź."]
    singles = [pipeline.score(text) for text in texts]
    assert pipeline.score(texts) == singles
    assert singles[0]["log_probability"] == pytest.approx(sum(one["log_probability"] for one in singles[0]["tokens"]))
    places = [(token["start"], token["end"]) for token in singles[0]["tokens"]]
    assert ((None, None) in places) == (unit == "subword")


def test_what_cannot_be_scored_is_refused():
    pipeline = tiny_language_model()
    with pytest.raises(DataError, match="input 1"):
        pipeline.score(["fine", 3])
    with pytest.raises(DataError, match="give a string or a list of strings"):
        pipeline.score(3)
    with pytest.raises(ConfigError, match="the task pos neither scores nor writes text"):
        tiny_pipeline().score("a")
    with pytest.raises(DataError, match="give the pieces of a text"):
        tiny_pipeline().stream("a")


# ---- adaptation


@lru_cache
def adapting() -> tuple[LanguageTask, torch.nn.Module, TokenStream]:
    """A model that adapts strongly, and a text of some windows."""
    task, model = make()
    model.adaptation.copy_(torch.tensor([0.4, 0.2, 0.3, 0.003]))
    return task, model, task._collect(running_examples()[:10])


@pytest.mark.parametrize("place", [1, 19, 20, 21, 45, 70])
def test_each_token_is_read_only_after_it_was_scored(place):
    _, model, stream = adapting()
    ids = stream.ids.copy()
    ids[place] = (ids[place] + 1) % 20 + 4
    before, after = score_adaptively(model, stream), score_adaptively(model, TokenStream(ids))
    for name in ADAPTATIONS:
        assert np.array_equal(before[name][: place - 1], after[name][: place - 1]), "bit for bit"
        assert before[name][place - 1] != after[name][place - 1]
        assert not np.array_equal(before[name][place:], after[name][place:])


def test_the_weights_are_the_same_before_and_after():
    _, model, stream = adapting()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    score_adaptively(model, stream)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_weights_come_back_even_if_reading_fails(monkeypatch):
    _, model, stream = adapting()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    learn, calls = adaptation._learn, []

    def failing(*args):
        learn(*args)
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(adaptation, "_learn", failing)
    with pytest.raises(KeyboardInterrupt):
        score_adaptively(model, stream)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_cache_is_that_of_a_plain_loop(monkeypatch):
    """Grave, Joulin and Usunier 2017, equations 2 and 3, with a cache of bounded size."""
    monkeypatch.setattr(adaptation, "CACHE_SIZE", 12)
    _, model, stream = adapting()
    flatness, weight = 0.4, 0.2
    model.adaptation[:2] = torch.tensor([flatness, weight])
    found = score_adaptively(model, stream)[CACHE]
    ids = torch.from_numpy(stream.ids.astype(np.int64))
    with torch.no_grad():
        read = model.read(ids[None, :-1])
        plain = model.words.log_probability(read.outputs[0], ids[1:])
    hidden = read.hidden[0]
    expected = [float(plain[0])]
    for place in range(1, len(plain)):
        shares: dict[int, float] = {}
        for earlier in range(max(0, place - 12), place):
            next_id = int(ids[earlier + 1])
            shares[next_id] = shares.get(next_id, 0.0) + math.exp(flatness * float(hidden[place] @ hidden[earlier]))
        cached = shares.get(int(ids[place + 1]), 0.0) / sum(shares.values())
        expected.append(math.log((1 - weight) * math.exp(plain[place]) + weight * cached))
    assert found.tolist() == pytest.approx(expected, abs=TOLERANCE)


def test_the_cache_never_makes_up_for_what_is_hardly_possible():
    """A token of e**-200, too little for a probability in fp32, that the cache does not hold, pays for the cache."""
    log_probability, cached = torch.tensor([-1.0, -200.0, -200.0]), torch.tensor([0.0, 0.0, 0.5])
    mixed = adaptation._mix(log_probability, cached, Adaptation(0.1, 0.2, 0.0, 0.0))
    assert mixed.tolist() == pytest.approx([-1.0, -200 + math.log(0.8), math.log(0.2 * 0.5)])
    unmixed = adaptation._mix(log_probability, cached, Adaptation(0.1, 0.0, 0.0, 0.0))
    assert torch.equal(unmixed, log_probability)


def test_dynamic_evaluation_is_that_of_a_plain_loop():
    """Krause et al. 2018: gradient descent on each window after it was scored, and some of the way back."""
    task, model, stream = adapting()
    rate, pull = (float(value) for value in model.adaptation[2:])
    found = score_adaptively(model, stream)[DYNAMIC]
    plain = task.build_model().eval()
    plain.load_state_dict(model.state_dict())
    trained = {name: parameter.detach().clone() for name, parameter in plain.named_parameters()}
    optimizer = torch.optim.SGD(plain.parameters(), lr=rate)
    ids = torch.from_numpy(stream.ids.astype(np.int64))[None]
    carried, expected = {}, []
    for start in range(0, ids.shape[1] - 1, adaptation.DYNAMIC_WINDOW):
        end = min(start + adaptation.DYNAMIC_WINDOW, ids.shape[1] - 1)
        batch = SimpleNamespace(ids=ids[:, start:end], next_ids=ids[:, start + 1 : end + 1], carried=carried)
        outputs = plain(batch)
        expected += outputs.log_probability[0].tolist()
        carried = task.carry(outputs)
        optimizer.zero_grad()
        (-outputs.log_probability.mean()).backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), adaptation.CLIP_NORM)
        optimizer.step()
        with torch.no_grad():
            for name, parameter in plain.named_parameters():
                parameter.lerp_(trained[name], pull)
    assert found.tolist() == pytest.approx(expected, abs=1e-3)  # fp32, and errors grow from step to step


def test_both_together_mix_the_cache_into_what_goes_on_learning():
    _, model, stream = adapting()
    model.adaptation[1] = 0.0  # no share for the cache
    found = score_adaptively(model, stream)
    np.testing.assert_allclose(found[BOTH], found[DYNAMIC], atol=TOLERANCE)
    model.adaptation.copy_(torch.tensor([0.4, 0.2, 0.3, 0.003]))


def test_tuning_takes_what_does_best_and_a_text_that_repeats_itself_wants_it():
    task, _, _ = adapting()
    _, model = make()
    stream = task._collect([example("the gulls did not freeze ."), example("she wrote both answers down .")] * 12)
    tune_adaptation(model, stream)
    chosen = Adaptation(*model.adaptation.tolist())
    assert model.is_tuned
    assert min(abs(chosen.flatness - flatness) for flatness in adaptation._FLATNESS) < 1e-6  # stored in fp32
    scores = score_adaptively(model, stream)
    static = lm.score_stream(model, stream)
    for name in ADAPTATIONS:
        assert scores[name].mean() > static.mean() + 0.5, name


def test_tuned_numbers_are_kept_with_the_model(tmp_path):
    pipeline = tiny_language_model()
    assert pipeline._model.is_tuned
    pipeline.save(tmp_path / "copy")
    again = Pipeline(tmp_path / "copy")
    assert torch.equal(again._model.adaptation, pipeline._model.adaptation)
    predicted = predict_examples(pipeline.task, pipeline._model, test_lines())
    found = predict_examples(again.task, again._model, test_lines())
    for line, other in zip(found, predicted, strict=True):
        assert set(line.adapted) == set(ADAPTATIONS)
        for name in ADAPTATIONS:
            assert np.array_equal(line.adapted[name], other.adapted[name])
            assert len(line.adapted[name]) == len(line.log_probability)


def test_without_adaptation_a_model_is_not_tuned_and_not_measured_that_way():
    task, model = make("model.adapt=false")
    task.calibrate(model, running_examples()[:3])
    assert not model.is_tuned
    assert all(not line.adapted for line in task.predict_in_context(model, running_examples()[:3]))


# ---- baseline and report


def test_the_baseline_is_the_ngram_model_of_the_training_text():
    task, _ = opened()
    training, test = running_examples(), test_lines()
    [(name, found)] = task.baseline_predictions(training, test, test).items()
    assert name == "5-grams, modified Kneser-Ney"
    ids = [[id for line in lines for id in (*task.units.encode(line.document), EOS_ID)] for lines in (training, test)]
    model = NgramModel(np.array(ids[0]), vocab_size=len(task.units), eos=EOS_ID, order=5)
    assert np.array_equal(np.concatenate([line.log_probability for line in found]), model.log_probabilities(ids[1]))
    assert [len(line.log_probability) for line in found] == [len(line.document) + 1 for line in test]


def test_characters_have_no_ngram_baseline():
    task, _ = opened("character")
    assert task.baseline_predictions(running_examples(), test_lines(), test_lines()) == {}


def test_the_run_reports_baseline_adaptations_and_samples():
    page = (tiny_language_run() / "report.html").read_text(encoding="utf-8")
    for part in ("5-grams, modified Kneser-Ney", *ADAPTATIONS, "Temperature 0.5", "Temperature 0.8", "Temperature 1.0"):
        assert part in page, part


@every_unit
def test_samples_say_what_they_go_on_from(unit):
    task, model = opened(unit)
    lines = [TextExample(document=Tokenizer("en").tokenize("The ferry leaves at six, and nobody spoke."))]
    beginning = {"word": "The ferry leaves at six", "character": "The f"}.get(unit)
    beginning = beginning or task.units.decode(task.units.encode(lines[0].document)[:5]).strip()
    [section] = task.examine(model, lines, [])
    assert [block.title for block in section.blocks] == [
        f"Temperature {temperature}, from nothing and from “{beginning}”" for temperature in (0.5, 0.8, 1.0)
    ]


def test_an_evaluation_renders_with_samples(tmp_path):
    split_running_text(tmp_path)
    report = tiny_language_model().evaluate(tmp_path)
    page = report.write(tmp_path / "report").read_text(encoding="utf-8")
    assert "Temperature 0.8" in page
    assert report.figures


# ---- writing


def greedy(task, model, prompt: str, max_new_tokens: int) -> list[int]:
    """The likeliest token, the whole text read anew for each."""
    ids = [EOS_ID, *task.units.encode(Tokenizer("en").tokenize(prompt))]
    written: list[int] = []
    with torch.no_grad():
        for _ in range(max_new_tokens):
            read = model.read(torch.tensor([ids + written]))
            scores = model.words.log_probabilities(read.outputs[:, -1])[0]
            scores[list(NEVER_WRITTEN)] = -math.inf
            if (best := int(scores.argmax())) == EOS_ID:
                break
            written.append(best)
    return written


@every_unit
@pytest.mark.parametrize("prompt", ["", "The ferry", "In January it is"])
def test_without_drawing_the_likeliest_token_is_written(unit, prompt):
    pipeline = tiny_language_model(unit)
    found = pipeline.predict(prompt, do_sample=False, max_new_tokens=12)["generated_text"]
    beginning = pipeline.task.units.encode(Tokenizer("en").tokenize(prompt))
    written = greedy(pipeline.task, pipeline._model, prompt, 12)
    units = pipeline.task.units
    assert found == prompt + units.decode([*beginning, *written]).removeprefix(units.decode(beginning))


@every_unit
@pytest.mark.parametrize("prompt", ["", "The ferry"])
def test_a_stream_joined_is_the_text(unit, prompt):
    pipeline = tiny_language_model(unit)
    options = {"seed": 3, "max_new_tokens": 20, "temperature": 0.9}
    pieces = list(pipeline.stream(prompt, **options))
    assert len(pieces) <= 20
    assert "".join(pieces) == pipeline.predict(prompt, return_full_text=False, **options)["generated_text"]


@every_unit
def test_the_same_seed_writes_the_same_text_and_another_seed_another(unit):
    pipeline = tiny_language_model(unit)
    texts = [pipeline.predict("The", seed=seed, temperature=1.5)["generated_text"] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert all(text.startswith("The") for text in texts)


@every_unit
@pytest.mark.parametrize("batch_tokens", [1, 7, 10_000])
def test_a_beginning_goes_on_alike_alone_and_in_any_batch(unit, batch_tokens):
    prompts = ["The ferry", "", "Old Marek has worked on the boat", "She", "Zzyzx qwrtplk 👍🏽 नाव", "The ferry"]
    alone = [tiny_language_model(unit).predict(prompt, max_new_tokens=15) for prompt in prompts]
    other = Pipeline(tiny_language_model(unit).folder, batch_tokens=batch_tokens)
    assert other.predict(prompts, max_new_tokens=15) == alone
    assert alone[0] == alone[-1]


def test_several_texts_come_in_a_list_each_from_a_seed_of_its_own():
    pipeline = tiny_language_model()
    found = pipeline.predict("The", num_return_sequences=3, seed=5)
    assert found == [pipeline.predict("The", seed=seed) for seed in (5, 6, 7)]
    assert pipeline.predict(["The", "She"], num_return_sequences=3, seed=5)[0] == found


def test_beams_find_more_probable_texts_the_best_first():
    task, model = opened()
    options = {"num_beams": 6, "num_return_sequences": 3, "max_new_tokens": 6, "return_full_text": False}
    found = [one["generated_text"] for one in tiny_language_model().predict("The", **options)]
    assert len(set(found)) == 3
    assert found == [one["generated_text"] for one in tiny_language_model().predict("The", seed=9, **options)]
    prompt = task.units.encode(Tokenizer("en").tokenize("The"))
    single = GenerationOptions(num_beams=6, max_new_tokens=6)
    assert generate(start_writing(model, [prompt]), task.units, [prompt], single)[0].texts == (found[0],)


def test_the_beginning_can_be_left_out():
    pipeline = tiny_language_model()
    whole = pipeline.predict("The ferry")["generated_text"]
    assert "The ferry" + pipeline.predict("The ferry", return_full_text=False)["generated_text"] == whole


def test_neither_unknown_words_nor_specials_are_written():
    found = tiny_language_model().predict("The", num_return_sequences=20, temperature=50.0, max_new_tokens=60)
    assert not any(
        special in one["generated_text"] for one in found for special in ("<unk>", "<pad>", "<bos>", "<eos>")
    )


def test_a_text_ends_with_its_line_or_at_its_limit():
    pipeline = tiny_language_model("character")
    lengths = [len(pipeline.predict("", seed=seed, max_new_tokens=40)["generated_text"]) for seed in range(12)]
    assert max(lengths) <= 40
    assert min(lengths) < 40


def test_words_given_as_tokens_are_a_beginning():
    found = tiny_language_model().predict(["The", "ferry"], pretokenized=True, do_sample=False)
    assert found == tiny_language_model().predict("The ferry", do_sample=False)


@every_unit
def test_the_lines_of_a_beginning_are_read_as_in_training(unit):
    pipeline = tiny_language_model(unit)
    units = pipeline.task.units
    whole, last = (units.encode(Tokenizer("en").tokenize(line)) for line in ("The ferry left.", "Old Marek"))
    options = GenerationOptions(do_sample=False, max_new_tokens=8, no_repeat_ngram_size=1)
    for beginning, ids in (
        ("\n  The ferry left. \r\n\nOld Marek", [*whole, EOS_ID, *last]),
        ("The ferry left.\n", [*whole, EOS_ID]),
    ):
        expected = generate(start_writing(pipeline._model, [ids]), units, [ids], options)[0].texts[0]
        found = pipeline.predict(beginning, do_sample=False, max_new_tokens=8, no_repeat_ngram_size=1)
        assert found == {"generated_text": beginning + expected}
        streamed = pipeline.stream(beginning, do_sample=False, max_new_tokens=8, no_repeat_ngram_size=1)
        assert "".join(streamed) == expected
        assert not (ids[-1] == EOS_ID and expected.startswith(" "))


def test_a_beginning_of_many_lines_takes_no_time():
    beginning = "a\n" * 50_000
    ids = generation.encode_beginning(tiny_language_model().task.units, Tokenizer("en").tokenize(beginning))
    assert ids[1::2] == [EOS_ID] * 50_000


@pytest.mark.parametrize("space", [" ", "  ", "\t"])
def test_a_space_after_a_beginning_of_words_is_not_doubled(space):
    pipeline = tiny_language_model()
    options = {"seed": 4, "return_full_text": False}
    expected = pipeline.predict("The ferry", **options)["generated_text"].lstrip()
    assert pipeline.predict("The ferry" + space, **options)["generated_text"] == expected
    assert "".join(pipeline.stream("The ferry" + space, seed=4)) == expected


@every_unit
def test_a_long_beginning_is_read_in_stretches(unit, monkeypatch):
    beginning = "The ferry left and nobody spoke . " * 9
    pipeline = tiny_language_model(unit)
    whole = pipeline.predict(beginning, max_new_tokens=10)
    monkeypatch.setattr("nlp_lstm.tasks.language.READ_AT_ONCE", 7)
    read, times = pipeline._model.read, []
    monkeypatch.setattr(pipeline._model, "read", lambda ids, states: times.append(ids.shape[1]) or read(ids, states))
    assert pipeline.predict(beginning, max_new_tokens=10) == whole
    assert max(times) == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0}, "temperature is 0"),
        ({"temperature": "warm"}, "temperature is 'warm'"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"top_k": -1}, "top_k is -1"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"num_beams": 0}, "num_beams is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"num_beams": 2, "num_return_sequences": 3}, "num_return_sequences is 3, more than the 2 of num_beams"),
        ({"do_sample": False, "num_return_sequences": 2}, "without drawing there is one text"),
        ({"num_beams": 2, "do_sample": True}, "num_beams is 2, and beams draw nothing; leave out num_beams, or do_s"),
        ({"num_beams": 2, "top_k": 5, "repetition_penalty": 2}, "leave out num_beams, or top_k, repetition_penalty"),
        ({"temprature": 1.0}, r'unknown option "temprature" .* Did you mean "temperature"\?'),
        ({"label": "xpos"}, 'unknown option "label"'),
    ],
)
def test_options_that_are_none_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        tiny_language_model().predict("The", **options)
    with pytest.raises(ConfigError, match=message):
        tiny_language_model().stream("The", **options)


@pytest.mark.parametrize("options", [{"num_beams": 2}, {"num_return_sequences": 2}])
def test_a_stream_is_one_text_that_is_drawn(options):
    with pytest.raises(ConfigError, match="a stream is one text that is drawn"):
        tiny_language_model().stream("The", **options)


# ---- settings and folders


def test_a_network_that_is_no_number_has_no_perplexity():
    task, model = make()
    with torch.no_grad():
        model.words.bias.fill_(math.nan)
    scores = task.score_development(model, test_lines(), use_bf16=False)
    assert all(math.isnan(score) for score in scores.values())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.cell=ltsm", r'unknown cell "ltsm"; .*Did you mean "lstm"\?'),
        ("model.unit=syllable", "model.unit is 'syllable'"),
        ("model.direction=sideways", "model.direction is 'sideways'"),
        ("model.window=1", "model.window is 1"),
        ("model.recurrent_dropout=1", "model.recurrent_dropout is 1"),
    ],
)
def test_a_fault_in_the_settings_is_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe("lm", [override])


def test_cutoffs_beyond_the_vocabulary_are_refused():
    with pytest.raises(ConfigError, match="the cutoffs 40, 5000 do not ascend"):
        make("model.cutoffs=[40,5000]")


def test_the_penalties_are_those_of_the_paper():
    """AR and TAR of Merity et al. 2017, equations 1 and 2, on the outputs after dropout, as means of squares."""
    task, model = make("model.activation_penalty=2", "model.change_penalty=3")
    ids = torch.randint(len(task.units), (2, 6))
    batch = lm.StreamBatch(ids=ids[:, :-1], next_ids=ids[:, 1:])
    outputs = model(batch)
    hidden = outputs.hidden
    expected = -outputs.log_probability.mean() + 2 * (hidden**2).mean() + 3 * hidden.diff(dim=1).square().mean()
    torch.testing.assert_close(task.loss(model, outputs, batch), expected)


@every_unit
def test_a_model_folder_opens_as_what_was_saved(unit, tmp_path):
    pipeline = tiny_language_model(unit)
    assert ("subwords.model" in {path.name for path in pipeline.folder.iterdir()}) == (unit == "subword")
    pipeline.save(tmp_path / "copy")
    again = Pipeline(tmp_path / "copy")
    assert again.task.units.name == unit
    assert again.score("The ferry leaves at six.") == pipeline.score("The ferry leaves at six.")
    assert again.predict("The ferry", seed=4) == pipeline.predict("The ferry", seed=4)
    assert (tmp_path / "copy" / CONFIG_NAME).is_file()


@pytest.mark.parametrize("keep", [0, 1_000, -1])
def test_a_truncated_subword_model_is_refused(tmp_path, keep):
    folder = tmp_path / "model"
    shutil.copytree(tiny_language_model("subword").folder, folder)
    path = folder / "subwords.model"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"subwords\.model is not the file that config\.json describes"):
        Pipeline(folder)


def test_a_missing_subword_model_is_refused(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_language_model("subword").folder, folder)
    (folder / "subwords.model").unlink()
    with pytest.raises(CheckpointError, match=r"subwords\.model is missing"):
        Pipeline(folder)


def test_a_vocabulary_of_other_units_is_refused():
    stored = load_model(tiny_language_model("word").folder)
    settings = tiny_language_recipe("model.unit=character").model
    with pytest.raises(CheckpointError, match="the settings say character, the vocabulary word"):
        LanguageTask.from_folder(settings, stored.vocabulary, {})


def test_another_tasks_folder_is_no_language_model():
    assert not isinstance(open_model(tiny_model()).task, LanguageTask)


def test_generate_is_another_name_of_the_same_model(tmp_path, monkeypatch):
    shutil.copytree(tiny_language_model().folder, tmp_path / "lm-en")
    monkeypatch.setenv("NLP_LSTM_MODELS", str(tmp_path))
    assert Pipeline("generate").folder == Pipeline("lm").folder


def test_predictions_are_frozen_records():
    task, model = opened()
    [line] = task.predict_in_context(model, [example("The ferry")])
    with pytest.raises(dataclasses.FrozenInstanceError):
        line.log_probability = np.zeros(1)

import dataclasses
import math
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from samples import REVIEWS, review_examples, tiny_classifier, tiny_sentiment_recipe, tiny_sentiment_run

import nlp_lstm
from nlp_lstm.data.example import LabelledExample, LabelledPart
from nlp_lstm.errors import CheckpointError, ConfigError, DataError
from nlp_lstm.inference.opening import open_model
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.tasks import predict_examples
from nlp_lstm.tasks.classification import LONG_TEXT, EmptyTextWarning, LabelPrediction
from nlp_lstm.tasks.sentiment import MOST_LABELS, ClassificationTask
from nlp_lstm.text.document import Document
from nlp_lstm.training import train
from nlp_lstm.weights import load_model, load_weights

LABELS = ["NEGATIVE", "POSITIVE"]
TEXT = "A quiet, wonderful film that trusts its audience."


def example(text: str, label: str | None = None, **others) -> LabelledExample:
    """An example from words with spaces between."""
    return LabelledExample(document=Document.from_words(text.split()), label=label, **others)


def prepare(examples, *overrides: str) -> ClassificationTask:
    return ClassificationTask.prepare(tiny_sentiment_recipe(*overrides).model, examples)


def opinion(*shares: float, labels=LABELS) -> LabelPrediction:
    return LabelPrediction(probabilities=dict(zip(labels, shares, strict=True)))


# ---- labels


def test_labels_are_sorted_and_shares_are_those_of_the_texts():
    task = prepare([example("a", "no"), example("b", "maybe"), example("c", "no"), example("d", "yes")])
    assert list(task.labels.tokens) == ["maybe", "no", "yes"]
    assert task.shares == (0.25, 0.5, 0.25)


def test_soft_targets_count_by_their_shares_and_phrases_give_labels_but_no_shares():
    examples = [
        example("a", "no"),
        example("b", target={"no": 0.5, "yes": 0.5}),
        example("c", "maybe", is_phrase=True),
        example("d", "yes", is_phrase=True),
    ]
    task = prepare(examples)
    assert dict(zip(task.labels.tokens, task.shares, strict=True)) == {"maybe": 0, "no": 0.75, "yes": 0.25}


def test_where_there_are_phrases_alone_their_labels_have_the_shares():
    task = prepare([example("a", "no", is_phrase=True), example("b", "yes", is_phrase=True)])
    assert task.shares == (0.5, 0.5)


def test_training_data_with_one_label_is_refused():
    with pytest.raises(DataError, match="has the one label 'POSITIVE'; two at least are needed"):
        prepare([example("a", "POSITIVE"), example("b", "POSITIVE")])


def test_a_column_that_is_no_label_is_refused():
    with pytest.raises(DataError, match=r"1,001 labels, such as .*reading\.label names it"):
        prepare([example("a", f"text {number}") for number in range(MOST_LABELS + 1)])


def test_a_label_that_cannot_be_printed_is_refused():
    with pytest.raises(DataError, match=r"has the label 'X\\x1b'"):
        prepare([example("a", "X\x1b"), example("b", "Y")])


def test_a_training_text_without_a_label_is_refused():
    with pytest.raises(DataError, match=r"the training text 'a b' has no label"):
        prepare([example("a b")])


def test_development_labels_that_training_lacks_are_named():
    task = prepare([example("a", "no"), example("b", "yes")])
    task.check_examples([example("c", "no")], "mine, dev")
    with pytest.raises(
        DataError, match=r"mine, dev: the text 'c d' has the label 'maybe'; .* has no, yes\. Add training"
    ):
        task.check_examples([example("c d", "maybe")], "mine, dev")


def test_few_development_labels_that_training_lacks_are_noted():
    task = prepare([example("a", "no"), example("b", "yes")])
    few = [*[example("c", "no")] * 19, example("d", "maybe")]
    note = "mine, dev: 1 of 20 texts have labels that this model does not know ('maybe')"
    assert task.check_examples(few, "mine, dev") == [f"{note}; they count as errors"]
    assert task.check_examples(few[:-1], "mine, dev") == []
    with pytest.raises(DataError, match=r"mine, dev: the text 'd' has the label 'maybe'; 1 of 19 texts"):
        task.check_examples(few[1:], "mine, dev")


def test_a_label_that_training_lacks_counts_as_an_error_and_not_in_calibration():
    task = prepare([example("a", "no"), example("b", "yes")])
    model = task.build_model().eval()
    known = [example("a", "no"), example("b", "yes"), example("a b", "no"), example("b a", "no")] * 5
    examples = [*known, example("c", "maybe")]
    task.calibrate(model, known)
    temperature = float(model.temperature)
    task.calibrate(model, examples)
    assert float(model.temperature) == temperature
    predictions = predict_examples(task, model, examples)
    right = sum(one.label == two.label for one, two in zip(predictions, known, strict=False))
    report = task.report(examples, predictions, title="Rare", training=known)
    assert report.figures[0].value == pytest.approx(right / 21)
    assert report.lead.endswith(
        "1 of 21 texts have labels that this model does not know ('maybe'); they count as errors."
    )
    assert task.examine(model, examples, predictions)


@pytest.mark.parametrize(
    "change",
    [
        {"words": None},
        {"labels": None},
        {"shares": [0.5]},
        {"shares": [0.5, 2.0]},
        {"shares": "ab"},
        {"shares": None},
        {"shares": [0.5, 0.1]},
        {"extra": 1},
    ],
)
def test_a_damaged_vocabulary_is_refused(change):
    task = prepare(review_examples())
    with pytest.raises(CheckpointError):
        ClassificationTask.from_vocabulary(task.settings, {**task.vocabulary(), **change})


def test_an_unknown_pooling_names_the_nearest():
    with pytest.raises(ConfigError, match=r'unknown pooling "maxx"; known poolings?: attention, last, max, mean'):
        tiny_sentiment_recipe("model.pooling=maxx")


@pytest.mark.parametrize("setting", ["bptt_window=100_001", "bptt_window=0", "longest=1", f"longest={10**30}"])
def test_a_length_that_cannot_be_held_is_refused(setting):
    with pytest.raises(ConfigError, match=f"{setting.split('=')[0]} is .* input should be"):
        tiny_sentiment_recipe(f"model.{setting}")


@pytest.mark.parametrize(
    ("labels", "says", "is_silent_on"),
    [
        (["NEGATIVE", "POSITIVE"], "no neutral label.* Negation, contrast, irony", "none fits"),
        (["neg", "pos"], "no neutral label.* Negation, contrast, irony", "none fits"),
        (["negative", "neutral", "very positive"], "^Negation, contrast, irony", "neutral"),
        (["HUM", "LOC"], "^Every text gets one of the labels, also where none fits", "neutral|[Nn]egation|irony"),
        (["possible", "negligible"], "^Every text gets one of the labels", "neutral|[Nn]egation|irony"),
    ],
)
def test_a_card_speaks_of_sentiment_where_the_labels_do(labels, says, is_silent_on):
    failures = prepare([example("a", label) for label in labels]).known_failures
    assert re.search(says, failures)
    assert not re.search(is_silent_on, failures)
    assert "sentiment" not in ClassificationTask.intended_use


# ---- what is learnt


def loss_of(task: ClassificationTask, logits: torch.Tensor, examples) -> float:
    return float(task.loss(torch.nn.Identity(), logits, task.make_batch(examples, with_labels=True)))


def test_the_loss_of_sure_and_mixed_targets_is_the_cross_entropy_per_text():
    examples = [example("a b", "POSITIVE"), example("c", target={"NEGATIVE": 0.2, "POSITIVE": 0.8})]
    task = prepare([*examples, example("d", "NEGATIVE")])
    logits = torch.tensor([[1.0, 3.0], [2.0, 2.0]]).log()  # probabilities 1/4, 3/4 and 1/2, 1/2
    expected = -(math.log(3 / 4) + math.log(1 / 2)) / 2
    assert loss_of(task, logits, examples) == pytest.approx(expected, abs=1e-6)  # float32 rounding


def test_label_smoothing_moves_its_share_of_the_target_to_all_labels():
    examples = [example("a", "POSITIVE")]
    task = prepare([*examples, example("d", "NEGATIVE")], "model.label_smoothing=0.2")
    logits = torch.tensor([[1.0, 3.0]]).log()
    expected = -(0.9 * math.log(3 / 4) + 0.1 * math.log(1 / 4))  # Szegedy et al. 2016, section 7
    assert loss_of(task, logits, examples) == pytest.approx(expected, abs=1e-6)


def test_balanced_weights_make_every_label_count_the_same():
    examples = [example("a", "POSITIVE"), example("b", "POSITIVE"), example("c", "POSITIVE"), example("d", "NEGATIVE")]
    logits = torch.tensor([[1.0, 3.0]] * 4).log()
    task = prepare(examples, "model.class_weights=balanced")
    assert loss_of(task, logits, examples) == pytest.approx(-(math.log(3 / 4) + math.log(1 / 4)) / 2, abs=1e-6)
    plain = prepare(examples)
    assert loss_of(plain, logits, examples) == pytest.approx(-(3 * math.log(3 / 4) + math.log(1 / 4)) / 4, abs=1e-6)


def test_labels_of_phrases_alone_weigh_as_much_as_the_rarest_label_of_the_texts():
    texts = [example("a", "yes"), example("b", "yes"), example("c", "yes"), example("d", "no")]
    phrase = example("e", "maybe", is_phrase=True)
    task = prepare([*texts, phrase], "model.class_weights=balanced")
    logits = torch.tensor([[2.0, 1.0, 3.0]] * 5).log()  # maybe, no, yes: 1/3, 1/6, 1/2
    losses = {"maybe": -math.log(1 / 3), "no": -math.log(1 / 6), "yes": -math.log(1 / 2)}
    # "yes" is three times as frequent as "no", so three texts of it weigh as much as one of the others.
    expected = (3 * losses["yes"] / 3 + losses["no"] + losses["maybe"]) / 3
    assert loss_of(task, logits, [*texts, phrase]) == pytest.approx(expected, abs=1e-6)


def test_a_batch_without_labels_has_no_loss():
    task = prepare(review_examples())
    batch = task.make_batch(review_examples()[:2])
    assert batch.targets is None
    with pytest.raises(DataError, match="with_labels=True"):
        task.loss(torch.nn.Identity(), torch.zeros(2, 2), batch)


@pytest.mark.parametrize("longest", [2, 5, 6])
def test_of_a_long_training_text_the_beginning_and_the_end_are_read(longest):
    words = [f"w{number}" for number in range(9)]
    examples = [example(" ".join(words[:length]), label) for length, label in zip((longest, 9), LABELS, strict=True)]
    task = prepare(examples, f"model.longest={longest}")
    batch = task.make_batch(examples, with_labels=True)
    assert batch.tokens.lengths.tolist() == [longest, longest]
    front, back = longest - longest // 2, longest // 2
    codes = task.batches.make_batch([words[:longest], words[:front] + words[-back:]])
    found = batch.tokens.features.word_ids[batch.tokens.index]
    assert torch.equal(found, codes.features.word_ids[codes.index])
    assert task.make_batch(examples).tokens.lengths.tolist() == [longest, 9]  # in use all of it is read


# ---- teachers


def test_opinions_are_averaged_label_by_label():
    task = prepare(review_examples())
    [first, second] = task.average([[opinion(0.2, 0.8), opinion(1.0, 0.0)], [opinion(0.6, 0.4), opinion(0.0, 1.0)]])
    assert first.probabilities == pytest.approx({"NEGATIVE": 0.4, "POSITIVE": 0.6})
    assert second.probabilities == {"NEGATIVE": 0.5, "POSITIVE": 0.5}


def test_teachers_have_their_share_of_a_target_and_all_of_it_where_nothing_else_is_known():
    task = prepare(review_examples())
    examples = [
        example("a", "POSITIVE", domain="film"),
        example("b", target={"NEGATIVE": 0.5, "POSITIVE": 0.5}, is_phrase=True),
        example("c"),
    ]
    taught = task.teach(examples, [task.pack_opinion(opinion(0.4, 0.6))] * 3, 0.7)
    assert [one.target for one in taught] == [
        pytest.approx({"NEGATIVE": 0.28, "POSITIVE": 0.72}),
        pytest.approx({"NEGATIVE": 0.43, "POSITIVE": 0.57}),
        {"NEGATIVE": 0.4, "POSITIVE": 0.6},
    ]
    assert [dataclasses.replace(one, target=None) for one in taught] == [
        dataclasses.replace(one, target=None) for one in examples
    ]


# ---- phrases inside their sentence


INSIDE = ("model.phrases=inside", "model.tree_rounds=3")
GOOD, BAD = {"POSITIVE": 1.0}, {"NEGATIVE": 0.8, "POSITIVE": 0.2}
SENTENCE = example("a quiet but dull film", "NEGATIVE", parts=(LabelledPart(1, 2, GOOD), LabelledPart(3, 5, BAD)))
PHRASE = example("quiet wonder", "POSITIVE", is_phrase=True)


def test_phrases_inside_take_the_place_of_phrases_apart():
    apart, inside = prepare([SENTENCE, PHRASE], "model.phrases=apart"), prepare([SENTENCE, PHRASE], *INSIDE)
    texts = [SENTENCE, PHRASE, example("b", "POSITIVE")]
    assert apart.encode(texts, Path()) == texts
    assert inside.encode(texts, Path()) == [SENTENCE, SENTENCE, SENTENCE, texts[2]]
    assert "wonder" in apart.words.words
    assert "wonder" not in inside.words.words
    assert inside.labels.tokens == apart.labels.tokens
    assert apart.make_batch([SENTENCE], with_labels=True).parts is None
    assert inside.make_batch([SENTENCE]).parts is None


def test_the_logits_of_phrases_follow_those_of_the_texts():
    task = prepare([SENTENCE, PHRASE], *INSIDE)
    model = task.build_model().eval()
    longer = example("a film with much more to say", "POSITIVE", parts=(LabelledPart(0, 2, GOOD),))
    batch = task.make_batch([longer, SENTENCE], with_labels=True)
    assert [part.tolist() for part in batch.parts] == [[0, 1, 1], [0, 1, 3], [2, 2, 5]]
    torch.testing.assert_close(batch.part_targets, torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.8, 0.2]]))
    logits = model(batch)
    tokens = batch.tokens
    torch.testing.assert_close(logits[:2], model.read_tokens(tokens))
    outputs = model.backbone(tokens.features, tokens.index, tokens.lengths)
    of_last_part = model.output(outputs[1, 3:5].amax(dim=0))
    torch.testing.assert_close(logits[4], of_last_part)


def test_the_phrases_of_a_sentence_count_together_as_much_as_the_sentence():
    task = prepare([SENTENCE, PHRASE], *INSIDE)
    model = task.build_model().eval()
    batch = task.make_batch([SENTENCE, example("b", "POSITIVE")], with_labels=True)
    logits = model(batch)
    losses = torch.nn.functional.cross_entropy(logits, torch.cat([batch.targets, batch.part_targets]), reduction="none")
    expected = (losses[0] + losses[1] + (losses[2] + losses[3]) / 2) / 3
    torch.testing.assert_close(task.loss(model, logits, batch), expected)


def test_phrases_beyond_the_first_stretch_are_not_learnt():
    task = prepare([SENTENCE, PHRASE], *INSIDE, "model.bptt_window=4")
    batch = task.make_batch([SENTENCE], with_labels=True)
    assert [part.tolist() for part in batch.parts] == [[0], [1], [2]]
    assert len(task.build_model()(batch)) == 2
    shortest = prepare([SENTENCE, PHRASE], *INSIDE, "model.bptt_window=1")
    assert shortest.make_batch([SENTENCE], with_labels=True).parts is None


def test_phrases_inside_need_the_pooling_that_can_read_them():
    with pytest.raises(ConfigError, match="pooling max, not mean"):
        tiny_sentiment_recipe(*INSIDE, "model.pooling=mean")


def test_a_network_learns_from_the_phrases_inside_a_sentence(tmp_path):
    """Sentences whose label says nothing: only their phrases do."""
    fair = {"NEGATIVE": 0.5, "POSITIVE": 0.5}
    examples = [
        example("so dear then so vile", target=fair, parts=(LabelledPart(0, 2, GOOD), LabelledPart(3, 5, BAD))),
        example("so vile then so dear", target=fair, parts=(LabelledPart(0, 2, BAD), LabelledPart(3, 5, GOOD))),
    ]
    recipe = tiny_sentiment_recipe(*INSIDE, "training.evaluations=1")
    task = prepare(examples, *INSIDE)
    asked = [example("so dear", "POSITIVE"), example("so vile", "NEGATIVE")]
    result = train(task, examples, asked, recipe.training, tmp_path)
    assert result.best_score == 1.0


def test_phrases_alone_leave_nothing_to_learn_inside(tmp_path):
    recipe = tiny_sentiment_recipe(*INSIDE)
    task = prepare([PHRASE, example("dull", "NEGATIVE", is_phrase=True)], *INSIDE)
    with pytest.raises(DataError, match=r"model\.phrases=apart"):
        train(task, [PHRASE], [SENTENCE], recipe.training, tmp_path)


# ---- answers


def test_an_answer_is_a_label_with_its_score():
    assert tiny_classifier().predict(TEXT) == {"label": "POSITIVE", "score": pytest.approx(0.75, abs=0.25)}
    assert [set(answer) for answer in tiny_classifier().predict([TEXT, TEXT])] == [{"label", "score"}] * 2


def test_top_k_gives_a_list_the_most_probable_first():
    [first, second] = everything = tiny_classifier().predict(TEXT, top_k=None)
    assert first == tiny_classifier().predict(TEXT)
    assert first["score"] >= second["score"]
    assert first["score"] + second["score"] == pytest.approx(1, abs=1e-6)
    assert tiny_classifier().predict(TEXT, top_k=2) == tiny_classifier().predict(TEXT, top_k=9) == everything
    assert tiny_classifier().predict([TEXT], top_k=None) == [everything]


@pytest.mark.parametrize("top_k", [0, -1, 1.0, "all", True])
def test_a_wrong_top_k_is_refused(top_k):
    with pytest.raises(ConfigError, match=r"top_k is .*; give how many labels, from 1, or None for all"):
        tiny_classifier().predict(TEXT, top_k=top_k)


@pytest.mark.parametrize("explain", [1, "yes", None])
def test_a_wrong_explain_is_refused(explain):
    with pytest.raises(ConfigError, match=r"explain is .*; give True or False"):
        tiny_classifier().predict(TEXT, explain=explain)


def test_explain_goes_without_top_k():
    with pytest.raises(ConfigError, match="leave out top_k"):
        tiny_classifier().predict(TEXT, explain=True, top_k=2)


@pytest.mark.parametrize("text", [TEXT, "👍🏽 Great,  don't\tmiss it!", "x"])
def test_an_explanation_has_every_word_at_its_place(text):
    answer = tiny_classifier().predict(text, explain=True)
    assert {key: answer[key] for key in ("label", "score")} == pytest.approx(tiny_classifier().predict(text))
    assert "".join(word["word"] for word in answer["words"]) == "".join(text.split())
    for word in answer["words"]:
        assert list(word) == ["word", "start", "end", "score"]
        assert text[word["start"] : word["end"]] == word["word"]
        assert math.isfinite(word["score"])


def test_explanations_are_the_same_in_company():
    texts = [one.document.text for one in review_examples()[:8]]
    alone = [tiny_classifier().predict(text, explain=True)["words"] for text in texts]
    for one, other in zip(alone, tiny_classifier().predict(texts, explain=True), strict=True):
        for left, right in zip(one, other["words"], strict=True):
            assert left == {**right, "score": pytest.approx(right["score"], abs=1e-5)}  # DESIGN.md's bound


def test_a_text_without_words_is_answered_with_the_shares_and_explained_by_no_word():
    with pytest.warns(EmptyTextWarning, match="the text has no words"):
        assert tiny_classifier().predict(" ", explain=True) == {"label": "NEGATIVE", "score": 0.5, "words": []}
    task = prepare([example("a", "no"), example("b", "yes"), example("c", "yes")])
    with pytest.warns(EmptyTextWarning):
        assert task.format([], top_k=None) == [
            {"label": "yes", "score": pytest.approx(2 / 3)},
            {"label": "no", "score": pytest.approx(1 / 3)},
        ]


def test_tokens_may_come_split_already():
    words = ["A", "quiet", ",", "wonderful", "film", "."]
    answer = tiny_classifier().predict(words, pretokenized=True, explain=True)
    assert [word["word"] for word in answer["words"]] == words


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_a_model_of_lower_case_reads_all_cases_the_same(change):
    assert tiny_classifier().task.settings.embedding.lower_case
    texts = [one.document.words for one in review_examples()]
    changed = [[change(word) if change(word).lower() == word.lower() else word for word in words] for words in texts]
    assert changed != texts
    expected = tiny_classifier().predict(texts, pretokenized=True)
    assert tiny_classifier().predict(changed, pretokenized=True) == expected


def test_a_model_with_case_reads_capital_letters():
    task = prepare(review_examples(), "model.embedding.lower_case=false")
    low, high = (task.batches.make_batch([[word]]).features for word in ("the", "The"))
    assert low.word_ids.tolist() != high.word_ids.tolist()


# ---- long texts

MEMORY = """
import sys
import torch
torch.set_num_threads(1)
from nlp_lstm.pipeline import Pipeline
def peak():  # of this process alone: ru_maxrss begins with what the parent held
    lines = open("/proc/self/status", encoding="utf-8").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10
model = Pipeline(sys.argv[1])
lines = open(sys.argv[2], encoding="utf-8").read().splitlines()[1:]
piece = " ".join(line.split("\\t")[0] for line in lines) + "\\n\\n"
def read(size):
    text = (piece * (size // len(piece) + 1))[:size]
    before = peak()
    answer = model.predict(text)
    return answer["score"], peak() - before
read(60_000)
print(*read(1_000_000))
"""


@pytest.mark.slow
def test_a_megabyte_of_text_is_classified_in_the_memory_of_one_stretch():
    if not Path("/proc/self/status").is_file():
        pytest.skip("this system does not tell the peak of a process")
    environment = {"PYTHONPATH": str(Path(nlp_lstm.__file__).parent.parent), "OMP_NUM_THREADS": "1", "HOME": "/tmp"}
    command = [sys.executable, "-c", MEMORY, str(tiny_sentiment_run() / "model"), str(REVIEWS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    score, growth = map(float, done.stdout.split())
    assert 0.5 <= score <= 1
    assert growth < 20  # MiB above what 60,000 characters took; the text itself is 1, its tokens would be over 25


def test_a_long_text_is_no_other_than_its_words_in_a_batch():
    texts = [one.document.text for one in review_examples()]
    text = "\n\n".join(texts * (LONG_TEXT // sum(map(len, texts)) + 1))
    assert len(text) > LONG_TEXT
    pipeline = tiny_classifier()
    long = pipeline.predict(text, top_k=None)
    tokenizer = pipeline._tokenizer
    words = [token.text for sentence in tokenizer.sentences(text) for token in sentence.tokens]
    whole = pipeline.predict(words, pretokenized=True, top_k=None)
    for one, other in zip(long, whole, strict=True):
        assert one == {"label": other["label"], "score": pytest.approx(other["score"], abs=1e-6)}


def test_a_text_too_long_to_explain_says_so_and_white_space_of_any_length_is_empty():
    with pytest.raises(DataError, match=r"too long to explain word by word; explain takes up to 50,000"):
        tiny_classifier().predict("so dull " * LONG_TEXT, explain=True)
    with pytest.warns(EmptyTextWarning):
        assert tiny_classifier().predict(" \n" * LONG_TEXT)["score"] == 0.5


@pytest.mark.parametrize("collect", [list, iter])
def test_a_text_too_long_to_explain_is_named_with_its_index_before_any_work(monkeypatch, collect):
    monkeypatch.setattr(
        "nlp_lstm.inference.torch_engine.predict_examples", lambda *_, **__: pytest.fail("the network ran")
    )
    with pytest.raises(DataError, match=r"input 1 is 'so dull .* of 400,000 characters, too long to explain"):
        list(tiny_classifier().predict(collect([TEXT, "so dull " * LONG_TEXT]), explain=True))


# ---- baselines, report, evaluation


def test_the_baseline_of_the_most_frequent_label_is_sure_of_it():
    task = prepare([example("a", "no"), example("b", "yes"), example("c", "yes")])
    rows = task.baseline_predictions([], [], [example("a"), example("z")])["most frequent label"]
    assert [row.probabilities for row in rows] == [{"yes": 1.0}] * 2


def test_figures_are_those_of_the_score():
    pipeline, examples = tiny_classifier(), review_examples()
    predictions = predict_examples(pipeline.task, pipeline._model, examples)
    report = pipeline.task.report(examples, predictions, title="Reviews")
    right = sum(one.label == answer.label for one, answer in zip(examples, predictions, strict=True))
    assert pipeline.task.score(examples, predictions) == {"accuracy": right / len(examples)}
    assert report.figures[0].value == right / len(examples)
    assert [figure.name for figure in pipeline.task.headlines(examples, predictions)] == ["Accuracy"]


def test_headlines_have_one_figure_for_each_part_of_the_data():
    pipeline = tiny_classifier()
    parts = Counter(film=5, tweets=3)
    examples = [
        dataclasses.replace(one, domain=domain)
        for one, domain in zip(review_examples(), parts.elements(), strict=False)
    ]
    predictions = predict_examples(pipeline.task, pipeline._model, examples)
    figures = pipeline.task.headlines(examples, predictions)
    assert [(figure.name, figure.sample_size) for figure in figures] == [
        ("Accuracy", 8),
        ("Accuracy film", 5),
        ("Accuracy tweets", 3),
    ]


def test_the_sections_on_the_network_are_in_the_report_of_a_file():
    titles = [section.title for section in tiny_classifier().evaluate(REVIEWS).sections]
    assert {"Temperature", "Words that moved the decision"} <= {*titles}


def write_reviews(path: Path, changed: dict[int, str]) -> Path:
    header, *rows = REVIEWS.read_text(encoding="utf-8").splitlines()
    rows = [f"{row.rsplit(chr(9), 1)[0]}\t{changed[n]}" if n in changed else row for n, row in enumerate(rows)]
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_a_few_unknown_labels_count_as_errors_and_another_label_set_is_refused(tmp_path):
    pipeline, num_texts = tiny_classifier(), len(review_examples())
    usual = pipeline.task.score(review_examples(), pipeline._predict_examples(review_examples()))["accuracy"]
    few = pipeline.evaluate(write_reviews(tmp_path / "few.tsv", {0: "GRAND"}), reading={"labels": {}})
    assert few.figures[0].value in (usual, usual - 1 / num_texts)
    many = write_reviews(tmp_path / "many.tsv", dict.fromkeys(range(4), "GRAND"))
    with pytest.raises(DataError, match=r"4 of 62 texts have labels that this model does not know \('GRAND'\); .*NEG"):
        pipeline.evaluate(many, reading={"labels": {}})
    renamed = pipeline.evaluate(many, reading={"labels": {"GRAND": "POSITIVE", "NEGATIVE": "NEGATIVE"}})
    assert renamed.metrics["num_texts"] == num_texts
    with pytest.raises(DataError, match="there is no labelled text to evaluate on"):
        pipeline.task.report([], [], title="Nothing")


def test_a_stored_model_has_its_temperature():
    opened = open_model(tiny_sentiment_run() / "model")
    assert opened.model.temperature.item() != 1
    pipeline = Pipeline(tiny_sentiment_run() / "model")
    with torch.no_grad():
        logits = pipeline._model.read_tokens(pipeline.task.batches.make_batch([["quiet", "film"]]))
    expected = (logits / opened.model.temperature).softmax(1)[0].tolist()
    found = pipeline.predict(["quiet", "film"], pretokenized=True, top_k=None)
    assert sorted(answer["score"] for answer in found) == pytest.approx(sorted(expected), abs=1e-6)


@pytest.mark.parametrize("temperature", [0.0, -1.5, 1e-30, 1e30])
def test_a_temperature_that_no_calibration_gives_is_refused(temperature):
    opened = open_model(tiny_sentiment_run() / "model")
    weights = {**opened.model.state_dict(), "temperature": torch.tensor(temperature)}
    with pytest.raises(CheckpointError, match=r"the temperature is .*; it is from 0\.1 to 10"):
        opened.model.load_state_dict(weights, assign=True)
    stored = load_model(tiny_sentiment_run() / "model")
    with pytest.raises(
        CheckpointError, match=r"/model/model\.safetensors: the temperature is .*; it is from 0\.1 to 10"
    ):
        load_weights(opened.model, dataclasses.replace(stored, weights=weights))


# ---- many labels


def test_five_labels_with_weights_and_smoothing_are_learnt(tmp_path):
    kinds = ["DESC", "ENTY", "HUM", "LOC", "NUM"]
    starts = ["How come the", "What thing is the", "Who made the", "Where is the", "How many cost the"]
    things = ["ferry", "lamp", "bridge", "song", "cake"]
    examples = [
        example(f"{start} {thing} ?", kind) for start, kind in zip(starts, kinds, strict=True) for thing in things
    ]
    recipe = tiny_sentiment_recipe(
        "model.class_weights=balanced", "model.label_smoothing=0.05", "model.pooling=attention", tokens=4_000
    )
    task = ClassificationTask.prepare(recipe.model, examples)
    result = train(task, examples, examples, recipe.training, tmp_path)
    predictions = predict_examples(task, result.model, [example("Where is the house ?")])
    assert result.best_score > 0.95
    assert predictions[0].label == "LOC"
    assert len(predictions[0].probabilities) == 5

import json
import random
import subprocess
import sys

import pytest

from nlp_lstm.errors import DataError
from nlp_lstm.evaluation.metrics import span_scheme, tagging_metrics

WORDS = [["The", "dog", "barks", "loudly"], ["Stop"]]
GOLD = [["DET", "NOUN", "VERB", "ADV"], ["VERB"]]
PREDICTED = [["DET", "NOUN", "NOUN", "ADV"], ["VERB"]]


def random_tags(num_sentences=60, seed=0):
    """Words, gold and predicted labels; about a quarter of the labels are wrong."""
    source = random.Random(seed)
    words, gold, predicted = [], [], []
    for _ in range(num_sentences):
        length = source.randint(1, 45)
        words.append([source.choice("abcdefgh") for _ in range(length)])
        gold.append([source.choice("XYZ") for _ in range(length)])
        predicted.append([label if source.random() < 0.75 else source.choice("XYZQ") for label in gold[-1]])
    return words, gold, predicted


def test_small_example_agrees_with_counting_by_hand():
    metrics = tagging_metrics(GOLD, PREDICTED, WORDS, {"The": 300, "dog": 3, "barks": 0})
    assert (metrics.accuracy, metrics.num_tokens) == (4 / 5, 5)
    assert (metrics.sentence_accuracy, metrics.num_sentences) == (1 / 2, 2)
    assert (metrics.correct_per_sentence, metrics.tokens_per_sentence) == ([3, 1], [4, 1])
    assert (metrics.unknown_accuracy, metrics.num_unknown) == (2 / 3, 3)  # barks, loudly, Stop
    assert (metrics.unknown_correct_per_sentence, metrics.unknown_per_sentence) == ([1, 1], [2, 1])
    assert [(bucket.label, bucket.num_items) for bucket in metrics.by_frequency] == [("0", 3), ("2–5", 1), (">100", 1)]
    assert [(bucket.label, bucket.accuracy) for bucket in metrics.by_length] == [("1–5", 4 / 5)]
    assert metrics.confusion.labels == ["ADV", "DET", "NOUN", "VERB"]
    assert metrics.confusion.matrix == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]
    noun = metrics.per_label[2]
    assert (noun.precision, noun.recall, noun.support) == (1 / 2, 1, 1)
    assert metrics.macro_f1 == pytest.approx((1 + 1 + 2 / 3 + 2 / 3) / 4)


def test_scores_equal_those_of_scikit_learn():
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

    words, gold, predicted = random_tags()
    metrics = tagging_metrics(gold, predicted, words)
    flat = [[label for sentence in side for label in sentence] for side in (gold, predicted)]
    assert metrics.accuracy == pytest.approx(accuracy_score(*flat))
    assert metrics.macro_f1 == pytest.approx(f1_score(*flat, average="macro", zero_division=0))
    assert metrics.confusion.matrix == confusion_matrix(*flat).tolist()


def test_buckets_hold_every_token_once():
    words, gold, predicted = random_tags()
    metrics = tagging_metrics(gold, predicted, words, dict(zip("abcdefgh", (0, 1, 2, 5, 6, 21, 100, 101), strict=True)))
    for buckets in (metrics.by_length, metrics.by_frequency):
        assert sum(bucket.num_items for bucket in buckets) == metrics.num_tokens
        right = sum(bucket.accuracy * bucket.num_items for bucket in buckets)
        assert right == pytest.approx(sum(metrics.correct_per_sentence))
    assert [bucket.label for bucket in metrics.by_frequency] == ["0", "1", "2–5", "6–20", "21–100", ">100"]
    assert [bucket.label for bucket in metrics.by_length] == ["1–5", "6–10", "11–20", "21–40", "41+"]


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [
        (["O", "B-PER", "I-PER"], "IOB2"),
        (["O", "B-PER", "E-PER", "S-LOC"], "IOBES"),
        (["NOUN", "O"], None),
        (["O"], None),
        (["O", "I-PER"], None),
        (["B", "I"], None),
        ([], None),
    ],
)
def test_span_scheme_is_read_from_the_labels(labels, scheme):
    assert span_scheme(labels) == scheme


def test_spans_need_both_ends_and_the_type_right():
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-LOC"]]
    predicted = [["B-PER", "O", "O", "B-LOC"], ["O", "B-PER"]]
    spans = tagging_metrics(gold, predicted, [["w"] * 4, ["w"] * 2]).span_scores
    assert (spans.scheme, spans.support) == ("IOB2", 3)
    assert (spans.precision, spans.recall, spans.f1) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert [(score.label, score.support) for score in spans.per_type] == [("LOC", 2), ("PER", 1)]
    assert spans.per_type[0].recall == 1 / 2


@pytest.mark.parametrize("prefixes", ["BIO", "BIOES"])
def test_span_scores_equal_those_of_seqeval(prefixes):
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2, IOBES

    source = random.Random(3)
    choices = ["O"] + [f"{prefix}-{name}" for prefix in prefixes.replace("O", "") for name in ("A", "B-C")]
    gold = [[source.choice(choices) for _ in range(8)] for _ in range(50)]
    predicted = [[x if source.random() < 0.8 else source.choice(choices) for x in sentence] for sentence in gold]
    spans = tagging_metrics(gold, predicted, gold).span_scores
    scheme = IOB2 if prefixes == "BIO" else IOBES
    assert spans.f1 == pytest.approx(f1_score(gold, predicted, mode="strict", scheme=scheme))


def test_plain_labels_have_no_spans_and_no_counts_no_unknown_words():
    metrics = tagging_metrics(GOLD, PREDICTED, WORDS)
    assert metrics.span_scores is None
    assert metrics.unknown_accuracy is None
    assert metrics.num_unknown == 0
    assert metrics.by_frequency == []


def test_an_empty_sentence_changes_no_score():
    with_empty = tagging_metrics([*GOLD, []], [*PREDICTED, []], [*WORDS, []])
    assert with_empty.to_dict() == tagging_metrics(GOLD, PREDICTED, WORDS).to_dict()


def test_metrics_are_plain_json():
    metrics = tagging_metrics(GOLD, PREDICTED, WORDS, {"dog": 1})
    values = metrics.to_dict(per_sentence=True)
    assert json.loads(json.dumps(values)) == values
    assert "correct_per_sentence" not in metrics.to_dict()


@pytest.mark.parametrize(
    ("gold", "predicted", "words", "message"),
    [
        ([["A"]], [["A"], ["B"]], [["x"]], "1 gold, 2 predicted and 1 word"),
        ([["A"], ["A"]], [["A"], ["A", "B"]], [["x"], ["y"]], "sentence 2"),
        ([[]], [[]], [[]], "no tokens to score"),
    ],
)
def test_shapes_that_differ_are_refused(gold, predicted, words, message):
    with pytest.raises(DataError, match=message):
        tagging_metrics(gold, predicted, words)


@pytest.mark.parametrize(
    "module",
    ["metrics", "classification", "significance", "report", "plots", "tagging_report", "classification_report"],
)
def test_importing_loads_no_heavy_library(module):
    code = f"import sys, nlp_lstm.evaluation.{module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "sklearn", "scipy", "matplotlib", "seqeval", "numpy", "jinja2"} & set(loaded)

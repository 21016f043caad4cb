"""What a tagger learns from teachers."""

import gzip

import pytest
import torch
from samples import TAGGED, split_running_text, tagged_examples, tiny_model, tiny_recipe, without_corpora

import nlp_lstm.workshop as workshop_module
from nlp_lstm.data.example import TaggedExample
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.inference.opening import open_model
from nlp_lstm.nn.loss import label_loss_per_token
from nlp_lstm.opinions import gather_opinions
from nlp_lstm.runs import run_recipe
from nlp_lstm.tasks import TaggingTask, predict_examples
from nlp_lstm.tasks.tag_targets import LEAST_LIKELY, likely_labels, make_targets, taught_sentences
from nlp_lstm.text.document import Document
from nlp_lstm.text.vocabulary import Vocabulary

LABELS = Vocabulary.build({"NOUN": 3, "VERB": 2, "ADJ": 1}, specials=())


def sentence(text: str, *labels: str) -> TaggedExample:
    return TaggedExample(document=Document.from_words(text.split()), labels={"upos": labels} if labels else {})


def test_a_label_that_is_hardly_likely_is_left_out_and_the_others_sum_to_one():
    logits = torch.tensor([[[0.7, 0.299, 0.001], [1.0, 0.0, 0.0]], [[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]]]).log()
    found = likely_labels(logits, [1, 2], ["a", "b", "c"])
    assert LEAST_LIKELY > 0.001
    assert found[0] == ({"a": pytest.approx(0.7 / 0.999, abs=1e-4), "b": pytest.approx(0.299 / 0.999, abs=1e-4)},)
    assert found[1] == ({"a": 0.1, "b": 0.2, "c": 0.7}, {"a": 0.5, "b": 0.25, "c": 0.25})


def test_teachers_have_their_weight_beside_a_label_and_all_where_there_is_none():
    opinions = [{"upos": [{"NOUN": 0.75, "VERB": 0.25}]}] * 2
    known, unknown = taught_sentences([sentence("book", "ADJ"), sentence("book")], opinions, 0.5)
    assert known.targets == {"upos": ({"NOUN": 0.375, "VERB": 0.125, "ADJ": 0.5},)}
    assert unknown.targets == {"upos": ({"NOUN": 0.75, "VERB": 0.25},)}
    targets = make_targets([known, sentence("a book", "ADJ", "NOUN")], "upos", LABELS, 3)
    assert targets.tolist() == [[[0.375, 0.125, 0.5], [0] * 3, [0] * 3], [[0, 0, 1], [1, 0, 0], [0] * 3]]


def test_a_distribution_too_few_is_refused():
    with pytest.raises(DataError, match='column "upos" has 1 labels for 2 tokens'):
        TaggedExample(document=Document.from_words(["a", "book"]), labels={}, targets={"upos": ({"NOUN": 1.0},)})


def test_sure_targets_have_the_loss_of_labels():
    logits = torch.randn(2, 3, 3)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    labels = torch.tensor([[0, 2, 1], [1, 0, 0]])
    sure = torch.nn.functional.one_hot(labels, 3).float()
    for smoothing in (0.0, 0.1):
        expected = label_loss_per_token(logits, labels, mask, smoothing)
        torch.testing.assert_close(label_loss_per_token(logits, sure, mask, smoothing), expected)


def test_opinions_are_the_probabilities_of_the_answers(tmp_path):
    opened = open_model(tiny_model())
    examples = list(tagged_examples()[:5])
    opinions = gather_opinions(opened.task, [opened.model], examples, tmp_path, lambda line: None)
    answers = predict_examples(opened.task, opened.model, examples)
    for opinion, answer in zip(opinions, answers, strict=True):
        for column, labels in answer.labels.items():
            for found, label, score in zip(opinion[column], labels, answer.scores[column], strict=True):
                assert max(found, key=found.__getitem__) == label
                assert score - 1e-4 <= found[label] <= score + 0.1  # the unlikely ones' share goes to the others
                assert sum(found.values()) == pytest.approx(1, abs=1e-3)
        assert answer.distributions == {}


def test_a_chain_of_labels_has_no_teachers():
    task = TaggingTask.prepare(tiny_recipe("model.head=crf").model, tagged_examples())
    with pytest.raises(ConfigError, match=r"a tagger with a CRF cannot be distilled; .*model\.head=linear"):
        task.teach([], [], 0.5)


def test_a_tagger_learns_from_running_text_what_its_teachers_say_of_it(tmp_path, monkeypatch):
    corpora = tmp_path / "corpora"
    (corpora / "wikitext-2").mkdir(parents=True)
    lines = split_running_text(corpora) / "train.txt"
    for split in ("train", "valid", "test"):
        (corpora / "wikitext-2" / f"wiki.{split}.tokens.gz").write_bytes(gzip.compress(lines.read_bytes()))
    taught, train = [], workshop_module.train
    monkeypatch.setattr(
        workshop_module,
        "train",
        lambda task, training, *rest, **more: taught.append(training) or train(task, training, *rest, **more),
    )
    overrides = ("distillation.teachers=1", "distillation.unlabelled=[wikitext-2]", "model.hidden=8")
    recipe = tiny_recipe(*overrides, "distillation.share=0.5", "baselines.words=false", tokens=300)
    with without_corpora():
        monkeypatch.setenv("NLP_LSTM_DATA", str(corpora))
        run_recipe(recipe, tmp_path / "run", data=TAGGED)
    of_teacher, of_student = taught
    assert all(example.labels and not example.targets for example in of_teacher)
    told = [example for example in of_student if not example.labels]
    assert told
    assert all(len(example.targets["upos"]) == len(example.document) for example in of_student)
    assert len(of_student) == len(of_teacher) + len(told)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "ensemble of the 1 teachers" in page
    assert "wikitext-2" in page

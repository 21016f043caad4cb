import pytest
import torch
from samples import span_examples, tagged_examples, tiny_pipeline, tiny_recipe
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from nlp_lstm.data.example import TaggedExample
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.tasks import TaggingTask, predict_examples
from nlp_lstm.tasks.labels import LARGEST_UNKNOWN_SHARE, RESULT_KEYS
from nlp_lstm.tasks.tagging import WINDOW_SIZE
from nlp_lstm.text.document import Document
from nlp_lstm.training import train

TEXT = "The old ferry leaves at six."


def example(text: str, **labels: str) -> TaggedExample:
    """An example from words and labels with spaces between."""
    columns = {column: tuple(values.split()) for column, values in labels.items()}
    return TaggedExample(document=Document.from_words(text.split()), labels=columns)


def fit(tmp_path, examples, *overrides, tokens=3_000):
    recipe = tiny_recipe(*overrides, tokens=tokens)
    task = TaggingTask.prepare(recipe.model, examples)
    return task, train(task, examples, examples, recipe.training, tmp_path)


# ---- columns


def test_both_columns_of_the_treebank_are_learnt():
    task = TaggingTask.prepare(tiny_recipe().model, tagged_examples())
    assert list(task.labels) == ["upos", "xpos"]
    assert task.main_column == "upos"
    assert {"NOUN", "VERB", "PUNCT"} <= {*task.labels["upos"].tokens}
    assert "VBZ" in task.labels["xpos"]


def test_the_label_option_chooses_the_entity():
    usual = tiny_pipeline().predict(TEXT)
    chosen = tiny_pipeline().predict(TEXT, label="xpos")
    for one, other in zip(usual, chosen, strict=True):
        assert (one["entity"], one["score"], one["xpos"], one["xpos_score"]) == (
            other["upos"],
            other["upos_score"],
            other["entity"],
            other["score"],
        )
    assert tiny_pipeline().predict(TEXT, label="upos") == usual


@pytest.mark.parametrize("label", ["xpso", "", 3, ["xpos"], {}])
def test_an_unknown_label_column_lists_the_known_ones(label):
    with pytest.raises(ConfigError, match=r"unknown label column .*; this model has upos, xpos"):
        tiny_pipeline().predict(TEXT, label=label)


@pytest.mark.parametrize("labels", [("xpos",), ("xpos", "upos"), ("upos",)])
def test_model_labels_chooses_the_columns_the_main_one_first(labels):
    settings = tiny_recipe(f"model.labels=[{','.join(labels)}]").model
    task = TaggingTask.prepare(settings, tagged_examples())
    assert tuple(task.labels) == labels
    assert task.main_column == labels[0]


@pytest.mark.parametrize("labels", ["[feats]", "[upos,feats]", "[]"])
def test_model_labels_that_the_data_lacks_are_refused(labels):
    settings = tiny_recipe(f"model.labels={labels}").model
    with pytest.raises(ConfigError, match=r"model\.labels asks for .*; the data's columns are upos, xpos"):
        TaggingTask.prepare(settings, tagged_examples())


def test_with_several_unusual_columns_one_must_be_chosen():
    examples = [example("a b", column2="X Y", column3="Z Z")]
    with pytest.raises(ConfigError, match=r"columns column2, column3; choose with model\.labels"):
        TaggingTask.prepare(tiny_recipe().model, examples)
    task = TaggingTask.prepare(tiny_recipe("model.labels=[column3]").model, examples)
    assert list(task.labels) == ["column3"]


def test_the_one_column_of_a_file_is_taken_whatever_its_name():
    assert list(TaggingTask.prepare(tiny_recipe().model, [example("a b", tone="X Y")]).labels) == ["tone"]


@pytest.mark.parametrize("column", [*RESULT_KEYS, "part-of-speech", "x_score"])
def test_a_column_that_cannot_be_a_key_of_the_results_is_refused_before_training(column):
    examples = [example("a b", **{column: "X Y", "x": "Z Z"})]
    with pytest.raises(DataError, match=f"the label column '{column}' cannot be a key"):
        TaggingTask.prepare(tiny_recipe(f"model.labels=[x,{column}]").model, examples)


def test_the_keys_of_the_results_are_those_that_columns_cannot_have():
    [first, *_] = tiny_pipeline().predict(TEXT)
    assert tuple(first) == (*RESULT_KEYS, "xpos", "xpos_score")


def test_a_label_that_cannot_be_printed_is_refused_before_training():
    examples = [TaggedExample(document=Document.from_words(["a"]), labels={"label": ("X\x1b",)})]
    with pytest.raises(DataError, match=r"has the label 'X\\x1b'; labels are not empty"):
        TaggingTask.prepare(tiny_recipe().model, examples)


def test_no_example_at_all_is_an_error():
    with pytest.raises(DataError, match="no training example"):
        TaggingTask.prepare(tiny_recipe().model, [])


# ---- heads


def test_a_chain_of_labels_trains_and_its_scores_are_marginals(tmp_path):
    task, result = fit(tmp_path, tagged_examples()[:20], "model.head=crf", tokens=8_000)
    predictions = predict_examples(task, result.model, tagged_examples())
    assert task.score(tagged_examples()[:20], predictions[:20])["upos_accuracy"] > 0.9
    scores = [score for prediction in predictions for row in prediction.scores.values() for score in row]
    assert all(0 <= score <= 1 + 1e-6 for score in scores)  # sums of exponentials in fp32
    assert min(scores) < 0.9  # not all certain: these are probabilities, not ones


def test_span_labels_are_scored_with_the_f1_of_seqeval(tmp_path):
    examples = span_examples()
    task, result = fit(tmp_path, examples, "model.head=crf")
    assert task.main_column == "label"
    predictions = predict_examples(task, result.model, examples)
    scores = task.score(examples, predictions)
    assert list(scores) == ["label_span_f1", "label_accuracy"]
    gold = [list(one.labels["label"]) for one in examples]
    predicted = [list(one.labels["label"]) for one in predictions]
    assert scores["label_span_f1"] == pytest.approx(f1_score(gold, predicted, mode="strict", scheme=IOB2))
    assert "label" in task.report(examples, predictions, title="Names").metrics


def test_label_smoothing_keeps_the_scores_lower(tmp_path):
    plain = fit(tmp_path / "plain", tagged_examples()[:10])
    smooth = fit(tmp_path / "smooth", tagged_examples()[:10], "model.label_smoothing=0.3")

    def mean_score(task, result):
        predictions = predict_examples(task, result.model, tagged_examples()[:10])
        scores = [score for prediction in predictions for score in prediction.scores["upos"]]
        return sum(scores) / len(scores)

    assert mean_score(*smooth) < mean_score(*plain)


# ---- networks side by side


def side_by_side(count: int):
    """A tagger of several networks with fresh weights, and each of them as a tagger of its own."""
    task = TaggingTask.prepare(tiny_recipe(f"model.networks={count}").model, tagged_examples())
    torch.manual_seed(4)
    model = task.build_model().eval()
    single = TaggingTask.prepare(tiny_recipe().model, tagged_examples())
    alone = []
    for network in model.networks:
        alone.append(single.build_model().eval())
        own = {name: value for name, value in network.state_dict().items() if not name.startswith("beside.")}
        alone[-1].load_state_dict(own)
    return task, model, alone


def test_networks_side_by_side_answer_as_their_mean_and_learn_as_each_alone():
    task, model, alone = side_by_side(3)
    examples = tagged_examples()[:8]
    for found, expected in zip(
        predict_examples(task, model, examples), predict_examples(task, alone, examples), strict=True
    ):
        assert found.labels == expected.labels
        for column, scores in expected.scores.items():
            assert found.scores[column] == pytest.approx(scores, abs=1e-6)
    batch = task.make_batch(examples, with_labels=True)
    for network in (model, *alone):
        for part in network.modules():
            part.training = part is network  # as in training, but without dropout
    together = task.loss(model, model(batch), batch).item()
    losses = [task.loss(network, network(batch), batch).item() for network in alone]
    assert together == pytest.approx(sum(losses) / 3, rel=1e-5)
    assert len({round(loss, 4) for loss in losses}) == 3


def test_networks_side_by_side_train(tmp_path):
    task, result = fit(tmp_path, tagged_examples()[:20], "model.networks=2", tokens=8_000)
    predictions = predict_examples(task, result.model, tagged_examples()[:20])
    assert task.score(tagged_examples()[:20], predictions)["upos_accuracy"] > 0.9


def test_a_chain_of_labels_stands_alone():
    with pytest.raises(ConfigError, match="set networks to 1 or change the head"):
        tiny_recipe("model.networks=2", "model.head=crf")


# ---- answers


def test_a_known_sentence_is_tagged_as_in_training():
    results = tiny_pipeline().predict(TEXT)
    assert [result["entity"] for result in results] == ["DET", "ADJ", "NOUN", "VERB", "ADP", "NUM", "PUNCT"]
    assert all(0 <= result[key] <= 1 for result in results for key in ("score", "xpos_score"))


@pytest.mark.parametrize("length", [WINDOW_SIZE - 1, WINDOW_SIZE, WINDOW_SIZE + 1, 5_000])
def test_a_sentence_of_any_length_gets_one_label_per_token(length):
    words = ("the old ferry leaves at six and " * 1_000).split()[:length]
    results = tiny_pipeline().predict(words, pretokenized=True)
    assert [result["word"] for result in results] == words
    assert [result["index"] for result in results] == list(range(1, length + 1))


def test_where_a_long_sentence_is_cut_the_labels_stay_the_same():
    words = ("the old ferry leaves at six and " * 200).split()
    results = tiny_pipeline().predict(words, pretokenized=True)
    period = [result["entity"] for result in results[70:77]]
    assert [result["entity"] for result in results[70:1_330]] == period * 180  # no label changes at a cut


# ---- simple systems and the report


def test_the_baseline_gives_each_word_its_most_frequent_label():
    training = [
        example("the dog runs", upos="DET NOUN VERB"),
        example("the dog jumps", upos="DET NOUN VERB"),
        example("dog the fast", upos="VERB DET ADV"),
    ]
    task = TaggingTask.prepare(tiny_recipe().model, training)
    [(name, predictions)] = task.baseline_predictions(
        training, [], [example("the dog zebra fast", upos="X X X X")]
    ).items()
    assert name == "most frequent tag per word"
    # words seen once: runs VERB, jumps VERB, fast ADV; so a new word is a VERB
    assert predictions[0].labels["upos"] == ("DET", "NOUN", "VERB", "ADV")


def test_where_no_word_is_rare_a_new_word_gets_the_commonest_label():
    training = [example("a cat cat", upos="DET NOUN NOUN"), example("a cat", upos="DET NOUN")]
    task = TaggingTask.prepare(tiny_recipe().model, training)
    [predictions] = task.baseline_predictions(training, [], [example("zebra", upos="X")]).values()
    assert predictions[0].labels["upos"] == ("NOUN",)


def test_scores_are_shares_of_right_labels():
    task = TaggingTask.prepare(tiny_recipe().model, [example("a b c d", upos="X Y Z X", xpos="1 2 3 1")])
    gold = [example("a b c d", upos="X Y Z X", xpos="1 2 3 1"), example("a b", upos="Y Y", xpos="2 2")]
    [predictions] = task.baseline_predictions([example("a b c d", upos="X Y Z Z", xpos="1 2 3 1")], [], gold).values()
    assert task.score(gold, predictions) == pytest.approx({"upos_accuracy": 4 / 6, "xpos_accuracy": 5 / 6})


def test_the_report_stands_the_model_beside_its_rivals():
    pipeline, examples = tiny_pipeline(), tagged_examples()
    predictions = predict_examples(pipeline.task, pipeline._model, examples)
    rivals = pipeline.task.baseline_predictions(examples, [], examples)
    report = pipeline.task.report(examples, predictions, title="Tags", training=examples, rivals=rivals)
    assert [section.title for section in report.sections].count("Beside simpler systems") == 1
    assert set(report.metrics) == {"upos", "xpos"}
    scores = pipeline.task.score(examples, predictions)
    figures = {figure.name: figure.value for figure in report.figures}
    assert figures["Accuracy upos"] == pytest.approx(scores["upos_accuracy"])
    assert figures["Accuracy xpos"] == pytest.approx(scores["xpos_accuracy"])


def report_on(examples):
    pipeline = tiny_pipeline()
    return pipeline.task.report(examples, predict_examples(pipeline.task, pipeline._model, examples), title="Tags")


def with_columns(one: TaggedExample, **labels: tuple[str, ...]) -> TaggedExample:
    return TaggedExample(document=one.document, labels=labels)


def test_data_without_the_models_columns_cannot_be_reported():
    examples = [with_columns(one, lemma=one.labels["upos"]) for one in tagged_examples()]
    with pytest.raises(DataError, match=r"label columns \(upos, xpos\) in every sentence; it has lemma"):
        report_on(examples)


def test_one_column_called_label_is_taken_as_the_main_column():
    examples = [with_columns(one, label=one.labels["upos"]) for one in tagged_examples()]
    report = report_on(examples)
    assert report.figures[0].value == report_on(tagged_examples()).figures[0].value
    assert report.lead.endswith('The data\'s one column "label" is taken as upos.')
    assert list(report.metrics) == ["upos"]


def test_a_column_in_part_of_the_sentences_is_not_scored_and_the_report_says_so():
    first, *others = tagged_examples()
    report = report_on([with_columns(first, upos=first.labels["upos"]), *others])
    assert list(report.metrics) == ["upos"]
    assert report.lead.endswith(f"Not scored: xpos, which 1 of {len(others) + 1} sentences lack.")


def with_unknown_labels(column: str, num_unknown: int) -> list[TaggedExample]:
    """The hand-tagged sentences with a label that the model does not know at the first word of some."""
    return [
        with_columns(one, **{**one.labels, column: ("CONJ", *one.labels[column][1:])}) if row < num_unknown else one
        for row, one in enumerate(tagged_examples())
    ]


def test_a_few_labels_that_the_model_does_not_know_are_told():
    num_tokens = sum(len(one.document) for one in tagged_examples())
    report = report_on(with_unknown_labels("upos", 2))
    share = f"{200 / num_tokens:.2f}"
    assert f"upos: {share} % of the tokens have gold labels that the model does not know (CONJ)." in report.lead
    assert "upos: " not in report_on(tagged_examples()).lead


def test_another_tag_set_in_the_main_column_is_refused():
    num_tokens = sum(len(one.document) for one in tagged_examples())
    assert len(tagged_examples()) > LARGEST_UNKNOWN_SHARE * num_tokens
    with pytest.raises(DataError, match=r"upos: .* does not know \(CONJ\); the tag sets differ"):
        report_on(with_unknown_labels("upos", len(tagged_examples())))


def test_another_tag_set_in_a_further_column_is_not_scored():
    report = report_on(with_unknown_labels("xpos", len(tagged_examples())))
    assert list(report.metrics) == ["upos"]
    assert "Not scored: xpos; " in report.lead
    assert report.lead.endswith("so the tag sets differ.")


def test_a_label_that_the_model_never_saw_counts_as_an_error():
    pipeline = tiny_pipeline()
    examples = [example("The ferry", upos="DET BRANDNEW", xpos="DT NN")]
    predictions = predict_examples(pipeline.task, pipeline._model, examples)
    assert pipeline.task.score(examples, predictions)["upos_accuracy"] <= 0.5
    report = pipeline.task.report(examples, predictions, title="New", training=tagged_examples())
    assert report.figures[0].value <= 0.5
    assert "upos: 50.00 % of the tokens have gold labels that the model does not know (BRANDNEW)." in report.lead

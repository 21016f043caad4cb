import pytest
import torch
from samples import review_examples, tiny_classifier, tiny_sentiment_recipe

from nlp_lstm.evaluation.report import MarkedText, TextBlock
from nlp_lstm.tasks.explanation import (
    LONGEST,
    explain_batch,
    explanation_section,
    integrated_gradients,
    leave_one_out,
    margins,
)
from nlp_lstm.tasks.sentiment import ClassificationTask
from nlp_lstm.text.document import Document
from nlp_lstm.training import train


def tiny_net(*overrides: str):
    """A task and its untrained network in float64."""
    recipe = tiny_sentiment_recipe("model.hidden=4", "model.embedding.word_size=3", *overrides)
    task = ClassificationTask.prepare(recipe.model, review_examples())
    model = task.build_model().eval().double()
    if hasattr(model.backbone.encoder, "use_native"):
        model.backbone.encoder.use_native = False  # torch's kernels without a gradient are for float32 alone
    embed_words = model.backbone.embedding.embed_words
    model.backbone.embedding.embed_words = lambda features: embed_words(features).double()
    return task, model


def test_a_margin_is_the_log_odds_of_the_label():
    logits = torch.tensor([[1.0, 2.0, 5.0], [1.0, 1.0, 2.0]]).log()
    expected = torch.tensor([5 / 3, 1 / 3]).log()
    torch.testing.assert_close(margins(logits, torch.tensor([2, 1])), expected, atol=1e-6, rtol=0)  # float32


@pytest.mark.parametrize(
    ("pooling", "encoder"),
    [
        pytest.param(pooling, encoder, marks=pytest.mark.slow if encoder == "recurrent" and pooling != "max" else ())
        for pooling in ("attention", "last", "mean", "max")
        for encoder in ("recurrent", "window", "none")
    ],
)
def test_effects_are_the_integral_of_the_gradient_and_add_up_to_what_the_words_change(pooling, encoder):
    """Each word's share against central differences along its vector, on the way from zeros to the text."""
    task, model = tiny_net(f"model.pooling={pooling}", f"model.encoder={encoder}")
    rows = [review_examples()[number].document.words for number in (0, 5)]
    batch = task.batches.make_batch(rows)
    logits, effects = integrated_gradients(model, batch, steps=60)
    chosen = logits.argmax(1)
    with torch.no_grad():
        vectors = model.backbone.embedding.embed_words(batch.features)[batch.index]

        def found(inputs):
            return margins(model.classify(lambda start, end: inputs[:, start:end], batch.lengths), chosen)

        torch.testing.assert_close(effects.sum(1), found(vectors) - found(0 * vectors), atol=1e-3, rtol=0)
        step, row, place = 1e-5, 1, 2
        slopes = []
        for point in range(60):
            ends = []
            for change in (step, -step):
                inputs = (point + 0.5) / 60 * vectors
                inputs[row, place] += change * vectors[row, place]
                ends.append(float(found(inputs)[row]))
            slopes.append((ends[0] - ends[1]) / (2 * step))
        assert float(effects[row, place]) == pytest.approx(sum(slopes) / len(slopes), abs=1e-6)


def test_without_order_the_effects_of_a_linear_model_add_up_to_its_margin():
    task, model = tiny_net("model.pooling=mean", "model.encoder=none")
    torch.nn.init.zeros_(model.output.bias)
    batch = task.batches.make_batch([example.document.words for example in review_examples()[:8]])
    logits, effects = integrated_gradients(model, batch)
    torch.testing.assert_close(effects.sum(1), margins(logits, logits.argmax(1)), atol=1e-12, rtol=0)


def test_effects_are_zero_at_padding_and_leave_no_gradient_on_the_weights():
    task, model = tiny_net()
    batch = task.batches.make_batch([["quiet", "film"], ["a", "dull", "film", "."]], pad_to=6)
    _, effects = integrated_gradients(model, batch)
    assert not effects[0, 2:].any()
    assert not effects[1, 4:].any()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_leaving_a_word_out_is_the_difference_to_the_text_without_it():
    task, model = tiny_net()
    words = review_examples()[0].document.words
    found = leave_one_out(model, task.batches, words)
    with torch.no_grad():
        whole = model.read_tokens(task.batches.make_batch([words]))
        chosen = whole.argmax(1)
        for place, value in enumerate(found):
            without = model.read_tokens(task.batches.make_batch([words[:place] + words[place + 1 :]]))
            assert value == pytest.approx(float(margins(whole, chosen) - margins(without, chosen)), abs=1e-12)


@pytest.mark.parametrize("overrides", [("model.dropout=0.5", "model.input_dropout=0.3"), ("model.pooling=mean",)])
def test_the_strongest_word_of_a_review_speaks_for_or_against_the_label_by_both_measures(overrides, tmp_path):
    examples = review_examples()
    recipe = tiny_sentiment_recipe(*overrides, tokens=4_000)
    task = ClassificationTask.prepare(recipe.model, examples)
    model = train(task, examples, examples, recipe.training, tmp_path).model
    same_sign = []
    batch = task.batches.make_batch([example.document.words for example in examples])
    _, explained = explain_batch(model, batch, [example.document for example in examples])
    for example, effects in zip(examples, explained, strict=True):
        words = example.document.words
        strongest = max(range(len(words)), key=lambda place: abs(effects[place].score))
        same_sign.append((effects[strongest].score > 0) == (leave_one_out(model, task.batches, words)[strongest] > 0))
    # To first order both are the same; what a net learns by heart is steep, so single texts may differ.
    assert sum(same_sign) / len(same_sign) >= 0.9


def section_on(*texts: str):
    pipeline = tiny_classifier()
    documents = [Document.from_words(text.split()) for text in texts]
    return explanation_section(pipeline._model, pipeline.task.batches, pipeline.task.labels.tokens, documents)


def test_the_section_shows_the_words_and_how_well_both_measures_agree():
    text, marked = section_on("A quiet , wonderful film .", "The zip broke on the second day .").blocks
    assert isinstance(text, TextBlock)
    assert isinstance(marked, MarkedText)
    assert text.text.startswith("On 2 texts")
    assert " ".join(token.text for token in marked.lines[0].tokens) == "A quiet , wonderful film ."
    assert [line.remark for line in marked.lines] == ["POSITIVE", "NEGATIVE"]
    for line in marked.lines:
        assert 1 <= sum(token.is_focus for token in line.tokens) <= 2
        assert all(token.is_focus == bool(token.tip) for token in line.tokens)


@pytest.mark.parametrize("text", ["Dull .", "dull " * (LONGEST + 1), "no no no"])
def test_texts_on_which_ranks_say_nothing_or_that_are_long_are_left_out(text):
    [block] = section_on(text).blocks
    assert block.text == "No text has 3 to 100 words."

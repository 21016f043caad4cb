import dataclasses
import json
import random
import re

import pytest
from pages import ATTACK, Outline

from nlp_lstm.errors import DataError
from nlp_lstm.evaluation import plots
from nlp_lstm.evaluation import report as report_module
from nlp_lstm.evaluation.metrics import tagging_metrics
from nlp_lstm.evaluation.report import (
    CodeBlock,
    Figure,
    Plot,
    Report,
    Section,
    ShadedText,
    ShadedToken,
    Table,
    format_json,
)
from nlp_lstm.evaluation.sections import data_section, environment_section, history_section, recipe_section
from nlp_lstm.evaluation.tagging_report import comparison_table, tagging_report, tagging_sections, worst_errors


@pytest.fixture(scope="module")
def tagged():
    """Words, gold labels, predicted labels and scores of 40 random sentences."""
    source = random.Random(0)
    words = [[source.choice(["the", "dog", "sees", ATTACK]) for _ in range(source.randint(1, 30))] for _ in range(40)]
    gold = [[source.choice(["DET", "NOUN", "VERB"]) for _ in sentence] for sentence in words]
    predicted = [[tag if source.random() < 0.8 else "NOUN" for tag in sentence] for sentence in gold]
    scores = [[source.random() for _ in sentence] for sentence in words]
    return words, gold, predicted, scores


@pytest.fixture(scope="module")
def full_report(tagged):
    words, gold, predicted, scores = tagged
    metrics = tagging_metrics(gold, predicted, words, {"the": 120, "dog": 2})
    history = [
        {"step": 10 * i, "loss": 1 / i, "gradient_norm": 1.0, "tokens": 100 * i, "seconds": i} for i in range(1, 9)
    ]
    history += [{"step": 80, "dev_accuracy": 0.9, "dev_loss": 0.4, "learning_rate": 1e-3}]
    sections = [
        Section(title="Compared", blocks=[comparison_table([("LSTM", metrics), (ATTACK, metrics)], resamples=100)]),
        history_section(history),
        data_section("EWT", "a folder", "CC BY-SA 4.0", {"train.conllu": "0" * 64}, {"train": 12543}),
        recipe_section("task: pos\nmodel: {cell: lstm}\n"),
        environment_section({"Python": "3.11"}),
    ]
    return tagging_report(
        metrics, title="Tagging", words=words, gold=gold, predicted=predicted, scores=scores, sections=sections
    )


def test_the_page_is_self_contained_and_well_formed(full_report):
    outline = Outline(full_report.to_html())
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert all(address.startswith("#") and address[1:] in outline.ids for address in outline.addresses)
    assert not {"script", "link", "img", "iframe"} & set(outline.tags)
    assert outline.tags.count("svg") == 6


def test_text_from_outside_is_escaped(full_report):
    page = full_report.to_html()
    assert ATTACK not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    nasty = Report(
        title=ATTACK, task=ATTACK, lead=ATTACK, sections=[Section(title=ATTACK, blocks=[CodeBlock(code=ATTACK)])]
    )
    assert ATTACK not in nasty.to_html()


def test_one_plot_twice_on_a_page_keeps_ids_apart():
    plot = Plot(svg=plots.bar_plot(["a"], [1], title="T", y_label="y"))
    outline = Outline(Report(title="T", task="t", sections=[Section(title="S", blocks=[plot, plot])]).to_html())
    assert len(outline.ids) == len(set(outline.ids)) > 10


def test_only_plain_svg_is_taken_as_a_plot():
    for markup in ["<p>", "<svg><script/></svg>", '<svg onload="x()"></svg>']:
        with pytest.raises(DataError, match="not a plain <svg>"):
            Plot(svg=markup)


def test_writing_gives_a_page_and_its_numbers(full_report, tmp_path):
    path = full_report.write(tmp_path / "runs" / "pos")
    assert path.name == "report.html"
    assert path.read_text(encoding="utf-8") == full_report.to_html()
    values = json.loads((path.parent / "metrics.json").read_text(encoding="utf-8"))
    assert values["metrics"]["accuracy"] == values["figures"]["Accuracy"]["value"]
    assert values == full_report.to_dict()
    assert sorted(file.name for file in path.parent.iterdir()) == ["metrics.json", "report.html"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    Report(title="Old", task="pos").write(tmp_path)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(report_module.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        Report(title="New", task="pos").write(tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))["title"] == "Old"
    assert len(list(tmp_path.iterdir())) == 2


def test_the_same_report_is_the_same_bytes(full_report):
    assert full_report.to_html() == full_report.to_html()
    assert format_json(full_report.to_dict()) == format_json(full_report.to_dict())


def test_json_has_no_number_that_json_does_not_know():
    values = Report(title="T", task="lm", metrics={"loss": float("nan"), "curve": (1, float("inf"))}).to_dict()
    assert values["metrics"] == {"loss": None, "curve": [1, None]}


def test_format_json_reads_back_and_keeps_rows_of_numbers_together():
    values = {"b": {"matrix": [list(range(50)), list(range(50))]}, "a": [], "é": "ü", "list": [{"x": "y" * 90}] * 2}
    text = format_json(values)
    assert json.loads(text) == values
    assert list(json.loads(text)) == sorted(values)
    assert text.count("\n") < 20


def test_summary_shows_figures_with_intervals():
    figures = [
        Figure(
            name="Accuracy", value=0.963, interval=(0.96, 0.966), sample_size=25094, sample_unit="tokens", is_share=True
        ),
        Figure(name="BLEU", value=27.25, decimals=2, note="nrefs:1"),
    ]
    lines = Report(title="Tagging", subtitle="pos-en", task="pos", lead="Good.", figures=figures).summary().splitlines()
    assert lines[:2] == ["Tagging · pos-en", "Good."]
    assert re.split(r"\s{2,}", lines[-2]) == ["Accuracy", "96.3 %", "96.0–96.6 %", "25,094 tokens"]
    assert re.split(r"\s{2,}", lines[-1]) == ["BLEU", "27.25", "nrefs:1"]


def test_a_report_without_sections_renders():
    report = Report(title="T", task="pos")
    assert report.summary() == str(report) == "T"
    assert Outline(report.to_html()).open == []


def test_numeric_columns_are_found_and_ragged_rows_refused():
    table = Table(columns=["name", "n", "score"], rows=[["a", 1200, 0.12345], ["b", None, "96.1 %"]])
    assert table.is_numeric == [False, True, True]
    assert table.text_rows == [["a", "1,200", "0.1235"], ["b", "–", "96.1 %"]]
    with pytest.raises(DataError, match="row 1 has 1 cells for 2 columns"):
        Table(columns=["a", "b"], rows=[["x"]])


def test_worst_errors_are_those_the_model_was_surest_of(tagged):
    words, gold, predicted, scores = tagged
    wrong = [
        (score, word)
        for sentence in zip(words, gold, predicted, scores, strict=True)
        for word, right, given, score in zip(*sentence, strict=True)
        if right != given
    ]
    lines = worst_errors(words, gold, predicted, scores).lines
    shown = [[token.text for token in line.tokens if token.is_focus] for line in lines]
    assert shown == [[word] for _, word in sorted(wrong, reverse=True)[:20]]
    assert all(len(line.tokens) <= 27 for line in lines)


def test_a_perfect_tagger_has_no_errors_to_show(tagged):
    words, gold, *_ = tagged
    sections = tagging_sections(tagging_metrics(gold, gold, words), words=words, gold=gold, predicted=gold)
    assert [section.title for section in sections] == ["By tag", "Long sentences, rare words"]


def test_confused_pairs_are_counted_with_their_words():
    words, gold, predicted = [["a", "a", "b", "c"]], [["X", "X", "X", "Y"]], [["Y", "Y", "Y", "Y"]]
    metrics = tagging_metrics(gold, predicted, words)
    sections = tagging_sections(metrics, words=words, gold=gold, predicted=predicted)
    assert sections[1].blocks[0].rows == [["X", "Y", 3, "100.0 %", "100.0 %", "a (2), b"]]


def test_span_taggers_report_spans_first():
    gold, predicted = [["B-PER", "I-PER", "O"]] * 3, [["B-PER", "I-PER", "O"]] * 2 + [["B-PER", "O", "O"]]
    words = [["Ada", "Lovelace", "wrote"]] * 3
    metrics = tagging_metrics(gold, predicted, words)
    report = tagging_report(metrics, title="Names", words=words, gold=gold, predicted=predicted)
    assert report.sections[0].blocks[0].title == "Whole spans"
    assert "an F1 of 66.7 % on 3 whole spans" in report.lead
    assert {figure.name for figure in report.figures} >= {"Accuracy", "Span F1"}


def test_comparison_tests_each_system_against_the_first(tagged):
    words, gold, predicted, _ = tagged
    good, poor = tagging_metrics(gold, gold, words), tagging_metrics(gold, predicted, words)
    rows = comparison_table([("gold", good), ("model", poor)], resamples=1500).rows
    assert rows[0] == ["gold", "100.00 %", "100.00–100.00 %", "–", "–", "–"]
    assert rows[1][0] == "model"
    assert rows[1][4].startswith("−")
    assert rows[1][5] == "< 0.001"
    other = dataclasses.replace(poor, tokens_per_sentence=[1] * len(poor.tokens_per_sentence))
    with pytest.raises(DataError, match="different sentences"):
        comparison_table([("gold", good), ("other", other)])


def test_shaded_text_is_coloured_without_scripts_and_escaped():
    line = [ShadedToken(text=ATTACK, shade=0.25, tip=f"{ATTACK} bits"), ShadedToken(text="dog", shade=1)]
    for is_spaced, between in ((True, "</span> <span"), (False, "</span><span")):
        block = ShadedText(title="Excerpt", note="The stronger, the rarer.", lines=[line, []], is_spaced=is_spaced)
        page = Report(title="T", task="lm", sections=[Section(title="S", blocks=[block])]).to_html()
        outline = Outline(page)
        assert outline.open == []
        assert "script" not in outline.tags
        assert ATTACK not in page
        assert 'style="--shade:0.250" title="&lt;script&gt;alert(1)&lt;/script&gt; bits">&lt;script&gt;' in page
        assert f'{between} style="--shade:1.000">dog</span></p>' in page
        assert "<h3>Excerpt</h3>" in page
        assert "The stronger, the rarer." in page


@pytest.mark.parametrize("shade", [-0.1, 1.1, float("nan")])
def test_shades_lie_between_nothing_and_full(shade):
    with pytest.raises(DataError, match="'dog' has shade"):
        ShadedToken(text="dog", shade=shade)

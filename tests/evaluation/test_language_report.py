import dataclasses
import json
import math
import random

import numpy as np
import pytest
from pages import ATTACK, Outline

from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.evaluation.language_report import language_report
from nlp_lstm.evaluation.perplexity import ScoredLine, perplexity_metrics
from nlp_lstm.evaluation.report import ShadedText
from nlp_lstm.evaluation.surprise import excerpt_block, surprising_block, surprising_tokens

WORDS = ["the", "old", "dog", "sleeps", "<unk>", "river", ATTACK]
COUNTS = {"the": 40_000, "old": 2_000, "dog": 300, "sleeps": 12, "<unk>": 9_000, "<eos>": 20_000, ATTACK: 1}


def make_lines(num_lines=120, *, shift=0.0, seed=0):
    """Lines of random words with random surprise; ``shift`` nats are added to each token."""
    source = random.Random(seed)
    lines = []
    for _ in range(num_lines):
        words = [source.choice(WORDS) for _ in range(source.randint(1, 60))]
        nats = [1 + source.gammavariate(2, 2) + shift for _ in range(len(words) + 1)]
        text = " ".join(words)
        lines.append(
            ScoredLine(
                tokens=(*words, "<eos>"),
                log_probabilities=-np.array(nats, dtype=np.float32),
                has_end=True,
                num_characters=len(text),
                num_words=len(words),
            )
        )
    return lines


def spelt(lines):
    """The same lines from a model of characters, each as surprising as another."""
    return [
        ScoredLine(
            tokens=("a",) * line.num_characters + ("<eos>",),
            log_probabilities=[-1.0] * (line.num_characters + 1),
            has_end=True,
            num_characters=line.num_characters,
            num_words=line.num_words,
        )
        for line in lines
    ]


def report_on(lines, **more):
    given = {"title": "Language model", "subtitle": "lm-en · test", "task": "lm", "vocabulary_size": 10_000}
    return language_report(lines, **{**given, "unit": "word", "resamples": 200, **more})


@pytest.fixture(scope="module")
def lines():
    return make_lines()


@pytest.fixture(scope="module")
def full_report(lines):
    return report_on(
        lines,
        training_counts=COUNTS,
        rivals={"5-gram": make_lines(shift=0.3), ATTACK: make_lines(shift=-0.5)},
        adapted={"Dynamic evaluation": make_lines(shift=-0.1)},
        samples=[("Temperature 0.8", ["the old dog\nsleeps", ATTACK])],
    )


def section_of(report, title):
    return next(section for section in report.sections if section.title == title)


def test_the_report_has_every_section(full_report):
    assert [section.title for section in full_report.sections] == [
        "What is counted",
        "Beside simpler systems",
        "Adapting to the text",
        "Rare and frequent tokens",
        "Place in the line",
        "Samples",
        "Where the surprise lies",
    ]
    names = [figure.name for figure in full_report.figures]
    assert names == ["Perplexity", "Perplexity without <eos>", "Bits per character"]
    assert not any(figure.is_share for figure in full_report.figures)
    perplexity = full_report.figures[0]
    assert perplexity.interval[0] < perplexity.value < perplexity.interval[1]


def test_the_lead_says_what_is_counted(full_report, lines):
    num_tokens = sum(len(line.tokens) for line in lines)
    for words in (
        f"Counted are {num_tokens:,} tokens of 120 lines: every word and one <eos> at the end of each line",
        "The vocabulary has 10,000 entries",
        "scored as <unk>",
    ):
        assert words in full_report.lead
    counted = section_of(full_report, "What is counted").blocks[0].text
    assert "published WikiText-2 figures also count the <eos> of empty lines" in counted


def test_what_was_not_given_is_left_out(lines):
    report = report_on([dataclasses.replace(line, tokens=("a",) * len(line.tokens), has_end=False) for line in lines])
    titles = [section.title for section in report.sections]
    assert titles == ["What is counted", "Place in the line", "Where the surprise lies"]
    assert "it holds every word of the text" in report.lead
    assert "line ends left out" in report.lead
    assert [figure.name for figure in report.figures] == ["Perplexity", "Bits per character"]


def test_the_page_is_well_formed_and_escapes_text_from_outside(full_report):
    page = full_report.to_html()
    outline = Outline(page)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert not {"script", "link", "img", "iframe"} & set(outline.tags)
    assert outline.tags.count("svg") == 2
    assert ATTACK not in page
    assert "<unk>" not in page
    assert "<eos>" not in page
    for section in full_report.sections:
        assert f"<h2>{section.title}</h2>" in page


def test_the_numbers_are_written_for_programs(full_report, lines, tmp_path):
    full_report.write(tmp_path)
    values = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    metrics = values["metrics"]
    assert values == full_report.to_dict()
    assert metrics["perplexity"] == values["figures"]["Perplexity"]["value"]
    assert metrics["vocabulary_size"] == 10_000
    assert set(metrics["rivals"]) == {"5-gram", ATTACK}
    assert metrics["rivals"]["5-gram"]["difference"]["nats"] == pytest.approx(0.3, abs=1e-6)
    assert metrics["adapted"]["Dynamic evaluation"]["difference"]["per"] == "token"
    worst = metrics["most_surprising"][0]
    assert lines[worst["line"] - 1].tokens[worst["position"] - 1] == worst["token"]


def test_rivals_are_tested_against_the_model(full_report):
    table = section_of(full_report, "Beside simpler systems").blocks[0]
    assert table.columns[5] == "Difference (nats per token)"
    assert [row[0] for row in table.rows] == ["this model", "5-gram", ATTACK]
    assert table.rows[0][5:] == ["–", "–"]
    assert [row[5] for row in table.rows[1:]] == ["+0.300 (+0.300 to +0.300)", "−0.500 (−0.500 to −0.500)"]
    assert [row[6] for row in table.rows[1:]] == ["0.005"] * 2  # 1 in 201, the smallest that 200 resamples allow


def test_adapted_figures_stand_apart_from_the_static_one(full_report, lines):
    text, table = section_of(full_report, "Adapting to the text").blocks
    assert "each token is read only after it was scored" in text.text
    assert [row[0] for row in table.rows] == ["at rest", "Dynamic evaluation"]
    assert full_report.figures[0].value == perplexity_metrics(lines, resamples=10).perplexity


def test_rivals_of_other_tokens_are_compared_by_character(lines):
    report = report_on(lines, rivals={"characters": spelt(lines)})
    text, table = section_of(report, "Beside simpler systems").blocks
    assert "different tokens" in text.text
    assert table.columns[5].endswith("(nats per character)")
    assert table.rows[1][3] == f"{1 / math.log(2):.3f}"
    with pytest.raises(DataError, match='"short": 119 and 120 lines'):
        report_on(lines, rivals={"short": lines[1:]})


@pytest.mark.parametrize("unit", ["subword", "character"])
def test_models_of_smaller_units_also_say_what_a_word_costs(lines, unit):
    report = report_on(spelt(lines), unit=unit, vocabulary_size=100)
    figure = report.figures[-1]
    assert figure.name == "Perplexity per word"
    assert figure.value == report.metrics["perplexity_per_word"]
    assert figure.sample_size == sum(line.num_words for line in lines)
    assert f"every {unit}" in report.lead
    assert Outline(report.to_html()).open == []


def test_one_line_alone_claims_no_interval_and_no_difference(lines):
    report = report_on(lines[:1], rivals={"5-gram": make_lines(1, shift=0.3)})
    assert "interval" not in report.lead
    assert report.figures[0].interval is None
    assert section_of(report, "Beside simpler systems").blocks[0].text_rows[1][5:] == ["–", "–"]
    assert "difference" not in report.metrics["rivals"]["5-gram"]
    assert Outline(report.to_html()).open == []


def test_bands_are_shown_with_their_sum(full_report):
    table, plot = section_of(full_report, "Rare and frequent tokens").blocks
    labels = [row[0] for row in table.rows]
    assert labels == ["never", "1–9", "10–99", "100–999", "1,000–9,999", "10,000+", "<unk>", "<eos>", "all"]
    assert sum(row[2] for row in table.rows[:-1]) == table.rows[-1][2]
    assert plot.svg.startswith("<svg")


def test_unknown_units_and_vocabularies_are_refused(lines):
    with pytest.raises(ConfigError, match=r'unit is "words".*Did you mean "word"'):
        report_on(lines, unit="words")
    with pytest.raises(ConfigError, match="vocabulary_size is 1"):
        report_on(lines, vocabulary_size=1)


def test_the_most_surprising_tokens_are_named_once_and_unk_never(lines):
    found = surprising_tokens(lines)
    tokens = [lines[row].tokens[column] for _, row, column in found]
    assert sorted(tokens) == sorted(set(WORDS) - {"<unk>"})
    assert [bits for bits, *_ in found] == sorted((bits for bits, *_ in found), reverse=True)
    bits, row, column = found[0]
    assert bits == pytest.approx(-float(lines[row].log_probabilities[column]) / math.log(2))
    shown = surprising_block(lines, found, "word").lines
    assert [[token.text for token in line.tokens if token.is_focus] for line in shown] == [[word] for word in tokens]
    assert shown[0].remark == f"{bits:.1f} bits"


def test_a_surprising_token_stands_in_its_context():
    words = tuple("abcdefghijklmnopqrstuvwxyz")
    nats = [1.0] * 26 + [0.5]
    nats[20] = 9.0
    line = ScoredLine(
        tokens=(*words, "<eos>"), log_probabilities=[-n for n in nats], has_end=True, num_characters=51, num_words=26
    )
    (shown,) = surprising_block([line], surprising_tokens([line], limit=1), "word").lines
    assert [token.text for token in shown.tokens] == ["…g h i j k l m n o p q r s t", "u", "v w x y z"]
    (shown,) = surprising_block([line], surprising_tokens([line], limit=1), "character").lines
    assert [token.text for token in shown.tokens] == ["abcdefghijklmnopqrst", "u", "vwxyz"]


def test_the_excerpt_is_as_surprising_as_the_text(lines):
    block = excerpt_block(lines, 2**12, "word")
    assert isinstance(block, ShadedText)
    tokens = [token for line in block.lines for token in line]
    assert len(tokens) == 150
    assert all(token.shade == pytest.approx(min(1, float(token.tip.split()[0]) / 12), abs=0.005) for token in tokens)
    mean = perplexity_metrics(lines, resamples=10).nats / math.log(2) / sum(len(line.tokens) for line in lines)
    assert sum(float(token.tip.split()[0]) for token in tokens) / 150 == pytest.approx(mean, rel=0.05)
    assert block.lines[0][-1].text == "↵"


def test_a_short_text_is_its_own_excerpt():
    line = ScoredLine(
        tokens=("▁ri", "ver", "<eos>"), log_probabilities=[-1, -20, 0.0], has_end=True, num_characters=5, num_words=1
    )
    block = excerpt_block([line], 16, "subword")
    assert [(token.text, token.shade) for token in block.lines[0]] == [
        (" ri", pytest.approx(1 / math.log(16))),
        ("ver", 1.0),
        ("↵", 0.0),
    ]
    assert not block.is_spaced

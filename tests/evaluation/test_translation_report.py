import dataclasses
import json

import numpy as np
import pytest
from pages import ATTACK, Outline
from translations import PAIRS, translate

from nlp_lstm.errors import DataError
from nlp_lstm.evaluation.report import Section, TextBlock
from nlp_lstm.evaluation.translation import CorpusCounts, ScoredTranslation, corpus_score, paired_difference
from nlp_lstm.evaluation.translation_examples import MOST_LOST, attention_plots, best_and_worst, lost_placeholders
from nlp_lstm.evaluation.translation_report import length_buckets, placeholder_figure, translation_report

ODD = [
    ("I am going & <b>you</b> too.", "मैं जा रहा हूँ।"),
    (ATTACK, ATTACK),
    ("a " * 40, "ein " * 40),
]
TITLES = [
    "What is measured",
    "Beside other systems",
    "By source length",
    "Word order",
    "Copied, cut and repeated",
    "Best and worst outputs",
    "Attention",
    "More",
]


def with_attention(translation):
    """The same translation with weights that grow along the source."""
    source, output = translation.source.split(), translation.output.split()
    weights = np.tile(np.arange(1, len(source) + 1, dtype=np.float32), (len(output), 1))
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1)
    return dataclasses.replace(translation, source_tokens=source, output_tokens=output, attention=weights)


def report_on(translations, **more):
    given = {"title": "Translation", "subtitle": "translate-en-de · test", "task": "translate", "language": "de"}
    return translation_report(translations, **{**given, "resamples": 100, **more})


@pytest.fixture(scope="module")
def translations():
    pairs = [*PAIRS, *ODD] * 3
    changed = [with_attention(translation) for translation in translate(pairs, 0.2)]
    return [dataclasses.replace(changed[0], is_cut=True), *changed[1:]]


@pytest.fixture(scope="module")
def rivals(translations):
    pairs = [(one.source, one.reference) for one in translations]
    return {"word by word": translate(pairs, 0.8, seed=1), ATTACK: translate(pairs, 0.0)}


@pytest.fixture(scope="module")
def full_report(translations, rivals):
    more = Section(title="More", blocks=[TextBlock(text="Training took an hour.")])
    return report_on(translations, rivals=rivals, placeholders=(19, 20), sections=[more])


def section_of(report, title):
    return next(section for section in report.sections if section.title == title)


def test_the_headline_is_sacrebleus_with_interval_and_signature(full_report, translations):
    figures = {figure.name: figure for figure in full_report.figures}
    assert list(figures) == ["BLEU", "chrF", "BLEU, lower-cased", "Placeholders kept"]
    for name, measure in (("BLEU", "bleu"), ("chrF", "chrf"), ("BLEU, lower-cased", "bleu_lower")):
        expected = corpus_score(translations, measure, resamples=100)
        assert (figures[name].value, figures[name].interval) == (expected.score, expected.interval)
        assert figures[name].note == expected.signature
        assert figures[name].sample_text == "33 sentences"
    assert figures["Placeholders kept"].display == "95.0 %"
    assert f"BLEU {figures['BLEU'].display} (95 % interval" in full_report.lead
    assert "1 cut at the length limit" in full_report.lead


def test_the_page_holds_everything_and_escapes_text_from_outside(full_report):
    page = full_report.to_html()
    outline = Outline(page)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert not {"script", "link", "img", "iframe", "b"} & set(outline.tags)
    assert outline.tags.count("svg") == 4
    assert ATTACK not in page
    assert "मैं जा रहा हूँ।" in page
    assert "tok:13a" in page
    assert [section.title for section in full_report.sections] == TITLES
    for title in TITLES:
        assert f"<h2>{title}</h2>" in page
    assert len(page) < 250_000


def test_the_numbers_are_written_for_programs(full_report, translations, rivals, tmp_path):
    full_report.write(tmp_path)
    values = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    metrics = values["metrics"]
    assert values == full_report.to_dict()
    assert metrics["bleu"]["score"] == values["figures"]["BLEU"]["value"]
    assert "tok:13a" in metrics["bleu"]["signature"]
    assert (metrics["language"], metrics["num_sentences"]) == ("de", 33)
    assert metrics["placeholders"] == {"kept": 19, "total": 20}
    assert metrics["checks"]["num_cut"] == 1
    assert 0 < metrics["word_order"]["ribes"] <= 1
    found = metrics["rivals"]["word by word"]["difference"]["chrf"]
    expected = paired_difference(rivals["word by word"], translations, "chrf", resamples=100)
    assert (found["points"], tuple(found["interval"]), found["p_value"]) == expected


def test_rivals_are_tested_against_the_model(full_report):
    (table,) = section_of(full_report, "Beside other systems").blocks
    assert [row[0] for row in table.rows] == ["this model", "word by word", ATTACK]
    assert table.columns[1:4] == ["BLEU", "Against this model", "p"]
    assert table.rows[0][2:4] == ["–", "–"]
    worse, better = table.rows[1:]
    assert worse[2].startswith("−")
    assert better[2].startswith("+")
    assert worse[3] == better[3] == "0.010"  # 1 in 101, the smallest that 100 resamples allow
    assert table.is_numeric[1:] == [True] * 7
    (order,) = section_of(full_report, "Word order").blocks
    assert float(order.rows[1][1]) < float(order.rows[0][1]) < float(order.rows[2][1])


def test_rivals_must_translate_the_same_sentences(translations):
    with pytest.raises(DataError, match='"short": 33 and 32 translations'):
        report_on(translations, rivals={"short": translations[1:]})


def test_every_sentence_falls_into_one_length_bucket(full_report, translations):
    table, plot = section_of(full_report, "By source length").blocks
    assert [row[0] for row in table.rows] == ["1–5", "6–10", "11–15", "31+", "all"]
    assert sum(row[3] for row in table.rows[:-1]) == table.rows[-1][3] == len(translations)
    assert "n = 3" in plot.svg
    lengths = [*range(0, 40), 2000]
    texts = [ScoredTranslation(source="a " * length, reference="b", output="b") for length in lengths]
    counts = {measure: CorpusCounts(texts, measure) for measure in ("bleu", "chrf")}
    found = length_buckets(texts, counts)
    assert [bucket.num_sentences for bucket in found] == [6, 5, 5, 5, 10, 10]
    assert {bucket.chrf for bucket in found} == {100}


def test_bucket_scores_are_those_of_their_sentences(full_report, translations):
    short = [translation for translation in translations if len(translation.source.split()) <= 5]
    bucket = full_report.metrics["by_length"][0]
    assert bucket["bleu"] == corpus_score(short).score
    assert bucket["chrf"] == corpus_score(short, "chrf").score


def test_the_worst_and_the_best_stand_beside_their_references(translations):
    scores = CorpusCounts(translations, "chrf").sentence_scores()
    worst, best = best_and_worst(translations, scores, limit=4)
    assert (worst.title, best.title) == ("Worst outputs", "Best outputs")
    for block, expected in ((worst, sorted(scores)[:4]), (best, sorted(scores)[-4:][::-1])):
        remarks = [line.remark for line in block.lines]
        assert remarks[::3] == ["source"] * 4
        assert remarks[1::3] == ["reference"] * 4
        assert remarks[2::3] == [f"chrF {score:.0f}" for score in expected]


def test_words_that_are_not_in_the_reference_are_marked():
    (block,) = best_and_worst(
        [ScoredTranslation(source="A dog runs.", reference="Ein Hund rennt.", output="Ein dog läuft.")], [50.0]
    )
    assert [(token.text, token.is_wrong, token.tip) for token in block.lines[2].tokens] == [
        ("Ein", False, ""),
        ("dog", True, "stands in the source"),
        ("läuft.", True, "not in the reference"),
    ]


def test_empty_and_endless_outputs_can_be_shown():
    texts = [ScoredTranslation(source="a", reference="b", output=output) for output in ("", "x" * 10_000)]
    worst, best = best_and_worst(texts, [0.0, 1.0])
    assert [token.text for token in worst.lines[2].tokens] == ["no output"]
    assert len(best.lines[2].tokens[0].text) == 400


def test_heat_maps_show_good_middling_and_poor_outputs_that_fit(translations):
    scores = CorpusCounts(translations, "chrf").sentence_scores()
    drawn = attention_plots(translations, scores)
    titles = [plot.title for plot in drawn]
    assert len(set(titles)) == 3
    shown = [float(title.split()[1].rstrip(":")) for title in titles]
    assert shown == sorted(shown, reverse=True)
    assert attention_plots([dataclasses.replace(one, attention=None) for one in translations], scores) == []
    assert len(attention_plots(translations[:1], scores[:1])) == 1
    long = with_attention(ScoredTranslation(source="a " * 31, reference="b", output="b b"))
    assert attention_plots([long], [1.0]) == []


def test_no_sentences_make_a_report_all_the_same(tmp_path):
    report = report_on([], rivals={"other": []}, placeholders=(0, 0))
    assert report.lead == "There were no sentences to translate."
    assert [section.title for section in report.sections] == ["What is measured"]
    assert [figure.value for figure in report.figures] == [0, 0, 0]
    assert Outline(report.write(tmp_path).read_text("utf-8")).open == []


@pytest.mark.parametrize("output", ["", "Ein Hund rennt."])
def test_one_sentence_alone_claims_no_interval_and_no_difference(output):
    translation = ScoredTranslation(source="A dog runs.", reference="Ein Hund rennt.", output=output)
    report = report_on([translation], rivals={"other": [translation]})
    assert "interval" not in report.lead
    assert report.figures[0].interval is None
    assert "difference" not in report.metrics["rivals"]["other"]
    assert section_of(report, "Beside other systems").blocks[0].rows[1][2:4] == ["–", "–"]
    assert Outline(report.to_html()).open == []


def test_all_outputs_empty_make_a_report():
    texts = [ScoredTranslation(source=source, reference=reference, output="") for source, reference in PAIRS]
    report = report_on(texts)
    assert report.figures[0].value == 0
    assert "Among the outputs: 8 empty." in report.lead
    assert Outline(report.to_html()).open == []


def test_texts_without_words_make_a_report():
    report = report_on([ScoredTranslation(source="?", reference="", output="…")] * 2)
    assert "Word order" not in [section.title for section in report.sections]
    assert Outline(report.to_html()).open == []


def test_impossible_numbers_of_placeholders_are_refused():
    assert placeholder_figure(3, 4).value == 0.75
    for kept, total in ((5, 4), (-1, 4), (0, 0)):
        with pytest.raises(DataError, match=f"{kept} of {total} placeholders"):
            placeholder_figure(kept, total)


def test_sentences_that_lost_placeholders_are_listed():
    lost = (["%d"], "Delete %d of {all}", "{all} löschen")
    (table,) = lost_placeholders([lost]).blocks
    assert table.rows == [["%d", "Delete %d of {all}", "{all} löschen"]]
    (many,) = lost_placeholders([lost] * 60).blocks
    assert len(many.rows) == MOST_LOST
    assert many.note == "The first 50 of 60."

import pytest
from sacrebleu.metrics import BLEU, CHRF

from nlp_lstm.errors import DataError
from nlp_lstm.evaluation.caption_report import attention_plot, caption_report
from nlp_lstm.evaluation.captions import Captioned, KindScore, Shown, caption_metrics, kind_score, split_caption

KINDS = {
    "objects": frozenset({"owl", "owls", "pear", "peach"}),
    "counts": frozenset({"two"}),
    "colours": frozenset({"mauve"}),
}
CAPTIONS = [
    Captioned(
        output="two owls above a pear", references=["a pear below two owls", "Two owls above a pear"], num_pictures=3
    ),
    Captioned(
        output="an owl on the left", references=["an owl, on the left", "there is an owl on the left"], num_pictures=1
    ),
    Captioned(output="a peach above a peach", references=["a peach above a pear"], num_pictures=2),
]


def test_bleu_and_chrf_are_those_of_sacrebleu_against_all_references():
    metrics = caption_metrics(CAPTIONS, KINDS)
    outputs = [caption.output for caption in CAPTIONS]
    streams = [[caption.references[0] for caption in CAPTIONS], [*(c.references[1] for c in CAPTIONS[:2]), None]]
    for order in (1, 4):
        expected = BLEU(lowercase=True, max_ngram_order=order).corpus_score(outputs, streams).score
        assert metrics.bleu[order] == pytest.approx(expected)
    assert metrics.chrf == pytest.approx(CHRF(lowercase=True).corpus_score(outputs, streams).score)
    assert metrics.bleu_interval[0] <= metrics.bleu[4] <= metrics.bleu_interval[1]


def test_exact_is_word_by_word_with_punctuation_and_without_capitals():
    assert [caption.is_exact for caption in CAPTIONS] == [True, False, False]
    assert caption_metrics(CAPTIONS, KINDS).exact == pytest.approx(1 / 3)
    assert split_caption("A dog, it's well-known.") == ["a", "dog", ",", "it's", "well-known", "."]
    assert split_caption("A dog", lower_case=False) == ["A", "dog"]


def test_words_of_a_kind_are_counted_as_often_as_they_stand_there():
    assert kind_score(CAPTIONS, KINDS["objects"]) == KindScore(hits=4, given=5, wanted=5)
    metrics = caption_metrics(CAPTIONS, KINDS)
    assert set(metrics.kinds) == {"objects", "counts"}  # no reference has a colour
    assert (metrics.kinds["counts"].precision, metrics.kinds["counts"].recall) == (1, 1)
    assert kind_score(CAPTIONS, frozenset()).precision is None


def test_the_report_shows_pictures_and_numbers_of_drawings(tmp_path):
    shown = [Captioned(**{**vars(caption), "shown": Shown(png=b"\x89PNG <&")}) for caption in CAPTIONS]
    rival = [Captioned(output="", references=caption.references) for caption in CAPTIONS]
    report = caption_report(shown, KINDS, title="Scenes", task="caption", rivals={"says nothing": rival})
    assert [figure.name for figure in report.figures] == [
        "BLEU-4",
        "Exact match",
        "Objects, precision",
        "Objects, recall",
    ]
    assert "33.3 % of 3 pictures" in report.lead
    page = report.write(tmp_path).read_text(encoding="utf-8")
    for words in ("says nothing", "By number of drawings", "data:image/png;base64,", "right: a peach above a pear"):
        assert words in page


def test_attention_lights_the_picture_for_each_word():
    plot = attention_plot(Shown(png=b"png"), ["<owl>", "</s>"], [[1, 0, 0, 0], [0.25] * 4], 2, "owl")
    assert plot.svg.count("<rect") == 3
    assert "&lt;owl&gt;" in plot.svg


def test_a_description_needs_a_reference():
    with pytest.raises(DataError, match="has no reference"):
        Captioned(output="x", references=[])
    with pytest.raises(DataError, match="no descriptions"):
        caption_metrics([], KINDS)

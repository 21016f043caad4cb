"""Outputs beside several right translations, in Hindi spelled one way or another."""

from __future__ import annotations

import pytest

from nlp_lstm.errors import DataError
from nlp_lstm.evaluation.references import mean_order, plain_spelling, score_output


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("बाज़ार", "बाजार"),
        ("बा\u091c\u093cार", "बा\u095bार"),
        ("हिन्दी बोलो।", "हिंदी बोलो"),
        ("मुम्बई", "मुंबई"),
        ("ठण्डा", "ठंडा"),
        ("हँस रहे हो?", "हंस रहे हो"),
        ("वह आयेगा।", "वह आएगा."),
        ("दीजिये", "दीजिए"),
        ("आयी", "आई"),
        ("गये", "गए"),
        ("गयीं।", "गईं।"),
        ("नयी साइकिल", "नई साइकिल"),
    ],
)
def test_spellings_of_a_word_are_one(one, other):
    assert plain_spelling(one) == plain_spelling(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("जा रहा हूँ", "जा रही हूँ"), ("पढ़ता", "पढ़ती"), ("नया", "नए"), ("समय", "सम"), ("संयोग", "संओग"), ("मध्ये", "मध्ए")],
)
def test_other_words_stay_others(one, other):
    assert plain_spelling(one) != plain_spelling(other)


def test_the_nearest_translation_counts():
    references = ["मैं जा रहा हूँ।", "मैं जा रही हूँ।"]
    found = score_output("मैं जा रही हूँ", references)
    assert (found.is_equal, found.nearest, found.order.ribes) == (True, references[1], 1.0)
    turned = score_output("हूँ जा मैं रही", references)
    assert not turned.is_equal
    assert turned.order.kendall < 0.5
    assert mean_order([found, turned]) == pytest.approx((1 + turned.order.ribes) / 2)
    assert mean_order([]) == 0
    with pytest.raises(DataError, match="no reference"):
        score_output("मैं", [])


def test_english_order_is_not_hindi_order():
    assert score_output("वह पढ़ती है किताब", ["वह किताब पढ़ती है।"]).order.kendall == pytest.approx(4 / 6)

import math

import pytest

from nlp_lstm.evaluation import plots
from nlp_lstm.evaluation.report import TextBlock
from nlp_lstm.evaluation.sections import history_section


def test_history_draws_only_what_was_logged():
    assert history_section([]).blocks == []
    section = history_section([{"step": 1, "loss": 2.0}, {"step": 2, "loss": None, "dev_accuracy": 0.5}])
    assert isinstance(section.blocks[0], TextBlock)
    assert "50.00 % at step 2" in section.blocks[0].text
    assert [block.title for block in section.blocks[1:]] == ["Loss and score"]


def test_long_histories_are_thinned():
    history = [{"step": step, "loss": 1 / step} for step in range(1, 50_001)]
    assert len(history_section(history).blocks[1].svg) < 60_000


def language_history(perplexities, **more):
    """Steps of a language model: its decisive score is below 0 and the best perplexity is the smallest."""
    history = [{"step": 10 * place, "loss": 5.0 - place / 10} for place in range(1, 5)]
    for place, perplexity in enumerate(perplexities, start=1):
        history.append(
            {"step": 100 * place, "dev_log_probability": -math.log(perplexity), "dev_perplexity": perplexity, **more}
        )
    return history


def test_language_models_show_the_best_perplexity():
    section = history_section(language_history([312.5, 98.416, 101.2]))
    assert section.blocks[0].text.endswith("Best development perplexity: 98.42 at step 200.")
    assert "%" not in section.blocks[0].text
    assert [block.title for block in section.blocks[1:]] == ["Loss", "Development perplexity"]


@pytest.mark.parametrize(("perplexities", "is_wide"), [([5000.0, 100.0], True), ([300.0, 100.0], False)])
def test_a_wide_perplexity_curve_has_a_logarithmic_axis(perplexities, is_wide, monkeypatch):
    drawn = {}
    draw = plots.line_plot
    monkeypatch.setattr(
        plots, "line_plot", lambda series, **more: drawn.update({more["title"]: more}) or draw(series, **more)
    )
    svg = history_section(language_history(perplexities)).blocks[-1].svg
    assert drawn["Development perplexity"]["log_y"] is is_wide
    assert "$" not in svg  # formulas are not set, so no number may be written as one


@pytest.mark.parametrize(
    ("key", "values", "shown"),
    [
        ("dev_log_probability", [-5.25, -4.5], "Best development log probability: -4.5 at step 2."),
        ("dev_bleu", [12.0, 27.25], "Best development bleu: 27.25 at step 2."),
        ("dev_accuracy", [0.5, 0.9633], "Best development accuracy: 96.33 % at step 2."),
    ],
)
def test_only_shares_are_shown_in_percent(key, values, shown):
    history = [{"step": step, key: value} for step, value in enumerate(values, start=1)]
    assert shown in history_section(history).blocks[0].text

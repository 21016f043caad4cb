import math
from collections.abc import Sequence

import numpy
import pytest
import torch
from samples import review_examples, tiny_sentiment_recipe

from nlp_lstm.evaluation.classification import expected_calibration_error
from nlp_lstm.evaluation.report import Table
from nlp_lstm.tasks import predict_examples
from nlp_lstm.tasks.calibration import (
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    best_temperature,
    calibration_section,
)
from nlp_lstm.tasks.sentiment import ClassificationTask


def draw(true_temperature: float, *, num_labels: int = 3, num_examples: int = 3_000) -> tuple[torch.Tensor, list[int]]:
    """Logits, and gold labels drawn from their softmax at a temperature: that one makes the scores right."""
    generator = numpy.random.default_rng(1)
    logits = torch.from_numpy(3 * generator.standard_normal((num_examples, num_labels)))
    shares = (logits / true_temperature).softmax(1).numpy()
    return logits, [int(generator.choice(num_labels, p=row)) for row in shares]


def error_at(logits: torch.Tensor, gold: Sequence[int], temperature: float) -> float:
    confidences, predicted = (logits / temperature).softmax(1).max(1)
    is_right = [one == other for one, other in zip(predicted.tolist(), gold, strict=True)]
    return expected_calibration_error(confidences.tolist(), is_right)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("num_labels", [2, 5])
def test_the_temperature_equals_a_grid_search_and_is_the_one_that_the_labels_were_drawn_at(
    true_temperature, num_labels
):
    logits, gold = draw(true_temperature, num_labels=num_labels)
    found = best_temperature(logits.softmax(1), torch.tensor(gold))
    grid = numpy.geomspace(LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE, 301)
    losses = [float(torch.nn.functional.cross_entropy(logits / step, torch.tensor(gold))) for step in grid]
    assert found == pytest.approx(float(grid[int(numpy.argmin(losses))]), rel=0.016)  # a step of the grid
    assert found == pytest.approx(true_temperature, rel=0.15)  # 3,000 draws


@pytest.mark.parametrize("true_temperature", [0.4, 2.0, 4.0])
def test_scores_that_were_too_sure_or_too_shy_become_calibrated(true_temperature):
    logits, gold = draw(true_temperature)
    found = best_temperature(logits.softmax(1), torch.tensor(gold))
    before, after = error_at(logits, gold, 1.0), error_at(logits, gold, found)
    assert before > 0.05
    assert after < 0.03 < before


def test_scores_that_are_right_stay_so():
    logits, gold = draw(1.0)
    found = best_temperature(logits.softmax(1), torch.tensor(gold))
    assert error_at(logits, gold, found) < error_at(logits, gold, 1.0) + 0.005


@pytest.mark.parametrize(("gold", "bound"), [(0, LOWEST_TEMPERATURE), (1, HIGHEST_TEMPERATURE)])
def test_the_temperature_stays_within_bounds_where_all_is_right_or_all_is_wrong(gold, bound):
    probabilities = torch.tensor([[0.9, 0.1]]).expand(20, 2)
    assert best_temperature(probabilities, torch.tensor([gold] * 20)) == pytest.approx(bound, rel=0.01)


def test_a_probability_of_zero_is_no_error():
    found = best_temperature(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1]))
    assert LOWEST_TEMPERATURE <= found <= HIGHEST_TEMPERATURE + 1e-3


def test_the_section_gives_the_errors_before_and_after():
    logits, gold_ids = draw(2.5)
    names = ("a", "b", "c")
    rows = [dict(zip(names, row, strict=True)) for row in (logits / 2.5).softmax(1).tolist()]
    section = calibration_section([names[label] for label in gold_ids], rows, 2.5)
    [table] = section.blocks
    assert isinstance(table, Table)
    (_, before, before_mean, accuracy), (name, after, after_mean, same) = table.rows
    assert name == "temperature 2.50"
    assert float(before) == pytest.approx(error_at(logits, gold_ids, 1.0), abs=1e-4)  # four digits are shown
    assert float(after) == pytest.approx(error_at(logits, gold_ids, 2.5), abs=1e-4)
    assert float(after_mean) < float(before_mean)
    assert accuracy == same


def test_calibrating_changes_no_answer_and_doing_it_twice_changes_nothing(tmp_path):
    examples = review_examples()
    task = ClassificationTask.prepare(tiny_sentiment_recipe("model.hidden=8").model, examples)
    model = task.build_model().eval()
    before = predict_examples(task, model, examples)
    task.calibrate(model, examples)
    once = float(model.temperature)
    after = predict_examples(task, model, examples)
    assert [one.label for one in after] == [one.label for one in before]

    def loss(predictions):
        return -sum(math.log(one.probabilities[two.label]) for one, two in zip(predictions, examples, strict=True))

    assert loss(after) <= loss(before) + 1e-6
    task.calibrate(model, examples)
    assert float(model.temperature) == pytest.approx(once, rel=1e-3)

"""Scores that mean what they say: one temperature for the softmax, chosen on development data.

Source: Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from nlp_lstm.evaluation.classification import expected_calibration_error
from nlp_lstm.evaluation.report import Section, Table
from nlp_lstm.tasks.classification import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE

_SMALLEST = 1e-12  # probability; below it the logarithm says nothing


def best_temperature(probabilities: Tensor, gold: Tensor) -> float:
    """Return the temperature that makes the gold labels most likely.

    Args:
        probabilities: `example label`, at temperature 1.
        gold: `example`, the right labels.
    """
    logits = probabilities.double().clamp_min(_SMALLEST).log()

    def loss(log_temperature: float) -> float:
        scaled = logits / torch.tensor(log_temperature).double().exp()
        return float(torch.nn.functional.cross_entropy(scaled, gold))

    bounds = (torch.tensor([LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE]).log()).tolist()
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return float(torch.tensor(float(found.x)).exp())


def calibration_section(
    gold: Sequence[str], probabilities: Sequence[Mapping[str, float]], temperature: float
) -> Section:
    """Say how well scores and accuracy agree, with the temperature and without.

    Args:
        gold: the right labels.
        probabilities: label to probability at ``temperature``.
        temperature: what the network's logits were divided by.
    """
    rows = []
    for name, power in (("as trained (temperature 1)", temperature), (f"temperature {temperature:.2f}", 1.0)):
        confidences, is_correct = [], []
        for right, row in zip(gold, probabilities, strict=True):
            raised = {label: max(share, _SMALLEST) ** power for label, share in row.items()}
            label = max(raised, key=lambda label: raised[label])
            confidences.append(raised[label] / sum(raised.values()))
            is_correct.append(label == right)
        error = expected_calibration_error(confidences, is_correct)
        mean = sum(confidences) / len(confidences)
        rows.append([name, f"{error:.4f}", f"{mean:.4f}", f"{sum(is_correct) / len(is_correct):.4f}"])
    table = Table(
        columns=["Scores", "Expected calibration error", "Mean score", "Accuracy"],
        rows=rows,
        note="The temperature was chosen on development data (Guo et al. 2017); it changes no answer.",
    )
    return Section(title="Temperature", blocks=[table])

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nlp_lstm.training.optim import WeightAverage, learning_rate_factor, make_optimizer, should_start_average


@pytest.mark.parametrize(("step", "expected"), [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (1000, 1.0)])
def test_the_rate_warms_up_in_a_straight_line(step: int, expected: float) -> None:
    assert learning_rate_factor("adamw", step, progress=0.0, warmup_steps=10) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("progress", "expected"),
    [(0.0, 1.0), (1 / 3, 0.75), (0.5, 0.5), (2 / 3, 0.25), (1.0, 0.0), (1.5, 0.0)],  # (1 + cos(pi x)) / 2
)
def test_the_rate_falls_by_half_a_cosine(progress: float, expected: float) -> None:
    assert learning_rate_factor("adamw", 1000, progress=progress, warmup_steps=10) == pytest.approx(expected, abs=1e-12)


def test_warm_up_and_cosine_multiply() -> None:
    expected = 3 / 10 * 0.5 * (1 + math.cos(math.pi * 0.2))
    assert learning_rate_factor("adamw", 2, progress=0.2, warmup_steps=10) == pytest.approx(expected)


def test_without_warm_up_the_first_step_has_the_full_rate() -> None:
    assert learning_rate_factor("adamw", 0, progress=0.0, warmup_steps=0) == 1.0


def test_the_optimizer_holds_only_what_is_trained() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    model[0].weight.requires_grad_(False)
    optimizer = make_optimizer("adamw", [model.parameters()], 0.01, 0.1)
    (group,) = optimizer.param_groups
    assert [id(parameter) for parameter in group["params"]] == [
        id(parameter) for parameter in model.parameters() if parameter.requires_grad
    ]
    assert (group["lr"], group["weight_decay"], group["betas"]) == (0.01, 0.1, (0.9, 0.99))


def test_the_optimizers_first_step_follows_adamws_formula() -> None:
    parameter = nn.Parameter(torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64))
    before = parameter.detach().clone()
    optimizer = make_optimizer("adamw", [[parameter]], 0.01, 0.1)
    parameter.grad = torch.tensor([0.5, 0.0, -4.0], dtype=torch.float64)
    optimizer.step()
    # After bias correction the first moments' ratio is the gradient's sign; decay is decoupled (Loshchilov, Hutter).
    expected = before * (1 - 0.01 * 0.1) - 0.01 * torch.tensor([1.0, 0.0, -1.0])
    torch.testing.assert_close(parameter.detach(), expected, atol=1e-8, rtol=0)  # the epsilon in the denominator


def make_model() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def test_the_weight_average_equals_a_plain_loop() -> None:
    model = make_model()
    average = WeightAverage(model)
    expected = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for decay in (0.0, 0.5, 0.2, 0.9, 0.99):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        average.update(model, decay)
        for name, parameter in model.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * parameter.detach()
    assert set(average.tensors) == set(expected)
    for name, tensor in average.tensors.items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-12, rtol=0)  # float64 rounding


def test_the_average_starts_from_the_weights_and_is_a_copy() -> None:
    model = make_model()
    average = WeightAverage(model)
    for name, parameter in model.named_parameters():
        assert torch.equal(average.tensors[name], parameter)
        assert average.tensors[name].data_ptr() != parameter.data_ptr()
        assert not average.tensors[name].requires_grad


def test_swapping_puts_the_average_in_and_swapping_twice_restores() -> None:
    model = make_model()
    average = WeightAverage(model)
    averaged = {name: tensor.clone() for name, tensor in average.tensors.items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    trained = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    holders = [id(parameter) for parameter in model.parameters()]

    average.swap(model)
    assert all(torch.equal(parameter, averaged[name]) for name, parameter in model.named_parameters())
    assert all(torch.equal(tensor, trained[name]) for name, tensor in average.tensors.items())
    average.swap(model)
    assert all(torch.equal(parameter, trained[name]) for name, parameter in model.named_parameters())
    assert all(torch.equal(tensor, averaged[name]) for name, tensor in average.tensors.items())
    assert [id(parameter) for parameter in model.parameters()] == holders, "the optimiser must keep its parameters"


# ---- plain gradient descent with averaged weights


@pytest.mark.parametrize(("step", "expected"), [(0, 0.1), (4, 0.5), (9, 1.0), (1000, 1.0)])
def test_the_rate_of_plain_descent_warms_up_and_stays(step: int, expected: float) -> None:
    for progress in (0.0, 0.5, 1.0):
        assert learning_rate_factor("nt-asgd", step, progress=progress, warmup_steps=10) == pytest.approx(expected)


def test_plain_descent_follows_the_gradient_and_decays() -> None:
    parameter = nn.Parameter(torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64))
    before = parameter.detach().clone()
    optimizer = make_optimizer("nt-asgd", [[parameter]], 0.5, 0.1)
    parameter.grad = torch.tensor([0.5, 0.0, -4.0], dtype=torch.float64)
    gradient = parameter.grad.clone()
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), before - 0.5 * (gradient + 0.1 * before), atol=1e-12, rtol=0)


def triggers_by_the_paper(losses: list[float], patience: int = 5) -> bool:
    """Algorithm 1 of Merity, Keskar and Socher, at its last check: ``t > n and v > min(logs[l], l in {0..t-n-1})``.

    Equal losses count as no better, too: the paper's ``>`` never fires on a run that stands still.
    """
    logs: list[float] = []
    fired = False
    for loss in losses:
        fired = len(logs) > patience and loss >= min(logs[:-patience])
        logs.append(loss)
    return fired


@given(st.lists(st.integers(0, 9), min_size=1, max_size=14))
def test_the_average_starts_where_the_papers_trigger_fires(losses: list[int]) -> None:
    assert should_start_average([-float(loss) for loss in losses]) == triggers_by_the_paper([float(x) for x in losses])


def test_a_score_that_keeps_getting_better_starts_no_average() -> None:
    assert not any(should_start_average(list(range(length))) for length in range(30))
    assert not should_start_average([3.0, 1.0, 1.0, 1.0, 1.0, 1.0]), "the best is only five evaluations ago"
    assert should_start_average([3.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])


def test_the_statistics_of_batch_normalisation_are_averaged_and_swapped_with_the_weights() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
    model[1].num_batches_tracked = None
    average = WeightAverage(model)
    model(torch.randn(4, 2, 5, 5) + 1)
    now = model[1].running_mean.clone()
    average.update(model, 0.75)
    average.swap(model)
    torch.testing.assert_close(model[1].running_mean, 0.25 * now)  # it began at zeros
    torch.testing.assert_close(average.tensors["1.running_mean"], now)
    average.swap(model)
    assert torch.equal(model[1].running_mean, now)

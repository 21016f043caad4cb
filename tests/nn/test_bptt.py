"""Backward passes by hand against autograd, in float64."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nlp_lstm.nn.bptt import PASSES, Gradients
from nlp_lstm.nn.cells import Cell, State
from nlp_lstm.nn.settings import cells

BATCH, TIME, INPUT_SIZE, HIDDEN_SIZE = 3, 7, 4, 5
TOLERANCE = 1e-10

every_cell = pytest.mark.parametrize("name", sorted(PASSES))


def make_cell(name: str) -> Cell:
    cell = cells.get(name)(INPUT_SIZE, HIDDEN_SIZE).double()
    for parameter in cell.parameters():
        parameter.data.normal_(std=0.5)
    return cell


def make_state(cell: Cell, inputs: Tensor) -> State:
    zeros = cell.initial_state(inputs)
    return type(zeros)(*(torch.randn_like(tensor).requires_grad_() for tensor in zeros))


def make_inputs() -> Tensor:
    return torch.randn(BATCH, TIME, INPUT_SIZE, dtype=torch.float64, requires_grad=True)


def by_autograd(
    cell: Cell, inputs: Tensor, state: State, d_outputs: Tensor, d_state: State, window: int | None
) -> tuple[Tensor, Gradients]:
    """The outputs, and gradients of a plain loop; between windows the state is cut off from the gradient."""
    current, outputs = state, []
    for time in range(TIME):
        if window is not None and time and time % window == 0:
            current = type(state)(*(tensor.detach() for tensor in current))
        current = cell.step(cell.project(inputs[:, time : time + 1])[:, 0], current)
        outputs.append(current.hidden)
    joined = torch.stack(outputs, dim=1)
    loss = (joined * d_outputs).sum() + sum((tensor * d).sum() for tensor, d in zip(current, d_state, strict=True))
    names = [name for name, _ in cell.named_parameters()]
    by_input, *rest = torch.autograd.grad(loss, [inputs, *state, *cell.parameters()])
    found = Gradients(by_input, tuple(rest[: len(state)]), dict(zip(names, rest[len(state) :], strict=True)))
    return joined.detach(), found


def assert_equal(found: Gradients, expected: Gradients) -> None:
    assert found.weights.keys() == expected.weights.keys()
    assert len(found.state) == len(expected.state)
    pairs = [
        (found.inputs, expected.inputs),
        *zip(found.state, expected.state, strict=True),
        *((found.weights[name], expected.weights[name]) for name in expected.weights),
    ]
    for one, other in pairs:
        torch.testing.assert_close(one, other, atol=TOLERANCE, rtol=TOLERANCE)
        assert one.any()


@every_cell
@pytest.mark.parametrize("window", [None, 1, 2, 3, 7, 100])
@torch.no_grad()
def test_the_equations_give_what_autograd_gives(name: str, window: int | None) -> None:
    with torch.enable_grad():
        cell, inputs = make_cell(name), make_inputs()
        state = make_state(cell, inputs)
        d_outputs = torch.randn(BATCH, TIME, HIDDEN_SIZE, dtype=torch.float64)
        d_state = make_state(cell, inputs)
        outputs, expected = by_autograd(cell, inputs, state, d_outputs, d_state, window)
    forward, backward = PASSES[name]
    weights = dict(cell.named_parameters())
    trace = forward(inputs, tuple(state), weights)
    torch.testing.assert_close(trace.hidden, outputs, atol=TOLERANCE, rtol=TOLERANCE)
    assert_equal(backward(trace, weights, d_outputs, tuple(d_state), window=window), expected)


@every_cell
@torch.no_grad()
def test_the_gradient_of_the_last_state_is_zero_unless_given(name: str) -> None:
    cell, inputs = make_cell(name), make_inputs()
    zeros = tuple(cell.initial_state(inputs))
    forward, backward = PASSES[name]
    weights = dict(cell.named_parameters())
    trace = forward(inputs, zeros, weights)
    d_outputs = torch.randn(BATCH, TIME, HIDDEN_SIZE, dtype=torch.float64)
    default, given = backward(trace, weights, d_outputs), backward(trace, weights, d_outputs, zeros)
    assert all(torch.equal(default.weights[key], given.weights[key]) for key in weights)


@every_cell
@torch.no_grad()
def test_no_gradient_crosses_the_border_of_a_window(name: str) -> None:
    cell, inputs = make_cell(name), make_inputs()
    forward, backward = PASSES[name]
    weights = dict(cell.named_parameters())
    trace = forward(inputs, tuple(make_state(cell, inputs)), weights)
    d_outputs = torch.zeros(BATCH, TIME, HIDDEN_SIZE, dtype=torch.float64)
    d_outputs[:, 5] = 1.0
    reached = backward(trace, weights, d_outputs, window=3).inputs.abs().sum(dim=(0, 2)) > 0
    assert reached.tolist() == [False, False, False, True, True, True, False]
    assert (backward(trace, weights, d_outputs).inputs.abs().sum(dim=(0, 2)) > 0).tolist() == [True] * 6 + [False]


@every_cell
@torch.no_grad()
def test_a_shorter_row_is_one_without_gradient_past_its_end(name: str) -> None:
    cell, inputs = make_cell(name), make_inputs()
    forward, backward = PASSES[name]
    weights = dict(cell.named_parameters())
    state = tuple(cell.initial_state(inputs))
    d_outputs = torch.randn(BATCH, TIME, HIDDEN_SIZE, dtype=torch.float64)
    short = backward(forward(inputs[:, :4], state, weights), weights, d_outputs[:, :4])
    d_outputs[:, 4:] = 0
    padded = backward(forward(inputs, state, weights), weights, d_outputs)
    for key in weights:
        torch.testing.assert_close(padded.weights[key], short.weights[key], atol=TOLERANCE, rtol=TOLERANCE)


def test_the_page_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "bptt.md").read_text(encoding="utf-8")
    [(code, output)] = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", page, re.DOTALL)
    exec(compile(code, "docs/bptt.md", "exec"), {})
    assert capsys.readouterr().out == output

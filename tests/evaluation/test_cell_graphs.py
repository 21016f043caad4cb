"""The drawn numbers are those of the passes by hand in nn/bptt.py, which autograd has checked."""

import math
import re
import xml.etree.ElementTree as ElementTree

import pytest
import torch
from typer.testing import CliRunner

from nlp_lstm.cli import app
from nlp_lstm.errors import ConfigError
from nlp_lstm.evaluation.cell_graphs import INPUTS, STATE, WEIGHTS, cell_graph, rule_graphs
from nlp_lstm.evaluation.graph_plot import graph_plot
from nlp_lstm.nn.bptt import PASSES
from nlp_lstm.nn.settings import cells

ONE_PER_UNIT = ("bias", "bias_ih", "bias_hh", "input_peephole", "forget_peephole", "output_peephole")


def weight_tensors(cell: str) -> dict[str, torch.Tensor]:
    tensors = {name: torch.tensor(values, dtype=torch.float64) for name, values in WEIGHTS[cell].items()}
    return {name: tensor if name in ONE_PER_UNIT else tensor[:, None] for name, tensor in tensors.items()}


@pytest.mark.parametrize("window", [None, 1, 2])
@pytest.mark.parametrize("steps", [1, 3, 5])
@pytest.mark.parametrize("cell", sorted(WEIGHTS))
def test_values_and_derivatives_are_those_of_the_passes_by_hand(cell, steps, window):
    graph, weights = cell_graph(cell, steps=steps, window=window), weight_tensors(cell)
    run_forward, run_backward = PASSES[cell]
    inputs = torch.tensor((INPUTS * 2)[:steps], dtype=torch.float64)[None, :, None]
    state = tuple(torch.full((1, 1), value, dtype=torch.float64) for value in STATE.values())
    trace = run_forward(inputs, state if "lstm" in cell or cell == "peephole" else state[:1], weights)
    d_outputs = torch.zeros(1, steps, 1, dtype=torch.float64)
    d_outputs[0, -1] = 1
    expected = run_backward(trace, weights, d_outputs, window=window)
    nodes = {node.name: node for node in graph.nodes}
    for step in range(steps):
        assert nodes[f"h({step + 1})"].value == pytest.approx(float(trace.hidden[0, step, 0]), rel=1e-12)
        gradient = float(expected.inputs[0, step, 0])
        assert nodes[f"x({step + 1})"].gradient == pytest.approx(gradient, rel=1e-9, abs=1e-15)
    for name, gradient in zip(STATE, expected.state, strict=False):
        assert nodes[f"{name}(0)"].gradient == pytest.approx(float(gradient), rel=1e-9, abs=1e-15)
    for name, gradient in expected.weights.items():
        for row, value in enumerate(gradient.flatten().tolist()):
            if f"{name}[{row}]" in graph.weight_gradients:
                assert graph.weight_gradients[f"{name}[{row}]"] == pytest.approx(value, rel=1e-9, abs=1e-15)
    assert len(graph.weight_gradients) == sum(map(len, WEIGHTS[cell].values()))


def test_the_weights_fit_the_cells_of_the_same_names():
    for cell in WEIGHTS:
        shapes = {name: list(weight.shape) for name, weight in cells.get(cell)(1, 1).named_parameters()}
        assert {name: list(weight.shape) for name, weight in weight_tensors(cell).items()} == shapes


def test_there_is_a_graph_of_every_cell_whose_passes_are_written_by_hand():
    assert set(WEIGHTS) == set(PASSES)
    with pytest.raises(ConfigError, match="gru, lstm, peephole, rnn"):
        cell_graph("sru")


def test_the_four_rules_hand_back_what_calculus_says():
    rules = rule_graphs()
    back = {
        name: {node.name: node.gradient for node in graph.nodes if node.operation == "input"}
        for name, graph in rules.items()
    }
    u, w = 0.5, -0.3
    sigmoid = 1 / (1 + math.exp(-math.tanh(u)))
    assert back["chain"] == {"u": pytest.approx(sigmoid * (1 - sigmoid) * (1 - math.tanh(u) ** 2))}
    by_sum = 1 - math.tanh(u + w) ** 2
    assert back["addition"] == {"u": pytest.approx(by_sum), "w": pytest.approx(by_sum)}
    by_edge = 1 - math.tanh(0.8 * u) ** 2
    assert back["weighted edge"] == {"u": pytest.approx(0.8 * by_edge)}
    assert rules["weighted edge"].weight_gradients == {"w": pytest.approx(u * by_edge)}
    by_product = 1 - math.tanh(u * w) ** 2
    assert back["product"] == {"u": pytest.approx(w * by_product), "w": pytest.approx(u * by_product)}


@pytest.mark.parametrize("arguments", [["graph", cell] for cell in sorted(WEIGHTS)] + [["rules"]])
def test_the_commands_draw_well_formed_svg(arguments, tmp_path):
    result = CliRunner().invoke(app, ["xray", *arguments])
    assert result.exception is None
    root = ElementTree.fromstring(result.stdout)
    assert root.get("role") == "img"
    written = CliRunner().invoke(app, ["xray", *arguments, "--output", str(tmp_path / "new" / "drawing.svg")])
    assert written.exception is None
    assert (tmp_path / "new" / "drawing.svg").read_text(encoding="utf-8").strip() == result.stdout.strip()


def test_a_drawing_shows_every_value_and_its_derivative():
    graph = cell_graph("gru")
    svg = graph_plot({"gru": graph}, title="A cell")
    written = re.findall(r">([^<>]+)</text>", svg)
    assert sum(words.startswith("e = ") for words in written) == len(graph.nodes)
    assert "h(2)" in written


def test_edges_that_cross_a_window_are_broken():
    svg = graph_plot({"lstm": cell_graph("lstm", window=1)}, title="A cell")
    assert svg.count("stroke-dasharray") == 5  # from h(1) to four sums, and along the carousel

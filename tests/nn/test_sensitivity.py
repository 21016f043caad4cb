"""Sensitivity against autograd's own Jacobian, gates against the passes of nn/bptt.py, radii against eigenvalues."""

import math

import pytest
import torch
from torch import nn

from nlp_lstm.nn.bptt import PASSES
from nlp_lstm.nn.recurrent import Recurrent
from nlp_lstm.nn.sensitivity import (
    cell_places,
    gate_openings,
    gradient_by_distance,
    half_distance,
    main_encoders,
    make_probes,
    mean_by_distance,
    measure_sensitivity,
    recorded_inputs,
    spectral_radii,
)
from nlp_lstm.nn.settings import cells

TIME, INPUT_SIZE, HIDDEN_SIZE = 6, 3, 5


def make_net(cell: str, *, num_layers: int = 1, is_bidirectional: bool = False) -> Recurrent:
    net = Recurrent(cell, INPUT_SIZE, HIDDEN_SIZE, num_layers=num_layers, is_bidirectional=is_bidirectional)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(std=0.5)
    return net.double().eval()


def make_inputs(time: int = TIME) -> torch.Tensor:
    return torch.randn(time, INPUT_SIZE, dtype=torch.float64)


def jacobian_norms(net: Recurrent, inputs: torch.Tensor) -> torch.Tensor:
    """The norms by autograd's reverse mode, one output at a time."""

    def run(rows: torch.Tensor) -> torch.Tensor:
        return net(rows[None], torch.tensor([len(rows)])).outputs[0]

    return torch.autograd.functional.jacobian(run, inputs).square().sum(dim=(1, 3)).sqrt()


@pytest.mark.parametrize("cell", list(cells))
def test_sensitivity_is_the_norm_of_the_jacobian(cell):
    net, inputs = make_net(cell, num_layers=2, is_bidirectional=True), make_inputs()
    torch.testing.assert_close(measure_sensitivity(net, inputs)[-1], jacobian_norms(net, inputs))


def test_each_layer_has_its_own_sensitivity():
    net, inputs = make_net("lstm", num_layers=2), make_inputs()
    first = Recurrent("lstm", INPUT_SIZE, HIDDEN_SIZE, is_bidirectional=False).double()
    first.layers[0].load_state_dict(net.layers[0].state_dict())
    torch.testing.assert_close(measure_sensitivity(net, inputs)[0], jacobian_norms(first, inputs))


def test_of_a_linear_recurrence_the_sensitivity_is_known():
    # h(t) = relu(w h(t-1) + v x(t)) with all positive: dh(t)/dx(t-k) = wᵏ v, halved at k = log 2 / log(1/w)
    net = Recurrent("rnn-relu", 1, 1, is_bidirectional=False).double()
    with torch.no_grad():
        net.layers[0][0].weight_hh.fill_(0.8)
        net.layers[0][0].weight_ih.fill_(0.5)
    curve = mean_by_distance(measure_sensitivity(net, torch.ones(8, 1, dtype=torch.float64))[0])
    assert curve == pytest.approx([0.5 * 0.8**distance for distance in range(8)], rel=1e-12)
    distance = half_distance(curve)
    assert distance is not None
    assert abs(distance - math.log(2) / math.log(1 / 0.8)) < 0.05  # straight between two distances
    assert spectral_radii(net.layers[0][0]) == {"state": pytest.approx(0.8)}


def test_a_curve_that_does_not_fall_has_no_half_distance():
    assert half_distance([1.0, 1.2, 0.6]) is None
    assert half_distance([2.0, 1.0]) == 1.0
    assert half_distance([]) is None


@pytest.mark.parametrize("is_bidirectional", [False, True])
def test_the_gradient_of_the_last_output_is_the_last_row(is_bidirectional):
    net, inputs = make_net("gru", num_layers=2, is_bidirectional=is_bidirectional), make_inputs()
    last_row = measure_sensitivity(net, inputs)[-1][-1]
    torch.testing.assert_close(gradient_by_distance(net, inputs), last_row.flip(0))


def test_few_probes_estimate_the_norm():
    # 16 orthonormal directions of 64: the relative error of a norm's estimate is some 10 percent, of a mean less
    torch.manual_seed(0)
    net = Recurrent("lstm", 64, 48, is_bidirectional=False).double()
    inputs = torch.randn(10, 64, dtype=torch.float64)
    exact = mean_by_distance(measure_sensitivity(net, inputs, num_probes=64)[0])
    estimate = mean_by_distance(measure_sensitivity(net, inputs, num_probes=16)[0])
    assert estimate == pytest.approx(exact, rel=0.15)


def test_probes_are_orthogonal_and_keep_the_sum_of_squares():
    probes = make_probes(12, 4)
    torch.testing.assert_close(probes @ probes.T, 3 * torch.eye(4, dtype=torch.float64))


@pytest.mark.parametrize("cell", sorted(PASSES))
def test_gate_openings_are_those_of_the_passes_by_hand(cell):
    net, inputs = make_net(cell), make_inputs()
    [(place, gates)] = gate_openings(net, inputs)
    zeros = torch.zeros(1, HIDDEN_SIZE, dtype=torch.float64)
    weights = {name: weight.detach() for name, weight in place.cell.named_parameters()}
    state = (zeros,) if cell in ("rnn", "gru") else (zeros, zeros)
    trace = PASSES[cell][0](inputs[None], state, weights)._asdict()
    assert set(gates) == {name.replace("_", " ") for name in trace if name.endswith("gate")}
    for name, opening in gates.items():
        torch.testing.assert_close(opening, trace[name.replace(" ", "_")][0])


@pytest.mark.parametrize("cell", list(cells))
def test_every_gate_has_a_value_at_every_step(cell):
    net = make_net(cell, num_layers=2, is_bidirectional=True)
    found = gate_openings(net, make_inputs())
    assert [place for place, _ in found] == cell_places(net)
    for place, gates in found:
        assert tuple(gates) == place.cell.gates
        assert all(
            opening.shape[0] == TIME and bool(((opening > 0) & (opening < 1)).all()) for opening in gates.values()
        )


def test_gates_of_a_backward_cell_stand_at_the_steps_of_the_text():
    net, inputs = make_net("lstm", is_bidirectional=True), make_inputs()
    alone = Recurrent("lstm", INPUT_SIZE, HIDDEN_SIZE, is_bidirectional=False).double()
    alone.layers[0][0].load_state_dict(net.layers[0][1].state_dict())
    [_, (_, backward)] = gate_openings(net, inputs)
    [(_, reference)] = gate_openings(alone, inputs.flip(0))
    for name, opening in backward.items():
        torch.testing.assert_close(opening, reference[name].flip(0))


@pytest.mark.parametrize("cell", list(cells))
def test_spectral_radii_are_those_of_the_eigenvalues(cell):
    [place] = cell_places(make_net(cell))
    blocks = place.cell.weight_hh.detach().split(list(place.cell.row_sizes)) if place.cell.rows else []
    expected = {
        name: float(torch.linalg.eigvals(block).abs().max())
        for name, block in zip(place.cell.rows, blocks, strict=True)
        if block.shape[0] == block.shape[1]
    }
    # the power is finite: ‖Uⁿ‖^(1/n) is above the radius by the n-th root of a constant
    assert spectral_radii(place.cell) == pytest.approx(expected, rel=3e-3)


def test_weights_of_zero_have_radius_zero():
    net = make_net("rnn")
    nn.init.zeros_(net.layers[0][0].weight_hh)
    assert spectral_radii(net.layers[0][0])["state"] == pytest.approx(0, abs=1e-6)


def test_the_longest_row_of_the_encoder_of_the_text_is_recorded():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = make_net("lstm")
            self.encoder = make_net("gru")

        def forward(self, inputs: torch.Tensor, lengths: torch.Tensor) -> None:
            self.embedding(inputs, lengths)
            self.encoder(inputs, lengths)
            self.encoder(inputs + 1, lengths)

    net, inputs = Net(), torch.randn(2, TIME, INPUT_SIZE, dtype=torch.float64)
    assert list(main_encoders(net)) == ["encoder"]
    with recorded_inputs(net) as found:
        net(inputs, torch.tensor([4, 6]))
    torch.testing.assert_close(found, {"encoder": inputs[1].float()})
    with recorded_inputs(net, limit=3) as found:
        net(inputs, torch.tensor([4, 6]))
    torch.testing.assert_close(found, {"encoder": inputs[1, :3].float()})
    assert not net.encoder._forward_pre_hooks

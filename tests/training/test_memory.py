"""What training records of a net's memory."""

import pytest
import torch
from torch import nn

from nlp_lstm.evaluation.sections import memory_section
from nlp_lstm.nn.recurrent import Recurrent
from nlp_lstm.nn.sensitivity import measure_sensitivity, recorded_inputs
from nlp_lstm.training.memory import measure_memory


class Net(nn.Module):
    def __init__(self, cell: str) -> None:
        super().__init__()
        self.encoder = Recurrent(cell, 3, 4, is_bidirectional=False)

    def forward(self, inputs: torch.Tensor) -> None:
        self.encoder(inputs, torch.full((len(inputs),), inputs.shape[1]))


def measure(net: Net, inputs: torch.Tensor) -> dict[str, object]:
    with recorded_inputs(net) as read, torch.no_grad():
        net(inputs)
    return measure_memory(net, read)


def test_the_record_is_the_gradient_of_the_last_output():
    net, inputs = Net("gru").eval(), torch.randn(1, 7, 3)
    memory = measure(net, inputs)
    expected = measure_sensitivity(net.encoder, inputs[0])[0][-1].flip(0).tolist()
    assert memory["gradient_by_distance"] == pytest.approx(expected, rel=1e-4)  # float32
    assert memory["spectral_radius"] == pytest.approx(1, abs=0.01)  # the recurrent blocks begin orthogonal


def test_a_net_that_never_forgets_has_the_length_of_the_text_as_its_half_distance():
    net = Net("rnn-relu").eval()  # begins as the identity
    nn.init.constant_(net.encoder.layers[0][0].weight_ih, 0.5)
    assert measure(net, torch.ones(1, 6, 3))["half_distance"] == 5


def test_random_numbers_of_training_stay_as_they_were():
    net, inputs = Net("lstm").eval(), torch.randn(1, 7, 3)
    before = torch.get_rng_state()
    measure(net, inputs)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(weight.grad is None for weight in net.parameters())


def test_a_net_without_recurrence_has_no_record_and_no_section():
    assert measure_memory(nn.Linear(2, 2), {}) == {}
    assert memory_section([{"step": 1, "loss": 1.0}]) is None


def test_the_section_draws_the_first_the_middle_and_the_last_evaluation():
    history = [
        {"step": step, "gradient_by_distance": [1.0, 0.5, 0.0], "half_distance": 1.0, "spectral_radius": 1.1}
        for step in (10, 20, 30, 40, 50)
    ]
    section = memory_section(history)
    assert section is not None
    assert [block.title for block in section.blocks] == [
        "Norm of the gradient by distance",
        "Half distance",
        "Spectral radius",
    ]
    assert all(f"step {step}" in section.blocks[0].svg for step in (10, 30, 50))
    without = memory_section([{"step": 1, "gradient_by_distance": [1.0], "half_distance": 0.0}])
    assert without is not None
    assert len(without.blocks) == 2

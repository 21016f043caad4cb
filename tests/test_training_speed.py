"""The usual layers that training is timed beside compute the same as ours."""

import sys
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
from training_speed import run_packed

from nlp_lstm.nn.recurrent import Recurrent


def test_packed_layers_equal_ours():
    torch.manual_seed(0)
    network = Recurrent("lstm", 5, 4, num_layers=2, is_bidirectional=True).eval()
    inputs, lengths = torch.randn(3, 7, 5), torch.tensor([7, 2, 5])
    found = run_packed(network, inputs, lengths, need_states=False)
    torch.testing.assert_close(found.outputs, network(inputs, lengths).outputs, atol=1e-6, rtol=0)

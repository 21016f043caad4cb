"""Torch's own recurrent kernels, called with a cell's weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


def call_native(
    kernel: Callable[..., Any], inputs: Any, state: Any, weights: Sequence[Tensor], training: bool
) -> tuple[Any, ...]:
    """Run one direction of one layer through ``torch.lstm``, ``torch.gru`` or ``torch.rnn_tanh``.

    Args:
        kernel: the torch function.
        inputs: `batch time embed`, or a packed sequence.
        state: the initial state as the kernel wants it, `1 batch hidden`.
        weights: input weights, recurrent weights, input bias, recurrent bias.
        training: whether a backward pass will follow.

    Returns:
        The outputs in the form of the inputs, then the kernel's final state tensors.
    """
    layers_dropout_training_bidirectional = (True, 1, 0.0, training, False)
    if isinstance(inputs, PackedSequence):
        results = kernel(inputs.data, inputs.batch_sizes, state, list(weights), *layers_dropout_training_bidirectional)
        outputs: Any = PackedSequence(results[0], inputs.batch_sizes, inputs.sorted_indices, inputs.unsorted_indices)
    else:
        results = kernel(inputs, state, list(weights), *layers_dropout_training_bidirectional, True)
        outputs = results[0]
    return (outputs, *results[1:])

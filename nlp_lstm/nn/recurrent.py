"""Unrolling cells over time: masking, direction and stacking.

Three ways through the same cells give the same numbers: torch's own kernels, the cell's own way through all steps
where it has no kernel, both on padded rows, and a plain loop over steps, which is the reference.

A padded batch has a trap. A bidirectional kernel starts its backward direction at the padding, so a row's result would
depend on its neighbours. Here each row is reversed by its own length, run forward, and turned back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nlp_lstm.nn.cells import Cell, State
from nlp_lstm.nn.dropout import LockedDropout
from nlp_lstm.nn.settings import cells


class RecurrentOutput(NamedTuple):
    """What a stack of recurrent layers returns.

    Args:
        outputs: the last layer's hidden states, forward then backward, zero at padding.
        states: one state a layer and direction (layer 0 forward, layer 0 backward, …), each at its row's own end;
            None unless asked for.
    """

    outputs: Float[Tensor, "batch time direction*hidden"]
    states: tuple[State, ...] | None


def make_mask(lengths: Int[Tensor, " batch"], time: int) -> Bool[Tensor, "batch time"]:
    """Return True where a row has a real token."""
    return torch.arange(time, device=lengths.device)[None, :] < lengths[:, None]


def reverse_rows(
    rows: Float[Tensor, "batch time features"], lengths: Int[Tensor, " batch"]
) -> Float[Tensor, "batch time features"]:
    """Turn each row around within its own length; the padding stays where it is."""
    steps = torch.arange(rows.shape[1], device=rows.device)[None, :]
    mirrored = lengths[:, None] - 1 - steps
    index = torch.where(mirrored >= 0, mirrored, steps)
    first = torch.arange(rows.shape[0], device=rows.device)[:, None] * rows.shape[1]
    result: Tensor = _Permute.apply(rows, (first + index).flatten())
    return result


class _Permute(torch.autograd.Function):
    """Moves whole vectors by an index that is its own inverse, so the gradient moves the same way.

    Twice as fast as ``gather``, whose gradient is a scatter.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        return rows.flatten(0, 1).index_select(0, index).view_as(rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        return gradient.flatten(0, 1).index_select(0, index).view_as(gradient), None


def unroll_plainly(
    cell: Cell, inputs: Float[Tensor, "batch time embed"], lengths: Int[Tensor, " batch"], state: State
) -> tuple[Float[Tensor, "batch time hidden"], State]:
    """Run a cell step by step. A row's state stands still once the row has ended.

    The state is carried with ``torch.where``, so gradients reach every row's final state.
    """
    projected = cell.project(inputs)
    mask = make_mask(lengths, inputs.shape[1])
    outputs = []
    for time in range(inputs.shape[1]):
        is_real = mask[:, time, None]
        stepped = cell.step(projected[:, time], state)
        state = type(state)(*(torch.where(is_real, new, old) for new, old in zip(stepped, state, strict=True)))
        outputs.append(state.hidden * is_real)
    return torch.stack(outputs, dim=1), state


def unroll_padded(
    cell: Cell, inputs: Float[Tensor, "batch time embed"], lengths: Int[Tensor, " batch"], state: State
) -> tuple[Float[Tensor, "batch time hidden"], State]:
    """Run a cell through all its steps, padding too, and leave out what comes after each row's end."""
    states = cell.unroll(cell.project(inputs), state)
    if bool((lengths == inputs.shape[1]).all()):
        return states.hidden, type(state)(*(tensor[:, -1] for tensor in states))
    rows = torch.arange(inputs.shape[0], device=inputs.device)
    outputs = states.hidden * make_mask(lengths, inputs.shape[1])[..., None]
    return outputs, type(state)(*(tensor[rows, lengths - 1] for tensor in states))


def unroll_natively(
    cell: Cell, inputs: Float[Tensor, "batch time embed"], lengths: Int[Tensor, " batch"], state: State, final: bool
) -> tuple[Float[Tensor, "batch time hidden"], State | None]:
    """Run a cell through torch's kernel.

    Without ``final`` the rows run padded, which is fast but leaves no state at each row's own end. With it, rows of
    unequal lengths are packed, and so they are where a state might overflow in the padding.
    """
    has_equal_rows = bool((lengths == inputs.shape[1]).all())
    if (final or not cell.is_bounded) and not has_equal_rows:
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        sorted_state = type(state)(*(tensor[packed.sorted_indices] for tensor in state))
        packed_outputs, last = cell.run_native(packed, sorted_state)
        outputs, _ = pad_packed_sequence(packed_outputs, batch_first=True, total_length=inputs.shape[1])
        return outputs, type(state)(*(tensor[packed.unsorted_indices] for tensor in last))
    outputs, last = cell.run_native(inputs, state)
    return (outputs, last) if has_equal_rows else (outputs * make_mask(lengths, inputs.shape[1])[..., None], None)


class Recurrent(nn.Module):
    """Stacked recurrent layers, in one or both directions (Schuster and Paliwal 1997).

    Args:
        cell: the cell's registered name.
        input_size: features per input vector.
        hidden_size: features of each direction's hidden state.
        num_layers: how many layers.
        is_bidirectional: whether a second net reads each row from its end.
        dropout_rate: locked dropout between the layers and on the outputs.
        recurrent_dropout_rate: share of each cell's recurrent weights dropped in a training pass, the same at every
            step (DropConnect, Wan et al. 2013; as Merity et al. 2018 use it).
        use_native: whether a way through all steps at once may be used, torch's kernel or the cell's own.
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        is_bidirectional: bool = True,
        dropout_rate: float = 0.0,
        recurrent_dropout_rate: float = 0.0,
        use_native: bool = True,
    ) -> None:
        super().__init__()
        self.is_bidirectional = is_bidirectional
        self.recurrent_dropout_rate = recurrent_dropout_rate
        self.use_native = use_native
        self.dropout = LockedDropout(dropout_rate)
        directions = 2 if is_bidirectional else 1
        self.output_size = directions * hidden_size
        self.layers = nn.ModuleList()
        for layer in range(num_layers):
            size = input_size if layer == 0 else self.output_size
            self.layers.append(nn.ModuleList(cells.get(cell)(size, hidden_size) for _ in range(directions)))

    def forward(
        self,
        inputs: Float[Tensor, "batch time embed"],
        lengths: Int[Tensor, " batch"],
        states: tuple[State, ...] | None = None,
        *,
        need_states: bool = False,
    ) -> RecurrentOutput:
        """Run all layers.

        Args:
            inputs: padded input vectors.
            lengths: real steps per row, at least 1 each.
            states: the states before the first step, one a layer and direction; default zeros.
            need_states: whether to return the state at each row's own end.
        """
        final_states: list[State] = []
        outputs = inputs
        for layer_index, layer in enumerate(self.layers):
            streams = []
            for direction, cell in enumerate(cast("Iterable[Cell]", layer)):
                source = reverse_rows(outputs, lengths) if direction else outputs
                index = layer_index * (2 if self.is_bidirectional else 1) + direction
                state = states[index] if states is not None else cell.initial_state(source)
                stream, final_state = self._unroll(cell, source, lengths, state, need_states)
                streams.append(reverse_rows(stream, lengths) if direction else stream)
                final_states.append(final_state)
            outputs = self.dropout(torch.cat(streams, dim=-1))
        return RecurrentOutput(outputs=outputs, states=tuple(final_states) if need_states else None)

    def ends(
        self, outputs: Float[Tensor, "batch time features"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch features"]:
        """Return where each direction of the last layer ended: of the backward one at the first step."""
        last = outputs[torch.arange(outputs.shape[0], device=outputs.device), lengths - 1]
        if self.is_bidirectional:
            half = outputs.shape[2] // 2
            last = torch.cat((last[:, :half], outputs[:, 0, half:]), dim=1)
        return last

    def carry(self, states: tuple[State, ...]) -> tuple[State, ...]:
        """Return the states to begin the next stretch of the same rows with, cut off from the gradient.

        The forward direction goes on; the backward direction has nothing to go on from, so it begins at zero.
        """
        directions = 2 if self.is_bidirectional else 1
        return tuple(
            type(state)(*(torch.zeros_like(part) if index % directions else part.detach() for part in state))
            for index, state in enumerate(states)
        )

    def _unroll(self, cell: Cell, inputs: Tensor, lengths: Tensor, state: State, final: bool) -> tuple[Tensor, State]:
        if self.training and self.recurrent_dropout_rate:
            cell = cell.with_dropped_weights(self.recurrent_dropout_rate)
        if self.use_native and cell.has_kernel:
            return unroll_natively(cell, inputs, lengths, state, final)
        if self.use_native:
            return unroll_padded(cell, inputs, lengths, state)
        return unroll_plainly(cell, inputs, lengths, state)

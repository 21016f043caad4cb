"""Backpropagation through time by hand: the passes that autograd otherwise writes itself, for four cells.

Each cell has a forward pass, which keeps what the way back needs, and a backward pass of explicit equations, one a
line. ``docs/bptt.md`` derives every line. In the comments, for step t and one unit:

    x, h, c       input, hidden state, cell state; h' and c' are those of step t-1
    a             the sum that a gate squashes, before squashing
    e_h, e_c      dL/dh and dL/dc, everything that depends on them counted
    d_i, d_f, …   dL/da of a gate: the deltas

Rows have equal lengths; a shorter row is one whose outputs past its end have gradient zero. The weights are those of
the cells of the same name in `nlp_lstm.nn.cells`, by their names there. Training does not run through this module: it
exists to be read, and to check the gradients that do.

Source: Werbos, "Backpropagation Through Time", Proceedings of the IEEE 78 (1990); for the LSTM Graves, "Supervised
Sequence Labelling with Recurrent Neural Networks", Springer 2012, section 4.6; truncated windows: Williams and Peng,
Neural Computation 2 (1990).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Weights = Mapping[str, Tensor]


class Gradients(NamedTuple):
    """What a backward pass gives.

    Args:
        inputs: dL/dx at each step.
        state: dL/dh and, of cells that have one, dL/dc before the first step.
        weights: dL/dw of each weight, by name.
    """

    inputs: Float[Tensor, "batch time embed"]
    state: tuple[Float[Tensor, "batch hidden"], ...]
    weights: dict[str, Tensor]


class RNNTrace(NamedTuple):
    """A forward pass of the vanilla network: its inputs, and the states before and after each step."""

    inputs: Float[Tensor, "batch time embed"]
    before: Float[Tensor, "batch time hidden"]
    hidden: Float[Tensor, "batch time hidden"]


class LSTMTrace(NamedTuple):
    """A forward pass of an LSTM: inputs, the states before and after each step, and the gates between."""

    inputs: Float[Tensor, "batch time embed"]
    before: Float[Tensor, "batch time hidden"]
    cell_before: Float[Tensor, "batch time hidden"]
    input_gate: Float[Tensor, "batch time hidden"]
    forget_gate: Float[Tensor, "batch time hidden"]
    candidate: Float[Tensor, "batch time hidden"]
    output_gate: Float[Tensor, "batch time hidden"]
    cell: Float[Tensor, "batch time hidden"]
    hidden: Float[Tensor, "batch time hidden"]


class GRUTrace(NamedTuple):
    """A forward pass of a GRU; ``product`` is the candidate's share of the recurrent product, before the reset gate."""

    inputs: Float[Tensor, "batch time embed"]
    before: Float[Tensor, "batch time hidden"]
    reset_gate: Float[Tensor, "batch time hidden"]
    update_gate: Float[Tensor, "batch time hidden"]
    product: Float[Tensor, "batch time hidden"]
    candidate: Float[Tensor, "batch time hidden"]
    hidden: Float[Tensor, "batch time hidden"]


def forward_rnn(inputs: Float[Tensor, "batch time embed"], state: tuple[Tensor, ...], weights: Weights) -> RNNTrace:
    """Run the vanilla network.

    Args:
        inputs: all rows of equal length.
        state: h before the first step, ``(h,)``.
        weights: ``weight_ih`` (W), ``weight_hh`` (U) and ``bias`` (b).
    """
    (h,) = state
    steps = []
    for x in inputs.unbind(dim=1):
        before = h
        h = torch.tanh(x @ weights["weight_ih"].T + h @ weights["weight_hh"].T + weights["bias"])
        steps.append((x, before, h))
    return RNNTrace(*_stack(steps))


def backward_rnn(
    trace: RNNTrace,
    weights: Weights,
    d_outputs: Float[Tensor, "batch time hidden"],
    d_state: tuple[Tensor, ...] | None = None,
    *,
    window: int | None = None,
) -> Gradients:
    """Run the vanilla network backward.

    Args:
        trace: what the forward pass kept.
        weights: those of the forward pass.
        d_outputs: dL/dh of each step as far as the loss sees that h itself.
        d_state: dL/dh of the last step as far as what follows sees it; default zero.
        window: steps after which the gradient is cut: none flows from the first step of a window into the one before.
    """
    (e_h,) = d_state or (torch.zeros_like(trace.hidden[:, 0]),)
    deltas = torch.zeros_like(trace.hidden)
    for t in reversed(range(trace.hidden.shape[1])):
        e_h = d_outputs[:, t] + e_h  # e_h(t) = dL/dy(t) + Uᵀ d(t+1)
        deltas[:, t] = e_h * (1 - trace.hidden[:, t] ** 2)  # d(t) = e_h tanh'(a), and tanh' = 1 - tanh²
        e_h = deltas[:, t] @ weights["weight_hh"]  # what h(t-1) did through U: Uᵀ d(t)
        if _is_cut(t, window):
            e_h = torch.zeros_like(e_h)
    return Gradients(
        inputs=deltas @ weights["weight_ih"],  # dL/dx(t) = Wᵀ d(t)
        state=(e_h,),
        weights={
            "weight_ih": _outer_products(deltas, trace.inputs),  # dL/dW = sum over t of d(t) x(t)ᵀ
            "weight_hh": _outer_products(deltas, trace.before),  # dL/dU = sum over t of d(t) h(t-1)ᵀ
            "bias": deltas.sum(dim=(0, 1)),  # dL/db = sum over t of d(t)
        },
    )


def forward_lstm(inputs: Float[Tensor, "batch time embed"], state: tuple[Tensor, ...], weights: Weights) -> LSTMTrace:
    """Run an LSTM with a forget gate, with peepholes where the weights have some.

    Args:
        inputs: all rows of equal length.
        state: h and c before the first step, ``(h, c)``.
        weights: ``weight_ih``, ``weight_hh`` and ``bias``, rows in the order input gate, forget gate, candidate, output
            gate; for peepholes ``input_peephole``, ``forget_peephole`` and ``output_peephole``.
    """
    h, c = state
    p_i, p_f, p_o = _peepholes(weights, c)
    steps = []
    for x in inputs.unbind(dim=1):
        before, cell_before = h, c
        sums = x @ weights["weight_ih"].T + h @ weights["weight_hh"].T + weights["bias"]
        a_i, a_f, a_g, a_o = sums.chunk(4, dim=1)
        i = torch.sigmoid(a_i + p_i * c)
        f = torch.sigmoid(a_f + p_f * c)
        g = torch.tanh(a_g)
        c = f * c + i * g
        o = torch.sigmoid(a_o + p_o * c)
        h = o * torch.tanh(c)
        steps.append((x, before, cell_before, i, f, g, o, c, h))
    return LSTMTrace(*_stack(steps))


def backward_lstm(
    trace: LSTMTrace,
    weights: Weights,
    d_outputs: Float[Tensor, "batch time hidden"],
    d_state: tuple[Tensor, ...] | None = None,
    *,
    window: int | None = None,
) -> Gradients:
    """Run an LSTM backward, with peepholes where the weights have some.

    Args:
        trace: what the forward pass kept.
        weights: those of the forward pass.
        d_outputs: dL/dh of each step as far as the loss sees that h itself.
        d_state: dL/dh and dL/dc of the last step as far as what follows sees them; default zero.
        window: steps after which the gradient is cut: none flows from the first step of a window into the one before.
    """
    zeros = torch.zeros_like(trace.hidden[:, 0])
    e_h, e_c = d_state or (zeros, zeros)
    p_i, p_f, p_o = _peepholes(weights, zeros)
    deltas = trace.hidden.new_zeros(*trace.hidden.shape[:2], 4 * zeros.shape[1])
    for t in reversed(range(trace.hidden.shape[1])):
        i, f, g, o = (gate[:, t] for gate in (trace.input_gate, trace.forget_gate, trace.candidate, trace.output_gate))
        squashed = torch.tanh(trace.cell[:, t])
        e_h = d_outputs[:, t] + e_h  # e_h(t) = dL/dy(t) + Uᵀ d(t+1), over all four gates
        d_o = e_h * squashed * o * (1 - o)  # d_o = e_h tanh(c) σ'(a_o), and σ' = σ (1 - σ)
        e_c = e_c + e_h * o * (1 - squashed**2)  # the cell's output delta: e_h o tanh'(c), the path of h = o tanh(c)
        e_c = e_c + d_o * p_o  # and the output gate's look at c(t): p_o d_o
        d_g = e_c * i * (1 - g**2)  # d_g = e_c i tanh'(a_g)
        d_f = e_c * trace.cell_before[:, t] * f * (1 - f)  # d_f = e_c c(t-1) σ'(a_f)
        d_i = e_c * g * i * (1 - i)  # d_i = e_c g σ'(a_i)
        deltas[:, t] = torch.cat((d_i, d_f, d_g, d_o), dim=1)
        e_h = deltas[:, t] @ weights["weight_hh"]  # what h(t-1) did through U: Uᵀ d(t)
        e_c = e_c * f + d_i * p_i + d_f * p_f  # c(t-1): the carousel f e_c, and two gates' looks, p_i d_i + p_f d_f
        if _is_cut(t, window):
            e_h, e_c = zeros, zeros
    d_i, d_f, _, d_o = deltas.chunk(4, dim=2)
    peepholes = {
        "input_peephole": (d_i * trace.cell_before).sum(dim=(0, 1)),  # dL/dp_i = sum over t of d_i(t) c(t-1)
        "forget_peephole": (d_f * trace.cell_before).sum(dim=(0, 1)),  # dL/dp_f = sum over t of d_f(t) c(t-1)
        "output_peephole": (d_o * trace.cell).sum(dim=(0, 1)),  # dL/dp_o = sum over t of d_o(t) c(t)
    }
    return Gradients(
        inputs=deltas @ weights["weight_ih"],  # dL/dx(t) = Wᵀ d(t)
        state=(e_h, e_c),
        weights={
            "weight_ih": _outer_products(deltas, trace.inputs),  # dL/dW = sum over t of d(t) x(t)ᵀ
            "weight_hh": _outer_products(deltas, trace.before),  # dL/dU = sum over t of d(t) h(t-1)ᵀ
            "bias": deltas.sum(dim=(0, 1)),  # dL/db = sum over t of d(t)
            **(peepholes if "input_peephole" in weights else {}),
        },
    )


def forward_gru(inputs: Float[Tensor, "batch time embed"], state: tuple[Tensor, ...], weights: Weights) -> GRUTrace:
    """Run a GRU.

    Args:
        inputs: all rows of equal length.
        state: h before the first step, ``(h,)``.
        weights: ``weight_ih``, ``weight_hh``, ``bias_ih`` and ``bias_hh``, rows in the order reset gate, update gate,
            candidate.
    """
    (h,) = state
    steps = []
    for x in inputs.unbind(dim=1):
        before = h
        w_r, w_z, w_n = (x @ weights["weight_ih"].T + weights["bias_ih"]).chunk(3, dim=1)
        u_r, u_z, q = (h @ weights["weight_hh"].T + weights["bias_hh"]).chunk(3, dim=1)
        r = torch.sigmoid(w_r + u_r)
        z = torch.sigmoid(w_z + u_z)
        n = torch.tanh(w_n + r * q)
        h = (1 - z) * n + z * h
        steps.append((x, before, r, z, q, n, h))
    return GRUTrace(*_stack(steps))


def backward_gru(
    trace: GRUTrace,
    weights: Weights,
    d_outputs: Float[Tensor, "batch time hidden"],
    d_state: tuple[Tensor, ...] | None = None,
    *,
    window: int | None = None,
) -> Gradients:
    """Run a GRU backward.

    Args:
        trace: what the forward pass kept.
        weights: those of the forward pass.
        d_outputs: dL/dh of each step as far as the loss sees that h itself.
        d_state: dL/dh of the last step as far as what follows sees it; default zero.
        window: steps after which the gradient is cut: none flows from the first step of a window into the one before.
    """
    (e_h,) = d_state or (torch.zeros_like(trace.hidden[:, 0]),)
    from_inputs = trace.hidden.new_zeros(*trace.hidden.shape[:2], 3 * e_h.shape[1])  # deltas of W x
    from_state = torch.zeros_like(from_inputs)  # deltas of U h, where the reset gate stands between
    for t in reversed(range(trace.hidden.shape[1])):
        r, z, q, n = (part[:, t] for part in (trace.reset_gate, trace.update_gate, trace.product, trace.candidate))
        e_h = d_outputs[:, t] + e_h  # e_h(t) = dL/dy(t) + what step t+1 hands back
        d_z = e_h * (trace.before[:, t] - n) * z * (1 - z)  # d_z = e_h (h(t-1) - n) σ'(a_z)
        d_n = e_h * (1 - z) * (1 - n**2)  # d_n = e_h (1 - z) tanh'(a_n)
        d_r = d_n * q * r * (1 - r)  # d_r = d_n q σ'(a_r), as a_n = W x + r q
        d_q = d_n * r  # d_q = d_n r
        from_inputs[:, t] = torch.cat((d_r, d_z, d_n), dim=1)
        from_state[:, t] = torch.cat((d_r, d_z, d_q), dim=1)
        e_h = e_h * z + from_state[:, t] @ weights["weight_hh"]  # h(t-1): what was kept, z e_h, and Uᵀ (d_r, d_z, d_q)
        if _is_cut(t, window):
            e_h = torch.zeros_like(e_h)
    return Gradients(
        inputs=from_inputs @ weights["weight_ih"],  # dL/dx(t) = Wᵀ (d_r, d_z, d_n)
        state=(e_h,),
        weights={
            "weight_ih": _outer_products(from_inputs, trace.inputs),  # dL/dW = sum over t of (d_r, d_z, d_n) x(t)ᵀ
            "weight_hh": _outer_products(from_state, trace.before),  # dL/dU = sum over t of (d_r, d_z, d_q) h(t-1)ᵀ
            "bias_ih": from_inputs.sum(dim=(0, 1)),
            "bias_hh": from_state.sum(dim=(0, 1)),
        },
    )


PASSES: dict[str, tuple[Callable[..., Any], Callable[..., Gradients]]] = {
    "gru": (forward_gru, backward_gru),
    "lstm": (forward_lstm, backward_lstm),
    "peephole": (forward_lstm, backward_lstm),
    "rnn": (forward_rnn, backward_rnn),
}
"""The forward and the backward pass of a cell, by its registered name."""


def _stack(steps: Sequence[tuple[Tensor, ...]]) -> list[Tensor]:
    """Join what each step kept along time."""
    return [torch.stack(parts, dim=1) for parts in zip(*steps, strict=True)]


def _peepholes(weights: Weights, like: Tensor) -> list[Tensor]:
    """The peepholes of the input, forget and output gate; zeros where there are none, which is the plain LSTM."""
    return [weights.get(f"{gate}_peephole", torch.zeros_like(like[0])) for gate in ("input", "forget", "output")]


def _outer_products(deltas: Tensor, read: Tensor) -> Tensor:
    """The sum over rows and steps of each delta times what was read: one matrix product."""
    return deltas.flatten(0, 1).T @ read.flatten(0, 1)


def _is_cut(step: int, window: int | None) -> bool:
    """Whether the gradient stops between this step and the one before; into the state given at first it flows."""
    return window is not None and step > 0 and step % window == 0

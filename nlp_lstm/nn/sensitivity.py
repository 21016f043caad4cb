"""How far a recurrent net looks back: sensitivity, gate openings and spectral radii.

    sensitivity[t, s] = ‖∂ outputs[t] / ∂ inputs[s]‖        time time, the Frobenius norm of a Jacobian

A net that has forgotten an input gives it a sensitivity of nearly zero: its gradient has vanished. Everything here
looks at one sequence in evaluation mode, in the plain way through the steps.

Source: Graves, "Supervised Sequence Labelling with Recurrent Neural Networks", Springer 2012, figures 4.1 and 4.4;
Hochreiter, Bengio, Frasconi, Schmidhuber, "Gradient Flow in Recurrent Nets", 2001.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nlp_lstm.nn.cells import Cell
from nlp_lstm.nn.recurrent import Recurrent

LONGEST = 64  # steps of a text that are looked at
NUM_PROBES = 32
SOURCES_AT_ONCE = 8
SQUARINGS = 12
_NOT_MAIN = ("embedding", "context")  # nets that read a word's letters, or that are frozen


class CellPlace(NamedTuple):
    """A cell of a stack: its layer, counted from 1, and whether it reads from the end."""

    layer: int
    is_backward: bool
    cell: Cell


def main_encoders(model: nn.Module) -> dict[str, Recurrent]:
    """Return the recurrent stacks that read the text itself, by their names in the model."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, Recurrent) and not any(part in _NOT_MAIN for part in name.split("."))
    }


@contextmanager
def recorded_inputs(model: nn.Module, limit: int = LONGEST) -> Iterator[dict[str, Float[Tensor, "time embed"]]]:
    """Record the longest row that each of a model's encoders reads, of equally long ones the first.

    Args:
        model: the network.
        limit: steps of the row that are kept.
    """
    found: dict[str, Tensor] = {}

    def record(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, arguments: tuple[Any, ...]) -> None:
            inputs, lengths = arguments[:2]
            row = int(lengths.argmax())
            length = min(limit, int(lengths[row]))
            if length > (len(found[name]) if name in found else 0):
                found[name] = inputs[row, :length].detach().clone().float()

        return hook

    hooks = [encoder.register_forward_pre_hook(record(name)) for name, encoder in main_encoders(model).items()]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def cell_places(recurrent: Recurrent) -> list[CellPlace]:
    """Return the cells of a stack, layer by layer, forward before backward."""
    return [
        CellPlace(layer=number, is_backward=bool(direction), cell=cell)
        for number, layer in enumerate(recurrent.layers, start=1)
        for direction, cell in enumerate(cast("Iterable[Cell]", layer))
    ]


def measure_sensitivity(
    recurrent: Recurrent, inputs: Float[Tensor, "time embed"], *, num_probes: int = NUM_PROBES
) -> list[Float[Tensor, "time time"]]:
    """Return for each layer how strongly its output at each step (row) feels each input (column).

    The Jacobians are multiplied by orthonormal directions of the input, forward through the steps. With as many
    directions as the input has features the norms are exact; with fewer, the squared norms are unbiased estimates.

    Args:
        recurrent: the stack, in evaluation mode.
        inputs: what it reads.
        num_probes: directions.
    """
    time, size = inputs.shape
    probes = make_probes(size, num_probes).to(inputs)
    matrices = [inputs.new_zeros(time, time) for _ in recurrent.layers]

    def run(sequence: Tensor) -> tuple[Tensor, ...]:
        return tuple(_layer_outputs(recurrent, sequence))

    def push(tangent: Tensor) -> tuple[Tensor, ...]:
        moved: tuple[Tensor, ...] = torch.func.jvp(run, (inputs,), (tangent,))[1]
        return moved

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, when its forward mode is first used
        for start in range(0, time, SOURCES_AT_ONCE):
            sources = range(start, min(time, start + SOURCES_AT_ONCE))
            tangents = inputs.new_zeros(len(sources), len(probes), time, size)
            for number, source in enumerate(sources):
                tangents[number, :, source] = probes
            for matrix, moved in zip(matrices, torch.func.vmap(push)(tangents.flatten(0, 1)), strict=True):
                norms = moved.square().sum(dim=2).view(len(sources), len(probes), time).sum(dim=1).sqrt()
                matrix[:, start : start + len(sources)] = norms.T
    return matrices


def gradient_by_distance(
    recurrent: Recurrent, inputs: Float[Tensor, "time embed"], *, num_probes: int = NUM_PROBES
) -> Float[Tensor, " time"]:
    """Return the norm of the gradient that the last output sends back to the inputs, by distance from 0.

    It is the last row of the last layer's sensitivity, from its end, by one way back.

    Args:
        recurrent: the stack, in evaluation mode.
        inputs: what it reads.
        num_probes: directions of the output.
    """
    probes = make_probes(recurrent.output_size, num_probes).to(inputs)
    with torch.enable_grad():
        rows = inputs.detach().expand(len(probes), -1, -1).clone().requires_grad_()
        outputs = recurrent(rows, torch.full((len(probes),), inputs.shape[0])).outputs
        (gradient,) = torch.autograd.grad((outputs[:, -1] * probes).sum(), rows)
    return gradient.square().sum(dim=(0, 2)).sqrt().flip(0)


def make_probes(size: int, count: int) -> Float[Tensor, "probe size"]:
    """Return orthonormal directions, the same ones every time, so long that the sum of squares is that of all."""
    count = min(size, count)
    drawn = torch.randn(size, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.linalg.qr(drawn).Q.T * math.sqrt(size / count)


def mean_by_distance(sensitivity: Float[Tensor, "time time"]) -> list[float]:
    """Return the mean sensitivity of an output to the input so many steps before it, from distance 0."""
    return [float(sensitivity.diagonal(-distance).mean()) for distance in range(sensitivity.shape[0])]


def half_distance(curve: Sequence[float]) -> float | None:
    """Return the distance, in steps, at which a curve first falls to half of what it is at distance 0.

    Between two distances it is taken as straight. None where the curve never falls that low.
    """
    for distance in range(1, len(curve)):
        if curve[distance] <= curve[0] / 2:
            before, after = curve[distance - 1], curve[distance]
            return distance - 1 + (before - curve[0] / 2) / (before - after) if before > after else float(distance)
    return None


def gate_openings(
    recurrent: Recurrent, inputs: Float[Tensor, "time embed"]
) -> list[tuple[CellPlace, dict[str, Float[Tensor, "time unit"]]]]:
    """Return how far each gate of each cell is open at each step, from 0 (shut) to 1; cells without gates have none.

    Steps are those of the text, also for a cell that reads from its end.
    """
    found: list[tuple[CellPlace, dict[str, Tensor]]] = []
    with torch.no_grad(), _Squashed() as squashed:
        _layer_outputs(recurrent, inputs)
    values = iter(squashed.values)
    time = inputs.shape[0]
    for place in cell_places(recurrent):
        steps = [[next(values).flatten() for _ in place.cell.gates] for _ in range(time)]
        if place.is_backward:
            steps.reverse()
        gates = zip(place.cell.gates, zip(*steps, strict=True), strict=True)
        found.append((place, {name: torch.stack(of_gate) for name, of_gate in gates}))
    return found


def spectral_radii(cell: Cell) -> dict[str, float]:
    """Return the spectral radius of each square block of a cell's recurrent weights, by what the block is for.

    The radius of U is the limit of ‖Uⁿ‖^(1/n) (Gelfand 1941), here with n = 4,096 by squaring again and again.
    """
    if not cell.rows:
        return {}
    blocks = zip(cell.rows, cast(Tensor, cell.weight_hh).detach().split(list(cell.row_sizes)), strict=True)
    square = {name: block for name, block in blocks if block.shape[0] == block.shape[1]}
    if not square:
        return {}
    powers = torch.stack(list(square.values())).double()
    logs = powers.new_zeros(len(square))
    for number in range(SQUARINGS + 1):
        if number:
            powers = powers @ powers
        norms = torch.linalg.matrix_norm(powers).clamp_min(torch.finfo(powers.dtype).tiny)
        powers = powers / norms[:, None, None]
        logs = logs + norms.log() / 2**number
    return dict(zip(square, logs.exp().tolist(), strict=True))


class _Squashed(TorchFunctionMode):
    """Keeps what `torch.sigmoid` returns."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.sigmoid:
            self.values.append(result)
        return result


def _layer_outputs(recurrent: Recurrent, sequence: Float[Tensor, "time embed"]) -> list[Tensor]:
    """The outputs of each layer for one sequence, `time direction*hidden`, step by step and without dropout."""
    outputs, layers = sequence, []
    for layer in recurrent.layers:
        streams = []
        for direction, cell in enumerate(cast("Iterable[Cell]", layer)):
            source = outputs.flip(0) if direction else outputs
            stream = _run(cell, source)
            streams.append(stream.flip(0) if direction else stream)
        outputs = torch.cat(streams, dim=1)
        layers.append(outputs)
    return layers


def _run(cell: Cell, sequence: Tensor) -> Tensor:
    rows = sequence[None]
    projected, state = cell.project(rows), cell.initial_state(rows)
    outputs = []
    for at_step in projected.unbind(dim=1):
        state = cell.step(at_step, state)
        outputs.append(state.hidden)
    return torch.cat(outputs)

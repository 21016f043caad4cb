"""One table of laws that every registered cell obeys, whichever way it is unrolled."""

from __future__ import annotations

from collections.abc import Callable

import numpy
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nlp_lstm.nn.cells import Cell, State
from nlp_lstm.nn.recurrent import Recurrent, RecurrentOutput, make_mask
from nlp_lstm.nn.settings import cells

INPUT_SIZE, HIDDEN_SIZE = 3, 4
LENGTHS = (5, 2, 7, 1)  # neither sorted nor equal

# float64 differs by rounding alone; 1e-5 is what DESIGN.md promises in float32, where kernels differ by batch shape.
PRECISIONS = [pytest.param(torch.float64, 1e-12, id="float64"), pytest.param(torch.float32, 1e-5, id="float32")]

every_cell = pytest.mark.parametrize("cell_name", list(cells))
every_precision = pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
every_way = pytest.mark.parametrize("use_native", [True, False], ids=["native", "plain"])
every_shape = pytest.mark.parametrize(
    ("num_layers", "is_bidirectional"),
    [(1, False), (1, True), (2, False), (2, True)],
    ids=["1-forward", "1-both", "2-forward", "2-both"],
)


def randomise(module: nn.Module) -> None:
    """Draw all parameters anew, so that no bias is zero."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)


def make_net(
    cell_name: str,
    dtype: torch.dtype = torch.float64,
    *,
    num_layers: int = 1,
    is_bidirectional: bool = False,
    use_native: bool = True,
) -> Recurrent:
    net = Recurrent(
        cell_name,
        INPUT_SIZE,
        HIDDEN_SIZE,
        num_layers=num_layers,
        is_bidirectional=is_bidirectional,
        use_native=use_native,
    )
    randomise(net)
    return net.to(dtype)


def make_inputs(
    dtype: torch.dtype = torch.float64, lengths: tuple[int, ...] = LENGTHS, padding: int = 0
) -> tuple[Tensor, Tensor]:
    """Random rows with zeros at padding."""
    time = max(lengths) + padding
    rows = torch.randn(len(lengths), time, INPUT_SIZE, dtype=dtype)
    length_tensor = torch.tensor(lengths)
    return rows * make_mask(length_tensor, time)[..., None], length_tensor


def random_states(net: Recurrent, inputs: Tensor) -> tuple[State, ...]:
    """One random state a layer and direction."""
    states = []
    for layer in net.layers:
        for cell in layer:
            zeros = cell.initial_state(inputs)
            states.append(type(zeros)(*(torch.randn_like(tensor) for tensor in zeros)))
    return tuple(states)


def assert_states_close(
    found: tuple[State, ...] | None, expected: tuple[State, ...] | None, tolerance: float, rows: slice = slice(None)
) -> None:
    assert found is not None
    assert expected is not None
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert type(one) is type(other)
        for left, right in zip(one, other, strict=True):
            torch.testing.assert_close(left, right[rows], atol=tolerance, rtol=tolerance)


def assert_same(found: RecurrentOutput, expected: RecurrentOutput, tolerance: float) -> None:
    torch.testing.assert_close(found.outputs, expected.outputs, atol=tolerance, rtol=tolerance)
    assert_states_close(found.states, expected.states, tolerance)


@every_cell
@every_precision
@every_way
@every_shape
@pytest.mark.parametrize("need_states", [True, False], ids=["states", "no-states"])
def test_padding_never_changes_outputs_or_final_states(
    cell_name: str,
    dtype: torch.dtype,
    tolerance: float,
    use_native: bool,
    num_layers: int,
    is_bidirectional: bool,
    need_states: bool,
) -> None:
    net = make_net(cell_name, dtype, num_layers=num_layers, is_bidirectional=is_bidirectional, use_native=use_native)
    inputs, lengths = make_inputs(dtype)
    time = inputs.shape[1]
    longer = torch.full((len(LENGTHS), time + 3, INPUT_SIZE), 100.0, dtype=dtype)  # what stands at padding is no matter
    mask = make_mask(lengths, time)[..., None]
    longer[:, :time] = torch.where(mask, inputs, longer[:, :time])

    plain = net(inputs, lengths, need_states=need_states)
    padded = net(longer, lengths, need_states=need_states)

    torch.testing.assert_close(padded.outputs[:, :time], plain.outputs, atol=tolerance, rtol=tolerance)
    assert not padded.outputs.masked_select(~make_mask(lengths, time + 3)[..., None]).any()
    if need_states:
        assert_states_close(padded.states, plain.states, tolerance)
    else:
        assert plain.states is None


@every_cell
@every_precision
@every_way
@every_shape
def test_batched_equals_one_row_at_a_time(
    cell_name: str, dtype: torch.dtype, tolerance: float, use_native: bool, num_layers: int, is_bidirectional: bool
) -> None:
    net = make_net(cell_name, dtype, num_layers=num_layers, is_bidirectional=is_bidirectional, use_native=use_native)
    inputs, lengths = make_inputs(dtype, padding=2)
    together = net(inputs, lengths, need_states=True)
    for row, length in enumerate(LENGTHS):
        alone = net(inputs[row : row + 1, :length], lengths[row : row + 1], need_states=True)
        torch.testing.assert_close(alone.outputs[0], together.outputs[row, :length], atol=tolerance, rtol=tolerance)
        assert_states_close(alone.states, together.states, tolerance, rows=slice(row, row + 1))


@every_cell
@every_precision
@every_way
@pytest.mark.parametrize("num_layers", [1, 2])
def test_ten_steps_equal_four_then_six(
    cell_name: str, dtype: torch.dtype, tolerance: float, use_native: bool, num_layers: int
) -> None:
    net = make_net(cell_name, dtype, num_layers=num_layers, use_native=use_native)
    inputs, lengths = make_inputs(dtype, (10, 7, 10))
    whole = net(inputs, lengths, need_states=True)
    first = net(inputs[:, :4], torch.full((3,), 4), need_states=True)
    second = net(inputs[:, 4:], lengths - 4, first.states, need_states=True)
    joined = RecurrentOutput(outputs=torch.cat((first.outputs, second.outputs), dim=1), states=second.states)
    assert_same(joined, whole, tolerance)


@every_cell
@every_precision
@every_shape
@pytest.mark.parametrize("has_states", [True, False], ids=["given-states", "zero-states"])
@pytest.mark.parametrize("lengths", [LENGTHS, (4, 4)], ids=["unequal", "equal"])
def test_native_equals_plain(
    cell_name: str,
    dtype: torch.dtype,
    tolerance: float,
    num_layers: int,
    is_bidirectional: bool,
    has_states: bool,
    lengths: tuple[int, ...],
) -> None:
    net = make_net(cell_name, dtype, num_layers=num_layers, is_bidirectional=is_bidirectional)
    inputs, row_lengths = make_inputs(dtype, lengths, padding=1)
    states = random_states(net, inputs) if has_states else None
    weights = torch.randn(*inputs.shape[:2], net.output_size, dtype=dtype)

    results, gradients = [], []
    for use_native in (True, False):
        net.use_native = use_native
        results.append(net(inputs, row_lengths, states, need_states=True))
        fast = net(inputs, row_lengths, states)  # the padded kernel, which gives no states
        torch.testing.assert_close(fast.outputs, results[-1].outputs, atol=tolerance, rtol=tolerance)
        gradients.append(torch.autograd.grad((fast.outputs * weights).sum(), list(net.parameters())))
    assert_same(results[0], results[1], tolerance)
    for native, plain in zip(*gradients, strict=True):
        # A gradient sums over rows and steps, so it has a digit fewer than one output.
        torch.testing.assert_close(native, plain, atol=10 * tolerance, rtol=10 * tolerance)


@every_cell
@every_way
@every_shape
def test_given_initial_states_are_honoured(
    cell_name: str, use_native: bool, num_layers: int, is_bidirectional: bool
) -> None:
    net = make_net(cell_name, num_layers=num_layers, is_bidirectional=is_bidirectional, use_native=use_native)
    inputs, lengths = make_inputs()
    default = net(inputs, lengths, need_states=True)
    zeros = tuple(type(state)(*map(torch.zeros_like, state)) for state in random_states(net, inputs))
    assert_same(net(inputs, lengths, zeros, need_states=True), default, 1e-12)
    for changed in range(len(zeros)):  # each layer and direction reads its own
        states = list(zeros)
        states[changed] = random_states(net, inputs)[changed]
        found = net(inputs, lengths, tuple(states), need_states=True)
        assert found.states is not None
        assert default.states is not None
        same = [torch.equal(one.hidden, other.hidden) for one, other in zip(found.states, default.states, strict=True)]
        assert not same[changed]
        first_of_layer = changed - changed % (2 if is_bidirectional else 1)
        assert all(same[:first_of_layer]), "a state changed a layer below its own"


@every_cell
@every_shape
def test_gradients_of_the_plain_unrolling_are_right(cell_name: str, num_layers: int, is_bidirectional: bool) -> None:
    net = make_net(cell_name, num_layers=num_layers, is_bidirectional=is_bidirectional, use_native=False)
    inputs, lengths = make_inputs(lengths=(3, 1))
    names = [name for name, _ in net.named_parameters()]

    def run(inputs: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        result = torch.func.functional_call(
            net, dict(zip(names, parameters, strict=True)), (inputs, lengths), {"need_states": True}
        )
        return (result.outputs, *(tensor for state in result.states for tensor in state))

    # gradcheck's own tolerances; numbers are float64, as it asks.
    assert torch.autograd.gradcheck(run, (inputs.requires_grad_(), *net.parameters()), fast_mode=num_layers > 1)


@every_cell
@every_way
@every_shape
def test_gradient_reaches_every_parameter(
    cell_name: str, use_native: bool, num_layers: int, is_bidirectional: bool
) -> None:
    net = make_net(cell_name, num_layers=num_layers, is_bidirectional=is_bidirectional, use_native=use_native)
    inputs, lengths = make_inputs()
    outputs = net(inputs, lengths).outputs
    (outputs * torch.randn_like(outputs)).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad != 0).all(), name  # with random weights no share of a gradient is exactly zero


@every_cell
@every_way
@every_shape
def test_gradient_reaches_every_rows_final_state_from_its_own_input_only(
    cell_name: str, use_native: bool, num_layers: int, is_bidirectional: bool
) -> None:
    net = make_net(cell_name, num_layers=num_layers, is_bidirectional=is_bidirectional, use_native=use_native)
    inputs, lengths = make_inputs(padding=1)
    inputs.requires_grad_()
    states = net(inputs, lengths, need_states=True).states
    assert states is not None
    mask = make_mask(lengths, inputs.shape[1])
    for state in states:
        for tensor in state:
            for row in range(len(LENGTHS)):
                (gradient,) = torch.autograd.grad(tensor[row].sum(), inputs, retain_graph=True)
                is_own = torch.zeros_like(mask)
                is_own[row] = mask[row]
                assert (gradient[is_own] != 0).all()
                assert (gradient[~is_own] == 0).all()


@every_cell
@every_way
def test_gradient_flows_in_evaluation_mode_too(cell_name: str, use_native: bool) -> None:
    net = make_net(cell_name, torch.float32, is_bidirectional=True, use_native=use_native).eval()
    inputs, lengths = make_inputs(torch.float32)
    net(inputs.requires_grad_(), lengths).outputs.sum().backward()
    assert inputs.grad is not None
    assert inputs.grad.any()


TORCH_MODULES: dict[str, Callable[..., nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


def make_torch_twin(cell_name: str, net: Recurrent, dtype: torch.dtype) -> nn.RNNBase:
    """Torch's own module with the same weights."""
    twin = TORCH_MODULES[cell_name](
        INPUT_SIZE,
        HIDDEN_SIZE,
        num_layers=len(net.layers),
        bidirectional=net.is_bidirectional,
        batch_first=True,
        dtype=dtype,
    )
    with torch.no_grad():
        for layer_index, layer in enumerate(net.layers):
            for cell, ending in zip(layer, ("", "_reverse"), strict=False):
                weights = dict(cell.named_parameters())
                if "bias" in weights:  # torch always has two biases and adds them
                    weights["bias_ih"] = weights.pop("bias")
                    weights["bias_hh"] = torch.zeros_like(weights["bias_ih"])
                for name, weight in weights.items():
                    getattr(twin, f"{name}_l{layer_index}{ending}").copy_(weight)
    return twin


@pytest.mark.parametrize("cell_name", [name for name in cells if name in TORCH_MODULES])
@every_precision
@every_way
@every_shape
@pytest.mark.parametrize("has_states", [True, False], ids=["given-states", "zero-states"])
def test_equals_torchs_own_module_on_packed_rows(
    cell_name: str,
    dtype: torch.dtype,
    tolerance: float,
    use_native: bool,
    num_layers: int,
    is_bidirectional: bool,
    has_states: bool,
) -> None:
    net = make_net(cell_name, dtype, num_layers=num_layers, is_bidirectional=is_bidirectional, use_native=use_native)
    twin = make_torch_twin(cell_name, net, dtype)
    inputs, lengths = make_inputs(dtype)
    states = random_states(net, inputs) if has_states else None

    stacked = None
    if states is not None:
        stacked = tuple(torch.stack(tensors) for tensors in zip(*states, strict=True))
        stacked = stacked if len(stacked) > 1 else stacked[0]
    packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    packed_outputs, last = twin(packed, stacked)
    expected, _ = pad_packed_sequence(packed_outputs, batch_first=True)

    found = net(inputs, lengths, states, need_states=True)
    torch.testing.assert_close(found.outputs, expected, atol=tolerance, rtol=tolerance)
    last_tensors = last if isinstance(last, tuple) else (last,)
    for mine, theirs in zip(zip(*found.states, strict=True), last_tensors, strict=True):
        torch.testing.assert_close(torch.stack(mine), theirs, atol=tolerance, rtol=tolerance)


Array = NDArray[numpy.float64]
Reference = Callable[[dict[str, Array], Array, list[Array]], list[Array]]


def sigmoid(values: Array) -> Array:
    return 1 / (1 + numpy.exp(-values))


def elman_step(p: dict[str, Array], x: Array, state: list[Array]) -> list[Array]:
    """Elman 1990: h' = tanh(W x + U h + b), for one row."""
    return [numpy.tanh(p["weight_ih"] @ x + p["weight_hh"] @ state[0] + p["bias"])]


def lstm_step(p: dict[str, Array], x: Array, state: list[Array]) -> list[Array]:
    """Gers, Schmidhuber and Cummins 2000, for one row, unit by unit; gate order input, forget, candidate, output."""
    h, c = state
    size = len(h)
    new_h, new_c = numpy.zeros(size), numpy.zeros(size)
    for j in range(size):
        i, f, g, o = (
            p["weight_ih"][gate * size + j] @ x + p["weight_hh"][gate * size + j] @ h + p["bias"][gate * size + j]
            for gate in range(4)
        )
        new_c[j] = sigmoid(f) * c[j] + sigmoid(i) * numpy.tanh(g)
        new_h[j] = sigmoid(o) * numpy.tanh(new_c[j])
    return [new_h, new_c]


def gru_step(p: dict[str, Array], x: Array, state: list[Array]) -> list[Array]:
    """Cho et al. 2014, equations 5 to 8, the reset gate on the product as torch has it; order reset, update, new."""
    (h,) = state
    size = len(h)
    new_h = numpy.zeros(size)
    for j in range(size):
        w = [p["weight_ih"][gate * size + j] @ x + p["bias_ih"][gate * size + j] for gate in range(3)]
        u = [p["weight_hh"][gate * size + j] @ h + p["bias_hh"][gate * size + j] for gate in range(3)]
        r, z = sigmoid(w[0] + u[0]), sigmoid(w[1] + u[1])
        new_h[j] = z * h[j] + (1 - z) * numpy.tanh(w[2] + r * u[2])
    return [new_h]


REFERENCES: dict[str, Reference] = {"gru": gru_step, "lstm": lstm_step, "rnn": elman_step}


def test_every_cell_has_a_reference_written_from_its_equations() -> None:
    assert set(cells) <= set(REFERENCES), "write the new cell's equations in numpy and add them to REFERENCES"


@every_cell
def test_project_and_step_equal_the_equations(cell_name: str) -> None:
    cell: Cell = cells.get(cell_name)(INPUT_SIZE, HIDDEN_SIZE).double()
    randomise(cell)
    parameters = {name: parameter.detach().numpy() for name, parameter in cell.named_parameters()}
    inputs = torch.randn(2, 3, INPUT_SIZE, dtype=torch.float64)
    state = cell.initial_state(inputs)
    state = type(state)(*(torch.randn_like(tensor) for tensor in state))
    expected = [[tensor[row].numpy() for tensor in state] for row in range(2)]
    projected = cell.project(inputs)
    for time in range(3):
        state = cell.step(projected[:, time], state)
        for row in range(2):
            expected[row] = REFERENCES[cell_name](parameters, inputs[row, time].numpy(), expected[row])
            for found, wanted in zip(state, expected[row], strict=True):
                # float64 rounding over three steps
                numpy.testing.assert_allclose(found[row].detach().numpy(), wanted, atol=1e-12)


@every_cell
def test_initial_state_is_zero_and_follows_the_inputs(cell_name: str) -> None:
    cell: Cell = cells.get(cell_name)(INPUT_SIZE, HIDDEN_SIZE)
    for tensor in cell.initial_state(torch.ones(2, 3, INPUT_SIZE, dtype=torch.float64)):
        assert tensor.shape == (2, HIDDEN_SIZE)
        assert tensor.dtype == torch.float64
        assert not tensor.any()


def test_lstm_starts_with_its_forget_gates_open() -> None:
    bias = cells.get("lstm")(INPUT_SIZE, HIDDEN_SIZE).bias
    expected = torch.zeros(4, HIDDEN_SIZE)
    expected[1] = 1.0  # Jozefowicz et al. 2015; gate order input, forget, candidate, output
    assert torch.equal(bias.detach().view(4, HIDDEN_SIZE), expected)


@every_cell
def test_recurrent_matrices_start_orthogonal(cell_name: str) -> None:
    cell = cells.get(cell_name)(INPUT_SIZE, HIDDEN_SIZE)
    for matrix in cell.weight_hh.detach().split(HIDDEN_SIZE):
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(HIDDEN_SIZE), atol=1e-5, rtol=0)  # float32 rounding

"""One table of laws that every registered cell obeys, whichever way it is unrolled."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy
import pytest
import torch
from cell_references import REFERENCES
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nlp_lstm.nn.cells import Cell, State
from nlp_lstm.nn.recurrent import Recurrent, RecurrentOutput, make_mask
from nlp_lstm.nn.settings import cells

INPUT_SIZE, HIDDEN_SIZE = 3, 5  # a hidden size that no block of cells divides
LENGTHS = (5, 2, 7, 1)  # neither sorted nor equal

# float64 differs by rounding alone; 1e-5 is what DESIGN.md promises in float32, where kernels differ by batch shape.
FORMS = [
    pytest.param(torch.float64, 1e-12, 1, False, id="float64-1-forward"),
    pytest.param(torch.float64, 1e-12, 2, True, id="float64-2-both"),
    pytest.param(torch.float32, 1e-5, 2, True, id="float32-2-both"),
]

every_cell = pytest.mark.parametrize("cell_name", list(cells))
every_way_and_form = pytest.mark.parametrize(
    ("use_native", "dtype", "tolerance", "num_layers", "is_bidirectional"),
    [
        pytest.param(True, torch.float64, 1e-12, 1, False, id="native-float64-1-forward"),
        pytest.param(True, torch.float32, 1e-5, 2, True, id="native-float32-2-both"),
        pytest.param(False, torch.float64, 1e-12, 2, True, id="plain-float64-2-both"),
    ],
)
every_form = pytest.mark.parametrize(("dtype", "tolerance", "num_layers", "is_bidirectional"), FORMS)
every_way = pytest.mark.parametrize("use_native", [True, False], ids=["native", "plain"])
every_shape = pytest.mark.parametrize(
    ("num_layers", "is_bidirectional"), [(1, False), (2, True)], ids=["1-forward", "2-both"]
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
    recurrent_dropout_rate: float = 0.0,
) -> Recurrent:
    net = Recurrent(
        cell_name,
        INPUT_SIZE,
        HIDDEN_SIZE,
        num_layers=num_layers,
        is_bidirectional=is_bidirectional,
        recurrent_dropout_rate=recurrent_dropout_rate,
        use_native=use_native,
    )
    randomise(net)
    if cell_name == "rnn-relu":  # a unit that never fires would have no gradient
        for name, parameter in net.named_parameters():
            parameter.data = parameter.data.abs() + 3 if name.endswith("bias") else parameter.data / 3
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


def gradients_of(
    net: Recurrent, inputs: Tensor, result: RecurrentOutput, weights: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """The gradient of a sum of outputs, and of final states where there are any: by input, and by parameter."""
    loss = (result.outputs * weights).sum()
    for state in result.states or ():
        loss = loss + sum(tensor.square().sum() for tensor in state)
    by_input, *by_parameter = torch.autograd.grad(loss, [inputs, *net.parameters()])
    return by_input, by_parameter


def assert_gradients_close(found: Sequence[Tensor], expected: Sequence[Tensor], tolerance: float) -> None:
    """A gradient sums over rows and steps, so it has a digit fewer than one output."""
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=10 * tolerance, rtol=10 * tolerance)


@every_cell
@every_way_and_form
@pytest.mark.parametrize("need_states", [True, False], ids=["states", "no-states"])
def test_padding_never_changes_outputs_final_states_or_gradients(
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

    plain = net(inputs.requires_grad_(), lengths, need_states=need_states)
    padded = net(longer.requires_grad_(), lengths, need_states=need_states)

    torch.testing.assert_close(padded.outputs[:, :time], plain.outputs, atol=tolerance, rtol=tolerance)
    is_padding = ~make_mask(lengths, time + 3)[..., None]
    assert not padded.outputs.masked_select(is_padding).any()
    if need_states:
        assert_states_close(padded.states, plain.states, tolerance)
    else:
        assert plain.states is None
    weights = torch.randn(len(LENGTHS), time + 3, net.output_size, dtype=dtype)
    by_input, by_parameter = gradients_of(net, longer, padded, weights)
    expected_by_input, expected_by_parameter = gradients_of(net, inputs, plain, weights[:, :time])
    assert not by_input.masked_select(is_padding).any()
    assert_gradients_close([by_input[:, :time], *by_parameter], [expected_by_input, *expected_by_parameter], tolerance)


@every_cell
@every_way_and_form
def test_batched_equals_one_row_at_a_time(
    cell_name: str, dtype: torch.dtype, tolerance: float, use_native: bool, num_layers: int, is_bidirectional: bool
) -> None:
    net = make_net(cell_name, dtype, num_layers=num_layers, is_bidirectional=is_bidirectional, use_native=use_native)
    inputs, lengths = make_inputs(dtype, padding=2)
    inputs.requires_grad_()
    weights = torch.randn(*inputs.shape[:2], net.output_size, dtype=dtype)
    together = net(inputs, lengths, need_states=True)
    by_input, by_parameter = gradients_of(net, inputs, together, weights)
    added = [torch.zeros_like(gradient) for gradient in by_parameter]
    for row, length in enumerate(LENGTHS):
        single = inputs[row : row + 1, :length].detach().requires_grad_()
        alone = net(single, lengths[row : row + 1], need_states=True)
        torch.testing.assert_close(alone.outputs[0], together.outputs[row, :length], atol=tolerance, rtol=tolerance)
        assert_states_close(alone.states, together.states, tolerance, rows=slice(row, row + 1))
        own_by_input, own_by_parameter = gradients_of(net, single, alone, weights[row : row + 1, :length])
        assert_gradients_close([by_input[row, :length]], [own_by_input[0]], tolerance)
        added = [total + own for total, own in zip(added, own_by_parameter, strict=True)]
    assert_gradients_close(by_parameter, added, tolerance)


@every_cell
@every_way
@pytest.mark.parametrize("num_layers", [1, 2])
def test_ten_steps_equal_four_then_six(cell_name: str, use_native: bool, num_layers: int) -> None:
    net = make_net(cell_name, num_layers=num_layers, use_native=use_native)
    inputs, lengths = make_inputs(lengths=(10, 7, 10))
    whole = net(inputs, lengths, need_states=True)
    first = net(inputs[:, :4], torch.full((3,), 4), need_states=True)
    second = net(inputs[:, 4:], lengths - 4, first.states, need_states=True)
    joined = RecurrentOutput(outputs=torch.cat((first.outputs, second.outputs), dim=1), states=second.states)
    assert_same(joined, whole, 1e-12)


@every_cell
@every_form
@pytest.mark.parametrize("lengths", [LENGTHS, (4, 4)], ids=["unequal", "equal"])
def test_all_steps_at_once_equal_a_plain_loop(
    cell_name: str,
    dtype: torch.dtype,
    tolerance: float,
    num_layers: int,
    is_bidirectional: bool,
    lengths: tuple[int, ...],
) -> None:
    net = make_net(cell_name, dtype, num_layers=num_layers, is_bidirectional=is_bidirectional)
    inputs, row_lengths = make_inputs(dtype, lengths, padding=1)
    inputs.requires_grad_()
    states = random_states(net, inputs)
    weights = torch.randn(*inputs.shape[:2], net.output_size, dtype=dtype)

    results, gradients = [], []
    for use_native in (True, False):
        net.use_native = use_native
        results.append(net(inputs, row_lengths, states, need_states=True))
        fast = net(inputs, row_lengths, states)  # the padded kernel, which gives no states
        torch.testing.assert_close(fast.outputs, results[-1].outputs, atol=tolerance, rtol=tolerance)
        with torch.no_grad():  # another way through the steps where no gradient is wanted
            assert_same(net(inputs, row_lengths, states, need_states=True), results[-1], tolerance)
        by_input, by_parameter = gradients_of(net, inputs, fast, weights)
        gradients.append([by_input, *by_parameter])
    assert_same(results[0], results[1], tolerance)
    assert_gradients_close(*gradients, tolerance)


@every_cell
@every_way
def test_given_initial_states_are_honoured(cell_name: str, use_native: bool) -> None:
    net = make_net(cell_name, num_layers=2, is_bidirectional=True, use_native=use_native)
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
        first_of_layer = changed - changed % 2
        assert all(same[:first_of_layer]), "a state changed a layer below its own"


@every_cell
def test_gradients_are_right(cell_name: str) -> None:
    net = make_net(cell_name, is_bidirectional=True)  # the plain way has the same gradients, see above
    inputs, lengths = make_inputs(lengths=(3, 1))
    names = [name for name, _ in net.named_parameters()]
    state_type = type(random_states(net, inputs)[0])
    given = [tensor.requires_grad_() for state in random_states(net, inputs) for tensor in state]

    def run(inputs: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        parts = iter(tensors[: len(given)])
        states = tuple(state_type(*group) for group in zip(*[parts] * len(state_type._fields), strict=True))
        parameters = dict(zip(names, tensors[len(given) :], strict=True))
        result = torch.func.functional_call(net, parameters, (inputs, lengths, states), {"need_states": True})
        return (result.outputs, *(tensor for state in result.states for tensor in state))

    # gradcheck's own tolerances; numbers are float64, as it asks. The fast mode checks along a random direction.
    assert torch.autograd.gradcheck(run, (inputs.requires_grad_(), *given, *net.parameters()), fast_mode=True)


@every_cell
@every_way
def test_gradient_reaches_every_parameter(cell_name: str, use_native: bool) -> None:
    net = make_net(cell_name, num_layers=2, is_bidirectional=True, use_native=use_native)
    inputs, lengths = make_inputs()
    outputs = net(inputs, lengths).outputs
    (outputs * torch.randn_like(outputs)).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad != 0).all(), name  # with random weights no share of a gradient is exactly zero


@every_cell
@every_way
def test_gradient_reaches_every_rows_final_state_from_its_own_input_only(cell_name: str, use_native: bool) -> None:
    net = make_net(cell_name, is_bidirectional=True, use_native=use_native)
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
def test_gradient_flows_in_evaluation_mode_and_past_frozen_weights(cell_name: str, use_native: bool) -> None:
    net = make_net(cell_name, torch.float32, is_bidirectional=True, use_native=use_native).eval()
    inputs, lengths = make_inputs(torch.float32)
    net(inputs.requires_grad_(), lengths).outputs.sum().backward()
    flowed = inputs.grad
    assert flowed is not None
    assert flowed.any()
    inputs.grad = None
    net.requires_grad_(False)
    net(inputs, lengths).outputs.sum().backward()
    torch.testing.assert_close(inputs.grad, flowed, atol=1e-5, rtol=1e-5)


@every_cell
def test_a_second_backward_pass_is_as_good_as_the_first(cell_name: str) -> None:
    net = make_net(cell_name)
    inputs, lengths = make_inputs()
    loss = net(inputs.requires_grad_(), lengths).outputs.square().sum()
    torch.autograd.grad(loss, inputs, retain_graph=True)  # leaves the weights out
    first = torch.autograd.grad(loss, list(net.parameters()), retain_graph=True)
    assert_gradients_close(torch.autograd.grad(loss, list(net.parameters())), first, 1e-12)


@every_cell
@every_shape
def test_gradients_in_float32_are_those_of_float64(cell_name: str, num_layers: int, is_bidirectional: bool) -> None:
    """Over so many steps float32 goes through packed products; float64 does not."""
    net = make_net(cell_name, torch.float32, num_layers=num_layers, is_bidirectional=is_bidirectional)
    inputs, lengths = make_inputs(torch.float32, (20, 3, 11))
    weights = torch.randn(*inputs.shape[:2], net.output_size)
    found = gradients_of(net, inputs.requires_grad_(), net(inputs, lengths), weights)
    net, inputs = net.double(), inputs.detach().double().requires_grad_()
    expected = gradients_of(net, inputs, net(inputs, lengths), weights.double())
    for one, other in zip((found[0], *found[1]), (expected[0], *expected[1]), strict=True):
        assert (one.double() - other).norm() <= 1e-5 * other.norm()


@every_cell
@every_shape
def test_autocast_to_bfloat16_stays_near(cell_name: str, num_layers: int, is_bidirectional: bool) -> None:
    net = make_net(cell_name, torch.float32, num_layers=num_layers, is_bidirectional=is_bidirectional)
    inputs, lengths = make_inputs(torch.float32)
    inputs.requires_grad_()
    weights = torch.randn(*inputs.shape[:2], net.output_size)
    exact = net(inputs, lengths)
    by_input, by_parameter = gradients_of(net, inputs, exact, weights)
    with torch.autocast("cpu", torch.bfloat16):
        rough = net(inputs, lengths, need_states=True)
    rough = RecurrentOutput(outputs=rough.outputs, states=None)
    rough_by_input, rough_by_parameter = gradients_of(net, inputs, rough, weights)
    # Eight bits of mantissa, through two layers and seven steps.
    torch.testing.assert_close(rough.outputs.float(), exact.outputs, atol=0.05, rtol=0.05)
    assert all(gradient.dtype == torch.float32 for gradient in (rough_by_input, *rough_by_parameter))
    found = torch.cat([gradient.flatten() for gradient in (rough_by_input, *rough_by_parameter)])
    expected = torch.cat([gradient.flatten() for gradient in (by_input, *by_parameter)])
    assert (found - expected).norm() < 0.1 * expected.norm()


TORCH_MODULES: dict[str, Callable[..., nn.RNNBase]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn": nn.RNN,
    "rnn-relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
}


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
@every_way
@every_form
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


def test_every_cell_has_a_reference_written_from_its_equations() -> None:
    assert set(cells) <= set(REFERENCES), "write the new cell's equations in numpy and add them to REFERENCES"


def test_the_readme_and_the_settings_list_every_cell() -> None:
    root = Path(__file__).parents[2]
    readme = (root / "README.md").read_text(encoding="utf-8").partition("\n## Cells")[2]
    listed = {name for row in re.findall(r"^\| ([a-z0-9, -]+) \|", readme, re.MULTILINE) for name in row.split(", ")}
    assert set(cells) <= listed
    for module in ("nn/settings.py", "tasks/language_answers.py", "tasks/translation.py"):
        [names] = re.findall(
            r'"""The recurrent cell\'s name: (.*?)"""', (root / "nlp_lstm" / module).read_text(), re.DOTALL
        )
        assert set(cells) <= set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", names))


@every_cell
@pytest.mark.parametrize("hidden_size", [1, 4, 5, 9])
def test_steps_and_unrolling_equal_the_equations(cell_name: str, hidden_size: int) -> None:
    cell: Cell = cells.get(cell_name)(INPUT_SIZE, hidden_size).double()
    randomise(cell)
    parameters = {name: parameter.detach().numpy() for name, parameter in cell.named_parameters()}
    inputs = torch.randn(2, 3, INPUT_SIZE, dtype=torch.float64)
    state = cell.initial_state(inputs)
    state = type(state)(*(torch.randn_like(tensor) for tensor in state))
    expected = [[tensor[row].numpy() for tensor in state] for row in range(2)]
    projected = cell.project(inputs)
    unrolled = cell.unroll(projected, state)
    assert type(unrolled) is type(state)
    for time in range(3):
        state = cell.step(projected[:, time], state)
        for row in range(2):
            expected[row] = REFERENCES[cell_name](parameters, inputs[row, time].numpy(), expected[row])
            for found, all_found, wanted in zip(state, unrolled, expected[row], strict=True):
                # float64 rounding over three steps
                numpy.testing.assert_allclose(found[row].detach().numpy(), wanted, atol=1e-12)
                numpy.testing.assert_allclose(all_found[row, time].detach().numpy(), wanted, atol=1e-12)


@every_cell
def test_initial_state_is_zero_and_follows_the_inputs(cell_name: str) -> None:
    cell: Cell = cells.get(cell_name)(INPUT_SIZE, HIDDEN_SIZE)
    for tensor in cell.initial_state(torch.ones(2, 3, INPUT_SIZE, dtype=torch.float64)):
        assert tensor.shape == (2, HIDDEN_SIZE)
        assert tensor.dtype == torch.float64
        assert not tensor.any()


@pytest.mark.parametrize(
    ("cell_name", "first", "last"),
    [
        ("lstm", 5, 10),
        ("peephole", 5, 10),
        ("layernorm", 5, 10),
        ("mogrifier", 5, 10),
        ("blocks", 2, 4),
        ("cifg", 0, 5),
        ("sru", 0, 5),
        ("minlstm", 0, 5),
    ],
)
def test_forget_gates_start_open(cell_name: str, first: int, last: int) -> None:
    bias = cells.get(cell_name)(INPUT_SIZE, HIDDEN_SIZE).bias.detach()
    expected = torch.zeros_like(bias)
    expected[first:last] = 1.0  # Jozefowicz et al. 2015
    assert torch.equal(bias, expected)


@every_cell
def test_recurrent_matrices_start_orthogonal(cell_name: str) -> None:
    cell = cells.get(cell_name)(INPUT_SIZE, HIDDEN_SIZE)
    if "weight_hh" not in dict(cell.named_parameters()):
        assert not cell.recurrent_weights
        return
    weight = cell.weight_hh.detach()
    for matrix in weight.split(list(getattr(cell, "gate_sizes", (HIDDEN_SIZE,) * (len(weight) // HIDDEN_SIZE)))):
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(len(matrix)), atol=1e-5, rtol=0)  # float32 rounding


def test_rectified_units_do_not_overflow_in_the_padding() -> None:
    net = make_net("rnn-relu", torch.float32)
    net.layers[0][0].weight_hh.data.fill_(100.0)
    inputs, lengths = make_inputs(torch.float32, (3, 1), padding=60)
    outputs = net(inputs.requires_grad_(), lengths).outputs
    outputs.sum().backward()
    for tensor in (outputs, inputs.grad, *(parameter.grad for parameter in net.parameters())):
        assert tensor.isfinite().all()


# ---- dropped recurrent weights

every_recurrent_cell = pytest.mark.parametrize(
    "cell_name", [name for name in cells if cells.get(name).recurrent_weights]
)


@every_recurrent_cell
def test_dropped_weights_are_zero_the_rest_is_larger_and_the_cell_stays_as_it_is(cell_name: str) -> None:
    module = cells.get(cell_name)(5, 40)
    parameters = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    view = module.with_dropped_weights(0.25)
    for name in module.recurrent_weights:
        weight, dropped = getattr(module, name), getattr(view, name)
        if cell_name != "rnn-relu":  # whose matrix starts as the identity, mostly zeros
            is_dropped = dropped == 0
            torch.testing.assert_close(dropped, weight / 0.75 * ~is_dropped)
            # five standard errors of a share of 0.25
            assert is_dropped.float().mean().item() == pytest.approx(0.25, abs=5 * (0.1875 / weight.numel()) ** 0.5)
    for name, parameter in module.named_parameters():
        assert torch.equal(parameter, parameters[name])
        if name not in module.recurrent_weights:
            assert getattr(view, name) is parameter
    assert {name for name, _ in module.named_parameters()} == set(parameters)


def test_dropping_weights_preserves_their_mean() -> None:
    module = cells.get("lstm")(3, 4)
    mean = torch.stack([module.with_dropped_weights(0.5).weight_hh.detach() for _ in range(2_000)]).mean(dim=0)
    # five standard errors: each draw is 0 or twice the weight
    assert ((mean - module.weight_hh).abs() <= 5 * module.weight_hh.abs() / 2_000**0.5 + 1e-7).all()


@every_recurrent_cell
@every_way
def test_the_same_weights_are_dropped_at_every_step(cell_name: str, use_native: bool) -> None:
    net = make_net(cell_name, use_native=use_native, recurrent_dropout_rate=0.5)
    inputs, lengths = make_inputs(lengths=(7, 7))
    torch.manual_seed(3)
    found = net(inputs, lengths).outputs
    torch.manual_seed(3)
    view = net.layers[0][0].with_dropped_weights(0.5)
    state, projected, expected = view.initial_state(inputs), view.project(inputs), []
    for time in range(7):
        state = view.step(projected[:, time], state)
        expected.append(state.hidden)
    torch.testing.assert_close(found, torch.stack(expected, dim=1), atol=1e-12, rtol=0)  # float64 rounding


@every_recurrent_cell
@every_way
def test_the_gradient_reaches_the_weights_that_are_kept(cell_name: str, use_native: bool) -> None:
    net = make_net(cell_name, use_native=use_native, recurrent_dropout_rate=0.5)
    inputs, lengths = make_inputs(lengths=(7, 7))
    torch.manual_seed(5)
    net(inputs, lengths, need_states=True).outputs.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters())
    torch.manual_seed(5)
    cell = net.layers[0][0]
    view = cell.with_dropped_weights(0.5)
    for name in cell.recurrent_weights:
        assert torch.equal(getattr(cell, name).grad != 0, getattr(view, name) != 0)


@pytest.mark.parametrize("cell_name", [name for name in cells if not cells.get(name).recurrent_weights])
def test_a_cell_without_recurrent_weights_has_none_to_drop(cell_name: str) -> None:
    net = make_net(cell_name, recurrent_dropout_rate=0.5)
    inputs, lengths = make_inputs()
    assert torch.equal(net(inputs, lengths).outputs, net.eval()(inputs, lengths).outputs)
    assert math.prod(net.layers[0][0].weight_ih.shape) % (INPUT_SIZE * HIDDEN_SIZE) == 0

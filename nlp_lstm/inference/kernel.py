"""The compiled kernel of an LSTM: built once with the machine's own C compiler, kept in the user's cache.

`lstm_kernel.c` says how it computes. It is optional: without a compiler the other engines do the work. A build is named
by its source, its compiler options and this processor's instructions, so another machine with the same home folder
builds its own; and it is kept only after it has given right answers.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, Int64
from numpy import ndarray

from nlp_lstm.errors import ConfigError, shorten
from nlp_lstm.paths import cache_folder

SOURCE = Path(__file__).with_name("lstm_kernel.c")
OPTIONS = ("-O3", "-march=native", "-std=gnu11", "-shared", "-fPIC", "-pthread")
COMPILERS = ("cc", "gcc", "clang")
SECONDS = 300  # for the compiler
TOLERANCE = 1e-5
FEW_ROWS = 12  # for which codes are read in eight bits
NUM_GATES = 4
FEW_TOKENS = 300  # for which both directions run side by side; of more there are batches to do so
WORTH_A_THREAD = 500_000  # products of a direction: waking a thread takes as long as some hundred thousand
GROUP = 4  # numbers that one int8 instruction multiplies and adds


class _Layer(ctypes.Structure):
    """What the kernel is called with; see the C source."""

    _fields_ = (
        *((name, ctypes.c_long) for name in ("steps", "rows", "inputs", "units", "distinct")),
        *(
            (name, ctypes.c_void_p)
            for name in ("x", "index", "known", "lengths", "order", "w", "r", "w_codes", "r_codes", "bias")
        ),
        *((name, ctypes.c_void_p) for name in ("w_scales", "r_scales", "w_start", "r_start", "h", "c", "y")),
        *((name, ctypes.c_long) for name in ("y_step", "y_row", "known_row")),
        *((name, ctypes.c_int) for name in ("is_reverse", "is_int8")),
    )


class PackedMatrix(NamedTuple):
    """A matrix in the kernel's order.

    Args:
        values: fp32, or int8 codes.
        scales: of codes, one a row of the matrix, `panel gate lane`.
        start: of int8 codes, where each sum begins, `panel gate lane`.
        codes: where ``values`` are codes in fp32, the same in eight bits.
    """

    values: ndarray
    scales: ndarray | None = None
    start: ndarray | None = None
    codes: ndarray | None = None


class PackedProduct(NamedTuple):
    """A matrix in the kernel's order for a plain product, `panel input column`."""

    num_columns: int
    values: ndarray


class PackedDirection(NamedTuple):
    """One direction of an LSTM in the kernel's order.

    Args:
        num_inputs: features of a step.
        hidden_size: units.
        inputs: weights of the inputs.
        states: weights of the states.
        bias: of the gates.
        as_layer: what the kernel is called with, as far as it does not change from call to call.
    """

    num_inputs: int
    hidden_size: int
    inputs: PackedMatrix
    states: PackedMatrix
    bias: ndarray
    as_layer: _Layer

    @property
    def is_int8(self) -> bool:
        """Whether products are of int8 numbers."""
        return self.inputs.start is not None


class Kernel:
    """A build of the kernel.

    Args:
        path: of the shared library.

    Raises:
        OSError, AttributeError: it cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        self._multiply = self._library.lstm_multiply
        self._multiply.argtypes = (*[ctypes.c_long] * 3, *[ctypes.c_void_p] * 3)
        self._multiply.restype = None
        self.lanes: int = self._library.lstm_lanes()
        self.has_int8 = bool(self._library.lstm_has_int8())

    def pack(
        self,
        weight_ih: Float32[ndarray, "rows inputs"],
        weight_hh: Float32[ndarray, "rows hidden"],
        bias: Float32[ndarray, " rows"],
        *,
        is_int8: bool = False,
    ) -> PackedDirection:
        """Bring the weights of one direction into the kernel's order.

        Args:
            weight_ih: of the inputs; its rows are those of the input, output and forget gate and of the candidate.
            weight_hh: of the states.
            bias: of the gates.
            is_int8: whether products are of int8 numbers.
        """
        num_inputs, size = weight_ih.shape[1], weight_hh.shape[1]
        inputs, states = self._pack_matrix(weight_ih, is_int8), self._pack_matrix(weight_hh, is_int8)
        packed_bias = self._by_panel(bias[:, None])[:, 0]
        layer = _Layer(
            inputs=num_inputs,
            units=size,
            bias=packed_bias.ctypes.data,
            is_int8=is_int8,
            w=inputs.values.ctypes.data,
            r=states.values.ctypes.data,
            w_codes=_address(inputs.codes),
            r_codes=_address(states.codes),
            w_scales=_address(inputs.scales),
            r_scales=_address(states.scales),
            w_start=_address(inputs.start),
            r_start=_address(states.start),
        )
        return PackedDirection(num_inputs, size, inputs, states, packed_bias, layer)

    def pack_product(self, matrix: Float32[ndarray, "inputs columns"]) -> PackedProduct:
        """Bring a matrix into the order for `multiply`."""
        num_inputs, num_columns = matrix.shape
        width = NUM_GATES * self.lanes
        num_panels = -(-num_columns // width)
        padded = np.zeros((num_inputs, num_panels * width), np.float32)
        padded[:, :num_columns] = matrix
        by_panel = padded.reshape(num_inputs, num_panels, width).transpose(1, 0, 2)
        return PackedProduct(num_columns, np.ascontiguousarray(by_panel))

    def multiply(
        self, inputs: Float32[ndarray, "*rows inputs"], matrix: PackedProduct
    ) -> Float32[ndarray, "*rows columns"]:
        """Return ``inputs @ matrix``.

        Raises:
            ValueError: the shapes do not fit.
        """
        num_inputs = matrix.values.shape[1]
        if inputs.shape[-1] != num_inputs:
            raise ValueError(f"inputs have {inputs.shape[-1]} features; the matrix is for {num_inputs}")
        inputs = np.ascontiguousarray(inputs, np.float32)
        outputs = np.empty((*inputs.shape[:-1], matrix.num_columns), np.float32)
        num_rows = outputs.size // max(1, matrix.num_columns)
        self._multiply(
            num_rows,
            num_inputs,
            matrix.num_columns,
            inputs.ctypes.data,
            matrix.values.ctypes.data,
            outputs.ctypes.data,
        )
        return outputs

    def _by_panel(self, matrix: ndarray) -> ndarray:
        """Return `panel column gate lane`; lanes beyond the last unit are zero."""
        size, num_columns = matrix.shape[0] // NUM_GATES, matrix.shape[1]
        num_panels = -(-size // self.lanes)
        padded = np.zeros((NUM_GATES, num_panels * self.lanes, num_columns), np.float32)
        padded[:, :size] = matrix.reshape(NUM_GATES, size, num_columns)
        by_lane = padded.reshape(NUM_GATES, num_panels, self.lanes, num_columns)
        return np.ascontiguousarray(by_lane.transpose(1, 3, 0, 2))

    def _pack_matrix(self, matrix: ndarray, is_int8: bool) -> PackedMatrix:
        if not is_int8:
            scales = find_scales(matrix)
            if scales is None:
                return PackedMatrix(self._by_panel(matrix))
            panels = np.rint(self._by_panel(matrix / scales[:, None]))
            return PackedMatrix(panels, self._by_panel(scales[:, None])[:, 0], codes=panels.astype(np.int8))
        panels = self._by_panel(matrix)
        scales = np.abs(panels).max(axis=1) / 127
        scales[scales == 0] = 1
        codes = np.rint(panels / scales[:, None]).astype(np.int8)
        start = -128 * codes.sum(axis=1, dtype=np.int32)
        missing = -codes.shape[1] % GROUP
        codes = np.pad(codes, ((0, 0), (0, missing), (0, 0), (0, 0)))
        grouped = codes.reshape(codes.shape[0], -1, GROUP, NUM_GATES, self.lanes).transpose(0, 1, 3, 4, 2)
        return PackedMatrix(np.ascontiguousarray(grouped), scales.astype(np.float32), start.astype(np.int32))

    def project(
        self, directions: Sequence[PackedDirection], inputs: Float32[ndarray, "distinct inputs"]
    ) -> Float32[ndarray, "distinct gates"]:
        """Return the inputs' share of the gates in all directions, which `run` takes instead of them.

        Raises:
            ValueError: the shapes do not fit.
            MemoryError: there is none left.
        """
        num_distinct, num_inputs = inputs.shape
        if any(one.num_inputs != num_inputs for one in directions):
            raise ValueError(f"inputs have {num_inputs} features; the weights are for {directions[0].num_inputs}")
        inputs = np.ascontiguousarray(inputs, np.float32)
        size = directions[0].bias.size
        gates = np.empty((num_distinct, len(directions) * size), np.float32)
        for number, direction in enumerate(directions):
            layer = _Layer.from_buffer_copy(direction.as_layer)
            layer.distinct, layer.x, layer.known_row = num_distinct, inputs.ctypes.data, gates.shape[1]
            start = gates.ctypes.data + number * size * gates.itemsize
            if self._library.lstm_project(ctypes.byref(layer), ctypes.c_void_p(start)):
                raise MemoryError
        return gates

    def run(
        self,
        directions: Sequence[PackedDirection],
        inputs: Float32[ndarray, "time batch inputs"] | Float32[ndarray, "distinct inputs"],
        lengths: Int32[ndarray, " batch"],
        hidden: Float32[ndarray, "direction batch hidden"] | None = None,
        cell: Float32[ndarray, "direction batch hidden"] | None = None,
        *,
        index: Int64[ndarray, "time batch"] | None = None,
        is_projected: bool = False,
        num_threads: int = 1,
    ) -> tuple[
        Float32[ndarray, "time direction batch hidden"],
        Float32[ndarray, "direction batch hidden"],
        Float32[ndarray, "direction batch hidden"],
    ]:
        """Run all steps of a layer in each direction, the second one backward.

        Args:
            directions: one or two.
            inputs: the rows' steps, padded; or different ones, among which ``index`` chooses.
            lengths: real steps of each row.
            hidden: the states at first, default zeros; that of the backward direction is at the rows' ends.
            cell: the cells at first, default zeros.
            index: which of the inputs is read at each step; default each at its own place.
            is_projected: whether the inputs are what `project` made of them; with an index only.
            num_threads: with two, both directions of a few tokens run side by side in fp32.

        Returns:
            The outputs, zero at padding, and both states at the end.

        Raises:
            ValueError: the shapes do not fit, a length is not from 0 to the number of steps, or the index leaves the
                inputs.
            MemoryError: there is none left.
        """
        num_steps, num_rows, num_inputs = inputs.shape if index is None else (*index.shape, inputs.shape[1])
        size = directions[0].hidden_size
        shape = (len(directions), num_rows, size)
        hidden = np.zeros(shape, np.float32) if hidden is None else np.array(hidden, np.float32, order="C")
        cell = np.zeros(shape, np.float32) if cell is None else np.array(cell, np.float32, order="C")
        lengths = np.ascontiguousarray(lengths, np.int32)
        expected = len(directions) * directions[0].bias.size if is_projected else directions[0].num_inputs
        if num_inputs != expected or (is_projected and index is None):
            raise ValueError(f"inputs have {num_inputs} features; the weights are for {expected}")
        if any((one.num_inputs, one.hidden_size) != (directions[0].num_inputs, size) for one in directions):
            raise ValueError("the directions have weights of different shapes")
        if hidden.shape != shape or cell.shape != shape or lengths.shape != (num_rows,):
            raise ValueError(f"lengths {lengths.shape} and states {hidden.shape}, {cell.shape} do not fit {shape}")
        if num_rows and not 0 <= lengths.min() <= lengths.max() <= num_steps:
            raise ValueError(f"lengths from {lengths.min()} to {lengths.max()} in rows of {num_steps} steps")
        if index is not None:
            if index.size and not 0 <= index.min() <= index.max() < len(inputs):
                raise ValueError(f"an index from {index.min()} to {index.max()} into {len(inputs)} inputs")
            index = np.ascontiguousarray(index, np.int64)
        inputs = np.ascontiguousarray(inputs, np.float32)
        order = np.argsort(-lengths, kind="stable").astype(np.int64)
        outputs = np.zeros((num_steps, num_rows, len(directions), size), np.float32)
        layers = (_Layer * len(directions))(*(direction.as_layer for direction in directions))
        x, h, c, y = (array.ctypes.data for array in (inputs, hidden, cell, outputs))
        size_in_bytes = size * outputs.itemsize
        for number, layer in enumerate(layers):
            layer.steps, layer.rows, layer.distinct = num_steps, num_rows, len(inputs)
            layer.index = _address(index)
            if is_projected:
                layer.known, layer.known_row = x + number * directions[0].bias.nbytes, num_inputs
            else:
                layer.x = x
            layer.lengths, layer.order = lengths.ctypes.data, order.ctypes.data
            layer.h, layer.c = (address + number * num_rows * size_in_bytes for address in (h, c))
            layer.y = y + number * size_in_bytes
            layer.y_row, layer.y_step = len(directions) * size, num_rows * len(directions) * size
            layer.is_reverse = number
        num_tokens = int(lengths.sum())
        num_products = num_tokens * ((0 if is_projected else num_inputs) + size) * NUM_GATES * size
        is_parallel = (
            num_threads > 1
            and not directions[0].is_int8
            and num_tokens <= FEW_TOKENS
            and num_products >= WORTH_A_THREAD
        )
        if self._library.lstm_run(layers, len(directions), is_parallel):
            raise MemoryError
        return outputs.transpose(0, 2, 1, 3), hidden, cell


def as_codes(matrix: Float32[ndarray, "rows columns"]) -> Float32[ndarray, "rows columns"]:
    """Return the nearest matrix whose rows are codes times a scale, as a model file of 8 bits holds them."""
    scales = np.abs(matrix).max(axis=1, keepdims=True) / np.float32(127)
    rounded: ndarray = np.rint(matrix / scales).clip(-127, 127) * scales
    return rounded


def find_scales(matrix: Float32[ndarray, "rows columns"]) -> Float32[ndarray, " rows"] | None:
    """Return the scale of each row of a matrix that is codes from -127 to 127 times them, None of any other.

    So it is with one whose rows `nlp_lstm.weights.pack_weights` has rounded, each with one code of 127 at least.
    """
    highest = np.abs(matrix).max(axis=1)
    guess = np.where(highest > 0, highest / np.float32(127), np.float32(1)).astype(np.float32)
    scales = np.zeros_like(guess)
    for candidate in (guess, np.nextafter(guess, np.float32(0)), np.nextafter(guess, np.float32(np.inf))):
        is_right = (np.rint(matrix / candidate[:, None]) * candidate[:, None] == matrix).all(axis=1)
        scales = np.where(is_right & (scales == 0), candidate, scales)
    return scales if scales.all() else None


def _address(array: ndarray | None) -> int | None:
    return None if array is None else array.ctypes.data


# ---- builds


def kernel_path() -> Path:
    """Return where this machine's build is, or would be."""
    digest = hashlib.sha256(SOURCE.read_bytes())
    digest.update(repr((OPTIONS, platform.system(), platform.machine(), _instructions())).encode())
    return cache_folder() / "kernels" / f"lstm-{digest.hexdigest()[:16]}.so"


def _instructions() -> str:
    """What the processor can do, as the system says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


@lru_cache(maxsize=1)
def load_kernel() -> Kernel | None:
    """Return this machine's build, None where there is none."""
    path = kernel_path()
    try:
        return Kernel(path) if path.is_file() else None
    except (OSError, AttributeError):  # damaged, or not this kernel
        return None


def build_kernel() -> Path:
    """Build the kernel, try it, and keep it in the user's cache.

    Raises:
        ConfigError: there is no compiler, it fails, or what it made gives wrong answers.
    """
    path = kernel_path()
    compiler = shlex.split(os.environ.get("CC", "")) or [next(filter(None, map(shutil.which, COMPILERS)), "")]
    if not compiler[0]:
        raise ConfigError(f"there is no C compiler ({', '.join(COMPILERS)}); install one, or name yours in CC")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        command = [*compiler, *OPTIONS, "-o", str(made), str(SOURCE), "-lm"]
        try:
            found = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigError(f"the C compiler {compiler[0]} cannot be run: {error}") from error
        if found.returncode or not made.is_file():
            raise ConfigError(f"the C compiler {compiler[0]} failed: {shorten(found.stderr.strip(), 300)}")
        _try(Kernel(made))
        made.replace(path)
    load_kernel.cache_clear()
    return path


def _try(kernel: Kernel) -> None:
    """Compare a build with plain arithmetic, in both precisions.

    Raises:
        ConfigError: they differ.
    """
    generator = np.random.default_rng(1)
    size, num_inputs, lengths = 19, 7, generator.integers(1, 6, 3 * FEW_ROWS).astype(np.int32)
    shapes = (4 * size, num_inputs), (4 * size, size), (4 * size,), (int(lengths.max()), len(lengths), num_inputs)
    weight_ih, weight_hh, bias, inputs = (np.asarray(generator.normal(size=shape) / 2, np.float32) for shape in shapes)
    coded_ih, coded_hh = as_codes(weight_ih), as_codes(weight_hh)
    for ih, hh, is_int8, tolerance in (
        (weight_ih, weight_hh, False, TOLERANCE),
        (coded_ih, coded_hh, False, TOLERANCE),
        (weight_ih, weight_hh, True, 0.05),
    )[: 2 + kernel.has_int8]:
        packed = kernel.pack(ih, hh, bias, is_int8=is_int8)
        for num_rows in (FEW_ROWS, len(lengths)):
            some, counts = inputs[:, :num_rows], lengths[:num_rows]
            outputs, _, _ = kernel.run([packed], some, counts)
            expected = plain_lstm(ih, hh, bias, some, counts)
            if not np.abs(outputs[:, 0] - expected).max() < tolerance:
                raise ConfigError(f"what the C compiler made of {SOURCE.name} gives wrong answers; it is not used")


def plain_lstm(
    weight_ih: ndarray, weight_hh: ndarray, bias: ndarray, inputs: ndarray, lengths: ndarray
) -> Float32[ndarray, "time batch hidden"]:
    """Return the outputs of a forward LSTM by plain arithmetic in fp64, zero at padding."""
    hidden: ndarray = np.zeros((inputs.shape[1], weight_hh.shape[1]))
    cell = hidden
    outputs = []
    for step, read in enumerate(inputs.astype(np.float64)):
        gates = np.split(read @ weight_ih.T + hidden @ weight_hh.T + bias, NUM_GATES, axis=1)
        opened = [1 / (1 + np.exp(-gate)) for gate in gates[:3]]
        cell = opened[2] * cell + opened[0] * np.tanh(gates[3])
        hidden = opened[1] * np.tanh(cell)
        outputs.append(np.where((step < lengths)[:, None], hidden, 0))
    return np.array(outputs, np.float32)

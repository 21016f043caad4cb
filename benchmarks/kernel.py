"""How much of the processor the recurrent part uses: one bidirectional LSTM layer over real sentence lengths.

rate       a matrix product of 1,024 x 1,024 by 1,024 x 1,024 in fp32, prepacked (oneDNN): what can be had
packed     nn.LSTM, packed batches of 32 in random order
padded     nn.LSTM, batches by length, padded
compiled   the compiled kernel, the same batches by length
int8       the same in int8

Only the steps that the sentences have are counted as work. Each way has a process of its own, and they measure turn by
turn: compare within one run.

    python benchmarks/kernel.py [--inputs 512] [--hidden 256] [--rounds 3]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

WAYS = ("rate", "packed", "padded", "compiled", "int8")
NUM_SENTENCES = 1_000
PACKED_ROWS, BATCH_TOKENS = 32, 2_000
SIZE = 1_024  # of the matrix product


def main() -> None:
    """Measure all ways and print the table, with shares of the rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=512, help="features of a token; 512 is a second layer's of 256")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help="be the process of this way: one line in, one measurement out")
    arguments = parser.parse_args()
    if arguments.way:
        serve(arguments)
        return
    workers = {way: start(way, arguments.threads) for way in WAYS}
    turns: dict[str, list[float]] = {way: [] for way in WAYS}
    for _, way in itertools.product(range(arguments.rounds), WAYS):
        turns[way].append(ask(workers[way]))
    for worker in workers.values():
        worker.communicate()
    medians = {way: statistics.median(found) for way, found in turns.items()}
    print(f"{'':<10}{'GFLOP/s':>9}{'share of the rate':>19}{'times packed':>14}")
    for way, found in medians.items():
        times = "" if way == "rate" else f"{found / medians['packed']:.2f}"
        print(f"{way:<10}{found:>9.1f}{100 * found / medians['rate']:>17.0f} %{times:>14}")


def serve(arguments: argparse.Namespace) -> None:
    """Measure once for each line that comes in, and print billions of operations a second."""
    import torch

    torch.manual_seed(1)
    if arguments.way == "rate":
        work, operations = product(torch)
    else:
        lengths = sentence_lengths()
        operations = 2 * 2 * 4 * arguments.hidden * (arguments.inputs + arguments.hidden) * sum(lengths)
        work = layer(arguments, lengths, torch)
    with torch.inference_mode():
        work()
        for _ in sys.stdin:
            started = time.perf_counter()
            work()
            print(json.dumps(operations / (time.perf_counter() - started) / 1e9), flush=True)


def sentence_lengths() -> list[int]:
    """Return the lengths of the first sentences of EWT's test split."""
    from nlp_lstm.data.catalogue import find_data

    examples: Any = itertools.islice(find_data(["ud-english-ewt"]).read("test"), NUM_SENTENCES)
    return [len(example.document) for example in examples]


def product(torch: Any) -> tuple[Callable[[], None], int]:
    """Return a prepacked product that is repeated, and its operations."""
    from nlp_lstm.nn.cells.product import PackedWeight

    weight, inputs, times = PackedWeight(torch.randn(SIZE, SIZE)), torch.randn(SIZE, SIZE), 20

    def work() -> None:
        for _ in range(times):
            weight.multiply(inputs)

    return work, times * 2 * SIZE**3


def layer(arguments: argparse.Namespace, lengths: list[int], torch: Any) -> Callable[[], None]:
    """Return what runs the layer over all sentences."""
    from nlp_lstm.data.sampling import batch_by_length

    order = list(range(len(lengths)))
    random.Random(1).shuffle(order)
    batches = [order[start : start + PACKED_ROWS] for start in range(0, len(order), PACKED_ROWS)]
    if arguments.way != "packed":
        batches = list(batch_by_length(lengths, BATCH_TOKENS))
    rows = [torch.tensor([lengths[index] for index in batch]) for batch in batches]
    inputs = [torch.randn(int(sizes.max()), len(sizes), arguments.inputs) / 2 for sizes in rows]
    module = torch.nn.LSTM(arguments.inputs, arguments.hidden, bidirectional=True)
    if arguments.way in ("compiled", "int8"):
        return kernel_layer(module, inputs, rows, is_int8=arguments.way == "int8")

    def work() -> None:
        for one, sizes in zip(inputs, rows, strict=True):
            if arguments.way == "padded":
                module(one)
            else:
                module(torch.nn.utils.rnn.pack_padded_sequence(one, sizes, enforce_sorted=False))

    return work


def kernel_layer(module: Any, inputs: list[Any], rows: list[Any], *, is_int8: bool) -> Callable[[], None]:
    """Return what runs the layer in the compiled kernel."""
    import numpy as np

    from nlp_lstm.inference.kernel import build_kernel, load_kernel

    if load_kernel() is None:
        build_kernel()
    kernel: Any = load_kernel()
    places = np.arange(4 * module.hidden_size).reshape(4, -1)[[0, 3, 1, 2]].flatten()  # gates in the kernel's order
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0")
    packed = [
        kernel.pack(*(getattr(module, name + suffix).detach().numpy()[places] for name in names), is_int8=is_int8)
        for suffix in ("", "_reverse")
    ]
    arrays = [(one.numpy(), sizes.numpy().astype(np.int32)) for one, sizes in zip(inputs, rows, strict=True)]

    def work() -> None:
        for pair in arrays:
            kernel.run(packed, *pair)

    return work


def start(way: str, threads: int) -> subprocess.Popen[str]:
    """Start the process of one way."""
    command = [sys.executable, __file__, *sys.argv[1:], "--way", way]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def ask(worker: subprocess.Popen[str]) -> float:
    """Let a process measure once."""
    if worker.stdin is None or worker.stdout is None:
        raise RuntimeError("a worker has no pipes")
    worker.stdin.write("\n")
    worker.stdin.flush()
    return float(worker.stdout.readline())


if __name__ == "__main__":
    main()

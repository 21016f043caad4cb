"""How much faster a network over a grid is along diagonals than in a loop over its places.

A two-dimensional LSTM sweeps from one corner over 32 x 32 places, forward and backward, in fp32. Both ways take turns
in every round; printed are the medians and the median of each round's ratio.

    python benchmarks/grid.py [--rounds 5] [--threads 1] [--size 32] [--hidden 32]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from nlp_lstm.nn.grid import GridLSTMCell, sweep, sweep_plainly

INPUT_SIZE = 8


def main() -> None:
    """Time both ways for several numbers of rows and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is timed")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--size", type=int, default=32, help="places along each dimension")
    parser.add_argument("--hidden", type=int, default=32, help="features of the hidden state")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    cell = GridLSTMCell(INPUT_SIZE, arguments.hidden, 2)
    print(f"{'rows':>6}{'loop ms':>10}{'diagonals ms':>14}{'ratio':>8}")
    for rows in (1, 8, 32):
        inputs = torch.randn(rows, arguments.size, arguments.size, INPUT_SIZE, requires_grad=True)
        torch.testing.assert_close(sweep(cell, inputs), sweep_plainly(cell, inputs))
        loop, diagonals = [], []
        for _ in range(arguments.rounds):
            for way, seconds in ((sweep_plainly, loop), (sweep, diagonals)):
                start = time.perf_counter()
                way(cell, inputs).sum().backward()
                seconds.append(time.perf_counter() - start)
        ratio = statistics.median(one / other for one, other in zip(loop, diagonals, strict=True))
        medians = [1000 * statistics.median(seconds) for seconds in (loop, diagonals)]
        print(f"{rows:>6}{medians[0]:>10.0f}{medians[1]:>14.0f}{ratio:>8.1f}")


if __name__ == "__main__":
    main()

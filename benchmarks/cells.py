"""How long each recurrent cell trains, beside torch's own LSTM.

One direction of one layer runs forward and backward on 64 rows of 40 steps, 100 features in, 256 out, in fp32, without
an optimiser. All cells take turns in every round, so that what else the machine does falls on all of them alike.
Printed are the medians of the rounds and the median of each round's ratio to nn.LSTM.

With --scan: the recurrence ``s_t = a_t s_(t-1) + b_t`` of the cells without a recurrent product, as the loop of fused
elementwise operations that they use, and as a parallel scan, which doubles the stretch that each step has seen
(Hillis and Steele 1986).

    python benchmarks/cells.py [--rounds 15] [--threads 1] [--batch 64] [--scan]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nlp_lstm.nn.cells.scan import scan
from nlp_lstm.nn.recurrent import Recurrent
from nlp_lstm.nn.settings import cells

INPUT_SIZE, HIDDEN_SIZE, TIME = 100, 256, 40


def main() -> None:
    """Time everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="how often each is timed")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--batch", type=int, default=64, help="rows")
    parser.add_argument("--scan", action="store_true", help="time the two ways through elementwise recurrences")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    ways = make_scans(arguments.batch) if arguments.scan else make_cells(arguments.batch)
    seconds = time_in_turns(ways, arguments.rounds)
    baseline = next(iter(seconds.values()))
    print(f"{'':<12}{'ms':>8}{'ratio':>8}   ({arguments.threads} thread(s), {arguments.rounds} rounds)")
    for name, times in seconds.items():
        ratio = statistics.median(one / other for one, other in zip(times, baseline, strict=True))
        print(f"{name:<12}{1000 * statistics.median(times):>8.1f}{ratio:>8.2f}")


def time_in_turns(ways: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds that each way took in each round; the first round only warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def make_cells(batch: int) -> dict[str, Callable[[], None]]:
    """Return a training pass of nn.LSTM and of each registered cell."""
    inputs = torch.randn(batch, TIME, INPUT_SIZE, requires_grad=True)
    gradient = torch.randn(batch, TIME, HIDDEN_SIZE)
    lengths = torch.full((batch,), TIME)
    native = nn.LSTM(INPUT_SIZE, HIDDEN_SIZE, batch_first=True)
    ways = {"nn.LSTM": lambda: native(inputs)[0].backward(gradient)}

    def add(name: str) -> None:
        net = Recurrent(name, INPUT_SIZE, HIDDEN_SIZE, is_bidirectional=False)
        ways[name] = lambda: net(inputs, lengths).outputs.backward(gradient)

    for name in cells:
        add(name)
    return ways


def make_scans(batch: int) -> dict[str, Callable[[], None]]:
    """Return a training pass of the loop and of the parallel scan."""
    kept = torch.rand(batch, TIME, HIDDEN_SIZE, requires_grad=True)
    added = torch.randn(batch, TIME, HIDDEN_SIZE, requires_grad=True)
    initial = torch.zeros(batch, HIDDEN_SIZE)
    gradient = torch.randn(batch, TIME, HIDDEN_SIZE)
    torch.testing.assert_close(scan_in_parallel(kept, added), scan(kept, added, initial))
    return {
        "loop": lambda: scan(kept, added, initial).backward(gradient),
        "parallel": lambda: scan_in_parallel(kept, added).backward(gradient),
    }


class _ParallelScan(torch.autograd.Function):
    """From a state of zeros; the backward pass is a scan too, from the end."""

    @staticmethod
    def forward(ctx, kept: Tensor, added: Tensor) -> Tensor:
        states = _double(kept, added)
        ctx.save_for_backward(kept, states)
        return states

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        kept, states = ctx.saved_tensors
        later = torch.cat((kept[:, 1:], torch.zeros_like(kept[:, :1])), dim=1)
        d_states = _double(later.flip(1), gradient.flip(1)).flip(1)
        return d_states * nn.functional.pad(states[:, :-1], (0, 0, 1, 0)), d_states


def scan_in_parallel(kept: Tensor, added: Tensor) -> Tensor:
    """Return the states of ``s_t = kept_t s_(t-1) + added_t`` after all steps."""
    return _ParallelScan.apply(kept, added)


def _double(kept: Tensor, added: Tensor) -> Tensor:
    stretch = 1
    while stretch < kept.shape[1]:
        further = torch.addcmul(added[:, stretch:], kept[:, stretch:], added[:, :-stretch])
        added = torch.cat((added[:, :stretch], further), dim=1)
        kept = torch.cat((kept[:, :stretch], kept[:, stretch:] * kept[:, :-stretch]), dim=1)
        stretch *= 2
    return added


if __name__ == "__main__":
    main()

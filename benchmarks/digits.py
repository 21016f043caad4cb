"""Handwritten digits read by a two-dimensional LSTM: five folds of the 1,797 pictures that come with scikit-learn.

Two layers sweep over the 8 x 8 pixels from all four corners; between them four neighbouring places become one, as in
Graves, Fernández and Schmidhuber, "Multi-Dimensional Recurrent Neural Networks", ICANN 2007. Each fold trains a network
on the other four, with every picture moved by up to one pixel at random, and tests it after the last step. The settings
were found with one fold of another split, a fifth of the pictures; the share of right answers is printed without these,
too.

    python benchmarks/digits.py [--epochs 25] [--hidden 16] [--workers 2]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any, NamedTuple

import torch
from scipy.stats import binomtest
from script import run_script
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from torch import Tensor, nn

from nlp_lstm.nn.grid import Grid, GridLSTMCell

FOLDS = 5
SPLIT, EARLIER_SPLIT = 1, 0  # seeds; the settings were found with the first fold of the earlier one
BATCH_SIZE = 64
LEARNING_RATE = 5e-3


class FoldResult(NamedTuple):
    """What a fold came to.

    Args:
        number: from 1.
        pictures: the places of its pictures among all.
        is_right: for each, whether it was read rightly.
        parameters: of the network.
    """

    number: int
    pictures: list[int]
    is_right: list[bool]
    parameters: int


class DigitReader(nn.Module):
    """From pixels, `batch 8 8`, to the logits of ten digits.

    Args:
        hidden_size: features of each direction's hidden state in the first layer; twice as many in the second.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.brightness = nn.Linear(1, 2 * hidden_size)
        self.pixels = Grid(GridLSTMCell, 2 * hidden_size, hidden_size)
        self.joined = nn.Linear(4 * self.pixels.output_size, 4 * hidden_size)
        self.places = Grid(GridLSTMCell, 4 * hidden_size, 2 * hidden_size)
        self.dropout = nn.Dropout(0.3)
        self.output = nn.Linear(16 * self.places.output_size, 10)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the logits of a batch of pictures, `batch digit`."""
        found = self.pixels(torch.tanh(self.brightness(pictures[..., None])))
        batch, height, width, features = found.shape
        blocks = found.view(batch, height // 2, 2, width // 2, 2, features).transpose(2, 3).flatten(3)
        places = self.places(torch.tanh(self.joined(self.dropout(blocks))))
        return self.output(self.dropout(places.flatten(1)))


def main() -> None:
    """Train and test every fold and print the share of right answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=25, help="times through the training pictures")
    parser.add_argument("--hidden", type=int, default=16, help="features of the first layer's hidden states")
    parser.add_argument("--workers", type=int, default=2, help="folds at a time, one thread each")
    parser.add_argument("--seed", type=int, default=1, help="of weights, order and moves")
    arguments = parser.parse_args()
    started = time.perf_counter()
    work = partial(read_fold, epochs=arguments.epochs, hidden_size=arguments.hidden, seed=arguments.seed)
    results = []
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        for result in pool.map(work, range(1, FOLDS + 1)):
            results.append(result)
            print(f"fold {result.number}: {share(result.is_right)}; {time.perf_counter() - started:.0f} s so far")
    is_right = {
        place: right for result in results for place, right in zip(result.pictures, result.is_right, strict=True)
    }
    _, chosen_with = next(split(EARLIER_SPLIT))
    others = [right for place, right in is_right.items() if place not in set(chosen_with.tolist())]
    print(f"all folds: {share(list(is_right.values()))}; {time.perf_counter() - started:.0f} s")
    print(f"without those that the settings were found with: {share(others)}")
    print(f"{results[0].parameters:,} parameters")


def share(is_right: Sequence[bool]) -> str:
    """Return how many are right, and Wilson's 95 % interval."""
    right, count = sum(is_right), len(is_right)
    interval = binomtest(right, count).proportion_ci(method="wilson")
    return f"{right} of {count} right, {right / count:.2%} ({interval.low:.2%} to {interval.high:.2%})"


def split(seed: int) -> Iterator[tuple[Any, Any]]:
    """Yield the places of the training and the test pictures of each fold."""
    digits = load_digits()
    yield from StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(digits.data, digits.target)


def read_fold(number: int, *, epochs: int, hidden_size: int, seed: int) -> FoldResult:
    """Train on all folds but one, and read the pictures of that one, on one thread."""
    torch.set_num_threads(1)
    digits = load_digits()
    pictures = torch.tensor(digits.images, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    training, test = list(split(SPLIT))[number - 1]
    torch.manual_seed(seed)
    reader = DigitReader(hidden_size)
    train(reader, pictures[training], labels[training], epochs=epochs)
    with torch.inference_mode():
        found = reader.eval()(pictures[test]).argmax(dim=1)
    size = sum(parameter.numel() for parameter in reader.parameters())
    return FoldResult(number, test.tolist(), (found == labels[test]).tolist(), size)


def train(reader: nn.Module, pictures: Tensor, labels: Tensor, *, epochs: int) -> None:
    """Train a network on pictures with AdamW, the learning rate rising and then falling to zero."""
    num_steps = epochs * -(-len(pictures) // BATCH_SIZE)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=num_steps)
    reader.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(pictures)).split(BATCH_SIZE):
            loss = nn.functional.cross_entropy(reader(moved(pictures[rows])), labels[rows], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
            optimizer.step()
            schedule.step()


def moved(pictures: Tensor) -> Tensor:
    """Return pictures, `batch height width`, each moved by up to one pixel in both dimensions; what comes in is 0."""
    batch, height, width = pictures.shape
    padded = nn.functional.pad(pictures, (1, 1, 1, 1))
    tops, lefts = torch.randint(3, (2, batch))
    rows = tops[:, None] + torch.arange(height)
    columns = lefts[:, None] + torch.arange(width)
    return padded[torch.arange(batch)[:, None, None], rows[:, :, None], columns[:, None, :]]


if __name__ == "__main__":
    run_script(main)

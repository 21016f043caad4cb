"""Handwritten digits read by a two-dimensional LSTM: five folds of the 1,797 pictures that come with scikit-learn.

Two layers sweep over the 8 x 8 pixels from all four corners; between them four neighbouring places become one, as in
Graves, Fernández and Schmidhuber, "Multi-Dimensional Recurrent Neural Networks", ICANN 2007. Each fold trains a network
on the other four, with every picture moved by up to one pixel at random, and tests it after the last step; nothing is
chosen on the fold. The folds are stratified and the same each time.

    python benchmarks/digits.py [--epochs 30] [--hidden 24] [--threads 2]
"""

from __future__ import annotations

import argparse
import time

import torch
from scipy.stats import binomtest
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from torch import Tensor, nn

from nlp_lstm.nn.grid import Grid, GridLSTMCell

BATCH_SIZE = 64
LEARNING_RATE = 5e-3


class DigitReader(nn.Module):
    """From pixels to the logits of ten digits.

    Args:
        hidden_size: features of each direction's hidden state in the first layer; twice as many in the second.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.pixels = Grid(GridLSTMCell, 1, hidden_size)
        self.joined = nn.Linear(4 * self.pixels.output_size, 2 * hidden_size)
        self.places = Grid(GridLSTMCell, 2 * hidden_size, 2 * hidden_size)
        self.dropout = nn.Dropout(0.3)
        self.output = nn.Linear(self.places.output_size, 10)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the logits of a batch of pictures, `batch height width`."""
        found = self.pixels(pictures[..., None])
        batch, height, width, features = found.shape
        blocks = found.view(batch, height // 2, 2, width // 2, 2, features).transpose(2, 3).flatten(3)
        places = self.places(torch.tanh(self.joined(blocks)))
        return self.output(self.dropout(places.flatten(1, 2).amax(dim=1)))


def main() -> None:
    """Train and test every fold and print the share of right answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30, help="times through the training pictures")
    parser.add_argument("--hidden", type=int, default=24, help="features of the first layer's hidden states")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--seed", type=int, default=1, help="of weights, order and moves")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    digits = load_digits()
    pictures = torch.tensor(digits.images, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    started = time.perf_counter()
    right = 0
    folds = StratifiedKFold(5, shuffle=True, random_state=0).split(digits.data, digits.target)
    for number, (training, test) in enumerate(folds, start=1):
        torch.manual_seed(arguments.seed)
        reader = DigitReader(arguments.hidden)
        train(reader, pictures[training], labels[training], epochs=arguments.epochs)
        with torch.inference_mode():
            found = reader.eval()(pictures[test]).argmax(dim=1)
        correct = int((found == labels[test]).sum())
        right += correct
        seconds = time.perf_counter() - started
        print(f"fold {number}: {correct} of {len(test)} right, {correct / len(test):.2%}; {seconds:.0f} s so far")
    interval = binomtest(right, len(labels)).proportion_ci(method="wilson")
    size = sum(parameter.numel() for parameter in reader.parameters())
    print(
        f"all folds: {right} of {len(labels)} right, {right / len(labels):.2%} ({interval.low:.2%} to "
        f"{interval.high:.2%}), {size:,} parameters, {time.perf_counter() - started:.0f} s"
    )


def train(reader: nn.Module, pictures: Tensor, labels: Tensor, *, epochs: int) -> None:
    """Train a network on pictures with AdamW, the learning rate falling to zero."""
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
    main()

"""How fast training is, beside the same network on packed fp32 batches in random order.

Each backend trains the tagger of pipelines/pos.yaml in a process of its own, on the same examples, for the same number
of tokens, with the same optimiser; only the way through the recurrent layers differs:

    ours      batches of a token budget, bucketed by length, padded, bfloat16 where the processor has it
    bucketed  the same batches, packed, fp32
    packed    random batches of sentences, packed, fp32: what most toolkits do

Printed: tokens per second, the ratio to packed, and the development accuracy that the training reached: the medians
over the seeds, the mean accuracies, and the least and greatest in brackets.

    python benchmarks/training_speed.py [--tokens 400000] [--data ud-english-ewt] [--seeds 1 2 3]
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from script import run_script

if TYPE_CHECKING:
    from nlp_lstm.nn.recurrent import RecurrentOutput

BACKENDS = ("packed", "bucketed", "ours")


def main() -> None:
    """Time every backend and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=400_000, help="training length of each backend")
    parser.add_argument("--data", default=None, help="a data set's name; default those of the recipe")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="trainings of each backend")
    parser.add_argument("--backend", choices=BACKENDS, help="time only this one, with the first seed, and print JSON")
    arguments = parser.parse_args()
    if arguments.backend:
        print(json.dumps(time_backend(arguments.backend, arguments.seeds[0], arguments.tokens, arguments.data)))
        return
    found: dict[str, list[dict[str, Any]]] = {backend: [] for backend in BACKENDS}
    for seed, backend in itertools.product(arguments.seeds, BACKENDS):
        print(f"seed {seed}, {backend}", file=sys.stderr)
        command = [sys.executable, __file__, "--backend", backend, "--tokens", str(arguments.tokens)]
        command += ["--seeds", str(seed), *(["--data", arguments.data] if arguments.data else [])]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found[backend].append(json.loads(answer.stdout.splitlines()[-1]))
    seeds = ", ".join(map(str, arguments.seeds))
    print(f"{'backend':<10}{'tokens/s':>10}{'ratio':>8}  dev scores after {arguments.tokens:,} tokens, seeds {seeds}")
    for backend, results in found.items():
        rate = statistics.median(result["tokens_per_second"] for result in results)
        ratio = statistics.median(
            result["tokens_per_second"] / packed["tokens_per_second"]
            for result, packed in zip(results, found["packed"], strict=True)
        )
        print(f"{backend:<10}{rate:>10,.0f}{ratio:>8.2f}  {show_scores([result['scores'] for result in results])}")


def show_scores(several: Sequence[dict[str, float]]) -> str:
    """Return the mean of each score over the seeds, with the least and the greatest."""
    shown = []
    for name in several[0]:
        values = [scores[name] for scores in several]
        shown.append(f"{name} {statistics.fmean(values):.4f} ({min(values):.4f} to {max(values):.4f})")
    return "  ".join(shown)


def time_backend(backend: str, seed: int, tokens: int, data: str | None) -> dict[str, Any]:
    """Train with one backend and return its speed in tokens per second and its development scores."""
    from nlp_lstm.data.catalogue import find_data
    from nlp_lstm.recipes import load_recipe
    from nlp_lstm.runs import load_recipe_vectors
    from nlp_lstm.tasks import tasks
    from nlp_lstm.training import train

    changes = [f"training.tokens={tokens}", f"training.seed={seed}", "training.evaluations=1"]
    recipe = load_recipe("pos", changes)
    found = find_data([data] if data else recipe.data)
    training, development = found.read("train"), found.read("dev")
    task = tasks.get("pos").prepare(recipe.model, training, load_recipe_vectors(recipe, lambda line: None))
    settings = recipe.training
    if backend != "ours":
        settings = settings.model_copy(update={"precision": "fp32"})
        _use_packed_layers()
    if backend == "packed":
        plan_randomly(task)
    with tempfile.TemporaryDirectory() as folder:
        result = train(task, training, development, settings, Path(folder))
    scores = {key[4:]: value for key, value in result.history[-1].items() if key.startswith("dev_")}
    training_seconds = [record for record in result.history if "loss" in record][-1]["seconds"]
    return {"backend": backend, "tokens_per_second": result.tokens / training_seconds, "scores": scores}


def _use_packed_layers() -> None:
    """Make every recurrent layer the usual one: torch's bidirectional LSTM on a packed batch."""
    from nlp_lstm.nn.recurrent import Recurrent

    Recurrent.forward = run_packed  # type: ignore[method-assign, assignment]


def run_packed(
    network: Any, inputs: Any, lengths: Any, states: None = None, *, need_states: bool = False
) -> RecurrentOutput:
    """Run bidirectional LSTM layers from zeros on a packed batch; there are no final states."""
    import torch
    from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

    from nlp_lstm.nn.recurrent import RecurrentOutput

    outputs = inputs
    for cells in network.layers:
        packed = pack_padded_sequence(outputs, lengths, batch_first=True, enforce_sorted=False)
        weights = []
        for cell in cells:
            weights += [cell.weight_ih, cell.weight_hh, cell.bias, torch.zeros_like(cell.bias)]
        state = outputs.new_zeros(2, len(lengths), cells[0].hidden_size)
        data, _, _ = torch.lstm(
            packed.data, packed.batch_sizes, (state, state), weights, True, 1, 0.0, network.training, True
        )
        packed = PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
        outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=inputs.shape[1])
        outputs = network.dropout(outputs)
    return RecurrentOutput(outputs=outputs, states=None)


def plan_randomly(task: Any) -> None:
    """Let a task's epochs have batches of sentences in random order."""

    def plan_epoch(examples: Sequence[Any], batch_tokens: int, *, seed: int, epoch: int) -> list[list[int]]:
        return _random_batches([task.size(one) for one in examples], batch_tokens, seed=seed, epoch=epoch)

    task.plan_epoch = plan_epoch


def _random_batches(lengths: Sequence[int], token_budget: int, *, seed: int, epoch: int) -> list[list[int]]:
    """Batches of a fixed number of sentences in random order, with as many real tokens on average as ours have."""
    order = list(range(len(lengths)))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    size = max(1, round(token_budget * len(lengths) / sum(lengths)))
    return [order[start : start + size] for start in range(0, len(order), size)]


if __name__ == "__main__":
    run_script(main)

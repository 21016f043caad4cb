"""What share of the processor's matrix-product rate a language model reaches in training, the whole step included.

Two processes, one after the other: one multiplies matrices of the model's own sizes in the precision that it trains in,
the other trains the recipe. A step's floating-point operations are those of its matrix products, two for each weight
and token forwards and twice as many backwards; of the adaptive softmax only what was computed counts.

    python benchmarks/language_training.py [--recipe lm-wikitext] [--steps 60] [model.hidden=256 …]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WARM_UP_STEPS = 10
SECONDS = 5.0


def main() -> None:
    """Measure both and print the share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="lm-wikitext", help="a recipe of the task lm")
    parser.add_argument("--steps", type=int, default=60, help="training steps that are timed")
    parser.add_argument("--part", choices=("products", "training"), help="measure only this one and print JSON")
    parser.add_argument("overrides", nargs="*", help="changes to the recipe, such as model.hidden=256")
    arguments = parser.parse_args()
    if arguments.part:
        measure = measure_products if arguments.part == "products" else measure_training
        print(json.dumps(measure(arguments)))
        return
    products, training, again = (_in_own_process(part) for part in ("products", "training", "products"))
    rate = (products["rate"] + again["rate"]) / 2
    print(f"matrix products   {rate / 1e9:7.1f} GFLOP/s in {products['precision']}, {products['threads']} threads")
    print(f"training          {training['rate'] / 1e9:7.1f} GFLOP/s, {training['tokens_per_second']:,.0f} tokens/s")
    print(f"share             {training['rate'] / rate:7.2f}")
    size = f"{training['parameters'] / 1e6:.2f} M parameters"
    print(f"{size}; loss {training['loss']:.3f} after {training['tokens']:,} tokens")


def measure_products(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return how many operations a second the products of a layer's gates run at."""
    import torch

    recipe = _recipe(arguments)
    dtype = _dtype(recipe)
    rows, hidden = recipe.training.batch_tokens, recipe.model.hidden
    inputs = torch.randn(rows, 2 * hidden, dtype=dtype)
    weights = torch.randn(4 * hidden, 2 * hidden, dtype=dtype)
    with torch.inference_mode():
        for _ in range(WARM_UP_STEPS):
            torch.nn.functional.linear(inputs, weights)
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < SECONDS:
            torch.nn.functional.linear(inputs, weights)
            count += 1
        seconds = time.perf_counter() - started
    return {
        "rate": count * 2 * inputs.numel() * weights.shape[0] / seconds,
        "precision": str(dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
    }


def measure_training(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train for some steps; return the operations and tokens per second, and the loss in nats."""
    from nlp_lstm.run_data import read_run_data
    from nlp_lstm.tasks import LanguageTask
    from nlp_lstm.training import train

    recipe = _recipe(arguments)
    data = read_run_data(recipe, None, lambda line: None)
    task = LanguageTask.prepare(recipe.model, data.training)
    tokens = (WARM_UP_STEPS + arguments.steps) * recipe.training.batch_tokens
    settings = recipe.training.model_copy(update={"tokens": tokens, "evaluations": 1})
    with tempfile.TemporaryDirectory() as folder:
        result = train(task, data.training, data.development[:10], settings, Path(folder))
    records = [record for record in result.history if "loss" in record]
    timed = [record for record in records if record["step"] > WARM_UP_STEPS]
    rates = sorted(record["tokens_per_second"] for record in timed)
    tokens_per_second = rates[len(rates) // 2]
    return {
        "rate": tokens_per_second * operations_per_token(task, result.model, data.training),
        "tokens_per_second": tokens_per_second,
        "tokens": result.tokens,
        "parameters": sum(parameter.numel() for parameter in result.model.parameters()),
        "loss": records[-1]["loss"],
    }


def operations_per_token(task: Any, model: Any, text: Any) -> float:
    """Return the floating-point operations of a training step per token, those of its matrix products."""
    import numpy as np

    ids = np.concatenate([task.units.encode(line.document) for line in text[:2_000]])
    weights = sum(parameter.numel() for name, parameter in model.encoder.named_parameters() if "weight" in name)
    weights += model.projection.weight.numel() if model.projection is not None else 0
    words = model.words
    weights += words.tables[0].numel() + words.clusters.numel()
    for (start, end), table, projection in zip(words.bounds[1:], words.tables[1:], words.projections, strict=True):
        share = float(((ids >= start) & (ids < end)).mean())
        weights += share * (table.numel() + 2 * projection.numel())  # the projection once for input, once for output
    return 6.0 * weights


def _recipe(arguments: argparse.Namespace) -> Any:
    from nlp_lstm.recipes import load_recipe

    return load_recipe(arguments.recipe, arguments.overrides)


def _dtype(recipe: Any) -> Any:
    import torch

    from nlp_lstm.nn.precision import has_fast_bf16

    wanted = recipe.training.precision
    return torch.bfloat16 if wanted == "bf16" or (wanted == "auto" and has_fast_bf16()) else torch.float32


def _in_own_process(part: str) -> dict[str, Any]:
    command = [sys.executable, __file__, *sys.argv[1:], "--part", part]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    values: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return values


if __name__ == "__main__":
    main()

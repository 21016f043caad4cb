"""How fast a bundled model answers: each engine, and beside them a packed `nn.LSTM` as most tutorials write it.

int8      the compiled engine in int8
compiled  the compiled engine in fp32: a kernel for LSTMs, numpy for the rest
onnx      ONNX Runtime on the model's graph
torch     the reference engine: batches by length, padded
packed    the same weights in nn.LSTM, packed batches of 32 in random order

Each way has a process of its own and all of them wait while one measures, turn by turn, so that what else the machine
does falls on all alike: compare within one run. Throughput is on the tokens of the test split, latency on its raw
sentences one at a time, and a cold start goes from the start of Python to its end after one answer. CPU seconds count
all threads.

    python benchmarks/inference.py [--model pos] [--threads 1] [--rounds 3]
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import sys
from typing import Any

from nlp_lstm.speed import Way, Worker, cold_start, latency, timed

WAYS = {
    "packed": Way("torch", "fp32"),
    "torch": Way("torch", "fp32"),
    "onnx": Way("onnx", "fp32"),
    "compiled": Way("compiled", "fp32"),
    "int8": Way("compiled", "int8"),
}
DATA = {"pos": "ud-english-ewt", "sentiment": "sst2"}
PACKED_ROWS = 32
ONE_SENTENCE = "The old ferry doesn't leave at six."


def main() -> None:
    """Measure all ways and print the table, with ratios to packed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pos", help="a model folder, or the task of a bundled model")
    parser.add_argument("--task", default="pos", choices=DATA, help="of a model folder")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way; medians are shown")
    parser.add_argument("--sentences", type=int, default=500, help="sentences for the latency in each turn")
    parser.add_argument("--way", choices=WAYS, help="be the process of this way: one line in, one measurement out")
    arguments = parser.parse_args()
    if arguments.model in DATA:
        arguments.task = arguments.model
    if arguments.way:
        serve(arguments)
        return
    command = [sys.executable, __file__, *sys.argv[1:], "--way"]
    workers = {way: Worker([*command, way], arguments.threads) for way in WAYS}
    turns = {way: [] for way in WAYS}  # type: dict[str, list[dict[str, float]]]
    for _, way in itertools.product(range(arguments.rounds), WAYS):
        cold = cold_start(arguments.model, WAYS[way], ONE_SENTENCE, arguments.threads)
        turns[way].append({**workers[way].ask(), "cold": cold.seconds, "cold_cpu": cold.cpu})
    for worker in workers.values():
        worker.close()
    medians = {way: {key: statistics.median(turn[key] for turn in turns[way]) for key in turns[way][0]} for way in WAYS}
    print_table(medians)


def print_table(medians: dict[str, dict[str, float]]) -> None:
    """Print one line a way."""
    base = medians["packed"]
    print(f"{'':<10}{'words/s':>9}{'ratio':>7}{'CPU s/M words':>15}{'ratio':>7}{'p50 ms':>8}{'p99 ms':>8}", end="")
    print(f"{'CPU ms':>8}{'cold s':>8}{'CPU s':>7}{'accuracy':>10}")
    for way, found in medians.items():
        print(
            f"{way:<10}{found['words_per_second']:>9,.0f}{found['words_per_second'] / base['words_per_second']:>7.2f}"
            f"{found['cpu_per_million']:>15.1f}{base['cpu_per_million'] / found['cpu_per_million']:>7.2f}"
            f"{found['p50']:>8.2f}{found['p99']:>8.2f}{found['cpu_per_sentence']:>8.2f}{found['cold']:>8.2f}"
            f"{found['cold_cpu']:>7.2f}{100 * found['accuracy']:>9.2f} %"
        )
    print(f"one sentence has {base['mean_length']:.1f} words in the mean; a packed model starts as torch does")


# ---- the process of one way


def serve(arguments: argparse.Namespace) -> None:
    """Open the model, warm up, and measure once for each line that comes in."""
    from nlp_lstm import Pipeline
    from nlp_lstm.data.catalogue import find_data

    engine, precision = WAYS[arguments.way]
    pipeline = Pipeline(arguments.model, engine=engine, precision=precision)  # type: ignore[arg-type]
    if arguments.way == "packed":
        use_packed(pipeline)
    examples = list(find_data([DATA[arguments.task]]).read("test"))
    texts = [example.document.text for example in examples]
    predict = predict_packed if arguments.way == "packed" else predict_sorted
    predict(pipeline, examples[:200])
    pipeline.predict(texts[0])
    starts = itertools.count(step=arguments.sentences)
    for _ in sys.stdin:
        first = next(starts) % len(texts)
        found = measure(pipeline, predict, examples, texts[first : first + arguments.sentences])
        print(json.dumps(found), flush=True)


def measure(pipeline: Any, predict: Any, examples: list[Any], texts: list[str]) -> dict[str, float]:
    """Return throughput on all examples, accuracy, and the time that single texts take."""
    num_words = sum(len(example.document) for example in examples)
    predictions, took = timed(lambda: predict(pipeline, examples))
    single = latency(pipeline.predict, texts)
    return {
        "words_per_second": num_words / took.seconds,
        "cpu_per_million": took.cpu / num_words * 1e6,
        "p50": single.p50,
        "p99": single.p99,
        "cpu_per_sentence": single.cpu,
        "mean_length": num_words / len(examples),
        "accuracy": accuracy(examples, predictions),
    }


def predict_sorted(pipeline: Any, examples: list[Any]) -> list[Any]:
    """Predict as `Pipeline.evaluate` does."""
    return list(pipeline._predict_examples(examples))


def predict_packed(pipeline: Any, examples: list[Any]) -> list[Any]:
    """Predict in batches of 32 in random order."""
    order = list(range(len(examples)))
    random.Random(1).shuffle(order)
    answers: dict[int, Any] = {}
    for start in range(0, len(order), PACKED_ROWS):
        chosen = order[start : start + PACKED_ROWS]
        batch = pipeline.task.make_batch([examples[index] for index in chosen])
        answers |= dict(zip(chosen, pipeline.task.predict_batch(pipeline._model, batch), strict=True))
    return [answers[index] for index in range(len(examples))]


def accuracy(examples: list[Any], predictions: list[Any]) -> float:
    """Return the share of right labels; of a tagger those of the column upos."""
    if hasattr(predictions[0], "labels"):
        pairs = [
            pair
            for example, prediction in zip(examples, predictions, strict=True)
            for pair in zip(example.labels["upos"], prediction.labels["upos"], strict=True)
        ]
    else:
        pairs = [(example.label, prediction.label) for example, prediction in zip(examples, predictions, strict=True)]
    return sum(gold == found for gold, found in pairs) / len(pairs)


def use_packed(pipeline: Any) -> None:
    """Put the weights of the recurrent layers into an `nn.LSTM` that runs packed."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    from nlp_lstm.nn.recurrent import RecurrentOutput

    class Packed(torch.nn.Module):
        def __init__(self, layers: Any) -> None:
            super().__init__()
            first = layers[0][0]
            self.lstm = torch.nn.LSTM(
                first.input_size,
                first.hidden_size,
                num_layers=len(layers),
                bidirectional=len(layers[0]) == 2,
                batch_first=True,
            )
            with torch.no_grad():
                for number, layer in enumerate(layers):
                    for suffix, cell in zip(("", "_reverse"), layer, strict=False):
                        getattr(self.lstm, f"weight_ih_l{number}{suffix}").copy_(cell.weight_ih)
                        getattr(self.lstm, f"weight_hh_l{number}{suffix}").copy_(cell.weight_hh)
                        getattr(self.lstm, f"bias_ih_l{number}{suffix}").copy_(cell.bias)
                        getattr(self.lstm, f"bias_hh_l{number}{suffix}").zero_()

        def forward(self, inputs: Any, lengths: Any) -> Any:
            packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
            outputs, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=inputs.shape[1])
            return RecurrentOutput(outputs=outputs, states=None)

    backbone = pipeline._model.backbone
    backbone.encoder = Packed(backbone.encoder.layers).eval()


if __name__ == "__main__":
    main()

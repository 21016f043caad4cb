"""How fast a bundled translator writes, greedily and with four beams, beside the loop that tutorials write.

onnx    `Pipeline.predict` on all sentences, as a bundled model is used
torch   the same with the reference engine
loop    the same weights in `nn.LSTM` and `nn.LSTMCell`: 32 sentences in the file's order, padded; at each step a
        projection of all that was read, a log-softmax over all pieces and the best of them; for beams a copy of what
        was read for each, and a beam goes on until the batch is done

Each way has a process of its own and all of them wait while one measures, turn by turn, so that what else the machine
does falls on all alike: compare within one run. All write the same translations, of which the share is printed that
are equal to the letter (the loop sums log-probabilities in another order), and their BLEU.

    python benchmarks/decoding.py [--model translate] [--threads 1] [--rounds 3] [--sentences 1000]
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import time
from typing import Any, NamedTuple

WAYS = ("loop", "torch", "onnx")
BEAMS = (1, 4)
ROWS = 32


def main() -> None:
    """Measure all ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="translate", help="a model folder, or the name of a bundled one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way; medians are shown")
    parser.add_argument("--sentences", type=int, default=1_000, help="of the test split of multi30k")
    parser.add_argument("--way", choices=WAYS, help="be the process of this way: one line in, one measurement out")
    arguments = parser.parse_args()
    if arguments.way:
        serve(arguments)
        return
    workers = {way: start(way, arguments.threads) for way in WAYS}
    turns: dict[tuple[str, int], list[dict[str, Any]]] = {(way, beams): [] for way in WAYS for beams in BEAMS}
    for _, beams, way in itertools.product(range(arguments.rounds), BEAMS, WAYS):
        turns[way, beams].append(ask(workers[way], beams))
    for worker in workers.values():
        worker.communicate()
    print_table(turns)


def print_table(turns: dict[tuple[str, int], list[dict[str, Any]]]) -> None:
    """Print one line for each number of beams and way."""
    import sacrebleu

    print(f"{'':<8}{'beams':>6}{'sentences/s':>13}{'ratio':>7}{'CPU s':>8}{'BLEU':>7}{'the same':>10}")
    for beams, way in itertools.product(BEAMS, WAYS):
        found, loop = turns[way, beams], turns["loop", beams]
        seconds, base = (statistics.median(turn["seconds"] for turn in several) for several in (found, loop))
        outputs, references = found[0]["outputs"], found[0]["references"]
        bleu = sacrebleu.corpus_bleu(outputs, [references]).score
        equal = sum(one == other for one, other in zip(outputs, loop[0]["outputs"], strict=True)) / len(outputs)
        cpu = statistics.median(turn["cpu"] for turn in found)
        print(
            f"{way:<8}{beams:>6}{len(outputs) / seconds:>13.1f}{base / seconds:>7.2f}{cpu:>8.2f}{bleu:>7.2f}"
            f"{100 * equal:>8.1f} %"
        )


# ---- the process of one way


def serve(arguments: argparse.Namespace) -> None:
    """Open the model, warm up, and measure once for each number of beams that comes in."""
    from nlp_lstm import Pipeline
    from nlp_lstm.data.catalogue import find_data
    from nlp_lstm.tasks.translate import TranslationTask

    pipeline = Pipeline(arguments.model, engine="onnx" if arguments.way == "onnx" else "torch")
    assert isinstance(pipeline.task, TranslationTask)
    reading = pipeline.task.reading_type(**pipeline._config.reading)
    found = find_data(["multi30k"], reading=reading)
    examples: Any = list(found.read("test"))[: arguments.sentences]
    sources = [example.source for example in examples]
    translate = Loop(pipeline) if arguments.way == "loop" else Ours(pipeline)
    translate(sources[:ROWS], BEAMS[-1])
    for line in sys.stdin:
        started, cpu = time.perf_counter(), time.process_time()
        outputs = translate(sources, int(line))
        found_now = {
            "seconds": time.perf_counter() - started,
            "cpu": time.process_time() - cpu,
            "outputs": outputs,
            "references": [example.target for example in examples],
        }
        print(json.dumps(found_now), flush=True)


class Ours:
    """The pipeline as it is used."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def __call__(self, sources: list[str], num_beams: int) -> list[str]:
        return [found["translation_text"] for found in self._pipeline.predict(sources, num_beams=num_beams)]


class Searched(NamedTuple):
    """A translation that has ended.

    Args:
        score: divided by the length penalty.
        ids: its pieces.
    """

    score: float
    ids: list[int]


class Loop:
    """A plain loop over pieces with the weights of a bundled translator."""

    def __init__(self, pipeline: Any) -> None:
        import torch

        from nlp_lstm.text.units import NEVER_WRITTEN

        self._task, self._model = pipeline.task, pipeline._model
        settings = self._task.settings
        self._alpha = settings.length_penalty
        model, (encoder, decoder) = self._model, (self._model.encoder.layers, self._model.decoder.layers)
        if settings.cell != "lstm" or settings.attention != "general" or len(encoder) + len(decoder) > 2:
            raise SystemExit("the loop is written for one layer of LSTM and general attention")
        if model.lexical is None:
            raise SystemExit("the loop is written for translators with model.lexical=true")
        self._encoder = torch.nn.LSTM(
            encoder[0][0].input_size, encoder[0][0].hidden_size, bidirectional=True, batch_first=True
        )
        self._decoder = torch.nn.LSTMCell(decoder[0][0].input_size, decoder[0][0].hidden_size)
        with torch.no_grad():
            copy_cell(encoder[0][0], self._encoder, "_l0")
            copy_cell(encoder[0][1], self._encoder, "_l0_reverse")
            copy_cell(decoder[0][0], self._decoder, "")
        self._never = [*NEVER_WRITTEN, *(target for _, target in self._task.pieces.marks)]
        self._words = model.words

    def __call__(self, sources: list[str], num_beams: int) -> list[str]:
        import torch

        from nlp_lstm.data.example import ParallelExample

        outputs = []
        for start in range(0, len(sources), ROWS):
            examples = [ParallelExample(source=source) for source in sources[start : start + ROWS]]
            batch = self._task.make_batch(examples)
            with torch.inference_mode():
                found = self._translate(batch.source_ids, batch.source_lengths, num_beams)
            outputs += [self._task.pieces.spell(ids, ()) for ids in found]
        return outputs

    def _translate(self, ids: Any, lengths: Any, num_beams: int) -> list[list[int]]:
        """Return the pieces of the best translation of each row."""
        import torch
        from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

        from nlp_lstm.text.units import BOS_ID

        model, num_rows = self._model, len(ids)
        packed = pack_padded_sequence(model.source_words.embed(ids), lengths, batch_first=True, enforce_sorted=False)
        packed_outputs, (last, _) = self._encoder(packed)
        memory, _ = pad_packed_sequence(packed_outputs, batch_first=True)
        begin = torch.tanh(model.bridge(torch.cat((last[0], last[1]), dim=1)))
        state = tuple(part.repeat_interleave(num_beams, 0) for part in begin.chunk(2, dim=1))
        memory = memory.repeat_interleave(num_beams, 0)
        words = model.source_words.embed(ids).repeat_interleave(num_beams, 0)
        padding = torch.arange(memory.shape[1]) >= lengths.repeat_interleave(num_beams)[:, None]
        fed = memory.new_zeros(len(memory), self._words.size)
        tokens = torch.full((len(memory),), BOS_ID)
        scores = torch.full((num_rows, num_beams), -math.inf, dtype=torch.float64)
        scores[:, 0] = 0.0
        beams: list[list[list[int]]] = [[[] for _ in range(num_beams)] for _ in range(num_rows)]
        ended: list[list[Searched]] = [[] for _ in range(num_rows)]
        is_done = [False] * num_rows
        limits = [3 * length + 10 for length in lengths.tolist()]
        for step in range(1, max(limits) + 1):
            state = self._decoder(torch.cat((self._words.embed(tokens[:, None])[:, 0], fed), dim=1), state)
            keys = model.attention.to_keys(memory)
            weights = (keys @ state[0][:, :, None])[:, :, 0].masked_fill(padding, -math.inf).softmax(dim=1)
            context = (weights[:, None] @ memory)[:, 0]
            fed = torch.tanh(model.combine(torch.cat((context, state[0]), dim=1)))
            fed = fed + torch.tanh(model.lexical(torch.tanh((weights[:, None] @ words)[:, 0])))
            log_probs = self._words.logits(fed).log_softmax(dim=1)
            log_probs[:, self._never] = -math.inf
            totals = (scores.flatten()[:, None] + log_probs).view(num_rows, -1)
            best, places = totals.topk(2 * num_beams, dim=1)
            rows, tokens, scores = self._choose(best, places, log_probs.shape[1], beams, ended, is_done, step, limits)
            if all(is_done):
                break
            state = tuple(part[rows] for part in state)
            fed = fed[rows]
        return [max(found, key=lambda one: one.score).ids for found in ended]

    def _choose(
        self,
        best: Any,
        places: Any,
        num_words: int,
        beams: list[list[list[int]]],
        ended: list[list[Searched]],
        is_done: list[bool],
        step: int,
        limits: list[int],
    ) -> tuple[Any, Any, Any]:
        """Let the best beams of each row go on; return the rows that they come from, their tokens and scores."""
        import torch

        from nlp_lstm.decoding.search import length_normaliser
        from nlp_lstm.text.units import EOS_ID

        num_beams = len(beams[0])
        rows, tokens, scores = [], [], []
        for row, (values, found) in enumerate(zip(best.tolist(), places.tolist(), strict=True)):
            going: list[tuple[int, int, float]] = []
            for rank, (value, place) in enumerate(zip(values, found, strict=True)):
                parent, token = divmod(place, num_words)
                if token == EOS_ID:
                    if rank < num_beams and not is_done[row] and value > -math.inf:
                        ended[row].append(Searched(value / length_normaliser(step, self._alpha), beams[row][parent]))
                elif len(going) < num_beams:
                    going.append((parent, token, value))
            beams[row] = [[*beams[row][parent], token] for parent, token, _ in going]
            if step == limits[row] and not is_done[row]:
                normaliser = length_normaliser(step, self._alpha)
                ended[row] += [Searched(one[2] / normaliser, ids) for one, ids in zip(going, beams[row], strict=True)]
            highest = max((one.score for one in ended[row]), default=-math.inf)
            possible = max(length_normaliser(length, self._alpha) for length in (step + 1, limits[row]))
            is_done[row] = bool(
                is_done[row]
                or step == limits[row]
                or (ended[row] and (num_beams == 1 or going[0][2] / possible <= highest))
            )
            rows += [row * num_beams + parent for parent, _, _ in going]
            tokens += [token for _, token, _ in going]
            scores.append([value for _, _, value in going])
        return torch.tensor(rows), torch.tensor(tokens), torch.tensor(scores, dtype=torch.float64)


def copy_cell(cell: Any, module: Any, suffix: str) -> None:
    """Copy a cell's weights into a module of torch's."""
    getattr(module, f"weight_ih{suffix}").copy_(cell.weight_ih)
    getattr(module, f"weight_hh{suffix}").copy_(cell.weight_hh)
    getattr(module, f"bias_ih{suffix}").copy_(cell.bias)
    getattr(module, f"bias_hh{suffix}").zero_()


# ---- the process that asks


def start(way: str, threads: int) -> subprocess.Popen[str]:
    """Start the process of one way."""
    command = [sys.executable, __file__, *sys.argv[1:], "--way", way]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def ask(worker: subprocess.Popen[str], num_beams: int) -> dict[str, Any]:
    """Let a process measure once."""
    if worker.stdin is None or worker.stdout is None:
        raise RuntimeError("a worker has no pipes")
    worker.stdin.write(f"{num_beams}\n")
    worker.stdin.flush()
    found: dict[str, Any] = json.loads(worker.stdout.readline())
    return found


if __name__ == "__main__":
    main()

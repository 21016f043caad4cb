"""How fast a model answers, engine by engine: what `nlp-lstm bench` and the benchmarks measure with.

Each way has a process of its own, and all of them wait while one measures, turn by turn, so that what else the machine
does falls on all alike: compare within one run.

throughput     all texts at once
latency        some of them, one at a time
cold start     from the start of Python to its end after one answer
memory         the most that the process has held
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from nlp_lstm.artifacts import read_config
from nlp_lstm.errors import ConfigError, DataError, NlpLstmError
from nlp_lstm.inference.engines import choose_engine
from nlp_lstm.output import peak_memory, to_json
from nlp_lstm.pipeline import Pipeline

Answer = TypeVar("Answer")

SINGLE_TEXTS = 200  # of each turn
_COLD = (
    "import sys; from nlp_lstm import Pipeline; "
    "Pipeline(sys.argv[1], engine=sys.argv[2], precision=sys.argv[3]).predict(sys.stdin.buffer.read().decode())"
)


class Way(NamedTuple):
    """An engine, and the precision of its arithmetic."""

    engine: str
    precision: str

    @property
    def name(self) -> str:
        """The engine, with its precision where that is not fp32."""
        return self.engine if self.precision == "fp32" else f"{self.engine}, {self.precision}"


WAYS = (Way("torch", "fp32"), Way("onnx", "fp32"), Way("compiled", "fp32"), Way("compiled", "int8"))


class Latency(NamedTuple):
    """The time of single answers, in milliseconds: the median, the 99th percentile, and processor time in the mean."""

    p50: float
    p99: float
    cpu: float


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What was measured of one way, each the median of all turns.

    Args:
        way: the engine and precision.
        texts_per_second: throughput.
        words_per_second: the same in words between white space.
        cpu_per_million: processor seconds of all threads, per million words.
        p50: milliseconds of one text, the median.
        p99: the same, 99th percentile.
        cold: seconds from the start of Python to its end after one answer.
        memory: the most that the process held, in megabytes.
        equal: share of the texts whose answer is that of the first way.
    """

    way: Way
    texts_per_second: float
    words_per_second: float
    cpu_per_million: float
    p50: float
    p99: float
    cold: float
    memory: float
    equal: float


def measure_speed(
    model: Path,
    texts: Sequence[str],
    *,
    threads: int,
    turns: int,
    say: Callable[[str], None] = lambda line: None,
) -> list[Speed]:
    """Measure all ways that can run a model.

    Args:
        model: its folder.
        texts: what it answers; at least one with a word in it.
        threads: of each way.
        turns: of each way.
        say: gets a line for each turn, and for each way that cannot run the model.

    Raises:
        DataError: no text has a word.
        ConfigError: no way can run the model.
    """
    num_words = sum(len(text.split()) for text in texts)
    if not num_words:
        raise DataError("there is no text with a word in it; give some lines")
    workers: dict[Way, Worker] = {}
    for way in WAYS:
        try:
            choose_engine(way.engine, read_config(model), precision=way.precision)
        except NlpLstmError as error:
            say(f"without {way.name}: {error}")
            continue
        worker = Worker([sys.executable, "-m", __name__, str(model), *way], threads)
        try:
            worker.ask(list(texts))
        except ConfigError as error:
            worker.close()
            say(f"without {way.name}: {error}")
            continue
        workers[way] = worker
    if not workers:
        raise ConfigError(f"no engine can run {model}")
    found: dict[Way, list[dict[str, Any]]] = {way: [] for way in workers}
    try:
        for turn in range(turns):
            for way, worker in workers.items():
                say(f"turn {turn + 1} of {turns}: {way.name}")
                start = turn * SINGLE_TEXTS % len(texts)
                cold = cold_start(str(model), way, max(texts[:SINGLE_TEXTS], key=len), threads)
                found[way].append({**worker.ask({"start": start, "wants_answers": not turn}), "cold": cold.seconds})
    finally:
        for worker in workers.values():
            worker.close()
    answers = found[next(iter(workers))][0]["answers"]
    return [_summary(way, several, len(texts), num_words, answers) for way, several in found.items()]


def _summary(
    way: Way, turns: Sequence[Mapping[str, Any]], num_texts: int, num_words: int, answers: Sequence[str]
) -> Speed:
    medians = {key: statistics.median(turn[key] for turn in turns) for key in ("seconds", "cpu", "p50", "p99", "cold")}
    equal = sum(one == other for one, other in zip(turns[0]["answers"], answers, strict=True))
    return Speed(
        way=way,
        texts_per_second=num_texts / medians["seconds"],
        words_per_second=num_words / medians["seconds"],
        cpu_per_million=1e6 * medians["cpu"] / num_words,
        p50=medians["p50"],
        p99=medians["p99"],
        cold=medians["cold"],
        memory=max(turn["memory"] for turn in turns),
        equal=equal / num_texts,
    )


# ---- what is measured


class Timed(NamedTuple):
    """Seconds by the clock, and those of the processor in all threads."""

    seconds: float
    cpu: float


def timed(work: Callable[[], Answer]) -> tuple[Answer, Timed]:
    """Return what some work gives, and how long it took."""
    started, cpu = time.perf_counter(), time.process_time()
    answer = work()
    return answer, Timed(time.perf_counter() - started, time.process_time() - cpu)


def latency(answer: Callable[[Any], Any], texts: Sequence[Any]) -> Latency:
    """Return how long single answers take."""
    times, cpu = [], time.process_time()
    for text in texts:
        begun = time.perf_counter()
        answer(text)
        times.append(time.perf_counter() - begun)
    cpu = time.process_time() - cpu
    times.sort()
    return Latency(1e3 * times[len(times) // 2], 1e3 * times[int(0.99 * len(times))], 1e3 * cpu / len(times))


def cold_start(model: str, way: Way, text: str, threads: int) -> Timed:
    """Return what a process takes for one answer, from its start to its end.

    Raises:
        ConfigError: it fails.
    """
    before, started = os.times(), time.perf_counter()
    command = [sys.executable, "-c", _COLD, model, *way]
    done = subprocess.run(command, input=text.encode(), check=False, env=_environment(threads))
    seconds, after = time.perf_counter() - started, os.times()
    if done.returncode:
        raise ConfigError(f"a process that answers once has ended with exit code {done.returncode}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Timed(seconds, cpu)


# ---- processes


class Worker:
    """A process that measures when it is asked to: a line of JSON in, one out.

    Args:
        command: what it runs.
        threads: its OMP_NUM_THREADS.
    """

    def __init__(self, command: Sequence[str], threads: int) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment(threads)
        )

    def ask(self, request: Any = None) -> Any:
        """Return the answer to a request.

        Raises:
            ConfigError: the process cannot do what is asked, or has ended.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ConfigError(f"the process that measures has ended with exit code {self._process.wait()}")
        found = json.loads(line)
        if isinstance(found, dict) and "error" in found:
            raise ConfigError(found["error"])
        return found

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()


def num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _environment(threads: int) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": str(threads)}


def _measure_when_asked(model: str, engine: Any, precision: Any) -> Iterator[Any]:
    """Answer requests: the texts, then for each turn where the single texts begin."""
    texts = json.loads(sys.stdin.readline())
    pipeline = Pipeline(model, engine=engine, precision=precision)
    pipeline.predict(texts[:SINGLE_TEXTS])
    yield {}
    for line in sys.stdin:
        request = json.loads(line)
        results, took = timed(lambda: pipeline.predict(texts))
        single = [texts[(request["start"] + number) % len(texts)] for number in range(min(SINGLE_TEXTS, len(texts)))]
        found = latency(pipeline.predict, single)
        answers = [_as_answer(pipeline, result) for result in results] if request["wants_answers"] else []
        yield {**took._asdict(), "p50": found.p50, "p99": found.p99, "memory": peak_memory() / 1e6, "answers": answers}


def _as_answer(pipeline: Pipeline, result: Any) -> str:
    """What is compared of a result: the line of text that it is, without scores, if it is one."""
    try:
        return pipeline.predictor.as_line(result)
    except ConfigError:
        return to_json(result, pipeline.folder)


if __name__ == "__main__":
    try:
        for answer in _measure_when_asked(*sys.argv[1:]):
            print(json.dumps(answer), flush=True)  # noqa: T201
    except NlpLstmError as error:
        print(json.dumps({"error": str(error)}), flush=True)  # noqa: T201

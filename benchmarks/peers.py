"""Our taggers, classifiers and translators beside those of other libraries: speed, accuracy, size, training.

Every library has an environment of its own (`runs/bench-peers/env-NAME`) and is trained there on the same splits with
the same word vectors, in the configuration that its authors recommend for a CPU (`benchmarks/peers/`): the best model
on dev is kept, and a training ends by the library's own patience or at the first evaluation after `--minutes`. What is
trained already is not trained again; of further seeds the answers on test are kept (`full/answers/`) and nothing else
is needed, so that the hours can be spent on several days or machines. Then each system has a process of its own and all
of them wait while one measures, turn by turn, so that what else the machine does falls on all alike: compare within one
run.

    python benchmarks/peers.py [--tasks pos sentiment] [--peers spacy flair] [--minutes 60] [--seeds 1 2 3]
    python benchmarks/peers.py --tasks translate --minutes 75 --engines onnx torch

text    words/s from raw text to labels; words are those of the data, whatever a tokeniser makes of them
ours x  how many times as fast as this system the first engine of ours is, on raw text
words   words/s from texts that are cut into words already; of translators, which search with 5 beams otherwise,
        words of the text a second when they write greedily
p50     milliseconds for one raw text, the median; p99: 99 of 100 texts take less
CPU     seconds of all threads for a million words of raw text
right   share of right labels on test, texts cut into words: the mean over the seeds, and the 95 % interval of the
        bootstrap over sentences; ours-it: how much better ours is, and the two-sided p of the paired bootstrap. Of
        translations BLEU (13a, cased) takes the place of the share, with interval and p of the first seed
size    of all that prediction needs, word vectors included
minutes of training, and how it ended; of a peer those of the processor, so that other work costs it no training
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from nlp_lstm.errors import ConfigError, DataError, NlpLstmError
from nlp_lstm.evaluation.significance import PairedResult, bootstrap_interval, mean_and_spread, paired_bootstrap
from nlp_lstm.evaluation.translation import CorpusCounts, ScoredTranslation

sys.path.append(str(Path(__file__).parent / "peers"))

from export import DATA, export_data, export_vectors, say
from ours import ENGINES, OurSystem
from pareto import make_report
from peer import TRAINED, Row, is_long_enough

HERE = Path(__file__).parent / "peers"


class Peer(NamedTuple):
    """A system of another library.

    Args:
        library: the file `with_LIBRARY.py`, its requirements and its environment are called so.
        tasks: what it is trained for.
        size: of the network, where the library has several.
    """

    library: str
    tasks: tuple[str, ...]
    size: str = ""


PEERS = {
    "spacy": Peer("spacy", ("pos", "sentiment")),
    "spacy-wide": Peer("spacy", ("pos", "sentiment"), size="wide"),
    "flair": Peer("flair", ("pos", "sentiment")),
    "stanza": Peer("stanza", ("pos",)),
    "joeynmt": Peer("joeynmt", ("translate",)),
}


@dataclasses.dataclass
class System:
    """A system in the comparison.

    Args:
        name: in the table.
        commands: start a process that measures; of ours one for each seed, of a peer for the first.
        is_ours: whether it is a model of this project.
        kept: files of a peer's answers on test, one for each seed; empty for ours.
        facts: what the process of the first seed says about its model.
        turns: its measurements.
        answers: to the test texts, one list for each seed.
    """

    name: str
    commands: list[list[str]]
    is_ours: bool
    kept: list[Path] = dataclasses.field(default_factory=list)
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    turns: list[dict[str, float]] = dataclasses.field(default_factory=list)
    answers: list[list[Any]] = dataclasses.field(default_factory=list)

    def median(self, key: str) -> float:
        """Return the median of a measurement over the turns."""
        return statistics.median(turn[key] for turn in self.turns)


def main() -> None:
    """Prepare, train, measure and print a table for each task."""
    arguments = read_arguments()
    try:
        compare(arguments)
    except (NlpLstmError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)


def read_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--minutes", type=float, default=60.0, help="of the processor for each training")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], help="of the peers; the first is timed")
    parser.add_argument("--our-pos", nargs="+", default=["pos-en"], help="taggers, one for each seed: name or folder")
    parser.add_argument("--our-sentiment", nargs="+", default=["sentiment-en"], help="classifiers, likewise")
    parser.add_argument("--our-translate", nargs="+", default=["translate-en-de"], help="translators, likewise")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=["onnx", "torch", "compiled"])
    parser.add_argument("--threads", type=int, default=1, help="of each process, in training, too")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each system; medians are shown")
    parser.add_argument("--sentences", type=int, default=500, help="texts for the latency in each turn")
    parser.add_argument("--limit", type=int, help="use only the first texts of each split: a trial of the whole")
    parser.add_argument("--vectors", type=int, help="use only the vectors of the most frequent words: a trial")
    parser.add_argument("--train-only", action="store_true", help="measure nothing")
    parser.add_argument("--output", type=Path, default=Path("runs/bench-peers"))
    arguments = parser.parse_args()
    for name in ("minutes", "threads", "rounds", "sentences", "limit", "vectors"):
        value = getattr(arguments, name)
        if value is not None and value <= 0:
            parser.error(f"--{name} is {value}; it must be above 0")
    arguments.output = arguments.output.resolve()
    return arguments


def compare(arguments: argparse.Namespace) -> None:
    """Do all tasks."""
    if not arguments.train_only:
        check_ours(arguments)
    trial = "-".join(["trial", str(arguments.limit or "all"), str(arguments.vectors or "all")])
    folder = arguments.output / (trial if arguments.limit or arguments.vectors else "full")
    vectors = export_vectors(folder, arguments.vectors)
    results_file = arguments.output / "results.json" if folder.name == "full" else folder / "results.json"
    results: dict[str, Any] = json.loads(results_file.read_text("utf-8")) if results_file.is_file() else {}
    installed = {
        library: make_environment(arguments.output, library)
        for library in dict.fromkeys(PEERS[name].library for name in arguments.peers)
    }
    for task in arguments.tasks:
        rows = export_data(task, folder / task, arguments.limit)
        peers = [name for name in arguments.peers if task in PEERS[name].tasks]
        for seed, name in itertools.product(arguments.seeds, peers):
            if seed == arguments.seeds[0] or not has_answered(
                answers_file(folder, name, task, seed), arguments.minutes
            ):
                train(arguments, name, task, folder, vectors, seed)
                keep_answers(arguments, name, task, folder, seed)
        if arguments.train_only:
            continue
        systems = make_systems(arguments, task, peers, folder)
        measure(systems, arguments)
        found = summary(systems, Translations(rows) if task == "translate" else Labels(rows))
        print_table(task, found, arguments)
        size = Path(f"{vectors}.bin").stat().st_size / 1e6
        say(f"the word vectors alone, which each peer keeps in full, have {size:.1f} MB")
        options = {key: str(value) for key, value in vars(arguments).items()}
        results[task] = {"options": options, "environments": installed, "systems": found}
        write_json(results_file, results)
        make_report(results).write(results_file.parent)
        say(f"written to {results_file} and report.html beside it")


def check_ours(arguments: argparse.Namespace) -> None:
    """Open our models once, before hours of training, so that a wrong name or a missing engine is found at once."""
    for task in arguments.tasks:
        for model, engine in itertools.product(our_models(arguments, task), arguments.engines):
            found = OurSystem(model, engine).pipeline.info["task"]
            if found != task:
                raise ConfigError(f"{model} is a model of the task {found}; --our-{task} takes models of {task}")


def our_models(arguments: argparse.Namespace, task: str) -> list[str]:
    """Return the names or folders of our models."""
    return list(getattr(arguments, f"our_{task}"))


# ---- environments and trainings


def make_environment(output: Path, library: str) -> list[str]:
    """Install a library into an environment of its own, unless it is there, and return what is installed."""
    folder, requirements = output / f"env-{library}", HERE / f"requirements-{library}.txt"
    stamp = folder / "installed.txt"
    if not stamp.is_file() or stamp.read_text("utf-8") != requirements.read_text("utf-8"):
        say(f"installing {library} into {folder}, a few minutes")
        run([sys.executable, "-m", "venv", str(folder)], f"cannot make an environment for {library}")
        pip = [str(python_of(output, library)), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)]
        run(pip, f"cannot install {library}")
        stamp.write_text(requirements.read_text("utf-8"), "utf-8")
    freeze = [str(python_of(output, library)), "-m", "pip", "freeze"]
    return subprocess.run(freeze, check=True, capture_output=True, text=True).stdout.split("\n")[:-1]


def python_of(output: Path, library: str) -> Path:
    """Return the Python of a library's environment."""
    return output / f"env-{library}" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def train(arguments: argparse.Namespace, name: str, task: str, folder: Path, vectors: Path, seed: int) -> None:
    """Train a peer, unless it is trained."""
    peer, model = PEERS[name], model_folder(folder, name, task, seed)
    say(f"{task}, {name}, seed {seed}: training, {arguments.minutes:g} minutes or until its patience ends")
    command = [str(python_of(arguments.output, peer.library)), str(HERE / f"with_{peer.library}.py"), "train"]
    command += [str(model), "--task", task, "--data", str(folder / task), "--vectors", str(vectors)]
    command += ["--minutes", str(arguments.minutes), "--seed", str(seed), "--size", peer.size]
    run(command, f"{name} could not be trained for {task}", environment(arguments))


def keep_answers(arguments: argparse.Namespace, name: str, task: str, folder: Path, seed: int) -> None:
    """Write down what a peer's model says of the test split and how it was trained, unless that was done."""
    path, model = answers_file(folder, name, task, seed), model_folder(folder, name, task, seed)
    facts = json.loads((model / TRAINED).read_text("utf-8"))
    if path.is_file() and json.loads(path.read_text("utf-8"))["facts"] == facts:
        return
    worker = Worker(name, serve_command(arguments, name, task, folder, seed), environment(arguments))
    path.parent.mkdir(exist_ok=True)
    write_json(path, {"facts": facts, "answers": worker.ask("answers")}, indent=None)
    worker.close()


def model_folder(folder: Path, name: str, task: str, seed: int) -> Path:
    """Return where a peer's model is."""
    return folder / "models" / f"{task}-{name}-{seed}"


def has_answered(path: Path, minutes: float) -> bool:
    """Return whether the answers of a model that was trained as long are kept."""
    return path.is_file() and is_long_enough(json.loads(path.read_text("utf-8"))["facts"], minutes)


def answers_file(folder: Path, name: str, task: str, seed: int) -> Path:
    """Return where a peer's answers on the test split are."""
    return folder / "answers" / f"{task}-{name}-{seed}.json"


def serve_command(arguments: argparse.Namespace, name: str, task: str, folder: Path, seed: int) -> list[str]:
    """Return what starts the process of a peer's model."""
    library = PEERS[name].library
    command = [str(python_of(arguments.output, library)), str(HERE / f"with_{library}.py"), "serve"]
    command += [str(model_folder(folder, name, task, seed)), "--data", str(folder / task)]
    return [*command, "--sentences", str(arguments.sentences)]


# ---- measuring


def make_systems(arguments: argparse.Namespace, task: str, peers: list[str], folder: Path) -> list[System]:
    """Return ours, one for each engine, and the peers."""
    systems = []
    for engine in arguments.engines:
        command = [sys.executable, str(HERE / "ours.py"), "serve"]
        rest = ["--data", str(folder / task), "--sentences", str(arguments.sentences), "--engine", engine]
        commands = [[*command, model, *rest] for model in our_models(arguments, task)]
        systems.append(System(name=f"ours {engine}", commands=commands, is_ours=True))
    for name in peers:
        kept = [answers_file(folder, name, task, seed) for seed in arguments.seeds]
        command = serve_command(arguments, name, task, folder, arguments.seeds[0])
        systems.append(System(name=name, commands=[command], is_ours=False, kept=kept))
    return systems


def measure(systems: list[System], arguments: argparse.Namespace) -> None:
    """Time the first model of each system, turn by turn, and ask the models of all seeds for their answers on test."""
    workers = []
    for system in systems:
        say(f"opening {system.name}")
        workers.append(Worker(system.name, system.commands[0], environment(arguments, is_ours=system.is_ours)))
        system.facts = workers[-1].facts
    for turn, (system, worker) in itertools.product(range(arguments.rounds), zip(systems, workers, strict=True)):
        system.turns.append(worker.ask("measure"))
        say(f"turn {turn + 1}, {system.name}: {system.turns[-1]['text_words_per_second']:,.0f} words/s")
    for worker in workers:
        worker.close()
    for system in systems:
        system.answers = [json.loads(path.read_text("utf-8"))["answers"] for path in system.kept]
        for command in system.commands if system.is_ours else []:
            worker = Worker(system.name, command, environment(arguments, is_ours=True))
            system.answers.append(worker.ask("answers"))
            worker.close()


class Worker:
    """The process of one system. Making it waits until the model is open and warm."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        self._name = name
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment
        )
        self.facts: dict[str, Any] = self._read()

    def ask(self, request: str) -> Any:
        """Return the answer to "measure" or "answers"."""
        if self._process.stdin is None:
            raise RuntimeError("a worker has no pipes")
        self._process.stdin.write(f"{request}\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _read(self) -> Any:
        if self._process.stdout is None:
            raise RuntimeError("a worker has no pipes")
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise SystemExit(f"the process of {self._name} ended with code {self._process.returncode}, see above")
        return json.loads(line)


def environment(arguments: argparse.Namespace, *, is_ours: bool = False) -> dict[str, str]:
    """Return the environment of a process: its threads, no downloads, and for peers nothing of ours to import."""
    settings = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads), "HF_HUB_OFFLINE": "1"}
    settings |= {"FLAIR_CACHE_ROOT": str(arguments.output / "flair"), "PYTHONUNBUFFERED": "1"}
    if not is_ours:
        settings.pop("PYTHONPATH", None)
    return settings


# ---- what is right


class Judge(Protocol):
    """Says how good the answers on test are."""

    def scores(self, system: System) -> list[float]:
        """Return the score of each seed, a share of 1."""

    def interval(self, system: System) -> tuple[float, float]:
        """Return the 95 % interval of the bootstrap over texts."""

    def difference(self, one: System, other: System) -> PairedResult:
        """Return how much better one system is."""


class Labels:
    """Counts right labels, of texts or of words; what a text has is averaged over the seeds."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows
        self._totals = [len(row.gold) if isinstance(row.gold, list) else 1 for row in rows]

    def scores(self, system: System) -> list[float]:
        """Return the share of right labels of each seed."""
        return [sum(counts) / sum(self._totals) for counts in self._correct(system)]

    def interval(self, system: System) -> tuple[float, float]:
        """Return the interval of the share, of all seeds together."""
        return bootstrap_interval(self._mean_correct(system), self._totals)

    def difference(self, one: System, other: System) -> PairedResult:
        """Return the difference of the shares, of all seeds together."""
        return paired_bootstrap(self._mean_correct(one), self._mean_correct(other), self._totals)

    def _mean_correct(self, system: System) -> list[float]:
        return [statistics.fmean(several) for several in zip(*self._correct(system), strict=True)]

    def _correct(self, system: System) -> list[list[int]]:
        return [count_correct(system.name, answers, self._rows) for answers in system.answers]


class Translations:
    """BLEU by sacrebleu, as a share of 1; interval and difference are of the first seed."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def scores(self, system: System) -> list[float]:
        """Return the BLEU of each seed."""
        return [self._counts(answers).score() / 100 for answers in system.answers]

    def interval(self, system: System) -> tuple[float, float]:
        """Return the interval of the first seed's BLEU."""
        low, high = self._counts(system.answers[0]).corpus_score().interval or (0.0, 1.0)
        return low / 100, high / 100

    def difference(self, one: System, other: System) -> PairedResult:
        """Return the difference of the first seeds' BLEU."""
        found = self._counts(one.answers[0]).paired_difference(self._counts(other.answers[0]))
        low, high = found.interval
        return PairedResult(found.difference / 100, (low / 100, high / 100), found.p_value)

    def _counts(self, answers: list[str]) -> CorpusCounts:
        pairs = zip(self._rows, answers, strict=True)
        return CorpusCounts(
            [ScoredTranslation(source=row.text, reference=str(row.gold), output=answer) for row, answer in pairs],
            "bleu",
        )


def count_correct(name: str, answers: list[Any], rows: list[Row]) -> list[int]:
    """Return how many labels of each text are right."""
    counts = []
    for number, (answer, row) in enumerate(zip(answers, rows, strict=True), start=1):
        if isinstance(row.gold, str):
            counts.append(int(answer == row.gold))
            continue
        if len(answer) != len(row.gold):
            raise DataError(f"{name}: {len(answer)} tags for the {len(row.gold)} words of test sentence {number}")
        counts.append(sum(one == other for one, other in zip(answer, row.gold, strict=True)))
    return counts


# ---- what is printed


def summary(systems: list[System], judge: Judge) -> dict[str, dict[str, Any]]:
    """Return the figures of each system."""
    ours = systems[0]
    found: dict[str, dict[str, Any]] = {}
    for system in systems:
        scores = judge.scores(system)
        mean, spread = mean_and_spread(scores)
        figures: dict[str, Any] = {key: system.median(key) for key in system.turns[0]}
        figures["ours_is_faster"] = ours.median("text_words_per_second") / figures["text_words_per_second"]
        figures |= {"accuracy": mean, "spread": spread, "accuracies": scores, "interval": judge.interval(system)}
        if not system.is_ours:
            figures["ours_minus_it"] = judge.difference(ours, system)._asdict()
        found[system.name] = figures | {"model": system.facts, "turns": system.turns}
    return found


def print_table(task: str, found: Mapping[str, Mapping[str, Any]], arguments: argparse.Namespace) -> None:
    """Print one line a system."""
    seeds = f"seeds {', '.join(map(str, arguments.seeds))}"
    print(f"\n{task}: {DATA[task]}, {arguments.threads} threads, medians of {arguments.rounds} turns, {seeds}")
    print(f"{'':<14}{'text':>9}{'ours x':>8}{'words':>9}{'p50':>8}{'p99':>8}{'CPU':>8}{'right':>9}{'95 %':>14}", end="")
    print(f"{'ours-it':>9}{'p':>8}{'size MB':>9}{'minutes':>9}")
    for name, figures in found.items():
        low, high = figures["interval"]
        print(
            f"{name:<14}{figures['text_words_per_second']:>9,.0f}{figures['ours_is_faster']:>8.2f}"
            f"{figures['words_per_second']:>9,.0f}{figures['p50']:>8.2f}{figures['p99']:>8.2f}"
            f"{figures['text_cpu_per_million']:>8.1f}{100 * figures['accuracy']:>7.2f} %"
            f"{f'{100 * low:.2f}–{100 * high:.2f}':>14}",
            end="",
        )
        against, model = figures.get("ours_minus_it"), figures["model"]
        print(f"{100 * against['difference']:>+9.2f}{against['p_value']:>8.4f}" if against else " " * 17, end="")
        minutes = "" if model["minutes"] is None else f"{model['minutes']:.0f}"
        print(f"{model['bytes'] / 1e6:>9.1f}{minutes:>9} {remark(model)}")


def remark(model: Mapping[str, Any]) -> str:
    """Return how a training ended, or what ours had besides the data and the vectors of the peers."""
    if "ended_by" in model:
        return f"ended by {model['ended_by']}"
    more = [f"began as {model['began_as']}"] if model["began_as"] else []
    return "; ".join([*more, *(f"learnt {name}" for name in model["trained_on"][1:])])


# ---- small things


def run(command: list[str], trouble: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a command and show what it prints; end with one line where it fails."""
    code = subprocess.run(command, env=environment).returncode
    if code:
        raise SystemExit(f"{trouble}: it ended with code {code}, see above")


def write_json(path: Path, value: object, *, indent: int | None = 1) -> None:
    """Write a value in one step."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=indent, ensure_ascii=False) + "\n", "utf-8")
    os.replace(part, path)


if __name__ == "__main__":
    main()

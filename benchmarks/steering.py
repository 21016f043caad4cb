"""Whether a language model with topics writes what it is told to: texts on each topic, judged by another model.

A classifier, which took no part in training the model, says which topic each text has. Beside its agreement stand the
perplexity of the texts and the share of different runs of three words, of told and of untold texts: steering must not
pay with nonsense or with the same sentence again and again. Perplexity is that of the model itself without a topic, and
of another language model.

    python benchmarks/steering.py runs/topics/model [--guidance 0 0.5 1 2] [--texts 500] [--seed 1000]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from script import run_script

from nlp_lstm import Pipeline
from nlp_lstm.evaluation.significance import bootstrap_interval

WRITTEN_AT_ONCE = 100


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured of some texts.

    Args:
        agreed: for each told text 1.0 where the classifier says the topic, else 0.0; empty for untold ones.
        perplexity: of the model itself, untold.
        other_perplexity: of another language model.
        distinct: share of different runs of three words among all.
    """

    agreed: list[float]
    perplexity: float
    other_perplexity: float
    distinct: float


def main() -> None:
    """Write the texts, judge them, and print a row for each guidance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model of the task topics")
    parser.add_argument("--guidance", type=float, nargs="+", default=[0.0, 0.5, 1.0, 1.5, 2.0])
    parser.add_argument("--texts", type=int, default=500, help="told texts, in equal parts for each topic")
    parser.add_argument("--words", type=int, default=40, help="the most of each text")
    parser.add_argument("--seed", type=int, default=1_000, help="choose guidance with one, and report with another")
    parser.add_argument("--classifier", default="sentiment", help="a model whose labels are the topics")
    parser.add_argument("--other", default="lm", help="the other language model")
    parser.add_argument("--show", type=int, default=3, help="texts of each topic that are shown")
    options = parser.parse_args()
    writer, judge, other = (Pipeline(name) for name in (options.model, options.classifier, options.other))
    console = Console()
    table = Table("guidance", "agreement", "95 %", "perplexity", "of another model", "distinct trigrams", box=None)
    texts = write(writer, options, None, 0.0, options.texts)
    plain = measure(texts, [], writer, other)
    table.add_row("no topic", "", "", *_against(plain, plain))
    for guidance in options.guidance:
        told, agreed = [], []
        for topic in writer.task.topics:
            texts = write(writer, options, topic, guidance, options.texts // len(writer.task.topics))
            agreed += [float(found["label"] == topic) for found in judge.predict(texts)]
            told += texts
            console.print(f"{topic}, guidance {guidance:g}:", *texts[: options.show], sep="\n  ", highlight=False)
        found = measure(told, agreed, writer, other)
        interval = bootstrap_interval(agreed)
        share = sum(agreed) / len(agreed)
        span = f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"
        table.add_row(f"{guidance:g}", f"{100 * share:.1f} %", span, *_against(found, plain))
    console.print(table)


def write(writer: Pipeline, options: argparse.Namespace, topic: str | None, guidance: float, count: int) -> list[str]:
    """Return texts on a topic that have words in them."""
    texts: list[str] = []
    seed = options.seed
    while len(texts) < count:
        given: dict[str, Any] = {"topic": topic, "guidance": guidance} if topic else {}
        found = writer.predict(
            "", max_new_tokens=options.words, num_return_sequences=WRITTEN_AT_ONCE, seed=seed, **given
        )
        texts += [one["generated_text"].strip() for one in found if one["generated_text"].strip()]
        seed += WRITTEN_AT_ONCE
    return texts[:count]


def measure(texts: Sequence[str], agreed: list[float], writer: Pipeline, other: Pipeline) -> Measured:
    """Measure some texts."""
    trigrams = [run for text in texts for run in _trigrams(text.split())]
    return Measured(
        agreed=agreed,
        perplexity=_perplexity(writer, texts),
        other_perplexity=_perplexity(other, texts),
        distinct=len(set(trigrams)) / max(1, len(trigrams)),
    )


def _perplexity(model: Pipeline, texts: Sequence[str]) -> float:
    scored = [token["log_probability"] for found in model.score(list(texts)) for token in found["tokens"]]
    return math.exp(-sum(scored) / len(scored))


def _trigrams(words: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + 3]) for start in range(len(words) - 2)]


def _against(found: Measured, plain: Measured) -> list[str]:
    """The figures, each with its change against untold texts."""
    pairs = [(getattr(found, name), getattr(plain, name)) for name in ("perplexity", "other_perplexity", "distinct")]
    decimals = (1, 1, 3)
    return [
        f"{value:.{places}f} ({100 * (value / base - 1):+.1f} %)"
        for places, (value, base) in zip(decimals, pairs, strict=True)
    ]


if __name__ == "__main__":
    run_script(main)

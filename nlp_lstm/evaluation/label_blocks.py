"""Parts that the reports on taggers and on classifiers share: figures, tables, plots, comparisons."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nlp_lstm.errors import DataError
from nlp_lstm.evaluation import plots
from nlp_lstm.evaluation.label_scores import Bucket, Confusion, LabelScore
from nlp_lstm.evaluation.report import Cell, Figure, Plot, Table, format_share
from nlp_lstm.evaluation.significance import bootstrap_interval, paired_bootstrap


@dataclass(frozen=True, kw_only=True)
class System:
    """One system of a comparison: its score on each item, out of how many, and cells for columns of its own."""

    name: str
    correct: Sequence[float]
    totals: Sequence[float] | None = None
    cells: Sequence[Cell] = ()


def share_figure(
    name: str, value: float, interval: tuple[float, float] | None, sample_size: int, unit: str, note: str = ""
) -> Figure:
    """Return a headline number that is a share, with two digits after the point: 25,000 tokens tell them apart."""
    return Figure(
        name=name,
        value=value,
        interval=interval,
        sample_size=sample_size,
        sample_unit=unit,
        note=note,
        is_share=True,
        decimals=2,
    )


def macro_f1_figure(macro_f1: float, num_labels: int) -> Figure:
    """Return the mean F1 of the labels as a headline number."""
    return Figure(name="Macro F1", value=macro_f1, note=f"mean F1 of {num_labels} labels", is_share=True)


def percent_range(lower: float, upper: float) -> str:
    """Return an interval of shares with two digits after the point, ``86.32–89.00 %``."""
    return f"{100 * lower:.2f}–{100 * upper:.2f} %"


def score_table(scores: Sequence[LabelScore], title: str, name: str, note: str) -> Table:
    """List precision, recall and F1 of each label (``name`` says what a label is), the most frequent first."""
    ordered = sorted(scores, key=lambda score: (-score.support, score.label))
    rows: list[list[Cell]] = [
        [s.label, format_share(s.precision), format_share(s.recall), format_share(s.f1), s.support] for s in ordered
    ]
    return Table(title=title, columns=[name, "Precision", "Recall", "F1", "Gold count"], rows=rows, note=note)


def confusion_matrix_plot(confusion: Confusion) -> Plot:
    """Draw the confusion matrix."""
    title = "Confusion matrix"
    svg = plots.confusion_plot(confusion.labels, confusion.matrix, title=title)
    note = "Each row is a gold label; the darker, the larger its share of the row (on a square-root scale)."
    return Plot(title=title, svg=svg, note=note)


def confused_pairs(
    errors: Iterable[tuple[str, str, str]], gold: Iterable[str], *, with_words: bool = True, limit: int = 15
) -> Table:
    """List the most frequent confusions.

    Args:
        errors: gold label, predicted label and word of each error.
        gold: the right labels of all items.
        with_words: whether a last column shows the words most often confused so.
        limit: rows shown.
    """
    pairs: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for right, given, word in errors:
        pairs[right, given][word] += 1
    support = Counter(gold)
    num_errors = sum(words.total() for words in pairs.values())
    rows: list[list[Cell]] = []
    for (right, given), words in sorted(pairs.items(), key=lambda item: (-item[1].total(), item[0]))[:limit]:
        count = words.total()
        row: list[Cell] = [right, given, count, format_share(count / num_errors), format_share(count / support[right])]
        most = ", ".join(f"{word} ({times})" if times > 1 else word for word, times in words.most_common(4))
        rows.append([*row, most] if with_words else row)
    columns = ["Gold", "Predicted", "Count", "Of all errors", "Of the gold label"]
    return Table(title="Most confused pairs", columns=[*columns, "Most often"] if with_words else columns, rows=rows)


def bucket_plot(buckets: Sequence[Bucket], title: str, x_label: str) -> Plot:
    """Draw the accuracy within each group of items."""
    svg = plots.bar_plot(
        [bucket.label for bucket in buckets],
        [bucket.accuracy for bucket in buckets],
        counts=[bucket.num_items for bucket in buckets],
        title=title,
        x_label=x_label,
        y_label="accuracy",
        show=format_share,
        limit=1,
    )
    return Plot(title=title, svg=svg)


def compare_systems(
    systems: Sequence[System], *, unit: str, own_columns: Sequence[str] = (), resamples: int = 2000
) -> Table:
    """Compare systems on the same items; each is tested against the first.

    Args:
        systems: at least one; the caller has checked that their items are the same.
        unit: what an item is, such as "sentences".
        own_columns: names of the systems' own cells, which stand after the interval.
        resamples: of the bootstrap.

    Returns:
        Accuracy with interval, the systems' own cells, and the paired bootstrap's difference and p-value.

    Raises:
        DataError: there is no system.
    """
    if not systems:
        raise DataError("no systems to compare; give at least one")
    first = systems[0]
    rows: list[list[Cell]] = []
    for system in systems:
        correct, totals = system.correct, system.totals
        accuracy = sum(correct) / (len(correct) if totals is None else sum(totals))
        interval = percent_range(*bootstrap_interval(correct, totals, resamples=resamples))
        difference, p_value = "–", "–"
        if rows:
            paired = paired_bootstrap(correct, first.correct, totals, resamples=resamples)
            ends = " to ".join(f"{100 * end:+.2f}" for end in paired.interval)
            difference = f"{100 * paired.difference:+.2f} ({ends})".replace("-", "−")
            p_value = "< 0.001" if paired.p_value < 0.001 else f"{paired.p_value:.3f}"
        rows.append([system.name, format_share(accuracy, 2), interval, *system.cells, difference, p_value])
    return Table(
        columns=["System", "Accuracy", "95 % interval", *own_columns, f"Against {first.name} (points)", "p"],
        rows=rows,
        note=f"Intervals and p-values: bootstrap over {unit} (Efron and Tibshirani 1993), paired and two-sided "
        "(Koehn 2004; Berg-Kirkpatrick et al. 2012).",
    )

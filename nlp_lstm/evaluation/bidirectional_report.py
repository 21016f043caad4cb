"""The report on a bidirectional language model: how surprised it is from either side.

A line arrives twice, as `perplexity.ScoredLine`: with what was said of each next word, and of each previous one. The
`<eos>` that ends a sentence, in reading direction, is a token like any other; a line may have several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nlp_lstm.evaluation.perplexity import END, PerplexityMetrics, ScoredLine, perplexity_metrics
from nlp_lstm.evaluation.report import Cell, Figure, Report, Section, Table, TextBlock, format_share

_COUNTED = (
    f"The forward layers predict the word after each word, and {END} after the last one of a sentence; the backward "
    f"layers predict the word before each word, and {END} before the first one. So a sentence of ten words has ten "
    "predictions in each direction, and the word that a direction begins with is not predicted. Perplexity is the "
    "exponential of the mean surprise, over both directions or over one. It does not compare with that of a language "
    "model that reads on from sentence to sentence."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class BothDirections:
    """The lines of a text as a model scored them in each direction, line by line."""

    forward: Sequence[ScoredLine]
    backward: Sequence[ScoredLine]

    @property
    def together(self) -> list[ScoredLine]:
        """Each line with the tokens of both directions."""
        return [
            ScoredLine(
                tokens=(*forward.tokens, *backward.tokens),
                log_probabilities=[*forward.log_probabilities, *backward.log_probabilities],
                has_end=False,
                num_characters=forward.num_characters,
                num_words=forward.num_words,
            )
            for forward, backward in zip(self.forward, self.backward, strict=True)
        ]


def bidirectional_report(
    lines: BothDirections,
    *,
    title: str,
    subtitle: str,
    task: str,
    vocabulary_size: int,
    training_counts: Mapping[str, int] | None = None,
    rivals: Mapping[str, BothDirections] | None = None,
) -> Report:
    """Build the whole report.

    Args:
        lines: the test text in its order, as the model scored it.
        title: what was done.
        subtitle: model and data in a few words.
        task: the task's name.
        vocabulary_size: words that the model can predict, `<unk>` and `<eos>` among them.
        training_counts: how often each token stands in the training text.
        rivals: the same lines as simpler systems scored them, by name.

    Raises:
        DataError: lines that cannot be scored.
    """
    metrics = perplexity_metrics(lines.together, training_counts)
    figures = [_figure("Perplexity", metrics), *_figures_of_directions(lines)]
    sections = [Section(title="What is counted", blocks=[TextBlock(text=_COUNTED)])]
    if rivals:
        rows = [_comparison_row("this model", figures)]
        for name, other in rivals.items():
            found = [_figure("Perplexity", perplexity_metrics(other.together)), *_figures_of_directions(other)]
            rows.append(_comparison_row(name, found))
        table = Table(columns=["System", "Perplexity", "95 % interval", "Forward", "Backward"], rows=rows)
        sections.append(Section(title="Beside simpler systems", blocks=[table]))
    if metrics.by_frequency:
        bands: list[list[Cell]] = [
            [band.label, f"{band.perplexity:,.1f}", band.num_tokens, format_share(band.nats / metrics.nats)]
            for band in metrics.by_frequency
        ]
        columns = ["Times in training", "Perplexity", "Tokens", "Of the surprise"]
        sections.append(Section(title="Rare and frequent tokens", blocks=[Table(columns=columns, rows=bands)]))
    lead = (
        f"Perplexity {figures[0].display}: {figures[1].display} for the next word, {figures[2].display} for the "
        f"previous one, each within its sentence. The vocabulary has {vocabulary_size:,} entries; "
        f"{format_share(metrics.unknown_share)} of what is predicted is outside it and scored as <unk>."
    )
    return Report(
        title=title,
        subtitle=subtitle,
        task=task,
        lead=lead,
        figures=figures,
        sections=sections,
        metrics={**metrics.to_dict(), "vocabulary_size": vocabulary_size},
    )


def _figures_of_directions(lines: BothDirections) -> list[Figure]:
    return [
        _figure("Perplexity forward", perplexity_metrics(lines.forward), "of the next word"),
        _figure("Perplexity backward", perplexity_metrics(lines.backward), "of the previous word"),
    ]


def _figure(name: str, metrics: PerplexityMetrics, note: str = "") -> Figure:
    return Figure(
        name=name,
        value=metrics.perplexity,
        interval=metrics.interval,
        sample_size=metrics.num_tokens,
        sample_unit=f"words and {END}",
        decimals=2 if metrics.perplexity < 100 else 1,
        note=note,
    )


def _comparison_row(name: str, figures: Sequence[Figure]) -> list[Cell]:
    both, forward, backward = figures
    return [name, both.display, both.interval_text, forward.display, backward.display]

"""The report on a language model: what can be said from the log-probabilities of one text's tokens alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from nlp_lstm.errors import ConfigError, DataError, nearest_hint
from nlp_lstm.evaluation import plots
from nlp_lstm.evaluation.perplexity import (
    END,
    UNKNOWN,
    Band,
    PerplexityMetrics,
    ScoredLine,
    have_same_tokens,
    paired_difference,
    perplexity_metrics,
)
from nlp_lstm.evaluation.report import (
    Block,
    Cell,
    Figure,
    MarkedLine,
    MarkedText,
    MarkedToken,
    Plot,
    Report,
    Section,
    Table,
    TextBlock,
    format_share,
)
from nlp_lstm.evaluation.significance import PairedResult
from nlp_lstm.evaluation.surprise import UNITS, Unit, excerpt_block, surprising_block, surprising_tokens


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Rival:
    """Another model's figures on the same text, and its surprise minus that of the report's model, ``per`` what.

    ``paired`` is ``None`` where one line alone leaves nothing to draw from.
    """

    name: str
    metrics: PerplexityMetrics
    paired: PairedResult | None
    per: Literal["token", "character"]


def language_report(
    lines: Sequence[ScoredLine],
    *,
    title: str,
    subtitle: str,
    task: str,
    vocabulary_size: int,
    unit: Unit,
    training_counts: Mapping[str, int] | None = None,
    rivals: Mapping[str, Sequence[ScoredLine]] | None = None,
    adapted: Mapping[str, Sequence[ScoredLine]] | None = None,
    samples: Sequence[tuple[str, Sequence[str]]] = (),
    resamples: int = 2000,
) -> Report:
    """Build the whole report on a language model.

    Args:
        lines: the test text in its order, as the model scored it with its weights at rest.
        title: what was done.
        subtitle: model and data in a few words.
        task: the task's name.
        vocabulary_size: kinds of tokens that the model can predict, `<unk>` and `<eos>` among them.
        unit: what a token is.
        training_counts: how often each token stands in the training text.
        rivals: the same lines as simpler systems scored them, by name.
        adapted: the same lines from the model when it learns or remembers while it reads, by name of the method.
        samples: texts that the model wrote: a heading, such as "Temperature 0.8", and the texts.
        resamples: of the bootstrap.

    Returns:
        The report.

    Raises:
        ConfigError: an unknown unit, or a vocabulary of fewer than two tokens.
        DataError: lines that cannot be scored, or rivals that did not score the same lines.
    """
    if unit not in UNITS:
        raise ConfigError(f'unit is "{unit}"; known: {", ".join(UNITS)}.{nearest_hint(unit, UNITS)}')
    if vocabulary_size < 2:
        raise ConfigError(f"vocabulary_size is {vocabulary_size}; a language model chooses among at least 2 tokens")
    metrics = perplexity_metrics(lines, training_counts, resamples=resamples)
    beside = _measure(lines, rivals or {}, resamples)
    reading = _measure(lines, adapted or {}, resamples)
    figures = language_figures(metrics, unit)
    surprising = surprising_tokens(lines)
    sections = [
        Section(title="What is counted", blocks=_counted_blocks(metrics, unit)),
        *([Section(title="Beside simpler systems", blocks=_rival_blocks(metrics, beside))] if beside else []),
        *([Section(title="Adapting to the text", blocks=_adapted_blocks(metrics, reading))] if reading else []),
        *(
            [Section(title="Rare and frequent tokens", blocks=_frequency_blocks(metrics))]
            if metrics.by_frequency
            else []
        ),
        Section(title="Place in the line", blocks=_position_blocks(metrics)),
        *([samples_section(samples)] if samples else []),
        Section(
            title="Where the surprise lies",
            blocks=[excerpt_block(lines, vocabulary_size, unit), surprising_block(lines, surprising, unit)],
        ),
    ]
    values: dict[str, Any] = {
        **metrics.to_dict(),
        "vocabulary_size": vocabulary_size,
        "unit": unit,
        "rivals": {rival.name: _rival_values(rival) for rival in beside},
        "adapted": {rival.name: _rival_values(rival) for rival in reading},
        "most_surprising": [
            {"token": lines[row].tokens[column], "bits": bits, "line": row + 1, "position": column + 1}
            for bits, row, column in surprising
        ],
    }
    return Report(
        title=title,
        subtitle=subtitle,
        task=task,
        lead=language_lead(metrics, figures, vocabulary_size, unit),
        figures=figures,
        sections=sections,
        metrics=values,
    )


def language_figures(metrics: PerplexityMetrics, unit: Unit) -> list[Figure]:
    """Return the headline numbers, the perplexity with its interval; none of them is a share."""
    tokens = "tokens" if unit != "word" else f"words and {END}"
    figures = [
        Figure(
            name="Perplexity",
            value=metrics.perplexity,
            interval=metrics.interval,
            sample_size=metrics.num_tokens,
            sample_unit=tokens,
            decimals=_decimals(metrics.perplexity),
            note=f"one {END} per line counted" if metrics.num_ends else "line ends not scored",
        )
    ]
    if metrics.num_ends:
        value = metrics.perplexity_without_end
        size = metrics.num_tokens - metrics.num_ends
        figures.append(
            Figure(
                name=f"Perplexity without {END}",
                value=value,
                sample_size=size,
                sample_unit=f"{unit}s",
                decimals=_decimals(value),
            )
        )
    if metrics.bits_per_character is not None:
        note = "the end of a line counted as one" if metrics.num_ends else ""
        size = metrics.num_characters + metrics.num_ends
        figures.append(
            Figure(
                name="Bits per character",
                value=metrics.bits_per_character,
                sample_size=size,
                sample_unit="characters",
                decimals=3,
                note=note,
            )
        )
    if unit != "word" and metrics.perplexity_per_word is not None:
        value = metrics.perplexity_per_word
        note = f"pays for {END}, does not count it" if metrics.num_ends else ""
        figures.append(
            Figure(
                name="Perplexity per word",
                value=value,
                sample_size=metrics.num_words,
                sample_unit="words",
                decimals=_decimals(value),
                note=note,
            )
        )
    return figures


def language_lead(metrics: PerplexityMetrics, figures: Sequence[Figure], vocabulary_size: int, unit: Unit) -> str:
    """Return the result in plain words, with what is counted and out of how many."""
    end = f" and one {END} at the end of each line that is not empty" if metrics.num_ends else ", line ends left out"
    unknown = (
        f"{format_share(metrics.unknown_share)} of the {unit}s of the text are outside it and scored as {UNKNOWN}"
        if metrics.unknown_share
        else f"it holds every {unit} of the text"
    )
    interval = f" (95 % interval {figures[0].interval_text})" if figures[0].interval_text else ""
    return (
        f"Perplexity {figures[0].display}{interval}: on average the model is as "
        f"unsure of the next {unit} as if it had to guess among so many equally likely ones. Counted are "
        f"{metrics.num_tokens:,} tokens of {metrics.num_lines:,} lines: every {unit}{end}. The vocabulary has "
        f"{vocabulary_size:,} entries; {unknown}."
    )


def _measure(lines: Sequence[ScoredLine], others: Mapping[str, Sequence[ScoredLine]], resamples: int) -> list[_Rival]:
    """Score other models and test each against the first, per token if all read the same tokens, else per character."""
    is_same = all(have_same_tokens(lines, other) for other in others.values())
    per: Literal["token", "character"] = "token" if is_same else "character"
    rivals = []
    for name, other in others.items():
        try:
            paired = paired_difference(other, lines, per=per, resamples=resamples)
            measured = perplexity_metrics(other, resamples=resamples)
        except DataError as error:
            raise DataError(f'"{name}": {error}') from error
        can_tell = measured.interval is not None
        rivals.append(_Rival(name=name, metrics=measured, paired=paired if can_tell else None, per=per))
    return rivals


def _rival_values(rival: _Rival) -> dict[str, Any]:
    kept = {key: value for key, value in rival.metrics.to_dict().items() if not key.startswith("by_")}
    if rival.paired is None:
        return kept
    difference, interval, p_value = rival.paired
    compared = {"nats": difference, "per": rival.per, "interval": interval, "p_value": p_value}
    return {**kept, "difference": compared}


def _counted_blocks(metrics: PerplexityMetrics, unit: Unit) -> list[Block]:
    text = (
        f"Perplexity is the exponential of the mean surprise (negative log-probability) of a token, given everything "
        f"before it. Counted are all tokens and one {END} at the end of each non-empty line, as published work does, "
        f"with one exception: published WikiText-2 figures also count the {END} of empty lines, which are mostly "
        "easy to guess and make those figures lower."
    )
    if metrics.unknown_share:
        text += (
            f"\n\nA word outside the vocabulary costs no more than {UNKNOWN} does, so a model of fewer words looks "
            "better than it is: compare figures only where vocabulary and text are the same."
        )
    rows: list[list[Cell]] = [
        ["Lines", metrics.num_lines],
        ["Tokens", metrics.num_tokens],
        [f"of which {END}", metrics.num_ends],
        [f"{UNKNOWN} among the {unit}s", format_share(metrics.unknown_share, 2)],
        ["Words of the text", metrics.num_words],
        ["Characters of the text, line ends apart", metrics.num_characters],
        ["Surprise per token, nats", f"{metrics.nats / metrics.num_tokens:.4f}"],
    ]
    if metrics.num_empty_lines:
        rows.insert(1, ["Lines left out as empty", metrics.num_empty_lines])
    if unit != "word" and metrics.perplexity_per_word_and_end is not None:
        per_word = metrics.perplexity_per_word_and_end
        rows.append([f"Perplexity per word and {END}, as a model of words counts", _number(per_word)])
    note = (
        f"The interval of the perplexity: bootstrap over {metrics.num_blocks:,} blocks of consecutive lines, because "
        "neighbouring lines are alike (Künsch 1989)."
        if metrics.interval
        else "One line alone has no interval."
    )
    return [TextBlock(text=text), Table(columns=["", ""], rows=rows, note=note)]


def _adapted_blocks(metrics: PerplexityMetrics, reading: Sequence[_Rival]) -> list[Block]:
    text = (
        "Here the model adapts to the text while it reads it: each token is read only after it was scored. Such "
        "figures stand apart from the perplexity above, where nothing is learnt from the test text, and compare only "
        "with others got in this way."
    )
    return [TextBlock(text=text), _comparison_table("at rest", metrics, reading)]


def _rival_blocks(metrics: PerplexityMetrics, rivals: Sequence[_Rival]) -> list[Block]:
    blocks: list[Block] = [_comparison_table("this model", metrics, rivals)]
    if rivals[0].per == "character":
        text = (
            "These systems read the text as different tokens, so their perplexities do not compare. The bits per "
            "character do, as far as the shares of <unk> are alike."
        )
        blocks.insert(0, TextBlock(text=text))
    return blocks


def _comparison_table(name: str, metrics: PerplexityMetrics, rivals: Sequence[_Rival]) -> Table:
    rows: list[list[Cell]] = []
    systems: list[tuple[str, PerplexityMetrics, PairedResult | None]] = [(name, metrics, None)]
    systems += [(rival.name, rival.metrics, rival.paired) for rival in rivals]
    for system, measured, paired in systems:
        bits = "–" if measured.bits_per_character is None else f"{measured.bits_per_character:.3f}"
        interval = None if measured.interval is None else "–".join(map(_number, measured.interval))
        row: list[Cell] = [system, _number(measured.perplexity), interval, bits]
        difference, p_value = "–", "–"
        if paired is not None:
            ends = " to ".join(f"{end:+.3f}" for end in paired.interval)
            difference = f"{paired.difference:+.3f} ({ends})".replace("-", "−")
            p_value = "< 0.001" if paired.p_value < 0.001 else f"{paired.p_value:.3f}"
        rows.append([*row, format_share(measured.unknown_share), difference, p_value])
    columns = [
        "System",
        "Perplexity",
        "95 % interval",
        "Bits per character",
        UNKNOWN,
        f"Difference (nats per {rivals[0].per})",
        "p",
    ]
    note = (
        "The difference is the mean surprise minus that of the first row: below 0 is better. Intervals and p-values: "
        "bootstrap over blocks of lines, paired and two-sided."
    )
    return Table(columns=columns, rows=rows, note=note)


def _frequency_blocks(metrics: PerplexityMetrics) -> list[Block]:
    title = "By how often the token stands in the training text"
    return [_band_table(metrics.by_frequency, "Times in training", metrics), _band_plot(metrics.by_frequency, title)]


def _position_blocks(metrics: PerplexityMetrics) -> list[Block]:
    title = "By the token's place in its line"
    return [_band_table(metrics.by_position, "Place", metrics), _band_plot(metrics.by_position, title)]


def _band_table(bands: Sequence[Band], name: str, metrics: PerplexityMetrics) -> Table:
    rows: list[list[Cell]] = []
    for band in bands:
        shares = format_share(band.num_tokens / metrics.num_tokens), format_share(band.nats / metrics.nats)
        rows.append([band.label, _number(band.perplexity), band.num_tokens, *shares])
    rows.append(["all", _number(metrics.perplexity), metrics.num_tokens, "100.0 %", "100.0 %"])
    return Table(columns=[name, "Perplexity", "Tokens", "Of the tokens", "Of the surprise"], rows=rows)


def _band_plot(bands: Sequence[Band], title: str) -> Plot:
    svg = plots.bar_plot(
        [band.label for band in bands],
        [band.nats / math.log(2) / band.num_tokens for band in bands],
        counts=[band.num_tokens for band in bands],
        title=title,
        y_label="bits per token",
        show="{:.1f}".format,
    )
    return Plot(title=title, svg=svg)


def samples_section(samples: Sequence[tuple[str, Sequence[str]]]) -> Section:
    """Show texts that the model wrote: under each heading, such as "Temperature 0.8", its texts."""
    blocks: list[Block] = [
        MarkedText(
            title=heading,
            lines=[MarkedLine(tokens=[MarkedToken(text=text.strip().replace("\n", " ↵ "))]) for text in texts],
        )
        for heading, texts in samples
    ]
    return Section(title="Samples", blocks=blocks)


def _decimals(value: float) -> int:
    return 2 if value < 100 else 1


def _number(value: float) -> str:
    return f"{value:,.{_decimals(value)}f}"

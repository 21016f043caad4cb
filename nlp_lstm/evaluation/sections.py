"""The sections that the report of every trained model has: how it was trained, on what, where and by which recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nlp_lstm.evaluation import plots
from nlp_lstm.evaluation.report import Block, CodeBlock, Plot, Section, Table, TextBlock, format_share

_MAX_POINTS = 400
"""Points of one learning curve; longer ones are averaged down."""


def history_section(history: Sequence[Mapping[str, Any]]) -> Section:
    """Draw the learning curves.

    Args:
        history: one mapping per logged step with ``step`` and any of ``loss``, ``dev_*``, ``gradient_norm``,
            ``learning_rate``, ``tokens_per_second``, and ``tokens`` and ``seconds`` since the start; keys may be
            missing or ``None``.

    Returns:
        The section; what was not logged is not drawn.
    """
    curves = {key: _curve(history, key) for key in dict.fromkeys(key for entry in history for key in entry)}
    curves = {key: points for key, points in curves.items() if points}
    losses = {_curve_name(key): points for key, points in curves.items() if key.endswith("loss")}
    scores = {key: points for key, points in curves.items() if key.startswith("dev_") and not key.endswith("loss")}
    blocks: list[Block] = []
    text = _training_text(history)
    if text:
        blocks.append(TextBlock(text=text))
    first = dict(list(scores.items())[:1]) if losses else {}
    if losses:
        second = {_curve_name(key): points for key, points in first.items()}
        blocks.append(_curve_plot("Loss" + (" and score" if second else ""), losses, "loss (nats)", second))
    for key in [key for key in scores if key not in first] + ["gradient_norm", "learning_rate", "tokens_per_second"]:
        if key in curves:
            name = _curve_name(key)
            blocks.append(_curve_plot(name.capitalize(), {name: curves[key]}, name))
    return Section(title="Training", blocks=blocks)


def environment_section(facts: Mapping[str, str]) -> Section:
    """List versions, machine and the like."""
    rows = [[name, str(value)] for name, value in facts.items()]
    return Section(title="Environment", blocks=[Table(columns=["", ""], rows=rows)])


def recipe_section(yaml_text: str) -> Section:
    """Show the recipe as it was used."""
    return Section(title="Recipe", blocks=[CodeBlock(code=yaml_text)])


def data_section(name: str, source: str, licence: str, sha256: Mapping[str, str], sizes: Mapping[str, Any]) -> Section:
    """Say which data was used, where it came from and under which licence.

    Args:
        name: of the data set.
        source: where it was taken from.
        licence: its licence.
        sha256: checksum of each file.
        sizes: what each part holds, such as ``{"train": 12543}`` or ``{"train": "12,543 sentences"}``.

    Returns:
        The section.
    """
    facts = [["Data set", name], ["Source", source], ["Licence", licence]]
    facts += [[part, f"{size:,}" if isinstance(size, int) else str(size)] for part, size in sizes.items()]
    blocks: list[Block] = [Table(columns=["", ""], rows=facts)]
    if sha256:
        rows = [[path, digest] for path, digest in sha256.items()]
        blocks.append(Table(title="Checksums", columns=["File", "SHA-256"], rows=rows))
    return Section(title="Data", blocks=blocks)


def _curve(history: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    """The points of one logged value over the steps, averaged down to `_MAX_POINTS`."""
    points = [
        (float(entry.get("step", number)), float(entry[key]))
        for number, entry in enumerate(history, start=1)
        if isinstance(entry.get(key), (int, float))
    ]
    group = -(-len(points) // _MAX_POINTS) or 1
    groups = [points[start : start + group] for start in range(0, len(points), group)]
    return [(part[-1][0], sum(y for _, y in part) / len(part)) for part in groups]


def _curve_name(key: str) -> str:
    named = {"loss": "training loss", "tokens_per_second": "tokens per second"}
    return named.get(key, key.replace("dev_", "development ").replace("_", " "))


def _curve_plot(
    title: str,
    series: Mapping[str, list[tuple[float, float]]],
    y_label: str,
    second: Mapping[str, list[tuple[float, float]]] | None = None,
) -> Plot:
    svg = plots.line_plot(
        series, title=title, x_label="step", y_label=y_label, second=second, second_label=", ".join(second or {})
    )
    return Plot(title=title, svg=svg)


def _training_text(history: Sequence[Mapping[str, Any]]) -> str:
    """How long training took, as far as it was logged."""
    last: dict[str, Any] = {}
    for entry in history:
        last.update({key: value for key, value in entry.items() if value is not None})
    parts = [f"{int(last['step']):,} steps"] if "step" in last else []
    parts += [f"{int(last['tokens']):,} tokens"] if "tokens" in last else []
    parts += [f"{last['seconds'] / 60:.1f} minutes"] if "seconds" in last else []
    if last.get("seconds") and "tokens" in last:
        parts.append(f"{last['tokens'] / last['seconds']:,.0f} tokens per second, development evaluations included")
    text = ", ".join(parts) + "." if parts else ""
    decisive = next((key for entry in history for key in entry if key.startswith("dev_")), "")
    best = [(entry[decisive], entry.get("step")) for entry in history if entry.get(decisive) is not None]
    if best:
        score, step = max(best, key=lambda pair: pair[0])
        text += f" Best {_curve_name(decisive)}: {format_share(score, 2)}" + (f" at step {step:,}." if step else ".")
    return text.strip()

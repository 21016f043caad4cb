"""The sections that the report of every trained model has: how it was trained, on what, where and by which recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nlp_lstm.evaluation import plots
from nlp_lstm.evaluation.report import Block, CodeBlock, Plot, Section, Table, TextBlock, format_share
from nlp_lstm.evaluation.xray_report import positive_points

_MAX_POINTS = 400
"""Points of one learning curve; longer ones are averaged down."""

_LOG_PROBABILITY, _PERPLEXITY = "dev_log_probability", "dev_perplexity"
"""What training of a language model watches (nats per token, below 0), and the same as people know it."""

_MEMORY_NOTES = {
    "half_distance": "The distance at which that norm first falls to half of what it is at distance 0; the length of "
    "the text where it never does.",
    "spectral_radius": "The largest of the square blocks of the recurrent weights.",
}


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
    if _PERPLEXITY in scores:  # which says the same as this, in the unit that people compare
        scores.pop(_LOG_PROBABILITY, None)
    blocks: list[Block] = []
    text = _training_text(history)
    if text:
        blocks.append(TextBlock(text=text))
    first = {} if _PERPLEXITY in scores or not losses else dict(list(scores.items())[:1])
    if losses:
        second = {_curve_name(key): points for key, points in first.items()}
        blocks.append(_curve_plot("Loss" + (" and score" if second else ""), losses, "loss (nats)", second))
    for key in [key for key in scores if key not in first] + ["gradient_norm", "learning_rate", "tokens_per_second"]:
        if key in curves:
            name = _curve_name(key)
            values = [y for _, y in curves[key]]
            is_wide = key == _PERPLEXITY and min(values) > 0 and max(values) >= 10 * min(values)
            blocks.append(_curve_plot(name.capitalize(), {name: curves[key]}, name, log_y=is_wide))
    return Section(title="Training", blocks=blocks)


def memory_section(history: Sequence[Mapping[str, Any]]) -> Section | None:
    """Show how far the net looked back while it was trained; None where that was not recorded.

    Args:
        history: one mapping per logged step, some with ``gradient_by_distance`` (norms from distance 0),
            ``half_distance`` (steps) and ``spectral_radius``.
    """
    measured = [entry for entry in history if entry.get("gradient_by_distance")]
    if not measured:
        return None
    shown = dict.fromkeys((0, len(measured) // 2, len(measured) - 1))
    curves = {
        f"step {measured[number]['step']:,}": positive_points(measured[number]["gradient_by_distance"])
        for number in shown
    }
    blocks: list[Block] = [
        Plot(
            title="Norm of the gradient by distance",
            svg=plots.line_plot(
                {name: points for name, points in curves.items() if points},
                title="Norm of the gradient by distance",
                x_label="distance (tokens)",
                y_label="norm",
                log_y=True,
            ),
            note="From the last output to the input so many tokens before it, on the longest text of the development "
            "data; the net that forgets has a curve that falls.",
        )
    ]
    for key, unit in (("half_distance", "tokens"), ("spectral_radius", "radius")):
        points = _curve(measured, key)
        if points:
            name = _curve_name(key)
            svg = plots.line_plot({name: points}, title=name.capitalize(), x_label="step", y_label=unit)
            blocks.append(Plot(title=name.capitalize(), svg=svg, note=_MEMORY_NOTES[key]))
    return Section(title="Memory in training", blocks=blocks)


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
    *,
    log_y: bool = False,
) -> Plot:
    svg = plots.line_plot(
        series,
        title=title,
        x_label="step",
        y_label=y_label,
        second=second,
        second_label=", ".join(second or {}),
        log_y=log_y,
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
    return " ".join(filter(None, (text, _best_text(history))))


def _best_text(history: Sequence[Mapping[str, Any]]) -> str:
    """The best development score, as people read it: a share in percent, of a language model the perplexity."""
    decisive = next((key for entry in history for key in entry if key.startswith("dev_")), "")
    scored = [entry for entry in history if entry.get(decisive) is not None]
    if not scored:
        return ""
    best = max(scored, key=lambda entry: entry[decisive])
    if decisive == _LOG_PROBABILITY and best.get(_PERPLEXITY) is not None:
        name, shown = _PERPLEXITY, f"{best[_PERPLEXITY]:,.2f}"
    else:
        is_share = all(0 <= entry[decisive] <= 1 for entry in scored)
        name, shown = decisive, format_share(best[decisive], 2) if is_share else f"{best[decisive]:.4g}"
    step = best.get("step")
    return f"Best {_curve_name(name)}: {shown}" + (f" at step {step:,}." if step else ".")

"""The report on descriptions: figures, words of each kind, and pictures or clips with what was written of them.

A clip is shown as a strip of its frames.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence

from nlp_lstm.evaluation.captions import Captioned, CaptionMetrics, Shown, caption_metrics
from nlp_lstm.evaluation.report import Block, Cell, Figure, Plot, Report, Section, Table, format_share

NUM_SHOWN = 8
_SIDE = 128  # of a picture as it is shown, and half of it of a frame
_SMALL = 84  # of a picture below a word, and half of it of a frame
_WIDTH = 736  # of what is shown for words side by side


def caption_report(
    captions: Sequence[Captioned],
    kinds: Mapping[str, frozenset[str]],
    *,
    title: str,
    subtitle: str = "",
    task: str,
    things: str = "pictures",
    rivals: Mapping[str, Sequence[Captioned]] | None = None,
) -> Report:
    """Build the whole report.

    Args:
        captions: what was written beside what is right.
        kinds: the words of each kind, as in `caption_metrics`.
        title: what was done.
        subtitle: model and data in a few words.
        task: the task's name.
        things: what is described.
        rivals: what other systems wrote of the same things, by name.
    """
    metrics = caption_metrics(captions, kinds)
    figures = caption_figures(metrics, things)
    others = {name: caption_metrics(found, kinds) for name, found in (rivals or {}).items()}
    sections = []
    if others:
        rows = [_system_row("this model", metrics), *(_system_row(name, found) for name, found in others.items())]
        columns = ["System", "Exact", "95 % interval", "BLEU-4", "chrF"]
        sections.append(Section(title="Beside simpler systems", blocks=[Table(columns=columns, rows=rows)]))
    sections.append(Section(title="Measures", blocks=_measure_blocks(metrics)))
    sections += _by_number(captions, kinds, things)
    sections += _examples(captions)
    lead = (
        f"{format_share(metrics.exact)} of {metrics.num_captions:,} {things} are described in exactly the words of one "
        f"of their references (95 % interval {figures[1].interval_text}); BLEU-4 {metrics.bleu[4]:.1f}."
    )
    return Report(
        title=title,
        subtitle=subtitle,
        task=task,
        lead=lead,
        figures=figures,
        sections=sections,
        metrics={**metrics.to_dict(), "rivals": {name: found.to_dict() for name, found in others.items()}},
    )


def caption_figures(metrics: CaptionMetrics, things: str) -> list[Figure]:
    """Return the headline numbers."""
    figures = [
        Figure(
            name="BLEU-4",
            value=metrics.bleu[4],
            interval=metrics.bleu_interval,
            sample_size=metrics.num_captions,
            sample_unit=things,
            note=metrics.signatures[0],
        ),
        Figure(
            name="Exact match",
            value=metrics.exact,
            interval=metrics.exact_interval,
            sample_size=metrics.num_captions,
            sample_unit=things,
            is_share=True,
        ),
    ]
    objects = metrics.kinds.get("objects")
    for name in ("precision", "recall"):
        if objects is not None and (value := getattr(objects, name)) is not None:
            figures.append(Figure(name=f"Objects, {name}", value=value, is_share=True))
    return figures


def attention_plot(
    shown: Shown, words: Sequence[str], weights: Sequence[Sequence[float]], rows: int, title: str
) -> Plot:
    """Show the picture or clip once for each word, lit where the decoder looked.

    Args:
        shown: the picture or clip.
        words: what was written, the end included.
        weights: `word place`, each row summing to 1, places row by row.
        rows: of places; of a clip, whose places are its frames, one.
        title: of the plot.
    """
    wide, high = _size(shown, _SMALL)
    per_row = max(1, _WIDTH // (wide + 8))
    num_rows = -(-len(words) // per_row)
    width, height = min(len(words), per_row) * (wide + 8), num_rows * (high + 22)
    columns = len(weights[0]) // rows
    step_x, step_y = wide / columns, high / rows
    parts = [
        _open_svg(width, height, f"{title}: where each word looked"),
        f'<defs><g id="picture">{_image(shown, _SMALL)}</g></defs>',
    ]
    for number, (word, row) in enumerate(zip(words, weights, strict=True)):
        left, top = number % per_row * (wide + 8), number // per_row * (high + 22)
        heaviest = max(row) or 1.0
        parts.append(
            f'<g transform="translate({left} {top + 16})"><text x="0" y="-4" font-size="12">{html.escape(word)}</text>'
        )
        parts.append('<use href="#picture"/>')
        for place, weight in enumerate(row):
            shade = 0.85 * (1 - weight / heaviest)
            if shade > 0.02:
                x, y = place % columns * step_x, place // columns * step_y
                parts.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{step_x:.2f}" height="{step_y:.2f}" fill="#222" '
                    f'opacity="{shade:.2f}"/>'
                )
        parts.append("</g>")
    return Plot(svg="".join([*parts, "</svg>"]), title=title)


def _system_row(name: str, metrics: CaptionMetrics) -> list[Cell]:
    low, high = metrics.exact_interval
    interval = f"{100 * low:.1f}–{100 * high:.1f} %"
    return [name, format_share(metrics.exact), interval, f"{metrics.bleu[4]:.1f}", f"{metrics.chrf:.1f}"]


def _measure_blocks(metrics: CaptionMetrics) -> list[Block]:
    rows: list[list[Cell]] = [[f"BLEU-{order}", f"{score:.1f}"] for order, score in metrics.bleu.items()]
    rows.append(["chrF", f"{metrics.chrf:.1f}"])
    blocks: list[Block] = [Table(columns=["Measure", "Score"], rows=rows, note=", ".join(metrics.signatures))]
    if metrics.kinds:
        rows = [
            [name.capitalize(), format_share(score.precision), format_share(score.recall), score.wanted]
            for name, score in metrics.kinds.items()
        ]
        note = "Beside the reference that has most such words in common."
        blocks.append(Table(columns=["Words", "Precision", "Recall", "In references"], rows=rows, note=note))
    return blocks


def _by_number(captions: Sequence[Captioned], kinds: Mapping[str, frozenset[str]], things: str) -> list[Section]:
    rows: list[list[Cell]] = []
    for number in sorted({caption.num_pictures for caption in captions} - {0}):
        part = caption_metrics([caption for caption in captions if caption.num_pictures == number], kinds)
        objects = part.kinds.get("objects")
        shares = (None, None) if objects is None else (objects.precision, objects.recall)
        row: list[Cell] = [number, part.num_captions, format_share(part.exact), f"{part.bleu[4]:.1f}"]
        rows.append([*row, *map(format_share, shares)])
    if not rows:
        return []
    columns = ["Drawings", things.capitalize(), "Exact", "BLEU-4", "Objects, precision", "Objects, recall"]
    return [Section(title="By number of drawings", blocks=[Table(columns=columns, rows=rows)])]


def _examples(captions: Sequence[Captioned]) -> list[Section]:
    """Show pictures or clips with right and with wrong descriptions."""
    sections = []
    for title, is_exact in (("Exactly described", True), ("Otherwise described", False)):
        chosen = [caption for caption in captions if caption.shown and caption.is_exact == is_exact][:NUM_SHOWN]
        blocks = [
            Plot(
                svg=f"{_open_svg(*_size(caption.shown, _SIDE), caption.output)}{_image(caption.shown, _SIDE)}</svg>",
                title=caption.output or "(nothing)",
                note="" if is_exact else f"right: {caption.references[0]}",
            )
            for caption in chosen
            if caption.shown is not None
        ]
        if blocks:
            sections.append(Section(title=title, blocks=blocks))
    return sections


def _size(shown: Shown, side: int) -> tuple[int, int]:
    """Width and height: of a picture the side, of each frame of a clip half of it."""
    return (side, side) if shown.num_frames == 1 else (side // 2 * shown.num_frames, side // 2)


def _open_svg(width: float, height: float, description: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{html.escape(description)}" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="sans-serif">'
    )


def _image(shown: Shown, side: int) -> str:
    width, height = _size(shown, side)
    content = base64.b64encode(shown.png).decode("ascii")
    return f'<image width="{width}" height="{height}" href="data:image/png;base64,{content}"/>'

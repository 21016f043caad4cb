"""Answers with a drawing, as HTML: translations, descriptions of pictures and clips, and the look inside."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from nlp_lstm.evaluation.caption_report import attention_plot
from nlp_lstm.evaluation.captions import Shown
from nlp_lstm.evaluation.plots import prefix_ids
from nlp_lstm.evaluation.xray_plots import shade_plot, unfolded_plot
from nlp_lstm.serving.page.markup import box, escape, note, picture, table

SHOWN_SENTENCES = 5  # of a translation, with a map each
LONGEST_MAP = 40  # pieces on a side
SHOWN_PIXELS = 96  # along each side of a picture under its words
_END = "<eos>"


def show_translation(result: dict[str, Any]) -> str:
    """Show a translation, and for its first sentences where each piece of it looked."""
    maps = []
    for number, looked in enumerate(result.get("attention") or (), start=1):
        source, target = [_piece(piece) for piece in looked["source"]], [_piece(piece) for piece in looked["target"]]
        if number > SHOWN_SENTENCES or not looked["weights"] or max(len(source), len(target)) > LONGEST_MAP:
            continue
        title = f"Where each piece of sentence {number} looked"
        svg = shade_plot(target, source, looked["weights"], title=title, limit=1)
        heaviest = [
            [piece, source[max(range(len(row)), key=row.__getitem__)]]
            for piece, row in zip(target, looked["weights"], strict=True)
        ]
        maps.append(picture(svg) + table(["Piece", "looked most at"], heaviest, "The same in words"))
    text = escape(result["translation_text"]) or "<em>nothing</em>"
    lead = f'<p class="nl-written" dir="auto">{text}</p>'
    if not maps:
        return box(lead)
    head = "<h3>Where each piece looked</h3>"
    how = note(
        "A row for each piece of the translation, a column for each piece of your sentence: the darker a square, the "
        "more the model looked there as it wrote."
    )
    return box(lead, head, how, *maps)


def _piece(piece: str) -> str:
    return "end" if piece == _END else piece.replace("▁", "") or "␣"


def show_description(result: dict[str, Any], content: bytes) -> str:
    """Show the description of a picture, and under each word the picture lit where the model looked.

    Args:
        result: the answer, with attention.
        content: the picture's file, which the model has read.
    """
    from nlp_lstm.data.pictures import load_pixels, to_png

    shown = Shown(png=to_png(load_pixels(content, SHOWN_PIXELS)))
    weights = (result.get("attention") or {}).get("weights") or [[]]
    side = round(len(weights[0]) ** 0.5)
    how = "The picture as the model sees it, once for each word, bright where it looked as it wrote that word."
    return _described(result, shown, side if side**2 == len(weights[0]) else 0, "Where it looked", how)


def show_clip_description(result: dict[str, Any], content: bytes, num_frames: int) -> str:
    """Show the description of a clip, and under each word its frames, lit as the model looked at them.

    Args:
        result: the answer, with attention.
        content: the clip's file, which the model has read.
        num_frames: the most frames that the model looks at.
    """
    from nlp_lstm.data.clip_files import load_frames, to_strip
    from nlp_lstm.data.pictures import to_png

    frames = load_frames(content, SHOWN_PIXELS, num_frames)
    shown = Shown(png=to_png(to_strip(frames)), num_frames=len(frames))
    how = "The frames that the model sees, once for each word, bright where it looked as it wrote that word."
    return _described(result, shown, 1, "Which frames it looked at", how)


def _described(result: dict[str, Any], shown: Shown, rows: int, title: str, how: str) -> str:
    """Show what was described, once for each word where the places that were looked at lie in so many rows."""
    lead = f'<p class="nl-written">{escape(result["generated_text"]) or "<em>nothing</em>"}</p>'
    looked = result.get("attention") or {"words": [], "weights": []}
    if not looked["weights"] or not rows:
        image = f'<img class="nl-seen" alt="what was described" src="data:image/png;base64,{_base64(shown.png)}">'
        return box(lead, image)
    drawn = []
    for number, (word, row) in enumerate(zip(looked["words"], looked["weights"], strict=True)):
        written = "end" if word == _END else word
        svg = attention_plot(shown, [written], [row], rows, written).svg
        name = f"p{hashlib.sha256(shown.png).hexdigest()[:8]}-{number}-"
        drawn.append(f'<div class="nl-glance">{prefix_ids(svg, name)}</div>')
    return box(lead, f"<h3>{title}</h3>", note(how), f'<div class="nl-glances">{"".join(drawn)}</div>')


def show_example(content: bytes) -> str:
    """Show a file of a picture or a clip as it is."""
    kind = "gif" if content.startswith(b"GIF") else "png"
    return box(f'<img class="nl-seen" alt="the example" src="data:image/{kind};base64,{_base64(content)}">')


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def show_look(answer: dict[str, Any]) -> str:
    """Show what a network remembers of a text: how far it feels its words, who feels whom, and its gates."""
    parts = [note(answer["note"])] if answer["note"] else []
    for view in answer["views"]:
        parts += _view(view, is_named=len(answer["views"]) > 1)
    return box(*parts)


def _view(view: dict[str, Any], *, is_named: bool) -> list[str]:
    tokens, layers = [_spelt(token) for token in view["tokens"]], view["sensitivity"]
    half = view["half_distance"]
    reach = "does not halve within this text" if half is None else f"halves within {half:.1f} words"
    parts = [f"<h2>{escape(view['name'])}</h2>"] if is_named else []
    parts += [
        f'<p class="nl-lead">The influence of a word on what the network makes of later words {escape(reach)}.</p>',
        "<h3>How far the first word reaches</h3>",
        picture(
            unfolded_plot(
                tokens,
                [[row[0] for row in layer] for layer in layers],
                source=0,
                title="How strongly each step feels the first word",
            ),
            "The network read from left to right, its layers above one another. The darker a dot, the more it still "
            "feels the first word (the black dot below).",
        ),
        "<h3>Who feels whom</h3>",
        picture(
            shade_plot(
                tokens,
                tokens,
                [[value**0.5 for value in row] for row in layers[-1]],
                title="How strongly each word's answer feels each word",
            ),
            "A row for the answer at each word, a column for each word that was read: the darker, the more a small "
            "change of that word would change that answer.",
        ),
    ]
    if view["gates"]:
        gates = view["gates"]
        parts += [
            "<h3>The gates</h3>",
            picture(
                shade_plot(
                    [_gate(gate) for gate in gates],
                    tokens,
                    [gate["openings"] for gate in gates],
                    title="How far each gate is open at each word",
                    limit=1,
                ),
                "White is shut, dark is open. The input gate lets a word in, the forget gate keeps what was there, the "
                "output gate lets it out. The number is the layer; ← reads from the end.",
            ),
        ]
    return parts


def _gate(gate: dict[str, Any]) -> str:
    layer, _, direction = gate["place"].removeprefix("layer ").partition(", ")
    return f"{layer}{'←' if direction == 'backward' else ''} {gate['name'].removesuffix(' gate')}"


def _spelt(token: str) -> str:
    return "⏎" if token == _END else token.replace("▁", "") or "␣"

"""Answers that are words: tagged, weighed, written or surprising. Each function gives HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nlp_lstm.serving.page.markup import box, escape, note, share, table

UNSURE = 0.7  # probability under which a label is marked as unsure
STRONG_SURPRISE = 14.0  # bits that are shaded at full strength: one word in 16,000
SHOWN_SURPRISES = 5
_END = "<eos>"

CLASSES = {
    "NOUN": ("noun", 250),
    "PROPN": ("name", 285),
    "PRON": ("pronoun", 215),
    "VERB": ("verb", 30),
    "AUX": ("helping verb", 55),
    "ADJ": ("adjective", 145),
    "ADV": ("adverb", 100),
    "DET": ("determiner", 190),
    "ADP": ("preposition", 320),
    "NUM": ("number", 345),
    "CCONJ": ("conjunction", 75),
    "SCONJ": ("conjunction below", 120),
    "PART": ("particle", 170),
    "INTJ": ("exclamation", 5),
    "SYM": ("symbol", 305),
    "PUNCT": ("punctuation", None),
    "X": ("other", None),
}
"""The classes of Universal Dependencies in plain words, each with the angle of its colour; grey without."""


def show_tags(text: str, tokens: Sequence[dict[str, Any]]) -> str:
    """Show each word over its label, in the label's colour.

    Args:
        text: what was tagged.
        tokens: the answer of a tagger.
    """
    if not tokens:
        return box(note("There are no words in it."))
    pieces: list[str] = []
    end = 0
    for token in tokens:
        gap = text[end : token["start"]]
        pieces.append("<br>" if "\n" in gap else " ")
        end = token["end"]
        name, hue = _class(token["entity"])
        unsure = " nl-unsure" if token["score"] < UNSURE else ""
        tip = escape(f"{name}, {share(token['score'])} sure")
        pieces.append(
            f'<span class="nl-tag{unsure}"{_colour(hue)} title="{tip}"><b>{escape(token["word"])}</b>'
            f"<small>{escape(name)}</small></span>"
        )
    further = [key for key in tokens[0] if f"{key}_score" in tokens[0]]
    columns = ["Word", "Class", "Sure", *further]
    rows = [
        [token["word"], token["entity"], share(token["score"]), *(str(token[key]) for key in further)]
        for token in tokens
    ]
    has_unsure = any(token["score"] < UNSURE for token in tokens)
    remark = note(f"Dashed: less than {share(UNSURE)} sure.") if has_unsure else ""
    return box(f'<p class="nl-words">{"".join(pieces)}</p>', remark, table(columns, rows, "All of it as a table"))


def _class(label: str) -> tuple[str, int | None]:
    """Return a label in plain words and the angle of its colour; of labels of another kind the label and its own."""
    if label in CLASSES:
        return CLASSES[label]
    if label in ("O", "_"):
        return "–", None
    kind = label.partition("-")[2] or label
    return label, sum(ord(mark) * 47 * place for place, mark in enumerate(kind, start=1)) % 360


def _colour(hue: int | None) -> str:
    return ' style="--chroma:0"' if hue is None else f' style="--hue:{hue}"'


def show_opinion(labels: Sequence[dict[str, Any]], words: Sequence[dict[str, Any]], remark: str = "") -> str:
    """Show how probable each label is, and the words that moved the decision.

    Args:
        labels: each with its score, the most probable first.
        words: each with its effect on the first label; none where they are not known.
        remark: why they are not known.
    """
    name = escape(plain_label(labels[0]["label"]))
    bars = "".join(
        f'<div class="nl-bar"><span>{escape(plain_label(label["label"]))}</span><div><i style="width:'
        f'{100 * label["score"]:.1f}%"></i></div><em>{share(label["score"])}</em></div>'
        for label in labels[:10]
    )
    parts = [f'<p class="nl-verdict">{name}</p>', f'<div class="nl-bars">{bars}</div>']
    if words:
        strongest = max(abs(word["score"]) for word in words) or 1.0
        shaded = " ".join(_weighed(word, strongest) for word in words)
        parts += [
            '<h3>The words that moved it</h3><p class="nl-words nl-weighed">' + shaded + "</p>",
            f'<p class="nl-note"><span class="nl-for">Blue</span> words spoke for “{name}”, '
            '<span class="nl-against">orange</span> ones against it; the stronger the colour, the more.</p>',
            table(
                ["Word", "Effect"],
                [
                    [word["word"], f"{word['score']:+.2f}"]
                    for word in sorted(words, key=lambda word: -abs(word["score"]))
                ],
                "The effect of each word as a number",
            ),
        ]
    return box(*parts, note(remark) if remark else "")


def plain_label(label: str) -> str:
    """Return a label as people write it: ``Positive`` for ``POSITIVE``."""
    return label.replace("_", " ").capitalize() if label.isupper() else label


def _weighed(word: dict[str, Any], strongest: float) -> str:
    weight = abs(word["score"]) / strongest
    side = "for" if word["score"] > 0 else "against"
    tip = escape(f"{word['score']:+.2f}")
    return f'<span class="nl-{side}" style="--weight:{weight:.2f}" title="{tip}">{escape(word["word"])}</span>'


def show_written(beginning: str, written: str, *, is_done: bool, remark: str = "") -> str:
    """Show a text as far as it is written, the beginning in another colour."""
    cursor = "" if is_done else '<span class="nl-cursor" aria-hidden="true"></span>'
    body = f'<span class="nl-given">{escape(beginning)}</span>{escape(written)}{cursor}'
    return box(f'<p class="nl-written">{body}</p>', note(remark) if remark else "")


def show_surprise(text: str, scored: dict[str, Any]) -> str:
    """Show each word of a text the stronger the less it was expected, and the most surprising ones.

    Args:
        text: what was scored.
        scored: what `Pipeline.score` gives.
    """
    tokens = scored["tokens"]
    if not tokens:
        return box(note("There are no words in it."))
    pieces: list[str] = []
    end = 0
    for token in tokens:
        bits = -token["log_probability"] / math.log(2)
        spelt, gap = token["token"], ""
        if token["start"] is None:  # a piece of a word, which carries its space
            spelt = spelt.replace("▁", " ")
        else:
            gap, end = text[end : token["start"]], token["end"]
        if token["token"] == _END:
            spelt = "⏎"
        tip = escape(f"one in {_rounded(2**bits)}")
        shade = min(1.0, max(0.0, bits / STRONG_SURPRISE))
        pieces.append(
            f'{escape(gap)}<span class="nl-heat" style="--shade:{shade:.2f}" title="{tip}">{escape(spelt)}</span>'
        )
    words = [token for token in tokens if token["token"] != _END and token["token"].strip("▁ ")]
    words = sorted(words, key=lambda token: token["log_probability"])[:SHOWN_SURPRISES]
    items = "".join(
        f"<li><b>{escape(word['token'].strip('▁ '))}</b> one in {_rounded(math.exp(-word['log_probability']))}</li>"
        for word in words
    )
    summary = (
        f"On average the model was as unsure of the next word as between {_rounded(scored['perplexity'])} words "
        "that are equally likely."
    )
    return box(
        f'<p class="nl-lead">{escape(summary)}</p>',
        f'<p class="nl-words nl-surprise">{"".join(pieces)}</p>',
        note("The stronger the colour, the less the word was expected. ⏎ is the end of a line."),
        f'<h3>Least expected</h3><ul class="nl-list">{items}</ul>' if items else "",
    )


def _rounded(number: float) -> str:
    """Return a number with two digits that count."""
    if number < 10:
        return f"{number:.1f}"
    if not math.isfinite(number) or number >= 1e9:
        return "a billion"
    places = int(math.log10(number)) - 1
    return f"{round(number, -places):,.0f}"

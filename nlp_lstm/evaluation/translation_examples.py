"""Translations to read: the best and the worst outputs, those that lost placeholders, and where the decoder looked."""

from __future__ import annotations

from collections.abc import Sequence

from nlp_lstm.evaluation import plots
from nlp_lstm.evaluation.report import Cell, MarkedLine, MarkedText, MarkedToken, Plot, Section, Table
from nlp_lstm.evaluation.translation import ScoredTranslation, split_words

_LONGEST_TEXT = 400
"""Characters shown of one text."""

MOST_LOST = 50
"""Sentences shown that lost a placeholder."""

_SHORTEST_PLOT, _LONGEST_PLOT = 2, 30
"""Tokens on each side of a heat map."""


def best_and_worst(
    translations: Sequence[ScoredTranslation], scores: Sequence[float], limit: int = 10
) -> list[MarkedText]:
    """Show the outputs with the lowest and the highest scores, no output in both lists.

    Args:
        translations: the corpus.
        scores: chrF of each sentence.
        limit: outputs in each list.

    Returns:
        The worst and the best; a list without outputs is left out.
    """
    ordered = sorted(range(len(scores)), key=lambda place: (scores[place], len(translations[place].output)))
    middle = len(ordered) // 2
    note = (
        "By chrF of the sentence, which stands before each output. Words that are not in the reference are marked; "
        "many of them are right in another wording."
    )
    lists = {"Worst outputs": ordered[:middle][:limit], "Best outputs": ordered[middle:][::-1][:limit]}
    return [
        MarkedText(
            title=title,
            note=note,
            lines=[line for place in chosen for line in _lines(translations[place], scores[place])],
        )
        for title, chosen in lists.items()
        if chosen
    ]


def attention_plots(translations: Sequence[ScoredTranslation], scores: Sequence[float]) -> list[Plot]:
    """Draw the attention of a good, a middling and a poor output by chrF (``scores``), of those that fit on a page."""
    fitting = [
        (score, translation, translation.attention)
        for translation, score in zip(translations, scores, strict=True)
        if translation.attention is not None and _fits(translation)
    ]
    fitting.sort(key=lambda item: -item[0])
    places = dict.fromkeys(round(share * (len(fitting) - 1)) for share in (0.1, 0.5, 0.9) if fitting)
    drawn = []
    for score, translation, weights in (fitting[place] for place in places):
        title = f"chrF {score:.0f}: {_shown(translation.output)}"
        svg = plots.attention_plot(translation.source_tokens, translation.output_tokens, weights, title=title)
        drawn.append(Plot(title=title, svg=svg))
    return drawn


def _fits(translation: ScoredTranslation) -> bool:
    sizes = len(translation.source_tokens), len(translation.output_tokens)
    return all(_SHORTEST_PLOT <= size <= _LONGEST_PLOT for size in sizes)


def _lines(translation: ScoredTranslation, score: float) -> list[MarkedLine]:
    source = MarkedLine(tokens=[MarkedToken(text=_shown(translation.source))], remark="source")
    reference = MarkedLine(tokens=[MarkedToken(text=_shown(translation.reference))], remark="reference")
    return [source, reference, MarkedLine(tokens=_mark_words(translation), remark=f"chrF {score:.0f}")]


def _mark_words(translation: ScoredTranslation) -> list[MarkedToken]:
    """The words of the output, those that the reference lacks marked."""
    known, copyable = set(split_words(translation.reference)), set(split_words(translation.source))
    tokens = []
    for text in _shown(translation.output).split():
        new = [word for word in split_words(text) if word not in known]
        tip = "stands in the source" if copyable.intersection(new) else "not in the reference"
        tokens.append(MarkedToken(text=text, is_wrong=bool(new), tip=tip if new else ""))
    return tokens or [MarkedToken(text="no output", is_focus=True)]


def _shown(text: str) -> str:
    """The text on one line, cut to `_LONGEST_TEXT` characters."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_TEXT else line[: _LONGEST_TEXT - 1].rstrip() + "…"


def lost_placeholders(lost: Sequence[tuple[Sequence[str], str, str]]) -> Section:
    """Return the sentences that lost placeholders.

    Args:
        lost: of each sentence the placeholders, the source and the translation that lacks them.
    """
    rows: list[list[Cell]] = [[" ".join(names), source, output] for names, source, output in lost[:MOST_LOST]]
    note = f"The first {MOST_LOST} of {len(lost):,}." if len(lost) > MOST_LOST else ""
    table = Table(columns=["Lost", "Source", "Translation"], rows=rows, note=note)
    return Section(title="Lost placeholders", blocks=[table])

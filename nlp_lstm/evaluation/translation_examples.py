"""Translations to read: the best and the worst outputs beside source and reference, and where the decoder looked."""

from __future__ import annotations

from collections.abc import Sequence

from nlp_lstm.evaluation import plots
from nlp_lstm.evaluation.report import MarkedLine, MarkedText, MarkedToken, Plot
from nlp_lstm.evaluation.translation import ScoredTranslation, split_words

_LONGEST_TEXT = 60
"""Words shown of one text."""

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
            title=title, note=note, lines=[line for place in chosen for line in _lines(translations[place], scores[place])]
        )
        for title, chosen in lists.items()
        if chosen
    ]


def attention_plots(translations: Sequence[ScoredTranslation], scores: Sequence[float]) -> list[Plot]:
    """Draw the attention of a good, a middling and a poor output by chrF (``scores``), of those that fit on a page."""
    fitting = [place for place, translation in enumerate(translations) if _fits(translation)]
    fitting.sort(key=lambda place: -scores[place])
    chosen = dict.fromkeys(fitting[round(share * (len(fitting) - 1))] for share in (0.1, 0.5, 0.9) if fitting)
    return [_attention_plot(translations[place], scores[place]) for place in chosen]


def _attention_plot(translation: ScoredTranslation, score: float) -> Plot:
    title = f"chrF {score:.0f}: {_cut(translation.output)}"
    weights = () if translation.attention is None else translation.attention
    svg = plots.attention_plot(translation.source_tokens, translation.output_tokens, weights, title=title)
    return Plot(title=title, svg=svg)


def _fits(translation: ScoredTranslation) -> bool:
    sizes = len(translation.source_tokens), len(translation.output_tokens)
    return translation.attention is not None and all(_SHORTEST_PLOT <= size <= _LONGEST_PLOT for size in sizes)


def _lines(translation: ScoredTranslation, score: float) -> list[MarkedLine]:
    source = MarkedLine(tokens=[MarkedToken(text=_cut(translation.source))], remark="source")
    reference = MarkedLine(tokens=[MarkedToken(text=_cut(translation.reference))], remark="reference")
    return [source, reference, MarkedLine(tokens=_mark_words(translation), remark=f"chrF {score:.0f}")]


def _mark_words(translation: ScoredTranslation) -> list[MarkedToken]:
    """The words of the output, those that the reference lacks marked."""
    known, copyable = set(split_words(translation.reference)), set(split_words(translation.source))
    tokens = []
    for text in _cut(translation.output).split():
        new = [word for word in split_words(text) if word not in known]
        tip = "stands in the source" if copyable.intersection(new) else "not in the reference"
        tokens.append(MarkedToken(text=text, is_wrong=bool(new), tip=tip if new else ""))
    return tokens or [MarkedToken(text="no output", is_focus=True)]


def _cut(text: str) -> str:
    words = text.split()
    return " ".join(words[:_LONGEST_TEXT]) + (" …" if len(words) > _LONGEST_TEXT else "")

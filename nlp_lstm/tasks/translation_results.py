"""What becomes of translations: the sentences of a text joined, and pairs to be scored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nlp_lstm.data.example import ParallelExample
from nlp_lstm.evaluation.translation import ScoredTranslation
from nlp_lstm.tasks.translation import Translated, TranslationOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceToTranslate(ParallelExample):
    """A sentence of a given text.

    Args:
        before: the white space between it and the sentence before.
    """

    before: str = ""


def join_translations(parts: Sequence[Translated]) -> Translated:
    """Return the translations of the stretches of a long sentence as one: the best of each, then the second."""
    if len(parts) == 1:
        return parts[0]
    count = min(len(part.texts) for part in parts)
    return Translated(
        texts=tuple(" ".join(part.texts[number] for part in parts) for number in range(count)),
        scores=tuple(sum(part.scores[number] for part in parts) for number in range(count)),
        is_cut=any(part.is_cut for part in parts),
    )


def format_translations(answers: Iterable[tuple[ParallelExample, Translated]], asked: TranslationOptions) -> Any:
    """Return the translation of one text, in the shape of Hugging Face's translation.

    Args:
        answers: the sentences of the text, each with its translation.
        asked: what the result holds.
    """
    joined: list[str] = [""] * asked.num_return_sequences
    scores = [0.0] * asked.num_return_sequences
    attention: list[dict[str, Any]] = []
    for example, translated in answers:
        before = example.before if isinstance(example, SentenceToTranslate) else ""
        for number in range(asked.num_return_sequences):
            place = min(number, len(translated.texts) - 1)  # a short sentence may have fewer
            joined[number] += before + translated.texts[place]
            scores[number] += translated.scores[place]
        attention.append(
            {
                "source": list(translated.source_pieces),
                "target": list(translated.target_pieces),
                "weights": [list(row) for row in translated.weights],
            }
        )
    results: list[dict[str, Any]] = [{"translation_text": text} for text in joined]
    if asked.attention:
        results[0]["attention"] = attention
    if asked.num_return_sequences > 1:
        return [{**result, "score": score} for result, score in zip(results, scores, strict=True)]
    return results[0]


def scored(example: ParallelExample, found: Translated) -> ScoredTranslation:
    """Return a translation beside its reference."""
    return ScoredTranslation(
        source=example.source,
        reference=example.target or "",
        output=found.text,
        source_tokens=found.source_pieces,
        output_tokens=found.target_pieces,
        attention=found.weights or None,
        is_cut=found.is_cut,
    )


def target_language(examples: Sequence[ParallelExample]) -> str:
    """Return the language of the translations, which decides how BLEU cuts words; empty where it is not known."""
    return next((example.target_language for example in examples), "")

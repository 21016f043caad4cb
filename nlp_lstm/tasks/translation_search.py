"""What a search for translations is told, and how what it finds is ordered. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nlp_lstm.decoding.search import Hypothesis, Quota
from nlp_lstm.tasks.translation import TranslationOptions, TranslationSettings
from nlp_lstm.text.units import EOS_ID, NEVER_WRITTEN

if TYPE_CHECKING:
    from numpy.typing import NDArray


def count_beams(asked: TranslationOptions, settings: TranslationSettings) -> int:
    """Return how many translations of a text are searched side by side."""
    return max(asked.num_beams or settings.beams, asked.num_return_sequences)


def search_options(
    source_ids: NDArray[np.int64],
    lengths: NDArray[np.int64],
    asked: TranslationOptions,
    settings: TranslationSettings,
    marks: Sequence[tuple[int, int]],
) -> dict[str, Any]:
    """Return the options of `nlp_lstm.decoding.search.search` for a batch.

    Args:
        source_ids: the texts, `batch time`.
        lengths: pieces of each, its end among them.
        asked: how many are searched and returned.
        settings: of the model, for what the options leave open.
        marks: the ids of each mark in source and target; a translation has each as often as its source.
    """
    num_beams = count_beams(asked, settings)
    quota = _quota(source_ids, marks)
    never_written: tuple[int, ...] = NEVER_WRITTEN
    if quota is not None and not quota.counts.any():  # nothing to copy, as in most texts: cheaper
        never_written = (*NEVER_WRITTEN, *quota.ids)
        quota = None
    return {
        "num_beams": num_beams,
        "eos_id": EOS_ID,
        "max_steps": [asked.max_new_tokens or 3 * length + 10 for length in lengths.tolist()],
        "length_penalty": settings.length_penalty if asked.length_penalty is None else asked.length_penalty,
        "no_repeat_ngram_size": asked.no_repeat_ngram_size,
        "num_return": num_beams if asked.coverage_penalty else asked.num_return_sequences,
        "excluded_ids": never_written,
        "quota": quota,
    }


def _quota(source_ids: NDArray[np.int64], marks: Sequence[tuple[int, int]]) -> Quota | None:
    """How often each mark is to be written: as often as it is read."""
    if not marks:
        return None
    read, written = zip(*marks, strict=True)
    return Quota(written, (source_ids[..., None] == np.array(read)).sum(axis=1))


def by_coverage(hypotheses: Sequence[Hypothesis], weights: NDArray[Any], penalty: float) -> list[Hypothesis]:
    """Order the translations of one text anew: each loses what its attention left unread of the source.

    Args:
        hypotheses: the translations.
        weights: where each looked, `translation step time`.
        penalty: how much that weighs.

    Source: Wu et al., "Google's Neural Machine Translation System", arXiv:1609.08144 (2016), equation 14.
    """
    rescored = []
    for found, looked in zip(hypotheses, weights, strict=True):
        read = looked[: len(found.ids) + 1].sum(axis=0).clip(1e-6, 1.0)
        rescored.append(found._replace(normalised_score=found.normalised_score + penalty * float(np.log(read).sum())))
    return sorted(rescored, key=lambda found: -found.normalised_score)

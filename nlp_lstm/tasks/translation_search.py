"""How translations are searched: by one network, or by several that write together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nlp_lstm.decoding.beam import Hypothesis, Quota, beam_search
from nlp_lstm.decoding.ensemble import join_steps
from nlp_lstm.nn.translator import Translator
from nlp_lstm.tasks.translation import PairBatch, TranslationOptions, TranslationSettings, make_pair_batch
from nlp_lstm.text.units import BOS_ID, EOS_ID, PAD_ID, UNK_ID

NEVER_WRITTEN = (PAD_ID, UNK_ID, BOS_ID)


def search(
    networks: Sequence[Translator],
    batch: PairBatch,
    asked: TranslationOptions,
    settings: TranslationSettings,
    marks: Sequence[tuple[int, int]],
) -> list[list[Hypothesis]]:
    """Return the translations of each text of a batch, the best first.

    Args:
        networks: they write together, each step by the mean of their probabilities; all have the same pieces.
        batch: the texts.
        asked: how many are searched and returned.
        settings: of the model, for what the options leave open.
        marks: the ids of each mark in source and target; a translation has each as often as its source.
    """
    num_beams = count_beams(asked, settings)
    lengths = batch.source_lengths.tolist()
    quota = _quota(batch, marks)
    never_written: tuple[int, ...] = NEVER_WRITTEN
    if quota is not None and not quota.counts.any():  # nothing to copy, as in most texts: cheaper
        never_written = (*NEVER_WRITTEN, *quota.ids)
        quota = None
    found = beam_search(
        join_steps([network.step for network in networks]),
        tuple(network.read(batch.source_ids, batch.source_lengths) for network in networks),
        torch.full_like(batch.source_lengths, BOS_ID),
        num_beams=num_beams,
        eos_id=EOS_ID,
        max_steps=[asked.max_new_tokens or 3 * length + 10 for length in lengths],
        length_penalty=settings.length_penalty if asked.length_penalty is None else asked.length_penalty,
        no_repeat_ngram_size=asked.no_repeat_ngram_size,
        num_return=num_beams if asked.coverage_penalty else asked.num_return_sequences,
        excluded_ids=never_written,
        quota=quota,
    )
    if not asked.coverage_penalty:
        return found
    return [
        by_coverage(networks, batch, row, hypotheses, asked.coverage_penalty)[: asked.num_return_sequences]
        for row, hypotheses in enumerate(found)
    ]


def count_beams(asked: TranslationOptions, settings: TranslationSettings) -> int:
    """Return how many translations of a text are searched side by side."""
    return max(asked.num_beams or settings.beams, asked.num_return_sequences)


def _quota(batch: PairBatch, marks: Sequence[tuple[int, int]]) -> Quota | None:
    """How often each mark is to be written: as often as it is read."""
    if not marks:
        return None
    source_ids, target_ids = zip(*marks, strict=True)
    read = batch.source_ids[..., None] == torch.tensor(source_ids, device=batch.source_ids.device)
    return Quota(target_ids, read.sum(dim=1))


def where_it_looked(
    networks: Sequence[Translator], batch: PairBatch, row: int, targets: Sequence[Sequence[int]]
) -> Tensor:
    """Return `target step time`: where decoders look, in the mean, when they write these translations of one text."""
    length = int(batch.source_lengths[row])
    again = make_pair_batch([batch.source_ids[row, : length - 1].tolist()] * len(targets), targets)
    again = again.to(batch.source_ids.device)
    return torch.stack([network(again).weights for network in networks]).mean(dim=0)


def by_coverage(
    networks: Sequence[Translator], batch: PairBatch, row: int, hypotheses: Sequence[Hypothesis], penalty: float
) -> list[Hypothesis]:
    """Order the translations of one text anew: each loses what its attention left unread of the source.

    Source: Wu et al., "Google's Neural Machine Translation System", arXiv:1609.08144 (2016), equation 14.
    """
    weights = where_it_looked(networks, batch, row, [found.ids for found in hypotheses])
    rescored = []
    for found, looked in zip(hypotheses, weights, strict=True):
        read = looked[: len(found.ids) + 1].sum(dim=0).clamp(1e-6, 1.0)
        rescored.append(found._replace(normalised_score=found.normalised_score + penalty * float(read.log().sum())))
    return sorted(rescored, key=lambda found: -found.normalised_score)

"""Which words moved a decision: integrated gradients, and a check against leaving words out.

The effect of a word is the sum over its vector's features of their value times the gradient of the log-odds of the
chosen label against all others, on average between no input at all (zeros) and the text. The effects of all words add
up to the difference between the two, where the gradient at the text alone is nearly zero as soon as a network is sure.

Source: Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", ICML 2017.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from scipy.stats import spearmanr
from torch import Tensor

from nlp_lstm.data.batch import BatchMaker, TokenBatch
from nlp_lstm.evaluation.report import Block, MarkedLine, MarkedText, MarkedToken, Section, TextBlock, format_share
from nlp_lstm.tasks.classification import WordEffect
from nlp_lstm.tasks.classifier import Classifier
from nlp_lstm.text.document import Document

EXPLAINED = 100  # texts of a report on which gradients are checked against leaving words out
SHOWN = 12  # of them in full
LONGEST_SHOWN = 60  # words
INTEGRATION_STEPS = 20
_TEXTS_AT_ONCE = 20
SHORTEST, LONGEST = 3, 100  # words; of fewer ranks say nothing, and of more every word left out is a long reading


def margins(logits: Tensor, chosen: Tensor) -> Tensor:
    """Return the log-odds of the chosen label against all others together.

    Args:
        logits: `batch label`.
        chosen: `batch`, label ids.
    """
    own = logits.gather(1, chosen[:, None])[:, 0]
    others = logits.scatter(1, chosen[:, None], float("-inf"))
    return own - others.logsumexp(dim=1)


def integrated_gradients(
    model: Classifier, batch: TokenBatch, *, steps: int = INTEGRATION_STEPS
) -> tuple[Tensor, Tensor]:
    """Return the logits, `batch label`, and the effect of each word, `batch time`, in logits.

    Args:
        model: the network in evaluation mode.
        batch: some texts.
        steps: points between zeros and the text at which the gradient is taken (midpoint rule).
    """
    with torch.inference_mode(False), torch.enable_grad():
        embedded = model.backbone.embedding.embed_words(batch.features)[batch.index].detach()
        with torch.no_grad():
            logits = model.classify(lambda start, end: embedded[:, start:end], batch.lengths)
        chosen = logits.argmax(dim=1)
        gradient = torch.zeros_like(embedded)
        for step in range(steps):
            inputs = ((step + 0.5) / steps * embedded).requires_grad_()
            found = model.classify(lambda start, end: inputs[:, start:end], batch.lengths)  # noqa: B023  (called at once)
            gradient += torch.autograd.grad(margins(found, chosen).sum(), inputs)[0]
    return logits, (gradient / steps * embedded).sum(dim=2)


def explain_batch(
    model: Classifier, batch: TokenBatch, documents: Sequence[Document]
) -> tuple[Tensor, list[tuple[WordEffect, ...]]]:
    """Return the logits of a batch, and for each text the effect of its words."""
    logits, effects = integrated_gradients(model, batch)
    found = []
    for document, row in zip(documents, effects.tolist(), strict=True):
        scored = zip(document.tokens, row[: len(document)], strict=True)
        found.append(tuple(WordEffect(token.text, token.start, token.end, score) for token, score in scored))
    return logits, found


@torch.inference_mode()
def leave_one_out(model: Classifier, batches: BatchMaker, words: Sequence[str]) -> list[float]:
    """Return how much the log-odds of a text's label fall when each of its words is left out, in logits.

    Args:
        model: the network in evaluation mode.
        batches: makes its batches.
        words: of the text, two at least.
    """
    variants = [[*words[:place], *words[place + 1 :]] for place in range(len(words))]
    whole = model.read_tokens(batches.make_batch([words]))
    without = model.read_tokens(batches.make_batch(variants))
    chosen = whole.argmax(dim=1)
    return (margins(whole, chosen) - margins(without, chosen.expand(len(without)))).tolist()


def explanation_section(
    model: Classifier, batches: BatchMaker, labels: Sequence[str], documents: Sequence[Document]
) -> Section:
    """Show how words moved some decisions, and how well that agrees with leaving each word out.

    Args:
        model: the network in evaluation mode.
        batches: makes its batches.
        labels: names of the labels.
        documents: the texts; very short and very long ones are left out.
    """
    lines: list[MarkedLine] = []
    correlations: list[float] = []
    agreements: list[bool] = []
    for document, label, effects in _explain(model, batches, documents):
        left_out = leave_one_out(model, batches, document.words)
        scores = [effect.score for effect in effects]
        if len(set(scores)) == 1 or len(set(left_out)) == 1:  # as in "no no no": there are no ranks
            continue
        correlations.append(float(spearmanr(scores, left_out).statistic))
        agreements.append(scores.index(max(scores)) == left_out.index(max(left_out)))
        if len(lines) < SHOWN:
            lines.append(_line(effects, labels[label]))
    if not lines:
        return Section(
            title="Words that moved the decision",
            blocks=[TextBlock(text=f"No text has {SHORTEST} to {LONGEST} words.")],
        )
    text = (
        f"On {len(correlations)} texts, the effects of words by integrated gradients and by leaving each one out have "
        f"a mean rank correlation (Spearman) of {sum(correlations) / len(correlations):.2f}; the word that spoke most "
        f"for the label is the same in {format_share(sum(agreements) / len(agreements))} of them."
    )
    note = "Underlined: the words that spoke most for the label given before the text; their effect in logits."
    blocks: list[Block] = [TextBlock(text=text), MarkedText(lines=lines, note=note)]
    return Section(title="Words that moved the decision", blocks=blocks)


def _explain(
    model: Classifier, batches: BatchMaker, documents: Sequence[Document]
) -> Iterator[tuple[Document, int, tuple[WordEffect, ...]]]:
    """Yield the texts that are neither very short nor very long, each with its label and the effect of its words."""
    explained = [document for document in documents if SHORTEST <= len(document) <= LONGEST]
    for start in range(0, len(explained), _TEXTS_AT_ONCE):
        some = explained[start : start + _TEXTS_AT_ONCE]
        logits, effects = explain_batch(model, batches.make_batch([document.words for document in some]), some)
        yield from zip(some, logits.argmax(dim=1).tolist(), effects, strict=True)


def _line(effects: Sequence[WordEffect], label: str) -> MarkedLine:
    strongest = sorted((effect.score for effect in effects), reverse=True)[:2]
    tokens = [
        MarkedToken(
            text=effect.word,
            is_focus=effect.score in strongest and effect.score > 0,
            tip=f"{effect.score:+.2f}" if effect.score in strongest and effect.score > 0 else "",
        )
        for effect in effects[:LONGEST_SHOWN]
    ]
    return MarkedLine(tokens=tokens, remark=label)

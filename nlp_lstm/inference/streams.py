"""Tags and labels of a text that comes piece by piece and may never end. Needs no torch.

What is kept is the sentence that goes on, and of a classifier the last sentences.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, TypeAlias

from nlp_lstm.data.example import LabelledExample
from nlp_lstm.errors import ConfigError, shorten
from nlp_lstm.tasks.predictor import Predictor
from nlp_lstm.tasks.tagging import WINDOW_CONTEXT, WINDOW_SIZE, TaggedStretch
from nlp_lstm.text.document import Document, Token
from nlp_lstm.text.incoming import SentenceReader, Stretch, check_pieces
from nlp_lstm.text.tokenize import Tokenizer

Predict: TypeAlias = Callable[[Sequence[Any]], list[Any]]
"""Gives one prediction per example."""

STREAM_OPTIONS = {"pos": ("label",), "sentiment": ("window", "top_k"), "lm": ()}
"""The tasks that read streams, and what `Pipeline.stream` takes for each besides the text."""

READ_TOGETHER = 64  # texts at most; where a large piece comes, as many are read side by side


def stream_tags(
    predictor: Predictor, predict: Predict, tokenizer: Tokenizer, pieces: Iterable[str], *, label: str | None = None
) -> Iterator[dict[str, Any]]:
    """Yield one dictionary per token, as `TaggingPredictor.format` has them.

    Args:
        predictor: words the results.
        predict: the network.
        tokenizer: of the text's language.
        pieces: the text.
        label: which column becomes ``entity`` and ``score``; default the main one.

    Raises:
        DataError: a piece is no text; names its index.
    """
    num_tokens = 0
    for stretches in _read(SentenceReader(tokenizer, size=WINDOW_SIZE, context=WINDOW_CONTEXT), pieces):
        # The text is gone; its tokens have their places in it.
        examples = [
            TaggedStretch(document=Document.from_tokens("", stretch.tokens), labels={}) for stretch in stretches
        ]
        for stretch, example, answer in zip(stretches, examples, predict(examples), strict=True):
            for token in predictor.format([(example, answer)], label=label)[stretch.keep_start : stretch.keep_end]:
                num_tokens += 1
                yield {**token, "index": num_tokens}


def stream_labels(
    predictor: Predictor,
    predict: Predict,
    tokenizer: Tokenizer,
    pieces: Iterable[str],
    *,
    window: int = 200,
    top_k: int | None = 1,
) -> Iterator[dict[str, Any]]:
    """Yield for each sentence the answer for the text that ends with it.

    Args:
        predictor: words the results.
        predict: the network.
        tokenizer: of the text's language.
        pieces: the text.
        window: words of that text, at most: the sentence itself, and as many whole ones before it as there is room for.
            A longer sentence counts as several of that many words.
        top_k: 1 gives ``label`` and ``score``; more, or None for all, a list of them as ``labels``.

    Returns:
        An iterator over dictionaries that also have ``start`` and ``end`` of the text read.

    Raises:
        ConfigError: the window is no whole number from 1.
        DataError: a piece is no text; names its index.
    """
    if type(window) is not int or window < 1:
        raise ConfigError(f"window is {shorten(window)}; give how many words are read together, from 1")
    return _stream_labels(predictor, predict, SentenceReader(tokenizer, size=window, context=0), pieces, window, top_k)


def _stream_labels(
    predictor: Predictor,
    predict: Predict,
    reader: SentenceReader,
    pieces: Iterable[str],
    window: int,
    top_k: int | None,
) -> Iterator[dict[str, Any]]:
    last: deque[tuple[Token, ...]] = deque()  # sentences
    for stretches in _read(reader, pieces):
        texts: list[list[Token]] = []
        for stretch in stretches:
            last.append(stretch.tokens)
            while sum(map(len, last)) > window:
                last.popleft()
            texts.append(list(chain.from_iterable(last)))
        examples = [LabelledExample(document=Document.from_tokens("", tokens)) for tokens in texts]
        for tokens, example, answer in zip(texts, examples, predict(examples), strict=True):
            found = predictor.format([(example, answer)], top_k=top_k)
            answers = found if isinstance(found, dict) else {"labels": found}
            yield {**answers, "start": tokens[0].start, "end": tokens[-1].end}


def _read(reader: SentenceReader, pieces: Iterable[str]) -> Iterator[list[Stretch]]:
    """Yield the stretches that each piece completes, some at a time."""
    for found in chain(map(reader.read, check_pieces(pieces)), (reader.finish() for _ in range(1))):
        while some := list(islice(found, READ_TOGETHER)):
            yield some

"""How probable each token of a text is, as the text comes piece by piece.

The recurrent states are carried from token to token, and nothing else of what was read is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from nlp_lstm.evaluation.perplexity import END
from nlp_lstm.nn.language_model import LanguageModel, pack_states
from nlp_lstm.tasks.language import SCORED_AT_ONCE, StreamBatch
from nlp_lstm.text.document import Document
from nlp_lstm.text.incoming import LinePart, LineReader, check_pieces
from nlp_lstm.text.tokenize import Tokenizer
from nlp_lstm.text.units import EOS_ID, Units


class RunningScores:
    """Scores the tokens of one text, one after the other.

    Args:
        model: the network, in evaluation mode.
        units: what its ids stand for.
        tokenizer: of the text's language.
    """

    def __init__(self, model: LanguageModel, units: Units, tokenizer: Tokenizer) -> None:
        self._model, self._units, self._tokenizer = model, units, tokenizer
        self._last_id = EOS_ID
        self._carried: Mapping[str, Tensor] = {}

    def score(self, parts: Iterable[LinePart]) -> Iterator[dict[str, Any]]:
        """Yield a dictionary for each token of some parts of lines, as `LanguageTask.score_text` has them."""
        tokens: list[dict[str, Any]] = []
        ids: list[int] = []
        for part in parts:
            if part.is_end:
                ids.append(EOS_ID)
                tokens.append({"token": END, "start": part.start, "end": part.start})
                continue
            document = self._document(part.text)
            ids += self._units.encode(document)
            has_place = self._units.name != "subword"
            for piece in self._units.pieces(document):
                tokens.append(
                    {
                        "token": piece.text,
                        "start": part.start + piece.start if has_place else None,
                        "end": part.start + piece.end if has_place else None,
                    }
                )
        for start in range(0, len(ids), SCORED_AT_ONCE):
            scores = self._read(ids[start : start + SCORED_AT_ONCE])
            for token, score in zip(tokens[start : start + SCORED_AT_ONCE], scores, strict=True):
                yield {"token": token["token"], "log_probability": score, "start": token["start"], "end": token["end"]}

    def _document(self, text: str) -> Document:
        if self._units.name == "subword":  # whose model puts a space of its own in front
            return Document(text=text.removeprefix(" "))
        if self._units.name == "character":
            return Document(text=text)
        return self._tokenizer.tokenize(text)

    @torch.inference_mode()
    def _read(self, ids: list[int]) -> list[float]:
        """Return the log-probability of each id after all before it, in nats."""
        read = torch.tensor([[self._last_id, *ids]])
        outputs = self._model(StreamBatch(ids=read[:, :-1], next_ids=read[:, 1:], carried=self._carried))
        self._carried, self._last_id = pack_states(outputs.states), ids[-1]
        scores: list[float] = outputs.log_probability[0].float().tolist()
        return scores


def score_pieces(
    model: LanguageModel, units: Units, tokenizer: Tokenizer, pieces: Iterable[str]
) -> Iterator[dict[str, Any]]:
    """Yield a dictionary for each token of a text that comes piece by piece.

    Args:
        model: the network.
        units: what its ids stand for.
        tokenizer: of the text's language.
        pieces: the text.

    Raises:
        DataError: a piece is no text; names its index.
    """
    model.eval()
    reader, scores = LineReader(), RunningScores(model, units, tokenizer)
    for parts in chain(map(reader.read, check_pieces(pieces)), (reader.finish() for _ in range(1))):
        yield from scores.score(parts)

"""The network over the steps of a series: what each step brings, recurrent layers, and one answer a step or in all."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nlp_lstm.nn.dropout import LockedDropout
from nlp_lstm.nn.recurrent import Recurrent
from nlp_lstm.nn.settings import poolings


class SeriesNetwork(nn.Module):
    """Reads numbers, symbols or both, step by step.

    Args:
        num_columns: numbers a step; 0 for none.
        num_symbols: symbols that are known; 0 for none.
        num_answers: features of an answer.
        symbol_size: features of a symbol.
        cell: the recurrent cell's registered name.
        hidden_size: features of each direction's state.
        num_layers: recurrent layers.
        is_bidirectional: whether the layers also read from the end.
        pooling: name of the pooling, for one answer in all; None for one a step.
        input_dropout: locked dropout on what each step brings.
        dropout: locked dropout between the layers and on the outputs.
    """

    def __init__(
        self,
        *,
        num_columns: int,
        num_symbols: int,
        num_answers: int,
        symbol_size: int,
        cell: str,
        hidden_size: int,
        num_layers: int,
        is_bidirectional: bool,
        pooling: str | None,
        input_dropout: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.num_columns = num_columns
        self.symbols = nn.Embedding(num_symbols, symbol_size) if num_symbols else None
        self.input_dropout = LockedDropout(input_dropout)
        self.encoder = Recurrent(
            cell,
            num_columns + (symbol_size if num_symbols else 0),
            hidden_size,
            num_layers=num_layers,
            is_bidirectional=is_bidirectional,
            dropout_rate=dropout,
        )
        size = self.encoder.output_size
        self.pooling = None if pooling is None else poolings.get(pooling)(size, is_bidirectional=is_bidirectional)
        self.output = nn.Linear(size, num_answers)

    def forward(self, batch: Any) -> Float[Tensor, "batch *time answer"]:
        """Return the answers of a batch, which has ``numbers``, ``symbols`` (either may be None) and ``lengths``."""
        return self.read(batch.numbers, batch.symbols, batch.lengths)

    def read(
        self,
        numbers: Float[Tensor, "batch time column"] | None,
        symbols: Int[Tensor, "batch time"] | None,
        lengths: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch *time answer"]:
        """Return one answer a step, or with a pooling one a row.

        Args:
            numbers: standardised; None where none are read.
            symbols: their ids; None where none are read.
            lengths: real steps a row, at least 1 each.
        """
        parts = [] if numbers is None else [numbers]
        if self.symbols is not None and symbols is not None:
            parts.append(self.symbols(symbols))
        outputs = self.encoder(self.input_dropout(torch.cat(parts, dim=2)), lengths).outputs
        outputs = outputs.to(self.output.weight.dtype)  # bfloat16 would sum too coarsely
        return self.output(outputs if self.pooling is None else self.pooling(outputs, lengths))

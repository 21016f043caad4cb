"""What a server takes on: every bound in one place."""

from __future__ import annotations

from pydantic import Field, model_validator

from nlp_lstm.settings import Settings

CHARACTERS_PER_WEIGHT = 300
"""A text weighs 1 for so many characters begun, times the sequences that are searched or drawn side by side for it."""


class ServingLimits(Settings):
    """The bounds of a server."""

    joining: bool = True
    """Whether texts of several requests are computed in one batch."""
    window: float = Field(0.002, ge=0, le=1)
    """Seconds that an idle network waits for further requests to join the first."""
    max_batch: int = Field(64, ge=1)
    """Weight of a batch; one text alone may weigh more."""
    max_waiting: int = Field(256, ge=1)
    """Weight of the texts that wait for a model. Once it is reached, requests are answered 429; the last one that was
    accepted may go beyond."""
    max_body: int = Field(1_048_576, ge=1_024)
    """Bytes of a request's body."""
    max_bodies: int = Field(64 * 1_048_576, ge=1_024)
    """Bytes of all bodies that are being received."""
    max_text: int = Field(10_000, ge=1)
    """Characters of a text; of a table the numbers in it."""
    max_texts: int = Field(100, ge=1)
    """Texts of a request."""
    max_new_tokens: int = Field(500, ge=1)
    """What a request may set ``max_new_tokens`` to: nobody else is answered while a batch is written."""
    max_sequences: int = Field(16, ge=1)
    """What a request may set ``num_beams`` and ``num_return_sequences`` to."""
    deadline: float = Field(30.0, gt=0)
    """Seconds from a request's head to its answer."""

    @model_validator(mode="after")
    def _check_bodies(self) -> ServingLimits:
        if self.max_bodies < self.max_body:
            raise ValueError("max_bodies is less than max_body; one body has to fit")
        return self


def weigh(num_characters: int, num_sequences: int = 1) -> int:
    """Return what a text weighs in a batch and in the queue."""
    return max(1, -(-num_characters // CHARACTERS_PER_WEIGHT)) * num_sequences

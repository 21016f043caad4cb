"""The reference engine: torch, for every task, cell, precision and device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from nlp_lstm.errors import ConfigError
from nlp_lstm.inference.engines import Engine
from nlp_lstm.inference.opening import open_model
from nlp_lstm.nn.precision import check_bf16
from nlp_lstm.tasks.base import predict_examples


class TorchEngine(Engine):
    """A task with its network in torch.

    Args:
        folder: the model folder.
        precision: "fp32" or "bf16".
        device: "auto" or "cpu", or any other torch device.

    Raises:
        CheckpointError: the folder is damaged.
        ConfigError: the device is not here.
    """

    name: ClassVar[str] = "torch"

    def __init__(self, folder: Path, *, precision: str = "fp32", device: str = "auto") -> None:
        if precision == "bf16":
            check_bf16()
        opened = open_model(folder)
        super().__init__(opened.task, opened.config)
        self.task, self.model = opened.task, opened.model
        self._use_bf16 = precision == "bf16"
        try:
            self.model.to("cpu" if device == "auto" else device)
        except (RuntimeError, AssertionError) as error:  # torch's own; AssertionError where it is built without CUDA
            raise ConfigError(f'device is "{device}": {error}; give "auto", "cpu" or a device that is here') from error

    def predict(
        self, examples: Sequence[Any], *, batch_tokens: int, options: Mapping[str, Any] | None = None
    ) -> list[Any]:
        return predict_examples(
            self.task, self.model, examples, batch_tokens=batch_tokens, use_bf16=self._use_bf16, options=options
        )

"""The reference engine: torch, for every task, cell, precision and device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from nlp_lstm.errors import ConfigError
from nlp_lstm.inference.engines import Engine
from nlp_lstm.inference.opening import check_together, open_model
from nlp_lstm.nn.precision import check_bf16
from nlp_lstm.tasks.base import predict_examples


class TorchEngine(Engine):
    """A task with its network in torch.

    Args:
        folder: the model folder.
        precision: "fp32" or "bf16".
        device: "auto" or "cpu", or any other torch device.
        together_with: folders of further models, which answer together with it.

    Raises:
        CheckpointError: a folder is damaged.
        ConfigError: the device is not here, or the models cannot answer together.
    """

    name: ClassVar[str] = "torch"

    def __init__(
        self, folder: Path, *, precision: str = "fp32", device: str = "auto", together_with: Sequence[Path] = ()
    ) -> None:
        if precision == "bf16":
            check_bf16()
        opened = [open_model(path) for path in (folder, *together_with)]
        if together_with:
            check_together(opened)
        super().__init__(opened[0].task, opened[0].config)
        self.task, self.model = opened[0].task, opened[0].model
        self.configs = [one.config for one in opened]
        self._models = [one.model for one in opened]
        self._use_bf16 = precision == "bf16"
        try:
            for model in self._models:
                model.to("cpu" if device == "auto" else device)
        except (RuntimeError, AssertionError) as error:  # torch's own; AssertionError where it is built without CUDA
            raise ConfigError(f'device is "{device}": {error}; give "auto", "cpu" or a device that is here') from error

    def predict(
        self, examples: Sequence[Any], *, batch_tokens: int, options: Mapping[str, Any] | None = None
    ) -> list[Any]:
        return predict_examples(
            self.task, self._models, examples, batch_tokens=batch_tokens, use_bf16=self._use_bf16, options=options
        )

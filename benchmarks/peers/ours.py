"""Our own models, measured as the peers are: `python ours.py serve MODEL --data DATA --engine onnx`.

MODEL is a model folder or the name of a bundled model; the engine "int8" is the compiled one with int8 arithmetic.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peer

from nlp_lstm import Pipeline

ENGINES = ("onnx", "torch", "compiled", "int8")
NUM_BEAMS = 5  # of translators, as joeynmt's configurations have it


class OurSystem:
    """A pipeline, used as its README shows."""

    def __init__(self, model: str, engine: Any) -> None:
        is_int8 = engine == "int8"
        self.pipeline = Pipeline(
            model, engine="compiled" if is_int8 else engine, precision="int8" if is_int8 else "fp32"
        )
        self._is_translator = self.pipeline.info["task"] == "translate"

    def of_texts(self, texts: list[str]) -> Sequence[list[str] | str]:
        """Answer raw texts; a single one as most people call it."""
        if len(texts) == 1:
            return [self._answer(self.pipeline.predict(texts[0], **self._beams(NUM_BEAMS)))]
        return [self._answer(found) for found in self.pipeline.predict(texts, **self._beams(NUM_BEAMS))]

    def of_words(self, sentences: list[list[str]]) -> Sequence[list[str] | str]:
        """Answer texts that are cut into words; translate greedily."""
        if self._is_translator:
            texts = [" ".join(words) for words in sentences]
            return [self._answer(found) for found in self.pipeline.predict(texts, **self._beams(1))]
        return [self._answer(found) for found in self.pipeline.predict(sentences, pretokenized=True)]

    def _beams(self, number: int) -> dict[str, int]:
        return {"num_beams": number} if self._is_translator else {}

    def _answer(self, found: Any) -> list[str] | str:
        if self._is_translator:
            return str(found["translation_text"])
        return str(found["label"]) if isinstance(found, dict) else [token["entity"] for token in found]


def facts_of(folder: Path) -> dict[str, Any]:
    """Return the size of a model and how it was trained, as far as its folder tells."""
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))["metrics"]
    seconds = metrics.get("training_seconds")
    return {
        "task": json.loads((folder / "config.json").read_text("utf-8"))["task"],
        "bytes": peer.size_of(folder),
        "minutes": None if seconds is None else seconds / 60,
        "began_as": metrics.get("preparation", {}).get("begins as"),
        "trained_on": [metrics.get("data", {}).get("name"), *metrics.get("also_trained_on", {})],
    }


def main() -> None:
    """Be the process of one model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--engine", choices=ENGINES, default="onnx")
    parser.add_argument("--sentences", type=int, default=500, help="texts for the latency in each turn")
    arguments = parser.parse_args()
    system = OurSystem(arguments.model, arguments.engine)
    peer.answer_requests(lambda: system, arguments, facts_of(system.pipeline.folder))


if __name__ == "__main__":
    main()

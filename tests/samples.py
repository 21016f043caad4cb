"""What several tests share: the sample files, real text, and one tiny model that is trained once a session."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

import pytest

from nlp_lstm.data.example import TaggedExample
from nlp_lstm.data.readers import read_conllu, read_examples
from nlp_lstm.paths import bundled_folder
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.recipes import Recipe, load_recipe
from nlp_lstm.runs import run_recipe

SAMPLES = Path(__file__).parent / "data" / "samples"
TAGGED = SAMPLES / "hand.conllu"
SPANS = SAMPLES / "hand.bio"

SMALL_NETWORK = (
    "model.embedding.vectors=null",
    "model.embedding.character_hidden=16",
    "model.hidden=32",
    "model.layers=1",
    "model.dropout=0.1",
    "model.input_dropout=0.1",
    "training.batch_tokens=200",
    "training.learning_rate=0.01",
    "training.warmup_steps=10",
    "training.average_decay=0.9",
    "training.evaluations=2",
    "training.threads=1",
    "training.precision=fp32",
    "also_evaluate=[]",
    "baselines.tokens=0",
)
"""Overrides that make any tagging recipe tiny."""


def tiny_recipe(*overrides: str, tokens: int = 2_000) -> Recipe:
    """Return the tagging recipe in its tiny form, further changed by ``overrides``."""
    return load_recipe("pos", [*SMALL_NETWORK, f"training.tokens={tokens}", *overrides])


@lru_cache(maxsize=1)
def tiny_run() -> Path:
    """Return the folder of a finished tiny run on the hand-tagged sentences. Read only."""
    folder = Path(tempfile.mkdtemp(prefix="nlp-lstm-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run_recipe(tiny_recipe(tokens=12_000), folder, data=TAGGED)
    return folder


def tiny_model() -> Path:
    """Return the tiny run's model folder. Read only."""
    return tiny_run() / "model"


@lru_cache(maxsize=1)
def tiny_pipeline() -> Pipeline:
    """Return the tiny model, ready to predict."""
    return Pipeline(tiny_model())


@lru_cache(maxsize=1)
def tagged_examples() -> tuple[TaggedExample, ...]:
    """Return the hand-tagged sentences."""
    return tuple(read_conllu(TAGGED))


@lru_cache(maxsize=1)
def span_examples() -> tuple[TaggedExample, ...]:
    """Return the sentences with hand-marked names."""
    return tuple(read_examples([SPANS]))


def corpus_file(pattern: str) -> Path:
    """Return a file of the real corpora; without it the test is skipped."""
    root = os.environ.get("NLP_LSTM_DATA")
    found = sorted(Path(root).glob(pattern)) if root else []
    if not found:
        pytest.skip(f"NLP_LSTM_DATA has no {pattern}")
    return found[0]


def bundled_model(name: str) -> Path:
    """Return a model that comes with the package; without it the test is skipped."""
    folder = bundled_folder("models") / name
    if not (folder / "config.json").is_file():
        pytest.skip(f"models/{name} has not been trained")
    return folder

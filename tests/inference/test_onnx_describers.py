"""Describers of pictures and clips as two graphs: the same sentences as torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlp_lstm.data.pictures import PictureExample
from nlp_lstm.errors import ConfigError
from nlp_lstm.inference.engines import OnnxEngine
from nlp_lstm.inference.export import export_model
from nlp_lstm.inference.torch_engine import TorchEngine
from nlp_lstm.pipeline import Pipeline
from tests.inference.networks import description_folder, video_folder
from tests.samples import clip_examples, scene_examples

PICTURES: dict[str, dict[str, Any]] = {
    "additive": {},
    "multi-head": {"attention": "multi-head"},
    "none": {"attention": "none"},
    "sides that are not whole places": {"image_size": 45},
    "one place a pixel": {"image_size": 64, "input_feeding": False},
    "two layers of grus": {"cell": "gru", "decoder_layers": 2},
    "sees nothing": {"encoder": "none"},
    "sees nothing and weighs it": {"encoder": "none", "attention": "general"},
}
CLIPS: dict[str, dict[str, Any]] = {
    "additive": {},
    "one direction": {"bidirectional": False, "attention": "general"},
    "none": {"attention": "none", "encoder_layers": 2},
    "few frames": {"frames": 3, "cell": "peephole"},
    "sees nothing": {"encoder": "none"},
}
WEIGHT_TOLERANCE = 5e-5  # through six convolutions
OPTIONS: dict[str, dict[str, Any]] = {
    "greedy": {"num_beams": 1},
    "beams": {"num_beams": 3, "num_return_sequences": 2},
    "attention": {"num_beams": 2, "attention": True},
}


PAIRS = [(network, options) for network in ("additive", "none") for options in ("greedy", "attention")]


def check(folder: Path, examples: Sequence[PictureExample], options: dict[str, Any]) -> None:
    """Check that both engines say the same, alone, in batches, and of clips with further padding."""
    export_model(folder)
    torch_engine, engine = TorchEngine(folder), OnnxEngine.open(folder)
    if options.get("attention") and engine.predictor.settings.attention == "none":
        with pytest.raises(ConfigError, match="weighs no places"):
            engine.predictor.check_options(**options)
        return
    asked = {"max_new_tokens": 8, **options}
    expected = torch_engine.predict(examples, batch_tokens=100_000, options=asked)
    for found in (
        engine.predict(examples, batch_tokens=100_000, options=asked),
        engine.predict(examples, batch_tokens=1, options=asked),
        engine.predictor.predict_arrays(engine.run, examples, pad_to=11, **asked),
    ):
        assert [one.texts for one in found] == [one.texts for one in expected]
        assert [one.words for one in found] == [one.words for one in expected]
        for one, other in zip(found, expected, strict=True):
            assert one.scores == pytest.approx(other.scores, abs=1e-4)
            np.testing.assert_allclose(one.weights, other.weights, atol=WEIGHT_TOLERANCE)


@pytest.mark.parametrize(
    ("network", "options"),
    [*((network, "beams") for network in PICTURES), *PAIRS, ("multi-head", "attention")],
)
def test_pictures_are_described_as_torch_does(tmp_path, network, options):
    check(description_folder(tmp_path / "model", PICTURES[network]), scene_examples()[:5], OPTIONS[options])


@pytest.mark.parametrize(("network", "options"), [*((network, "beams") for network in CLIPS), *PAIRS])
def test_clips_are_described_as_torch_does(tmp_path, network, options):
    check(video_folder(tmp_path / "model", CLIPS[network]), clip_examples()[:5], OPTIONS[options])


@pytest.mark.parametrize("write", [description_folder, video_folder])
def test_weights_are_read_however_they_are_stored(tmp_path, monkeypatch, write):
    monkeypatch.setattr("nlp_lstm.weights.SMALLEST_QUANTISED", 8)
    examples = scene_examples() if write is description_folder else clip_examples()
    check(write(tmp_path / "model", {}, "int8"), examples[:3], OPTIONS["beams"])


@pytest.mark.parametrize("write", [description_folder, video_folder])
@pytest.mark.parametrize("attention", ["additive", "none"])
def test_features_are_described_as_torch_does(tmp_path, write, attention):
    generator = np.random.default_rng(3)
    examples = [
        PictureExample(
            name=f"features {number}",
            picture=generator.normal(size=(places, 6)).astype(np.float32),
            captions=("a red square above a blue circle",),
        )
        for number, places in enumerate((3, 1, 5))
    ]
    changes = {"encoder": "features", "attention": attention}
    check(write(tmp_path / "model", {**changes, "examples": examples}), examples, OPTIONS["beams"])


def test_a_two_dimensional_lstm_stays_with_torch(tmp_path):
    folder = description_folder(tmp_path / "model", {"encoder": "grid"})
    with pytest.raises(ConfigError, match="two-dimensional LSTM cannot be written as ONNX yet"):
        export_model(folder)
    assert Pipeline(folder).info["engine"] == "torch"

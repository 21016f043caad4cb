"""The bundled describers on scenes and clips that training has not seen."""

from pathlib import Path

import pytest
from samples import bundled_model

from nlp_lstm import Pipeline
from nlp_lstm.serving.page.functions import EXAMPLE_FOLDER

SCENES = Path(__file__).parent / "scenes"
SENTENCES = {
    EXAMPLE_FOLDER / "frog-and-pear.png": (
        "a frog above a pear",
        "a pear below a frog",
        "there is a frog above a pear",
        "a frog at the top and a pear at the bottom",
    ),
    SCENES / "a-tractor.png": (
        "a tractor at the top",
        "there is a tractor at the top",
        "at the top there is a tractor",
        "a tractor, at the top",
    ),
    EXAMPLE_FOLDER / "airplanes.png": (
        "three green airplanes at the top",
        "there are three green airplanes at the top",
        "at the top there are three green airplanes",
        "three green airplanes, at the top",
    ),
}
"""Scenes of the test part, of drawings by OpenMoji (HfG Schwäbisch Gmünd, CC BY-SA 4.0), and their sentences."""
CLIPS = {
    EXAMPLE_FOLDER / "whale-and-pig.gif": (
        "the whale moves left while the pig stays",
        "while the pig stays, the whale moves left",
        "the whale moves left and the pig stays",
    ),
    EXAMPLE_FOLDER / "crab.gif": (
        "the crab moves down, then shrinks",
        "first the crab moves down, then it shrinks",
        "after moving down, the crab shrinks",
    ),
}
"""Clips of the test part, likewise."""


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_scenes_are_told_in_one_of_their_sentences(engine):
    pipeline = Pipeline(bundled_model("caption-en"), engine=engine)
    for path, sentences in SENTENCES.items():
        assert pipeline.predict(path)["generated_text"] in sentences


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_clips_are_told_in_one_of_their_sentences(engine):
    pipeline = Pipeline(bundled_model("video-en"), engine=engine)
    for path, sentences in CLIPS.items():
        assert pipeline.predict(path)["generated_text"] in sentences

"""The bundled captioner on scenes that training has not seen."""

from pathlib import Path

import pytest
from samples import bundled_model

from nlp_lstm import Pipeline

SCENES = Path(__file__).parent / "scenes"
SENTENCES = {
    "coconut-spider.png": (
        "a blue coconut above a spider",
        "a spider below a blue coconut",
        "there is a blue coconut above a spider",
        "a blue coconut at the top and a spider at the bottom",
    ),
    "a-tractor.png": (
        "a tractor at the top",
        "there is a tractor at the top",
        "at the top there is a tractor",
        "a tractor, at the top",
    ),
    "green-airplanes.png": (
        "three green airplanes at the top",
        "there are three green airplanes at the top",
        "at the top there are three green airplanes",
        "three green airplanes, at the top",
    ),
}
"""Scenes of the test part, of drawings by OpenMoji (HfG Schwäbisch Gmünd, CC BY-SA 4.0), and their sentences."""


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_scenes_are_told_in_one_of_their_sentences(engine):
    pipeline = Pipeline(bundled_model("caption-en"), engine=engine)
    for name, sentences in SENTENCES.items():
        assert pipeline.predict(SCENES / name)["generated_text"] in sentences

"""Drawings are plain, well-formed SVG, the same every time."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
from pages import ATTACK

from nlp_lstm.evaluation.drawing import Drawing, shade
from nlp_lstm.evaluation.report import Plot
from nlp_lstm.evaluation.xray_plots import shade_plot, unfolded_plot


def draw(kind: str, word: str = "old") -> str:
    if kind == "unfolded":
        return unfolded_plot(["The", word, "ferry"], [[1, 0.5, 0], [2, 1, 0.5]], source=0, title="Unfolded")
    if kind == "shades":
        values = [[0, 1.0], [0.5, 0.001]]
        return shade_plot(["a", word], ["b", "c"], values, title="Shades", x_label="x", y_label="y")
    drawing = Drawing("Arrows", "an arrow")
    drawing.line([(0, 0), (20, 30)], has_head=True, is_dashed=True)
    drawing.text(10, 50, word, anchor="start")
    return drawing.svg()


@pytest.mark.parametrize("kind", ["unfolded", "shades", "arrows"])
def test_a_drawing_is_well_formed_and_the_same_every_time(kind):
    svg = draw(kind)
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert root.get("role") == "img"
    assert Plot(svg=svg).svg == svg == draw(kind)


@pytest.mark.parametrize("kind", ["unfolded", "shades", "arrows"])
def test_text_stays_text(kind):
    assert "<script" not in draw(kind, ATTACK)
    ElementTree.fromstring(draw(kind, ATTACK))


def test_ids_of_two_drawings_differ():
    [first], [second] = (re.findall(r'\sid="([^"]+)"', draw("arrows", word)) for word in ("old", "new"))
    assert first != second
    assert f"url(#{first})" in draw("arrows")


def test_the_unfolded_net_shades_each_node_by_its_share_of_the_layers_largest():
    fills = re.findall(r'<circle [^>]*fill="(#\w+|white)"', draw("unfolded"))
    assert fills[:3] == [shade(1, "#333333"), shade(0.5, "#333333"), shade(0.25, "#333333")]  # the last layer
    assert fills[6:] == ["#333333", "white", "white"]  # the inputs


def test_everything_is_inside_the_picture():
    root = ElementTree.fromstring(draw("shades", "harbour"))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for piece in root.iter("{http://www.w3.org/2000/svg}text"):
        assert 0 <= float(piece.get("x", -1)) <= width
        assert 0 <= float(piece.get("y", -1)) <= height


def test_shades_go_from_white_to_the_colour():
    assert shade(0) == "#FFFFFF"
    assert shade(1, "#0072B2") == shade(2, "#0072B2") == "#0072B2"

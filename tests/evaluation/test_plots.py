import re
import xml.etree.ElementTree as ElementTree

import pytest

from nlp_lstm.evaluation import plots


def draw(kind, title="Plot"):
    if kind == "line":
        curve = [(step, 1 / step) for step in range(1, 50)]
        options = {"x_label": "step", "y_label": "loss", "second": {"score": curve[:3]}, "second_label": "score"}
        return plots.line_plot({"training": curve, "development": curve[::7]}, title=title, **options)
    if kind == "log":
        return plots.line_plot(
            {"a": [(1, 10), (1000, 1e5)]}, title=title, x_label="x", y_label="y", log_x=True, log_y=True
        )
    if kind == "confusion":
        return plots.confusion_plot(["NOUN", "$", "<script>"], [[90, 10, 0], [3, 5, 0], [0, 0, 0]], title=title)
    if kind == "bar":
        return plots.bar_plot(["1–5", "6+"], [0.9, 0.8], counts=[10, 2000], title=title, y_label="accuracy", limit=1)
    if kind == "names":
        return plots.bar_plot(["a $x$ name", "動詞"], [3, 0], title=title, y_label="count")
    if kind == "attention":
        weights = [[0.9, 0.1, 0.0], [0.005, 0.2, 0.795]]
        return plots.attention_plot(["<b>", "&amp;", "▁it's"], ["मैं", "हूँ।"], weights, title=title)
    bins = {"edges": [(0.4, 0.6), (0.8, 1)], "confidences": [0.55, 0.93], "accuracies": [0.5, 1], "counts": [4, 12]}
    return plots.reliability_plot(**bins, title=title)


KINDS = ["line", "log", "confusion", "bar", "names", "attention", "reliability"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_plot_is_one_safe_svg_element(kind):
    svg = draw(kind, title='Title with "quotes" & <b>')
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label", "").startswith('Title with "quotes" & <b>')
    assert not re.search(r"<script|<style|<metadata|<!--|<image", svg)
    links = re.findall(r'(?:href="|url\()([^")]+)', svg)
    assert all(link.startswith("#") for link in links)


@pytest.mark.parametrize("kind", KINDS)
def test_references_stay_inside_the_plot_and_ids_outside_the_others(kind):
    svg, other = draw(kind), draw(kind, title="Another")
    ids = re.findall(r'\sid="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg)) <= set(ids)
    assert not set(ids) & set(re.findall(r'\sid="([^"]+)"', other))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_numbers_give_the_same_bytes(kind):
    assert draw(kind) == draw(kind)


def test_text_stays_text_and_is_never_read_as_mathematics():
    assert ">a $x$ name<" in draw("names")
    assert ">$<" in draw("confusion")
    assert ">&lt;script&gt;<" in draw("confusion")
    assert ">動詞<" in draw("names")


def test_small_matrices_show_counts_and_large_ones_merge_rare_labels():
    assert ">90<" in draw("confusion")
    size = 60
    matrix = [[size - row if row == column else 1 for column in range(size)] for row in range(size)]
    svg = plots.confusion_plot([f"L{row}" for row in range(size)], matrix, title="Many")
    assert ">L38<" in svg
    assert ">L39<" not in svg
    assert ">other (21)<" in svg


def test_bars_carry_values_and_counts():
    svg = draw("bar")
    assert ">0.9<" in svg
    assert "n = 2,000" in svg


def test_reliability_diagrams_say_their_points_in_words():
    assert "in 2 bins: 0.55 0.50, 0.93 1.00" in draw("reliability")


def test_logarithmic_axes_write_plain_numbers():
    assert ">100k<" in draw("log")


def test_settings_of_matplotlib_are_left_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw("line")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("points", [[], [(1, 2)], [(1, float("nan")), (2, 1)]])
def test_short_and_broken_series_are_drawn(points):
    assert plots.line_plot({"loss": points}, title="Short", x_label="step", y_label="loss").startswith("<svg")


def test_a_heat_map_shows_tokens_and_names_where_each_output_token_looked():
    svg = draw("attention")
    for text in (">&lt;b&gt;<", ">&amp;amp;<", ">मैं<", ">हूँ।<"):
        assert text in svg
    assert "मैं ← &lt;b&gt;, हूँ। ← ▁it&#x27;s" in svg
    assert svg.count("stroke: #ffffff") == 4  # weights under 0.02 are not drawn


@pytest.mark.parametrize(("source", "output"), [([], []), (["a"], []), ([], ["a"]), (["x\n\x0b\t"], ["w" * 500])])
def test_odd_tokens_and_empty_sides_can_be_drawn(source, output):
    svg = plots.attention_plot(source, output, [[1.0] * len(source)] * len(output), title="Odd")
    ElementTree.fromstring(svg)
    assert "w" * 20 not in svg


def test_a_large_heat_map_stays_small():
    tokens = [f"token{number}" for number in range(30)]
    rest = 0.001
    weights = [[1 - 29 * rest if row == column else rest for column in range(30)] for row in range(30)]
    assert len(plots.attention_plot(tokens, tokens, weights, title="Large")) < 40_000

import pytest

from nlp_lstm.data.reading import ReadingSettings
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.settings import parse_settings

DEGREES = ReadingSettings(text=2, label=1, labels={"0": "bad", "1": "so so", "2": "good", "3": None})


def test_a_label_without_names_stands_for_itself():
    assert ReadingSettings().meaning("4 stars", "a:1") == "4 stars"


def test_a_label_has_its_name_its_shares_or_no_meaning():
    reading = ReadingSettings(labels={"1": "bad", "3": {"bad": 0.5, "good": 0.5}, "?": None})
    assert reading.meaning("1", "a:1") == "bad"
    assert reading.meaning("3", "a:1") == {"bad": 0.5, "good": 0.5}
    assert reading.meaning("?", "a:1") is None
    assert reading.meaning("good", "a:1") == "good"  # a name that a label stands for is a label too


def test_a_label_that_nothing_is_said_of_is_named_with_its_line():
    with pytest.raises(DataError, match=r"a\.tsv:7: the label is 'goood'; known labels: 0, 1, 2, 3, bad, good, so so"):
        DEGREES.meaning("goood", "a.tsv:7")


def test_two_namings_follow_each_other():
    recipe = ReadingSettings(
        text="review", labels={"bad": "NEGATIVE", "so so": {"NEGATIVE": 0.5, "good": 0.5}, "good": None}, phrases=False
    )
    both = DEGREES.then(recipe, "stars")
    assert (both.text, both.label, both.phrases) == (2, 1, False)
    assert both.labels == {"0": "NEGATIVE", "1": {"NEGATIVE": 0.5, "good": 0.5}, "2": None, "3": None}
    assert DEGREES.then(ReadingSettings(), "stars").labels == DEGREES.labels
    assert ReadingSettings().then(recipe, "stars").labels == recipe.labels


def test_shares_are_mixed_by_a_second_naming():
    rated = ReadingSettings(labels={"x": {"a": 0.25, "b": 0.75}, "y": {"a": 0.5, "c": 0.5}})
    recipe = ReadingSettings(labels={"a": "A", "b": {"A": 0.2, "B": 0.8}, "c": None})
    assert rated.then(recipe, "rated").labels == {"x": pytest.approx({"A": 0.4, "B": 0.6}), "y": None}


def test_a_second_naming_has_to_say_something_of_every_label():
    with pytest.raises(DataError, match=r"stars: the label is 'so so'; known labels: bad, good, NEGATIVE, POSITIVE"):
        DEGREES.then(ReadingSettings(labels={"bad": "NEGATIVE", "good": "POSITIVE"}), "stars")


def test_numbers_are_labels_as_yaml_has_them():
    assert parse_settings(ReadingSettings, {"labels": {0: "bad", 1: "good"}}, "r").labels == {"0": "bad", "1": "good"}


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"text": 0}, r"text is 0: .*columns count from 1"),
        ({"labels": {"3": {"bad": 0.5, "good": 0.6}}}, r'the shares of "3" are .*sum to 1'),
        ({"labels": {"3": {"bad": -0.5, "good": 1.5}}}, r'the shares of "3" are .*sum to 1'),
        ({"labels": {"3": {"bad": float("nan"), "good": 0.5}}}, r'the shares of "3" are .*sum to 1'),
        ({"labels": {True: "good"}}, "labels"),
        ({"labels": "good"}, "labels"),
        ({"lable": 1}, 'Did you mean "label"'),
    ],
)
def test_settings_that_make_no_sense_are_refused(values, fault):
    with pytest.raises(ConfigError, match=fault):
        parse_settings(ReadingSettings, values, "recipe")

from typing import Literal

import pytest
from pydantic import Field

from nlp_lstm.errors import CheckpointError, ConfigError
from nlp_lstm.settings import Settings, apply_overrides, dotted, parse_settings


class Inner(Settings):
    """Of the example."""

    rate: float = Field(0.5, ge=0, lt=1)
    kind: Literal["gru", "lstm"] = "lstm"


class Outer(Settings):
    """An example."""

    hidden: int = 8
    inner: Inner = Inner()
    maybe: Inner | None = None


def test_known_values_are_taken():
    parsed = parse_settings(Outer, {"hidden": 3, "inner": {"rate": 0.25}}, "here")
    assert parsed == Outer(hidden=3, inner=Inner(rate=0.25))


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Outer().hidden = 4


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hiden": 3}, r'unknown key "hiden"; known keys: hidden, inner, maybe\. Did you mean "hidden"\?'),
        ({"inner": {"rat": 1}}, r'unknown key "inner\.rat"; known keys: kind, rate\. Did you mean "rate"\?'),
        ({"maybe": {"knd": 1}}, r'unknown key "maybe\.knd"; known keys: kind, rate\. Did you mean "kind"\?'),
        ({"hidden": "many"}, "hidden is 'many': input should be a valid integer"),
        ({"inner": {"rate": 1.5}}, r"inner\.rate is 1\.5: input should be less than 1"),
        ({"inner": {"kind": "ltsm"}}, r"inner\.kind is 'ltsm': input should be 'gru' or 'lstm'"),
        ({"inner": 3}, "inner is 3: "),
    ],
)
def test_a_fault_is_told_with_its_place_and_value(values, message):
    with pytest.raises(ConfigError, match=rf"^here: {message}"):
        parse_settings(Outer, values, "here")


def test_all_faults_are_reported_together():
    values = {"hidden": "many", "inner": {"rate": -1, "knd": "gru"}, "extra": 1}
    with pytest.raises(ConfigError) as caught:
        parse_settings(Outer, values, "recipe.yaml")
    message = str(caught.value)
    assert message.startswith("recipe.yaml: ")
    for part in ("hidden is 'many'", "inner.rate is -1", 'unknown key "inner.knd"', 'unknown key "extra"'):
        assert part in message
    assert "\n" not in message


def test_the_kind_of_error_can_be_chosen():
    with pytest.raises(CheckpointError):
        parse_settings(Outer, {"hiden": 1}, "config.json", error_type=CheckpointError)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("hidden=256", {"hidden": 256}),
        ("hidden = 256", {"hidden": 256}),
        ("inner.rate=0.3", {"inner": {"rate": 0.3}}),
        ("maybe=null", {"maybe": None}),
        ("on=true", {"on": True}),
        ("data=[a, b]", {"data": ["a", "b"]}),
        ("name=a=b", {"name": "a=b"}),
        ("name=", {"name": None}),
        ("a.b.c=1", {"a": {"b": {"c": 1}}}),
    ],
)
def test_an_override_says_what_yaml_says(override, expected):
    assert apply_overrides({}, [override]) == expected


def test_overrides_leave_the_given_values_alone():
    values = {"inner": {"rate": 0.1, "kind": "gru"}}
    assert apply_overrides(values, ["inner.rate=0.2", "inner.kind=lstm"]) == {"inner": {"rate": 0.2, "kind": "lstm"}}
    assert values == {"inner": {"rate": 0.1, "kind": "gru"}}


@pytest.mark.parametrize("override", ["hidden", "=3", ".=3", "a..b=3", "", "a.=1"])
def test_an_override_of_another_form_is_refused(override):
    with pytest.raises(ConfigError, match=r"is not of the form section\.key=value"):
        apply_overrides({}, [override])


def test_an_override_that_is_no_yaml_is_refused():
    with pytest.raises(ConfigError, match="not valid YAML"):
        apply_overrides({}, ["data=[a, b"])


def test_an_override_cannot_go_through_a_single_value():
    with pytest.raises(ConfigError, match='"hidden" is a single value'):
        apply_overrides({"hidden": 3}, ["hidden.size=3"])


def test_nested_changes_leave_what_they_do_not_name():
    changes = dotted({"hidden": 4, "inner": {"rate": 0.2, "empty": {}}, "maybe.kind": "gru"})
    assert changes == {"hidden": 4, "inner.rate": 0.2, "maybe.kind": "gru"}
    values = {"hidden": 3, "inner": {"rate": 0.1, "kind": "gru"}}
    assert apply_overrides(values, changes)["inner"] == {"rate": 0.2, "kind": "gru"}

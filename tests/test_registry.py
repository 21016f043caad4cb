import pytest

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.settings import cells
from nlp_lstm.registry import Registry
from nlp_lstm.tasks import tasks


@pytest.fixture
def parts() -> Registry[type]:
    registry: Registry[type] = Registry("part")
    registry.register("second")(int)
    registry.register("first")(str)
    return registry


def test_a_part_is_found_by_its_name(parts):
    assert parts.get("first") is str
    assert "first" in parts
    assert "third" not in parts
    assert list(parts) == ["first", "second"]


def test_registering_gives_the_part_back(parts):
    assert parts.register("third")(float) is float


def test_an_unknown_name_lists_the_known_ones_and_the_nearest(parts):
    with pytest.raises(ConfigError, match=r'unknown part "frist"; known parts: first, second\. Did you mean "first"\?'):
        parts.get("frist")


def test_a_name_is_taken_once(parts):
    with pytest.raises(ConfigError, match='part "first" is registered twice'):
        parts.register("first")(float)


@pytest.mark.parametrize(("registry", "name", "nearest"), [(cells, "ltsm", "lstm"), (tasks, "poss", "pos")])
def test_cells_and_tasks_name_the_nearest(registry, name, nearest):
    with pytest.raises(ConfigError, match=f'Did you mean "{nearest}"'):
        registry.get(name)

from pathlib import Path

import pytest

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn import pooling
from nlp_lstm.nn.cells import native
from nlp_lstm.nn.settings import CELL_FILES, POOLING_NAMES, cells, poolings
from nlp_lstm.registry import Registry
from nlp_lstm.tasks import predictors, tasks


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


def test_parts_with_a_home_are_known_before_they_are_imported_and_then_found():
    shared = {"__init__", "base", "gated", "native", "product", "scan"}
    assert set(CELL_FILES.values()) == {path.stem for path in Path(native.__file__).parent.glob("*.py")} - shared
    there = {part for part in vars(pooling).values() if isinstance(part, type) and issubclass(part, pooling.Pooling)}
    assert {poolings.get(name) for name in POOLING_NAMES} == there - {pooling.Pooling}
    for registry in (cells, poolings, predictors, tasks):
        for name in registry:
            assert name in registry
            assert registry.get(name)
    for name in predictors:
        assert issubclass(tasks.get(name), predictors.get(name))
        assert tasks.get(name).name == predictors.get(name).name == name


def test_a_home_that_does_not_register_its_part_is_a_fault_of_ours():
    registry: Registry[type] = Registry("part", {"lost": "json"})
    assert list(registry) == ["lost"]
    with pytest.raises(KeyError):
        registry.get("lost")

"""What the driver of a Ray cluster does, with a stand-in for Ray that needs no cluster; see test_on_ray for Ray."""

import pickle
import shutil
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from samples import bundled_model

from nlp_lstm.bulk import annotate, on_ray
from nlp_lstm.errors import DataError


class TaskError(Exception):
    """Ray's error of a task."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class StandIn(types.ModuleType):
    """Runs tasks in this process, the last one first; all that travels is pickled, as between machines."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.exceptions = types.SimpleNamespace(RayTaskError=TaskError)
        self.stored: list[bytes] = []
        self.most_waiting = 0

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def put(self, value: object) -> int:
        self.stored.append(pickle.dumps(value))
        return len(self.stored) - 1

    def remote(self, **settings: object):
        assert settings == {"num_cpus": 1, "max_retries": -1}
        return lambda work: types.SimpleNamespace(remote=lambda *given: pickle.dumps((work, given)))

    def wait(self, references: list, num_returns: int) -> tuple[list, list]:
        self.most_waiting = max(self.most_waiting, len(references))
        return references[-1:], references[:-1]

    def get(self, reference: bytes) -> object:
        work, (plan, files, block) = pickle.loads(reference)
        try:
            return pickle.loads(pickle.dumps(work(plan, pickle.loads(self.stored[files]), block)))
        except DataError as error:
            raise TaskError(error) from error

    def cancel(self, reference: bytes, force: bool) -> None:
        assert force


@pytest.fixture
def ray(monkeypatch) -> Iterator[StandIn]:
    stand_in = StandIn()
    monkeypatch.setitem(sys.modules, "ray", stand_in)
    yield stand_in
    on_ray.close_models()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_shards_and_manifest_are_those_of_this_machine(ray, tmp_path):
    model = Path(shutil.copytree(bundled_model("sentiment-en"), tmp_path / "mine"))
    path = tmp_path / "in.txt"
    path.write_text("".join(f"Film {number}.\n" for number in range(45)), encoding="utf-8")
    given = {"model": model, "form": "jsonl", "shard_rows": 4}
    annotate(path, tmp_path / "local", workers=1, **given)
    annotate(path, tmp_path / "ray", engine="ray", **given)
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")
    assert ray.most_waiting == 4
    [(_, place)] = on_ray._opened.values()
    assert (Path(place.name) / "0" / "mine" / "config.json").is_file()  # a copy that travelled


def test_an_error_is_that_of_this_machine(ray, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "Good."}\n{\n', encoding="utf-8")
    model = bundled_model("sentiment-en")
    with pytest.raises(DataError, match=r"in\.jsonl:2: '{' is not JSON"):
        annotate(path, tmp_path / "out", model=model, engine="ray", shard_rows=1, text="text")

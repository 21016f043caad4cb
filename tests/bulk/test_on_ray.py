"""Annotating on a Ray cluster of two nodes, one of which is killed midway."""

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from samples import bundled_model, corpus_file

import nlp_lstm
from nlp_lstm.bulk import annotate
from nlp_lstm.data.readers import read_conllu
from nlp_lstm.errors import DataError

pytestmark = [pytest.mark.distributed, pytest.mark.slow, pytest.mark.filterwarnings("default")]  # Ray's own

PATIENCE = {  # on a busy machine
    "raylet_start_wait_time_s": "60",
    "worker_register_timeout_seconds": "300",
    "health_check_initial_delay_ms": "60000",
    "health_check_timeout_ms": "60000",
}

NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes of one core each, as processes of this machine; the driver is on the first one."""
    package, tests = Path(nlp_lstm.__file__).parent.parent, Path(__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package), str(tests), *filter(None, sys.path)]))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    for name, value in PATIENCE.items():
        monkeypatch.setenv(f"RAY_{name}", value)
    ray = pytest.importorskip("ray")
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    head = {**NODE, "include_dashboard": False}
    cluster = start_node(
        lambda: cluster_utils.Cluster(initialize_head=True, connect=True, head_node_args={**head, **free_ports()})
    )
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def free_ports() -> dict[str, int]:
    """Ports for a node; those of its parts that are given Ray need not wait for, which it does for 15 seconds only."""
    ports = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    with contextlib.ExitStack() as held:
        sockets = {name: held.enter_context(socket.socket()) for name in ports}
        for one in sockets.values():
            one.bind(("127.0.0.1", 0))
        chosen = {name: one.getsockname()[1] for name, one in sockets.items()}
    return chosen


def start_node(start: Callable[[], Any]) -> Any:
    """Start a node, on a busy machine at the third try."""
    for _ in range(2):
        with contextlib.suppress(Exception):  # Ray has no other name for it
            return start()
    return start()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_node_is_killed_and_the_bytes_are_those_of_one_process(cluster, tmp_path):
    import ray

    model = bundled_model("pos-en")
    examples = read_conllu(corpus_file("ud-english-ewt/*-test.conllu*"))
    path = tmp_path / "in.jsonl"
    lines = [json.dumps({"id": number, "text": one.document.text}) for number, one in enumerate(examples[:1_200])]
    path.write_text("\n".join(lines), encoding="utf-8")
    given = {"model": model, "shard_rows": 40}
    node = start_node(lambda: cluster.add_node(**NODE, **free_ports()))
    cluster.wait_for_nodes()
    killed_at: list[int] = []

    def watch() -> None:
        """Kill the second node when both are at work and some shards are there."""
        while not killed_at:
            num_shards = len(list((tmp_path / "ray").glob("shard-*")))
            if num_shards >= 4 and not ray.available_resources().get("CPU"):
                cluster.remove_node(node, allow_graceful=False)
                killed_at.append(num_shards)
            time.sleep(0.2)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    summary = annotate(path, tmp_path / "ray", engine="ray", **given)
    assert killed_at
    assert 4 <= killed_at[0] < 30
    end = time.monotonic() + 240  # Ray asks a node's health seldom
    while sum(one["Alive"] for one in ray.nodes()) > 1 and time.monotonic() < end:
        time.sleep(1)
    assert sum(one["Alive"] for one in ray.nodes()) == 1
    assert summary.rows == 1_200
    annotate(path, tmp_path / "local", workers=1, **given)
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


def test_what_is_wrong_with_a_row_is_said_as_by_one_process(cluster, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "Good."}\n{\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"in\.jsonl:2: '{' is not JSON"):
        annotate(path, tmp_path / "out", model=bundled_model("sentiment-en"), engine="ray", shard_rows=1, text="text")

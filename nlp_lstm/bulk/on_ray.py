"""Workers on a Ray cluster: the same work as the processes of one machine do, in tasks that any node may run.

The driver reads and writes; blocks, the model and shards travel through Ray, so that nodes need no common file system.
A task that is lost with its node runs again on another one, and since a shard depends on its block alone, with the
same result.
"""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

from nlp_lstm.artifacts import CONFIG_NAME, read_config
from nlp_lstm.bulk.annotator import Annotator, Plan, Shard, one_thread
from nlp_lstm.bulk.blocks import Block
from nlp_lstm.bulk.processes import Done, Numbered
from nlp_lstm.errors import ConfigError

WAITING_BLOCKS = 2  # sent ahead for each core, so that none waits for the driver

ModelFiles = tuple[Mapping[str, bytes], ...]
"""The files of each model folder, by name."""


def annotate_on_ray(plan: Plan, blocks: Iterator[Numbered]) -> Generator[Done, None, None]:
    """Yield the shards of blocks as they become ready, annotated by the cluster that RAY_ADDRESS names.

    Where Ray runs in this process already that is used; where RAY_ADDRESS is not set, Ray is started on this machine.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at that address.
        DataError: a row is broken.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            f'engine "ray" needs Ray ({error}); pip install "nlp-lstm[distributed]", or leave out --engine'
        ) from error

    is_own = not ray.is_initialized()
    if is_own:
        try:
            ray.init(logging_level=logging.ERROR, log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ConfigError(f"Ray cannot be reached or started ({error}); is RAY_ADDRESS right?") from error
    work = ray.remote(num_cpus=1, max_retries=-1)(_annotate)
    pending: dict[Any, int] = {}
    try:
        files = ray.put(tuple(map(_read_files, plan.models)))
        upcoming = next(blocks, None)
        while upcoming is not None or pending:
            most = WAITING_BLOCKS * max(1, int(ray.cluster_resources().get("CPU", 1)))  # nodes come and go
            while upcoming is not None and len(pending) < most:
                index, block = upcoming
                pending[work.remote(plan, files, block)] = index
                upcoming = next(blocks, None)
            ready, _ = ray.wait(list(pending), num_returns=1)
            for reference in ready:
                try:
                    shard = ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from None
                yield pending.pop(reference), shard
    finally:
        for reference in pending:
            ray.cancel(reference, force=True)
        if is_own:
            ray.shutdown()


def _read_files(folder: Path) -> Mapping[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (CONFIG_NAME, *read_config(folder).files)}


def _annotate(plan: Plan, files: ModelFiles, block: Block) -> Shard:
    with one_thread():
        return _open(plan, files).annotate(block)


_opened: dict[str, tuple[Annotator, tempfile.TemporaryDirectory[str]]] = {}


def _open(plan: Plan, files: ModelFiles) -> Annotator:
    """Return the annotator of a plan, with the model in a folder of this process, which keeps the last one."""
    key = repr(plan)
    if key not in _opened:
        close_models()
        place = tempfile.TemporaryDirectory(prefix="nlp-lstm-")
        folders = tuple(Path(place.name) / str(number) / folder.name for number, folder in enumerate(plan.models))
        for folder, contents in zip(folders, files, strict=True):
            folder.mkdir(parents=True)
            for name, content in contents.items():
                (folder / name).write_bytes(content)
        _opened[key] = Annotator.open(dataclasses.replace(plan, models=folders)), place
    return _opened[key][0]


def close_models() -> None:
    """Forget the model that this process keeps."""
    for _, place in _opened.values():
        place.cleanup()
    _opened.clear()

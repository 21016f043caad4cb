"""Workers of this machine: processes of one thread each, that annotate what they are sent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Generator, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, TypeAlias

from nlp_lstm.bulk.annotator import Annotator, Plan, Shard, one_thread
from nlp_lstm.bulk.blocks import Block
from nlp_lstm.errors import ConfigError, NlpLstmError

Numbered: TypeAlias = tuple[int, Block]
"""The number of a block, and the block."""

Done: TypeAlias = tuple[int, Shard]
"""The number of a block, and its shard."""

SECONDS_TO_STOP = 5.0


def annotate_here(annotator: Annotator, blocks: Iterator[Numbered]) -> Generator[Done, None, None]:
    """Yield the shards of blocks, annotated in this process.

    Raises:
        DataError: a row is broken.
    """
    for index, block in blocks:
        with one_thread():
            shard = annotator.annotate(block)
        yield index, shard


def annotate_in_processes(plan: Plan, blocks: Iterator[Numbered], num_workers: int) -> Generator[Done, None, None]:
    """Yield the shards of blocks as they become ready, annotated by processes that end with the iterator.

    No more blocks are read than workers take.

    Raises:
        DataError: a row is broken.
        ConfigError: a worker was killed.
    """
    workers: list[_Worker] = []
    finished: list[Done] = []
    upcoming = next(blocks, None)
    try:
        while True:
            while upcoming is not None:
                free = next((worker for worker in workers if not worker.is_busy), None)
                if free is None and len(workers) == num_workers:
                    break
                if free is None:
                    workers.append(free := _Worker(plan))
                free.give(upcoming)
                upcoming = next(blocks, None)
            yield from finished
            busy = {worker.connection: worker for worker in workers if worker.is_busy}
            if not busy:
                return
            finished = [busy[ready].take() for ready in wait(list(busy))]  # type: ignore[index]
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.stop()


class _Worker:
    """A process with the plan's model, and the end of the pipe to it.

    Args:
        plan: what it does.
    """

    def __init__(self, plan: Plan) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, plan), daemon=True)
        self.is_busy = False
        is_main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_main else None  # Ctrl-C is for the main process
        try:
            self.process.start()
        finally:
            if is_main:
                signal.signal(signal.SIGINT, before)
        theirs.close()  # so that the pipe ends with the process

    def give(self, numbered: Numbered) -> None:
        self.is_busy = True
        try:
            self.connection.send(numbered)
        except OSError as error:
            raise self._killed() from error

    def take(self) -> Done:
        """Return what the worker has made of the last block.

        Raises:
            ConfigError: it was killed.
            Exception: what went wrong there.
        """
        try:
            answer: Any = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._killed() from error
        self.is_busy = False
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _killed(self) -> ConfigError:
        self.process.join(SECONDS_TO_STOP)
        return ConfigError(
            f"a worker process ended by itself (exit code {self.process.exitcode}; -9 often means that there was not "
            "enough memory); go on with --resume, and fewer --workers if need be"
        )

    def stop(self) -> None:
        self.process.join(SECONDS_TO_STOP)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


def _work(connection: Connection, plan: Plan) -> None:
    """Annotate blocks until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with one_thread():
        annotator: Annotator | None = None
        while True:
            try:
                index, block = connection.recv()
            except (EOFError, OSError):
                return
            try:
                annotator = annotator or Annotator.open(plan)
                answer: Any = (index, annotator.annotate(block))
            except (NlpLstmError, OSError, MemoryError) as error:
                answer = error
            except Exception:  # noqa: BLE001  (a fault of ours; its trace would stay in this process)
                answer = RuntimeError(traceback.format_exc())
            try:
                connection.send(answer)
            except OSError:
                return


def _end_with_parent() -> None:
    """End this process at once when the main one has ended, even by kill -9."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def count_cores() -> int:
    """Return on how many cores this process may run."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

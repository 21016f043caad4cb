"""Joining what several clients ask into batches.

    submit ──> waiting, in order of arrival ──> batch of one key ──> a thread ──> each answer to who asked

One batch is computed at a time. While it is, requests gather; when nothing is being computed, the first waits for
others for some milliseconds. A batch takes the oldest item and, of those behind it, all of the same key that fit.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from nlp_lstm.serving.limits import ServingLimits

Item = TypeVar("Item")
Answer = TypeVar("Answer")

LONGEST_RETRY = 60  # seconds
_SHARE_OF_LAST = 0.2  # in the running mean of how long a unit of weight takes


class QueueFullError(Exception):
    """More waits than may.

    Args:
        retry_after: whole seconds, from 1, in which what waits now should be done.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__("too much is waiting")
        self.retry_after = retry_after


class DeadlineError(Exception):
    """A request was not answered in time. What had not begun of it is not computed."""


class ClosedError(Exception):
    """The batcher takes nothing more."""


@dataclass(eq=False, slots=True)
class _Request:
    """Items that were asked together."""

    future: asyncio.Future[list[Any]]
    answers: list[Any]
    num_missing: int
    items: list[_Waiting] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


@dataclass(eq=False, slots=True)
class _Waiting:
    """One item that has not begun."""

    value: Any
    weight: int
    key: Hashable
    request: _Request
    place: int
    arrived: float


class Batcher(Generic[Item, Answer]):
    """Computes items in batches. All its methods are called on the event loop.

    Args:
        compute: gives one answer per item of one key, in order; called in ``executor``. What it raises, every request
            of the batch gets.
        executor: where batches are computed.
        limits: how much waits and is joined, and for how long.
        on_batch: told the number of items of each batch and the seconds that it took.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Item], Any], Sequence[Answer]],
        *,
        executor: Executor,
        limits: ServingLimits,
        on_batch: Callable[[int, float], None] = lambda size, seconds: None,
    ) -> None:
        self._compute = compute
        self._executor = executor
        self._limits = limits
        self._on_batch = on_batch
        self._waiting: OrderedDict[_Waiting, None] = OrderedDict()
        self._weight = 0
        self._is_busy = False
        self._is_closed = False
        self._window: asyncio.TimerHandle | None = None
        self._idle: asyncio.Event | None = None
        self._seconds_per_weight = 0.0

    @property
    def weight(self) -> int:
        """Weight of what waits."""
        return self._weight

    @property
    def num_waiting(self) -> int:
        """How many items wait."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether nothing more may wait."""
        return self._weight >= self._limits.max_waiting

    @property
    def retry_after(self) -> int:
        """Whole seconds, from 1, in which what waits now should be done."""
        return min(LONGEST_RETRY, 1 + int(self._weight * self._seconds_per_weight))

    async def submit(
        self, items: Sequence[Item], weights: Sequence[int], *, key: Hashable, deadline: float
    ) -> list[Answer]:
        """Return the answer to each item.

        Args:
            items: what is asked.
            weights: of each item.
            key: only items of equal keys share a batch.
            deadline: time of the event loop's clock.

        Raises:
            QueueFullError: more waits than may.
            DeadlineError: the time came before all answers.
            ClosedError: the batcher is closed.
        """
        if self._is_closed:
            raise ClosedError("the server is stopping")
        total = sum(weights)
        if self.is_full:
            raise QueueFullError(self.retry_after)
        if not items:
            return []
        loop = asyncio.get_running_loop()
        request = _Request(future=loop.create_future(), answers=[None] * len(items), num_missing=len(items))
        now = loop.time()
        for place, (item, weight) in enumerate(zip(items, weights, strict=True)):
            waiting = _Waiting(value=item, weight=weight, key=key, request=request, place=place, arrived=now)
            request.items.append(waiting)
            self._waiting[waiting] = None
        self._weight += total
        request.timer = loop.call_at(deadline, self._expire, request)
        self._begin_batch()
        try:
            return await request.future
        finally:
            request.timer.cancel()
            self._drop(request)  # nothing is left of it, unless it expired or was cancelled

    async def close(self) -> None:
        """Take nothing more, and return when all that was taken is answered."""
        self._is_closed = True
        self._begin_batch()  # nobody comes to join
        if self._is_busy or self._waiting:
            self._idle = asyncio.Event()
            await self._idle.wait()

    def _expire(self, request: _Request) -> None:
        if not request.future.done():
            request.future.set_exception(DeadlineError("no answer in time"))
        self._drop(request)

    def _drop(self, request: _Request) -> None:
        """Forget the items of a request that have not begun."""
        for item in request.items:
            if item in self._waiting:
                del self._waiting[item]
                self._weight -= item.weight
        request.items.clear()
        self._tell_idle()

    def _tell_idle(self) -> None:
        if self._idle is not None and not self._is_busy and not self._waiting:
            self._idle.set()

    def _begin_batch(self) -> None:
        """Begin a batch, unless one is being computed or the first item still waits for company."""
        if self._is_busy or not self._waiting:
            return
        loop = asyncio.get_running_loop()
        first = next(iter(self._waiting))
        if self._limits.joining and self._weight < self._limits.max_batch and not self._is_closed:
            due = first.arrived + self._limits.window
            if loop.time() < due:
                if self._window is None:
                    self._window = loop.call_at(due, self._end_window)
                return
        batch = self._take(first)
        self._is_busy = True
        began = loop.time()
        computed = loop.run_in_executor(self._executor, self._compute, [item.value for item in batch], first.key)
        computed.add_done_callback(lambda done: self._end_batch(batch, done, began))

    def _end_window(self) -> None:
        self._window = None
        self._begin_batch()

    def _take(self, first: _Waiting) -> list[_Waiting]:
        """Take the items of the next batch out of what waits."""
        batch: list[_Waiting] = []
        weight = 0
        for item in self._waiting:
            if weight >= self._limits.max_batch:
                break
            is_allowed = self._limits.joining or item.request is first.request
            if is_allowed and item.key == first.key and (not batch or weight + item.weight <= self._limits.max_batch):
                batch.append(item)
                weight += item.weight
        for item in batch:
            del self._waiting[item]
        self._weight -= weight
        return batch

    def _end_batch(self, batch: list[_Waiting], done: asyncio.Future[Sequence[Answer]], began: float) -> None:
        seconds = asyncio.get_running_loop().time() - began
        per_weight = seconds / sum(item.weight for item in batch)
        self._seconds_per_weight += _SHARE_OF_LAST * (per_weight - self._seconds_per_weight)
        self._is_busy = False
        self._on_batch(len(batch), seconds)
        error = done.exception()
        answers: Sequence[Any] = [None] * len(batch) if error else done.result()
        for item, answer in zip(batch, answers, strict=True):
            request = item.request
            if request.future.done():  # expired, or who asked went away
                continue
            if error:
                request.future.set_exception(error)
                continue
            request.answers[item.place] = answer
            request.num_missing -= 1
            if not request.num_missing:
                request.future.set_result(request.answers)
        self._begin_batch()
        self._tell_idle()

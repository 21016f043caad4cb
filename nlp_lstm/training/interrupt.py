"""Ctrl-C between two steps, never in the middle of one."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from nlp_lstm.training.processes import is_one_of_several


class InterruptFlag:
    """Turns the first Ctrl-C into a flag while it is entered; a second one interrupts at once.

    Of several processes that train together none does that: their launcher passes the signal on once more. Outside
    the main thread, where Python takes no signal handlers, it does nothing.
    """

    def __init__(self) -> None:
        self.is_set = False
        self._previous: Any = None

    def __enter__(self) -> InterruptFlag:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_set and not is_one_of_several():
            raise KeyboardInterrupt
        self.is_set = True

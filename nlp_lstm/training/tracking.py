"""What training shows and records: a progress line, a log file and TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


class Tracker:
    """Follows one training run.

    Args:
        folder: where ``training.log`` and the TensorBoard events go.
        total_tokens: tokens until the end, for the time left.
        description: in front of the progress bar.
        console: where to print; None prints nothing.
        done_tokens: tokens that an earlier, interrupted part of the run has done.
    """

    def __init__(
        self, folder: Path, total_tokens: int, *, description: str, console: Console | None, done_tokens: int = 0
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self._console = console or Console(quiet=True)
        self._log = (folder / "training.log").open("a", encoding="utf-8", newline="\n")
        self._events = SummaryWriter(str(folder / "tensorboard"))
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=console is None or not console.is_terminal,
        )
        self._task = self._progress.add_task(description, total=total_tokens, completed=done_tokens, facts="")

    def __enter__(self) -> Tracker:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        self._events.close()
        self._log.close()

    def advance(self, tokens: int, facts: str) -> None:
        """Move the bar to ``tokens`` and show ``facts`` beside it."""
        self._progress.update(self._task, completed=tokens, facts=facts)

    def record(self, step: int, values: Mapping[str, Any]) -> None:
        """Write values to TensorBoard."""
        for name, value in values.items():
            if name != "step" and isinstance(value, (int, float)):
                self._events.add_scalar(name, value, step)

    def say(self, line: str) -> None:
        """Print a line and write it to the log."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
        self._log.write(line + "\n")
        self._log.flush()

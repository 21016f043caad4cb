"""The command line's entry point: how a command ends, in one line and with an exit code.

0: done, or who read the output went away. 2: wrong usage, or an error of ours. 130: Ctrl-C.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any, NoReturn

import typer
from typer.main import get_command

from nlp_lstm.errors import NlpLstmError

_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""click's; newer versions of typer have a copy of click inside, older ones import it."""


def main() -> NoReturn:
    """Run the command line.

    The command is made and invoked here because typer's own ``main``, also outside of its standalone mode, ends the
    process by itself when a pipe breaks.
    """
    warnings.showwarning = _warn
    try:
        from nlp_lstm.cli import app

        command = get_command(app)
        with command.make_context("nlp-lstm", sys.argv[1:]) as context:
            command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except _UsageError as error:
        _complain_usage(error)
    except NlpLstmError as error:
        _complain(f"{type(error).__name__}: {error}")
    except BrokenPipeError:  # as in `nlp-lstm predict … | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it flushes at exit
    except SystemExit as stop:  # rich ends the process with 1 when a pipe breaks
        sys.exit(0 if isinstance(stop.__context__, BrokenPipeError) else stop.code)
    except OSError as error:  # a place that cannot be written to, a full disk
        _complain(f"{error.filename or 'system'}: {error.strerror or error}")
    sys.exit(0)


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning without the place in the code that gave it."""
    print(f"warning: {message}", file=sys.stderr)  # noqa: T201


def _complain_usage(error: Any) -> NoReturn:
    message = error.format_message()
    if not message:  # no arguments at all: typer has shown the help already
        sys.exit(2)
    place = error.ctx.command_path if error.ctx else "nlp-lstm"
    _complain(f"{place}: {message.rstrip('.')}; see {place} --help")


def _complain(message: str) -> NoReturn:
    """Print a message as one line, without characters that would steer a terminal, and end."""
    line = "".join(character for character in " ".join(message.split()) if character.isprintable())
    print(line, file=sys.stderr)  # noqa: T201
    try:
        sys.stdout.flush()
    except OSError:  # a full disk: Python would say so a second time when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(2)


if __name__ == "__main__":
    main()

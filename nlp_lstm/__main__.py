"""The command line's entry point: errors of ours become one line and exit code 2."""

from __future__ import annotations

import sys
from typing import NoReturn

from nlp_lstm.errors import NlpLstmError


def main() -> None:
    """Run the command line."""
    from nlp_lstm.cli import app

    try:
        app()
    except NlpLstmError as error:
        _complain(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:  # a place that cannot be written to, a full disk
        _complain(f"{error.filename or 'system'}: {error.strerror or error}")


def _complain(message: str) -> NoReturn:
    print(" ".join(message.split()), file=sys.stderr)  # noqa: T201
    sys.exit(2)


if __name__ == "__main__":
    main()

"""How a benchmark ends: one line on what went wrong and exit code 2, as the command line does it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from nlp_lstm.errors import NlpLstmError


def run_script(main: Callable[[], None]) -> None:
    """Run a benchmark.

    Args:
        main: the benchmark. What it finished before Ctrl-C is kept where it keeps anything.
    """
    try:
        main()
    except NlpLstmError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except subprocess.CalledProcessError as error:  # a process of its own, which has said why
        sys.exit(error.returncode)
    except KeyboardInterrupt:
        sys.exit(130)

"""What every test shares: checked shape annotations and fixed seeds."""

import atexit
import os
import random
import shutil
import signal
import sys
import tempfile

os.environ["OMP_NUM_THREADS"] = "1"  # `make test` has a process on each core
if "NLP_LSTM_TESTS_FOLDER" not in os.environ:  # the processes that pytest-xdist starts get it from the first one
    os.environ["NLP_LSTM_TESTS_FOLDER"] = tempfile.mkdtemp(prefix="nlp-lstm-tests-")
    atexit.register(shutil.rmtree, os.environ["NLP_LSTM_TESTS_FOLDER"], ignore_errors=True)

import numpy
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

CHECKED_PACKAGES = ("nlp_lstm.nn", "nlp_lstm.decoding")

# The hook rewrites modules while they are imported, so it has to stand before the first import of the package.
if any(name.startswith(CHECKED_PACKAGES) for name in sys.modules):
    raise pytest.UsageError("nlp_lstm was imported before tests/conftest.py; its shape annotations would go unchecked")
install_import_hook(list(CHECKED_PACKAGES), "beartype.beartype")

signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells turn off in what they run in the background

settings.register_profile("nlp_lstm", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("nlp_lstm")


@pytest.fixture(autouse=True)
def seed() -> int:
    """Start every test from the same random numbers."""
    import torch

    random.seed(0)
    numpy.random.seed(0)
    torch.manual_seed(0)
    return 0

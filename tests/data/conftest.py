import os
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture
def samples() -> Path:
    """The folder of files written for these tests."""
    return SAMPLES


@pytest.fixture
def data_dir() -> Path:
    """The folder of real corpora; without it the test is skipped."""
    root = os.environ.get("NLP_LSTM_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("NLP_LSTM_DATA is not set")
    return Path(root)

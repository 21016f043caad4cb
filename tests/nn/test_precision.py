"""Precisions that the processor at hand may lack."""

from __future__ import annotations

import pytest

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn import precision


def test_bf16_that_the_processor_lacks_is_refused_with_what_to_take(monkeypatch):
    monkeypatch.setattr(precision, "can_run_bf16", lambda: False)
    with pytest.raises(ConfigError, match=r"bf16.*on this processor; take fp32"):
        precision.check_bf16()


def test_what_is_fast_can_run():
    assert precision.can_run_bf16() or not precision.has_fast_bf16()

"""Which precisions this processor runs recurrent networks in."""

from __future__ import annotations

from functools import lru_cache

import torch

from nlp_lstm.errors import ConfigError


def has_fast_bf16() -> bool:
    """Return whether this processor has bfloat16 instructions that torch uses."""
    is_supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(is_supported and is_supported())


@lru_cache(maxsize=1)
def can_run_bf16() -> bool:
    """Return whether torch's recurrent kernels run in bfloat16 here at all; on older processors they refuse."""
    try:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            torch.nn.LSTM(8, 8)(torch.zeros(1, 1, 8))
    except RuntimeError:
        return False
    return True


def check_bf16() -> None:
    """Check that bfloat16 can be asked for.

    Raises:
        ConfigError: this processor's kernels have no bfloat16.
    """
    if not can_run_bf16():
        raise ConfigError("precision is bf16, which recurrent networks cannot run in on this processor; take fp32")

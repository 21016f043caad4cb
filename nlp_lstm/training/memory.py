"""How far the net in training looks back, recorded at each evaluation: see `nlp_lstm.nn.sensitivity`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from nlp_lstm.nn.sensitivity import cell_places, gradient_by_distance, half_distance, main_encoders, spectral_radii

NUM_PROBES = 8


def measure_memory(model: nn.Module, read: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what a record of training says of the net's memory; nothing for a net without recurrence.

    ``gradient_by_distance``: the norm of the gradient from the last output to each input, from distance 0;
    ``half_distance``: the distance in steps at which it halves, the last one where it never does; ``spectral_radius``:
    the largest of the recurrent weights, where there are square ones. Of several stacks the first is looked at.

    Args:
        model: the network in evaluation mode.
        read: a row that each of its stacks has read.
    """
    encoders = main_encoders(model)
    name = next((name for name in encoders if name in read), None)
    if name is None:
        return {}
    curve = gradient_by_distance(encoders[name], read[name], num_probes=NUM_PROBES).tolist()
    half = half_distance(curve)
    memory = {"gradient_by_distance": curve, "half_distance": float(len(curve) - 1) if half is None else half}
    radii = [radius for place in cell_places(encoders[name]) for radius in spectral_radii(place.cell).values()]
    return memory | ({"spectral_radius": max(radii)} if radii else {})

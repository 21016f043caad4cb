"""Looking into trained models while they read a text: `nlp-lstm xray MODEL TEXT`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.evaluation.xray_report import EncoderView, GateView
from nlp_lstm.inference.opening import OpenModel, open_model
from nlp_lstm.nn.recurrent import Recurrent
from nlp_lstm.nn.sensitivity import (
    LONGEST,
    CellPlace,
    cell_places,
    gate_openings,
    half_distance,
    main_encoders,
    mean_by_distance,
    measure_sensitivity,
    recorded_inputs,
    spectral_radii,
)
from nlp_lstm.nn.settings import cells
from nlp_lstm.text.tokenize import Tokenizer, check_text

_LONGEST_TEXT = 2_000  # characters that are tokenised; far more than the steps looked at


def look_into(folders: Mapping[str, Path], text: str) -> tuple[list[EncoderView], str]:
    """Return what was measured of models while they read a text, and a remark where it was a part of the text only.

    Of a text that a task reads sentence by sentence the longest sentence is taken.

    Args:
        folders: the model folders, by the names that the page gives them.
        text: what they read.

    Raises:
        DataError: the text has no words.
        ConfigError: a model has no recurrent layers.
        CheckpointError: a folder is damaged.
    """
    check_text(text, "text")
    views: list[EncoderView] = []
    was_cut = len(text) > _LONGEST_TEXT
    for name, folder in folders.items():
        found, is_part = _read(name, open_model(folder), text[:_LONGEST_TEXT])
        views += found
        was_cut = was_cut or is_part
    note = f"A part of the text was looked at: one sentence, and of it {LONGEST} tokens at most." if was_cut else ""
    return views, note


def _read(name: str, opened: OpenModel, text: str) -> tuple[list[EncoderView], bool]:
    """What was measured of each stack of a model, and whether it was a part of the text only."""
    task = opened.task
    examples = list(task.read_text(text, Tokenizer(opened.config.language), is_pretokenized=False))
    pieces = [piece for example in examples for piece, _, _ in task.cut_long(example)]
    if not text.strip() or not pieces:
        raise DataError("the text has no words; give a text such as “The old ferry leaves at six.”")
    encoders = main_encoders(opened.model)
    with torch.no_grad(), recorded_inputs(opened.model) as read:
        tokens = task.read_through(opened.model, max(pieces, key=task.size))
    if not read:
        raise ConfigError(f"{name} has no recurrent layers that read the text; xray is for recurrent networks")
    views = []
    for path, encoder in encoders.items():
        if path not in read:
            continue
        inputs = read[path]
        # A stack of its own that reads from the end gets the text turned around.
        seen = (tokens[::-1] if path.startswith("backward") else tokens)[: len(inputs)]
        title = name if len(read) == 1 else f"{name}, {path.replace('_', ' ')}"
        views.append(_view(title, encoder, inputs, seen))
    return views, len(pieces) > 1 or any(len(tokens) > len(inputs) for inputs in read.values())


def _view(name: str, encoder: Recurrent, inputs: Tensor, tokens: list[str]) -> EncoderView:
    matrices = measure_sensitivity(encoder, inputs)
    past = mean_by_distance(matrices[-1])
    places = cell_places(encoder)
    return EncoderView(
        name=name,
        cell=next(cell for cell in cells if cells.get(cell) is type(places[0].cell)),
        tokens=tokens,
        layers=[matrix.tolist() for matrix in matrices],
        past=past,
        future=mean_by_distance(matrices[-1].T) if encoder.is_bidirectional else None,
        half=half_distance(past),
        gates=[
            GateView(
                place=_place(place),
                name=gate,
                openings=opening.mean(dim=1).tolist(),
                open_share=float((opening > 0.9).float().mean()),
                shut_share=float((opening < 0.1).float().mean()),
            )
            for place, gates in gate_openings(encoder, inputs)
            for gate, opening in gates.items()
        ],
        radii={_place(place): radii for place in places if (radii := spectral_radii(place.cell))},
    )


def _place(place: CellPlace) -> str:
    return f"layer {place.layer}, {'backward' if place.is_backward else 'forward'}"

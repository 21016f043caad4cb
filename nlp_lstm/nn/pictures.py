"""A network that looks at a picture and writes a sentence: an encoder of pictures, and the decoder of translation.

    places  = encoder(pixels)                        batch place features
    state   = bridge(the places together)            batch hidden
    then word by word as a translator writes, which looks at the places through attention (Xu et al. 2015), or with the
    attention "none" knows the picture by the first state alone (Vinyals et al. 2015)

Sources: Vinyals, Toshev, Bengio and Erhan, "Show and Tell: A Neural Image Caption Generator", CVPR 2015; Xu et al.,
"Show, Attend and Tell: Neural Image Caption Generation with Visual Attention", ICML 2015.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from nlp_lstm.nn.grid import Grid, GridLSTMCell
from nlp_lstm.nn.settings import PLACES, EncoderName
from nlp_lstm.nn.translator import Decoder, DecoderState, Written

_NORM_GROUPS = 8


class ConvolutionEncoder(nn.Module):
    """Five layers of convolution, three of which halve the sides; normalised within each picture.

    Args:
        channels: of the first layer, a multiple of 8; the last has four times as many.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide, wider = 2 * channels, 4 * channels
        sizes = [
            (3, channels, 5, 2),
            (channels, wide, 3, 2),
            (wide, wide, 3, 1),
            (wide, wider, 3, 2),
            (wider, wider, 3, 1),
        ]
        layers: list[nn.Module] = []
        for before, after, width, stride in sizes:
            layers.append(nn.Conv2d(before, after, width, stride, padding=width // 2, bias=False))
            layers += [nn.GroupNorm(_NORM_GROUPS, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.output_size = 4 * channels

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch place features"]:
        return _places(self.layers(pixels))


class GridEncoder(nn.Module):
    """A two-dimensional LSTM from all four corners over patches of four by four pixels (Graves et al. 2007).

    Args:
        channels: features of a patch; each corner's state has as many.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, channels, 4, 4)
        self.grid = Grid(GridLSTMCell, channels, channels)
        self.output_size = self.grid.output_size

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch place features"]:
        patches = torch.tanh(self.patches(pixels)).permute(0, 2, 3, 1)
        return _places(self.grid(patches).permute(0, 3, 1, 2))


class FeatureEncoder(nn.Module):
    """Takes over what another network made of a picture.

    Args:
        num_features: features of a place.
        size: features of the output.
    """

    def __init__(self, num_features: int, size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(num_features)
        self.linear = nn.Linear(num_features, size)
        self.output_size = size

    def forward(self, features: Float[Tensor, "batch place in"]) -> Float[Tensor, "batch place features"]:
        return torch.relu(self.linear(self.norm(features)))


class Describer(Decoder, ABC):
    """Looks, and then writes: what describes pictures and clips alike.

    A subclass adds what is between the encoder of pictures and the decoder's layers.

    Args:
        num_words: words that are written.
        encoder: ``cnn``, ``grid``, ``features`` that were computed before, or ``none``, which sees nothing.
        channels: of the encoder, whose output has four times as many features.
        num_features: of ``features``, as many as a place has.
        embed_size: features of a word.
        hidden_size: features of the decoder's state.
        feeds_input: whether a step also reads the combined vector of the step before.
        embedding_dropout: locked dropout on the word vectors.
        dropout: locked dropout on what is looked at, between the layers, and on the combined vectors.
    """

    def __init__(
        self,
        num_words: int,
        *,
        encoder: EncoderName,
        channels: int,
        num_features: int,
        embed_size: int,
        hidden_size: int,
        feeds_input: bool,
        embedding_dropout: float,
        dropout: float,
    ) -> None:
        super().__init__(
            num_words,
            embed_size=embed_size,
            hidden_size=hidden_size,
            feeds_input=feeds_input,
            embedding_dropout=embedding_dropout,
            dropout=dropout,
        )
        self.picture_size = 4 * channels
        self.sees_pixels = encoder in ("cnn", "grid")
        self.encoder: ConvolutionEncoder | GridEncoder | FeatureEncoder | None = None
        if encoder == "cnn":
            self.encoder = ConvolutionEncoder(channels)
        elif encoder == "grid":
            self.encoder = GridEncoder(channels)
        elif encoder == "features":
            self.encoder = FeatureEncoder(num_features, self.picture_size)

    def forward(self, batch: Any) -> Written:
        """Look at a batch and write its sentences, whose words are given.

        The batch has ``pixels`` or ``features`` with ``mask``, and ``target_ids``, which begin with the begin token.
        """
        return self.write(batch.target_ids, self.look(batch))

    @abstractmethod
    def look(self, batch: Any) -> DecoderState:
        """Look at the pictures or clips of a batch, and return what the decoder begins with."""

    def see_pixels(self, pixels: UInt8[Tensor, "picture height width 3"]) -> Float[Tensor, "picture place features"]:
        """Return what the encoder makes of pictures."""
        return self.encoder(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)  # type: ignore[misc]

    def look_at_nothing(self, num_rows: int, size: int, start_size: int) -> DecoderState:
        """Return what the decoder begins with where there is no encoder: one place of zeros."""
        zeros = torch.zeros(num_rows, 1, size, device=self.combine.weight.device)
        mask = torch.ones(num_rows, 1, dtype=torch.bool, device=zeros.device)
        return self.start(self.attention.prepare(zeros, mask), zeros.new_zeros(num_rows, start_size))


class Captioner(Describer):
    """Encoder of pictures and decoder.

    Args:
        num_words: words that are written.
        cell: the recurrent cell's registered name.
        decoder_layers: recurrent layers.
        attention: the registered name of the kind of attention.
        seeing: further arguments of `Describer`.
    """

    def __init__(self, num_words: int, *, cell: str, decoder_layers: int, attention: str, **seeing: Any) -> None:
        super().__init__(num_words, **seeing)
        size = self.picture_size
        self.places = nn.Parameter(torch.randn(PLACES * PLACES, size) * 0.1) if self.sees_pixels else None
        self.start_size = 4 * size if self.sees_pixels else size
        self.add_layers(
            cell=cell,
            num_layers=decoder_layers,
            attention=attention,
            memory_size=size,
            start_size=self.start_size,
        )

    def look(self, batch: Any) -> DecoderState:
        if self.encoder is None:
            return self.look_at_nothing(batch.num_rows, self.picture_size, self.start_size)
        if isinstance(self.encoder, FeatureEncoder):
            return self._begin(self.encoder(batch.features), batch.mask)
        return self.look_at_pixels(batch.pixels)

    def look_at_pixels(self, pixels: UInt8[Tensor, "batch height width 3"]) -> DecoderState:
        """Look at pictures."""
        places = self.see_pixels(pixels)
        if self.places is not None:
            places = places + self.places
        return self._begin(places, torch.ones(places.shape[:2], dtype=torch.bool, device=places.device))

    def _begin(self, places: Float[Tensor, "batch place features"], mask: Bool[Tensor, "batch place"]) -> DecoderState:
        places = self.dropout(places)
        start = _mean(places, mask) if self.places is None else _quarters(places)
        return self.start(self.attention.prepare(places, mask), start)


def _places(maps: Float[Tensor, "batch features height width"]) -> Float[Tensor, "batch place features"]:
    """The maps at `PLACES` by `PLACES` places, row by row."""
    return nn.functional.adaptive_avg_pool2d(maps, PLACES).flatten(2).transpose(1, 2)


def _mean(
    places: Float[Tensor, "batch place features"], mask: Bool[Tensor, "batch place"]
) -> Float[Tensor, "batch features"]:
    """The mean over all places."""
    weights = mask[..., None].to(places.dtype)
    return (places * weights).sum(dim=1) / weights.sum(dim=1)


def _quarters(places: Float[Tensor, "batch place features"]) -> Float[Tensor, "batch features*4"]:
    """The means over the quarters of a square of places."""
    maps = places.transpose(1, 2).unflatten(2, (PLACES, PLACES))
    return nn.functional.adaptive_avg_pool2d(maps, 2).flatten(1)

"""A network that looks at a picture and writes a sentence: an encoder of pictures, and the decoder of translation.

    places  = encoder(pixels)                        batch place features
    names   = linear(places)                         batch place embed
    state   = bridge(the places together)            batch hidden
    then word by word as a translator writes, which looks at the places through attention (Xu et al. 2015), or with the
    attention "none" knows the picture by the first state alone (Vinyals et al. 2015)

The names say what is to be seen at a place: a second loss asks them for the words that are said of the picture. From
it the encoder learns what to look for (Fang et al. 2015) many times as fast as from the sentences, whose gradient at
first only disturbs it, and so reaches it at a tenth. The decoder is brought the names along with the places, as a
translator is brought the words that it looks at.

Sources: Vinyals, Toshev, Bengio and Erhan, "Show and Tell: A Neural Image Caption Generator", CVPR 2015; Xu et al.,
"Show, Attend and Tell: Neural Image Caption Generation with Visual Attention", ICML 2015; Fang et al., "From Captions
to Visual Concepts and Back", CVPR 2015, where the detector is a network of its own and a "noisy or" joins the places.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from nlp_lstm.nn.grid import Grid, GridLSTMCell
from nlp_lstm.nn.settings import PLACES, EncoderName, attentions
from nlp_lstm.nn.translator import Decoder, DecoderState

NUM_NAMED = 1_000
"""Of so many of the most frequent words places say whether they show them."""
_SHARE = 0.1  # of the decoder's gradient, reaches an encoder whose places name what they show
_RARELY = -8.0  # the logit of each word at each place at first: few places show any one word


class Looked(NamedTuple):
    """What was seen of pictures or clips.

    Args:
        state: what the decoder begins with.
        named: the logit of each word being said of the picture or clip; None where places name nothing, and in use.
    """

    state: DecoderState
    named: Float[Tensor, "batch word"] | None = None


class Shown(NamedTuple):
    """What an encoder makes of pictures, for the decoder.

    Args:
        places: what is to be seen at each.
        names: what they name; None where places name nothing.
        named: the logit of each word being said of the picture; None where places name nothing, and in use.
    """

    places: Float[Tensor, "picture place features"]
    names: Float[Tensor, "picture place embed"] | None = None
    named: Float[Tensor, "picture word"] | None = None


class Description(NamedTuple):
    """What is written of pictures or clips when the sentences are given.

    Args:
        outputs: for each word what the softmax for the next one reads.
        weights: where each word looked.
        named: the logit of each word being said of the picture or clip; None where places name nothing, and in use.
    """

    outputs: Float[Tensor, "batch step embed"]
    weights: Float[Tensor, "batch step place"]
    named: Float[Tensor, "batch word"] | None = None


class ConvolutionEncoder(nn.Module):
    """Six layers of convolution, three of which halve the sides, with batch normalisation (Ioffe and Szegedy 2015).

    The last one is dilated (Yu and Koltun 2016): each place then sees a square of 73 pixels, and so whether what it
    shows is to be seen a second time.

    Normalised within each picture instead (group or layer normalisation), the plain ground of a drawn scene drowns what
    stands on it, and the encoder knows hardly any drawing when this one knows nearly all.

    Args:
        channels: of the first layer, a multiple of 8; the last has four times as many.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide, wider = 2 * channels, 4 * channels
        sizes = [
            (3, channels, 5, 2, 1),
            (channels, wide, 3, 2, 1),
            (wide, wide, 3, 1, 1),
            (wide, wider, 3, 2, 1),
            (wider, wider, 3, 1, 1),
            (wider, wider, 3, 1, 2),
        ]
        layers: list[nn.Module] = []
        for before, after, width, stride, dilation in sizes:
            padding = dilation * (width // 2)
            layers.append(nn.Conv2d(before, after, width, stride, padding, dilation, bias=False))
            norm = nn.BatchNorm2d(after)
            norm.num_batches_tracked = None  # counts what nothing reads
            layers += [norm, nn.ReLU()]
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


class Naming(nn.Module):
    """What is to be seen at each place, learnt from the words that are said of the whole.

    Args:
        place_size: features of a place.
        size: features of a name.
        num_words: words that can be said.
    """

    def __init__(self, place_size: int, size: int, num_words: int) -> None:
        super().__init__()
        self.names = nn.Linear(place_size, size)
        self.words = nn.Linear(size, min(num_words, NUM_NAMED))
        nn.init.constant_(self.words.bias, _RARELY)

    def forward(self, places: Float[Tensor, "picture place features"]) -> Float[Tensor, "picture place name"]:
        return self.names(places)

    def said(self, names: Float[Tensor, "picture place name"]) -> Float[Tensor, "picture word"]:
        """Return the logit of each word being said, to which the places add their odds."""
        return self.words(names).float().logsumexp(dim=1)


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
        names_places: whether the places of pixels name what is to be seen at them.
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
        names_places: bool,
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
        names_places = names_places and self.sees_pixels
        self.naming = Naming(self.picture_size, embed_size, num_words) if names_places else None

    def forward(self, batch: Any) -> Description:
        """Look at a batch and write its sentences, whose words are given.

        The batch has ``pixels`` or ``features`` with ``mask``, and ``target_ids``, which begin with the begin token.
        """
        looked = self.see(batch)
        return Description(*self.write(batch.target_ids, looked.state), looked.named)

    def look(self, batch: Any) -> DecoderState:
        """Look at the pictures or clips of a batch, and return what the decoder begins with."""
        return self.see(batch).state

    @abstractmethod
    def see(self, batch: Any) -> Looked:
        """Look at the pictures or clips of a batch."""

    def see_pixels(self, pixels: UInt8[Tensor, "picture height width 3"]) -> Shown:
        """Return what the encoder makes of pictures."""
        places = self.encoder(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)  # type: ignore[misc]
        if self.naming is None:
            return Shown(places)
        names = self.naming(places)
        if not self.training:
            return Shown(places, names)
        return Shown(_with_less_gradient(places), _with_less_gradient(names), self.naming.said(names))

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
        is_lexical = self.naming is not None and attentions.get(attention).has_weights
        self.add_layers(
            cell=cell,
            num_layers=decoder_layers,
            attention=attention,
            memory_size=size,
            start_size=self.start_size,
            lexical_size=self.words.size if is_lexical else None,
        )

    def see(self, batch: Any) -> Looked:
        if self.encoder is None:
            return Looked(self.look_at_nothing(batch.num_rows, self.picture_size, self.start_size))
        if isinstance(self.encoder, FeatureEncoder):
            return Looked(self._begin(Shown(self.encoder(batch.features)), batch.mask))
        return self.look_at_pixels(batch.pixels)

    def look_at_pixels(self, pixels: UInt8[Tensor, "batch height width 3"]) -> Looked:
        """Look at pictures."""
        shown = self.see_pixels(pixels)
        mask = torch.ones(shown.places.shape[:2], dtype=torch.bool, device=pixels.device)
        return Looked(self._begin(shown, mask), shown.named)

    def _begin(self, shown: Shown, mask: Bool[Tensor, "batch place"]) -> DecoderState:
        places = self.dropout(shown.places if self.places is None else shown.places + self.places)
        start = _mean(places, mask) if self.places is None else _quarters(places)
        memory = self.attention.prepare(places, mask)
        if shown.names is not None and self.lexical is not None:
            memory = self.attention.add_words(memory, shown.names)
        return self.start(memory, start)


def _with_less_gradient(tensor: Tensor) -> Tensor:
    """The same numbers, whose gradient goes on at a tenth."""
    return tensor.detach() + _SHARE * (tensor - tensor.detach())


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

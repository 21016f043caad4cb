"""A network that watches a clip and writes a sentence: frames, an LSTM over time, and the decoder of translation.

    seen    = encoder(pixels of each frame), weighed over its places    batch time 4*features
    frames  = relu(linear([seen, seen - seen in the frame before]))     batch time hidden
    read    = LSTM(frames)                                              batch time direction*hidden
    memory  = [read, frames]                                            what the decoder looks at, by frame
    state   = bridge(where the LSTM ended)                              what it begins with

Source: Venugopalan, Rohrbach, Donahue, Mooney, Darrell and Saenko, "Sequence to Sequence – Video to Text", ICCV 2015.
Here the frames are read by an LSTM of their own, as sentences are in translation; what has changed since the last frame
stands where the paper has pictures of optical flow; and the decoder may look back at frames (Yao et al., "Describing
Videos by Exploiting Temporal Structure", ICCV 2015). With the attention "none" it knows only where the LSTM ended.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from nlp_lstm.nn.pictures import Describer, FeatureEncoder, Looked
from nlp_lstm.nn.recurrent import Recurrent
from nlp_lstm.nn.settings import PLACES
from nlp_lstm.nn.translator import DecoderState


class PlaceWeights(nn.Module):
    """Weighs the places of a picture in four ways, learnt for all features alike.

    They begin as the mean, and as how far a feature lies to the right, below, and both: where it is shows in how these
    differ, and what it is in the first wherever it is.
    """

    num_ways = 4

    def __init__(self) -> None:
        super().__init__()
        line = torch.linspace(-1, 1, PLACES)
        one = torch.ones(PLACES)
        ways = [torch.outer(down, right) for down, right in ((one, one), (one, line), (line, one), (line, line))]
        self.weight = nn.Parameter(torch.stack(ways).flatten(1) / PLACES**2)

    def forward(self, places: Float[Tensor, "picture place features"]) -> Float[Tensor, "picture 4*features"]:
        return (self.weight @ places).flatten(1)


class ClipCaptioner(Describer):
    """Encoder of frames, recurrent layers over time, and decoder.

    Args:
        num_words: words that are written.
        cell: the recurrent cell's registered name, of both halves.
        encoder_layers: recurrent layers over time.
        decoder_layers: recurrent layers of the decoder.
        is_bidirectional: whether a clip is also read from its end, each direction with half of the hidden features.
        attention: the registered name of the kind of attention.
        hidden_size: features of the decoder's state, and of what is read of a frame.
        dropout: locked dropout, as of `Describer`.
        seeing: further arguments of `Describer`.
    """

    def __init__(
        self,
        num_words: int,
        *,
        cell: str,
        encoder_layers: int,
        decoder_layers: int,
        is_bidirectional: bool,
        attention: str,
        hidden_size: int,
        dropout: float,
        **seeing: Any,
    ) -> None:
        super().__init__(num_words, hidden_size=hidden_size, dropout=dropout, **seeing)
        self.weigh = PlaceWeights() if self.sees_pixels else None
        seen_size = self.picture_size * (PlaceWeights.num_ways if self.sees_pixels else 1)
        self.norm = nn.LayerNorm(seen_size)
        self.to_frames = nn.Linear(2 * seen_size, hidden_size)
        self.over_time = Recurrent(
            cell,
            hidden_size,
            hidden_size // 2 if is_bidirectional else hidden_size,
            num_layers=encoder_layers,
            is_bidirectional=is_bidirectional,
            dropout_rate=dropout,
        )
        self.start_size = self.over_time.output_size
        self.memory_size = self.start_size + hidden_size
        self.add_layers(
            cell=cell,
            num_layers=decoder_layers,
            attention=attention,
            memory_size=self.memory_size,
            start_size=self.start_size,
        )

    def see(self, batch: Any) -> Looked:
        if self.encoder is None:
            return Looked(self.look_at_nothing(batch.num_rows, self.memory_size, self.start_size))
        if isinstance(self.encoder, FeatureEncoder):
            return Looked(self._begin(self.encoder(batch.features), batch.mask))
        return self.look_at_pixels(batch.pixels, batch.mask)

    def look_at_pixels(
        self, pixels: UInt8[Tensor, "batch time height width 3"], mask: Bool[Tensor, "batch time"]
    ) -> Looked:
        """Look at clips; only their real frames go through the encoder."""
        shown = self.see_pixels(pixels[mask])
        weighed = self.weigh(shown.places)  # type: ignore[misc]
        seen = weighed.new_zeros(*mask.shape, weighed.shape[1])
        seen[mask] = weighed
        named = None
        if shown.named is not None:
            by_frame = shown.named.new_full((*mask.shape, shown.named.shape[1]), -torch.inf)
            by_frame[mask] = shown.named
            named = by_frame.logsumexp(dim=1)
        return Looked(self._begin(seen, mask), named)

    def _begin(self, seen: Float[Tensor, "batch time features"], mask: Bool[Tensor, "batch time"]) -> DecoderState:
        seen = self.norm(seen)
        change = seen - torch.cat((seen[:, :1], seen[:, :-1]), dim=1)
        frames = self.dropout(torch.relu(self.to_frames(torch.cat((seen, change), dim=2)))) * mask[..., None]
        lengths = mask.sum(dim=1)
        outputs = self.over_time(frames, lengths).outputs
        memory = self.attention.prepare(torch.cat((outputs, frames), dim=2), mask)
        return self.start(memory, self.over_time.ends(outputs, lengths))

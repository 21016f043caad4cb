from types import SimpleNamespace

import pytest
import torch

from nlp_lstm.nn.clips import ClipCaptioner, PlaceWeights
from nlp_lstm.nn.settings import PLACES

TOLERANCE = 1e-5
BOS = 2
LENGTHS = (5, 2, 1)


def captioner(**changes) -> ClipCaptioner:
    settings = {
        "encoder": "cnn",
        "channels": 8,
        "num_features": 5,
        "embed_size": 12,
        "cell": "lstm",
        "hidden_size": 16,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "is_bidirectional": True,
        "attention": "additive",
        "feeds_input": True,
        "embedding_dropout": 0.0,
        "dropout": 0.0,
        "names_places": True,
        **changes,
    }
    torch.manual_seed(3)
    return ClipCaptioner(20, **settings).eval()


def batch(rows: tuple[int, ...] = (0, 1, 2), padding: int = 0) -> SimpleNamespace:
    """Clips of several lengths, with noise in their padding."""
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (3, max(LENGTHS), 32, 32, 3), dtype=torch.uint8)
    features = torch.randn(3, max(LENGTHS), 5)
    target = torch.randint(4, 20, (3, 4))
    target[:, 0] = BOS
    chosen = torch.tensor(rows)
    lengths = torch.tensor(LENGTHS)[chosen]
    time = int(lengths.max())
    more = torch.randint(0, 256, (len(rows), padding, 32, 32, 3), dtype=torch.uint8)
    return SimpleNamespace(
        pixels=torch.cat((pixels[chosen, :time], more), dim=1),
        features=torch.cat((features[chosen, :time], torch.randn(len(rows), padding, 5)), dim=1),
        mask=torch.arange(time + padding)[None] < lengths[:, None],
        target_ids=target[chosen],
        num_rows=len(rows),
    )


FORMS = [
    {"encoder": "cnn", "encoder_layers": 2, "decoder_layers": 2},
    {"encoder": "cnn", "attention": "none", "feeds_input": False, "is_bidirectional": False},
    {"encoder": "grid"},
    {"encoder": "features", "attention": "general"},
    {"encoder": "cnn", "names_places": False},
    {"encoder": "none"},
]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_word_by_word_is_all_words_at_once_alone_as_in_company_at_any_padding(form):
    model, some = captioner(**form), batch()
    written = model(some)
    state = model.look(some)
    for step in range(some.target_ids.shape[1]):
        logits, state = model.step(some.target_ids[:, step], state)
        expected = model.words.logits(written.outputs[:, step])
        torch.testing.assert_close(logits, expected, atol=TOLERANCE, rtol=0)
    for row in range(3):
        alone = model(batch((row,), padding=2 * row))
        torch.testing.assert_close(alone.outputs, written.outputs[row : row + 1], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("form", FORMS[:5], ids=str)
def test_every_part_learns_and_the_order_of_the_frames_counts(form):
    model, some = captioner(**form).train(), batch()
    written = model(some)
    loss = model.words.logits(written.outputs.flatten(0, 1)).logsumexp(dim=1).sum()
    (loss if written.named is None else loss + written.named.sum()).backward()
    unseen = {"norm", "to_frames", "over_time", "weigh", "encoder"}
    parts = {name: parameter for name, parameter in model.named_parameters() if name.split(".")[0] in unseen}
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in parts.values())
    model.eval()
    turned = batch()
    turned.pixels[0], turned.features[0] = some.pixels[0].flip(0), some.features[0].flip(0)
    assert not torch.allclose(model(some).outputs[0], model(turned).outputs[0], atol=1e-4)


def test_without_an_encoder_nothing_is_seen():
    model, some, other = captioner(encoder="none"), batch(), batch()
    other.pixels = 255 - some.pixels
    assert torch.equal(model(some).outputs, model(other).outputs)


def test_the_decoder_looks_at_frames_that_sum_to_one_and_never_beyond_the_last():
    some = batch(padding=3)
    weights = captioner()(some).weights
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(3, 4))
    assert (weights[~some.mask[:, None].expand_as(weights)] == 0).all()


def test_the_weights_of_places_begin_as_the_mean_and_the_middle_of_each_feature():
    places = torch.rand(2, PLACES * PLACES, 3)
    maps = places.unflatten(1, (PLACES, PLACES))
    line = torch.linspace(-1, 1, PLACES)
    mean, right, down, both = PlaceWeights()(places).unflatten(1, (4, 3)).unbind(dim=1)
    torch.testing.assert_close(mean, maps.mean(dim=(1, 2)))
    torch.testing.assert_close(right, (maps * line[:, None]).mean(dim=(1, 2)))
    torch.testing.assert_close(down, (maps * line[:, None, None]).mean(dim=(1, 2)))
    torch.testing.assert_close(both, (maps * line[:, None] * line[:, None, None]).mean(dim=(1, 2)))

from types import SimpleNamespace

import pytest
import torch

from nlp_lstm.nn.pictures import Captioner
from nlp_lstm.nn.settings import PLACES

TOLERANCE = 1e-5
BOS = 2


def captioner(**changes) -> Captioner:
    settings = {
        "encoder": "cnn",
        "channels": 8,
        "num_features": 5,
        "embed_size": 12,
        "cell": "lstm",
        "hidden_size": 16,
        "decoder_layers": 2,
        "attention": "additive",
        "feeds_input": True,
        "embedding_dropout": 0.0,
        "dropout": 0.0,
        "names_places": True,
        **changes,
    }
    torch.manual_seed(3)
    return Captioner(20, **settings).eval()


def batch(num_rows: int = 3) -> SimpleNamespace:
    torch.manual_seed(0)
    lengths = torch.tensor([4, 2, 1])[:num_rows]
    target = torch.randint(4, 20, (3, 5))[:num_rows]
    target[:, 0] = BOS
    return SimpleNamespace(
        pixels=torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)[:num_rows],
        features=torch.randn(3, 4, 5)[:num_rows],
        mask=torch.arange(4)[None] < lengths[:, None],
        target_ids=target,
        num_rows=num_rows,
    )


FORMS = [
    {"encoder": "cnn"},
    {"encoder": "cnn", "attention": "none", "feeds_input": False},
    {"encoder": "grid"},
    {"encoder": "features", "attention": "general"},
    {"encoder": "cnn", "names_places": False},
    {"encoder": "none"},
]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_word_by_word_is_all_words_at_once_alone_as_in_company(form):
    model, some = captioner(**form), batch()
    written = model(some)
    state = model.look(some)
    for step in range(some.target_ids.shape[1]):
        logits, state = model.step(some.target_ids[:, step], state)
        expected = model.words.logits(written.outputs[:, step])
        torch.testing.assert_close(logits, expected, atol=TOLERANCE, rtol=0)
    alone = model(batch(1))
    torch.testing.assert_close(alone.outputs, written.outputs[:1], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("form", FORMS[:5], ids=str)
def test_every_part_learns_and_the_picture_counts(form):
    model, some = captioner(**form).train(), batch()
    written = model(some)
    model.words.logits(written.outputs.flatten(0, 1)).logsumexp(dim=1).sum().backward()
    encoder = [parameter for name, parameter in model.named_parameters() if name.startswith("encoder")]
    assert all(parameter.grad is not None for parameter in encoder)
    model.eval()
    other = batch()
    other.pixels, other.features = 255 - some.pixels, some.features.flip(2)
    assert not torch.allclose(model(some).outputs, model(other).outputs)


def test_a_word_is_said_of_a_picture_as_often_as_the_odds_of_its_places_together():
    model, some = captioner().train(), batch()
    names = model.naming(model.encoder(some.pixels.permute(0, 3, 1, 2).float() / 127.5 - 1))
    odds = model.naming.words(names).exp().sum(dim=1)
    torch.testing.assert_close(model(some).named.sigmoid(), odds / (1 + odds))
    assert model.eval()(some).named is None


def test_without_an_encoder_nothing_is_seen():
    model, some, other = captioner(encoder="none"), batch(), batch()
    other.pixels = 255 - some.pixels
    assert torch.equal(model(some).outputs, model(other).outputs)


def test_the_decoder_looks_at_places_that_sum_to_one_and_never_beyond_the_last():
    written = captioner()(batch())
    assert written.weights.shape == (3, 5, PLACES * PLACES)
    torch.testing.assert_close(written.weights.sum(dim=2), torch.ones(3, 5))
    some = batch()
    weights = captioner(encoder="features")(some).weights
    assert (weights[~some.mask[:, None].expand_as(weights)] == 0).all()

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from nlp_lstm.nn.language_model import LanguageModel, pack_states
from nlp_lstm.nn.settings import cells

NUM_WORDS = 20

every_cell = pytest.mark.parametrize("cell", list(cells))


def make(cell: str = "lstm", **changes: Any) -> LanguageModel:
    """A network of two layers with a projection and three clusters of words, in evaluation mode."""
    settings = {"embed_size": 8, "hidden_size": 6, "num_layers": 2, "cutoffs": (6, 12), **changes}
    model = LanguageModel(NUM_WORDS, cell=cell, **settings)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    return model.eval()


def batch(ids: Tensor, carried: dict[str, Tensor] | None = None) -> Any:
    return SimpleNamespace(ids=ids[:, :-1], next_ids=ids[:, 1:], carried=carried or {})


def some_ids(rows: int = 3, time: int = 12) -> Tensor:
    return torch.randint(NUM_WORDS, (rows, time))


@every_cell
def test_one_long_stretch_reads_like_two_with_carried_states(cell: str) -> None:
    model = make(cell).double()
    ids = some_ids()
    whole = model.read(ids)
    first = model.read(ids[:, :5])
    second = model.read(ids[:, 5:], first.states)
    # float64 differs by rounding alone
    torch.testing.assert_close(torch.cat((first.outputs, second.outputs), 1), whole.outputs, atol=1e-12, rtol=0)
    torch.testing.assert_close(torch.cat((first.hidden, second.hidden), 1), whole.hidden, atol=1e-12, rtol=0)
    for found, expected in zip(second.states, whole.states, strict=True):
        for left, right in zip(found, expected, strict=True):
            torch.testing.assert_close(left, right, atol=1e-12, rtol=0)


@every_cell
def test_next_words_are_scored_over_batches_as_in_one(cell: str) -> None:
    model = make(cell)
    ids = some_ids()
    whole = model(batch(ids)).log_probability
    first = model(batch(ids[:, :6]))
    second = model(batch(ids[:, 5:], pack_states(first.states)))
    found = torch.cat((first.log_probability, second.log_probability), dim=1)
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=0)  # fp32
    read = model.read(ids[:, :-1]).outputs
    expected = model.words.log_probabilities(read.flatten(0, 1)).view(3, 11, NUM_WORDS)
    torch.testing.assert_close(whole, expected.gather(2, ids[:, 1:, None])[..., 0], atol=1e-5, rtol=0)


def test_a_word_is_predicted_from_those_before_it_only() -> None:
    model = make()
    ids = some_ids(1)
    changed = ids.clone()
    changed[0, 7] = (changed[0, 7] + 1) % NUM_WORDS
    before, after = model(batch(ids)).log_probability[0], model(batch(changed)).log_probability[0]
    assert torch.equal(before[:6], after[:6])
    assert (before[6:] != after[6:]).all()


@every_cell
@pytest.mark.parametrize("hidden_size", [6, 8], ids=["projected", "as they are"])
def test_the_gradient_reaches_every_parameter_and_stops_at_the_carried_states(cell: str, hidden_size: int) -> None:
    model = make(cell, hidden_size=hidden_size).train()
    ids = torch.stack([torch.randperm(NUM_WORDS) for _ in range(2)])  # every word is read and predicted
    first = model(batch(ids))
    carried = pack_states(first.states)
    assert carried
    assert not any(tensor.requires_grad for tensor in carried.values())
    second = model(batch(ids, carried))
    loss = -second.log_probability.mean()
    assert torch.autograd.grad(loss, first.hidden, retain_graph=True, allow_unused=True) == (None,)
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@every_cell
def test_states_come_back_from_their_names(cell: str) -> None:
    model = make(cell)
    states = model.read(some_ids()).states
    packed = pack_states(states)
    assert all(tensor.dtype == torch.float32 for tensor in packed.values())
    unpacked = model.unpack_states(packed)
    assert unpacked is not None
    assert [type(state) for state in unpacked] == [type(state) for state in states]
    for found, expected in zip(unpacked, states, strict=True):
        assert all(torch.equal(left, right) for left, right in zip(found, expected, strict=True))
    assert model.unpack_states({}) is None


@every_cell
def test_the_initial_states_are_those_that_reading_begins_with(cell: str) -> None:
    model = make(cell)
    ids = some_ids(1)
    assert torch.equal(model.read(ids, model.initial_states()).outputs, model.read(ids).outputs)


def test_a_dropped_word_is_dropped_at_every_place_of_a_batch() -> None:
    model = make(embedding_dropout=0.5)
    seen: list[Tensor] = []
    model.input_dropout.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    ids = some_ids(4, 30)
    model.train()
    model.read(ids)
    dropped = (seen[0] == 0).all(dim=2)
    words = set(ids[dropped].tolist())
    assert 0 < len(words) < NUM_WORDS
    assert torch.equal(dropped, torch.isin(ids, torch.tensor(sorted(words))))
    model.eval()
    model.read(ids)
    assert not (seen[1] == 0).all(dim=2).any()


def test_it_is_not_tuned_before_its_adaptation_is_known() -> None:
    model = make()
    assert not model.is_tuned
    model.adaptation.copy_(torch.tensor([0.1, 0.05, 0.03, 0.0]))
    assert model.is_tuned
    assert "adaptation" in model.state_dict()


# ---- DropConnect


def test_each_pass_drops_others_and_evaluation_drops_none() -> None:
    model = make(recurrent_dropout=0.5)
    ids = some_ids()
    whole = model.read(ids).outputs
    model.train()
    assert not torch.equal(model.read(ids).outputs, model.read(ids).outputs)
    model.eval()
    assert torch.equal(model.read(ids).outputs, whole)
    without = make()
    without.load_state_dict(model.state_dict())
    assert torch.equal(without.read(ids).outputs, whole)

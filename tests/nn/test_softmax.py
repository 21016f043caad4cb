from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.softmax import SMALLEST_ROW, TiedSoftmax

NUM_WORDS, SIZE, ITEMS = 30, 32, 7
TOLERANCE = 1e-5  # log-probabilities are fp32; sums run in another order

every_form = pytest.mark.parametrize("cutoffs", [(), (10,), (5, 12, 27)], ids=["plain", "two", "four"])


def make(cutoffs: tuple[int, ...]) -> TiedSoftmax:
    """A softmax whose parameters are all random."""
    words = TiedSoftmax(NUM_WORDS, SIZE, cutoffs=cutoffs)
    with torch.no_grad():
        for parameter in words.parameters():
            parameter.normal_(std=0.3)
    return words


def log_softmax(logits: list[float]) -> list[float]:
    norm = math.log(math.fsum(map(math.exp, logits)))
    return [logit - norm for logit in logits]


@torch.no_grad()
def plain_log_probability(words: TiedSoftmax, output: Tensor, word: int) -> float:
    """Grave et al. 2017, section 4: the word among the first, or its cluster and then the word within it."""
    (_, first_end), *others = words.bounds
    head = [float(words.tables[0][row] @ output + words.bias[row]) for row in range(first_end)]
    head += [float(words.clusters[row] @ output + words.cluster_bias[row]) for row in range(len(others))]
    if word < first_end:
        return log_softmax(head)[word]
    for cluster, (start, end) in enumerate(others, start=1):
        if start <= word < end:
            shortened = words.projections[cluster - 1] @ output
            rows = words.tables[cluster]
            within = [float(rows[row] @ shortened + words.bias[start + row]) for row in range(end - start)]
            return log_softmax(head)[first_end + cluster - 1] + log_softmax(within)[word - start]
    raise AssertionError(f"no cluster has the word {word}")


@every_form
def test_probabilities_sum_to_one(cutoffs: tuple[int, ...]) -> None:
    sums = make(cutoffs).log_probabilities(torch.randn(ITEMS, SIZE)).exp().sum(dim=1)
    torch.testing.assert_close(sums, torch.ones(ITEMS), atol=TOLERANCE, rtol=0)


@every_form
def test_one_words_probability_is_that_among_all(cutoffs: tuple[int, ...]) -> None:
    words = make(cutoffs)
    outputs = torch.randn(NUM_WORDS, SIZE)
    ids = torch.randperm(NUM_WORDS)  # words of every cluster, in no order
    expected = words.log_probabilities(outputs).gather(1, ids[:, None])[:, 0]
    torch.testing.assert_close(words.log_probability(outputs, ids), expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("ids", [[3], [29], [11, 11], []])
def test_clusters_that_no_word_of_a_batch_is_in_do_no_harm(ids: list[int]) -> None:
    words = make((5, 12, 29))
    outputs = torch.randn(len(ids), SIZE)
    expected = [plain_log_probability(words, output, word) for output, word in zip(outputs, ids, strict=True)]
    found = words.log_probability(outputs, torch.tensor(ids, dtype=torch.int64))
    assert found.tolist() == pytest.approx(expected, abs=TOLERANCE)


def test_without_cutoffs_it_is_torchs_cross_entropy() -> None:
    words = make(())
    outputs, ids = torch.randn(ITEMS, SIZE), torch.randint(NUM_WORDS, (ITEMS,))
    logits = torch.nn.functional.linear(outputs, words.tables[0], words.bias)
    expected = torch.nn.functional.cross_entropy(logits, ids)
    torch.testing.assert_close(-words.log_probability(outputs, ids).mean(), expected, atol=TOLERANCE, rtol=0)


@every_form
def test_probabilities_are_those_of_a_plain_loop(cutoffs: tuple[int, ...]) -> None:
    words = make(cutoffs)
    for output, row in zip(outputs := torch.randn(2, SIZE), words.log_probabilities(outputs), strict=True):
        expected = [plain_log_probability(words, output, word) for word in range(NUM_WORDS)]
        assert row.tolist() == pytest.approx(expected, abs=TOLERANCE)


def test_rarer_words_have_shorter_rows_and_all_words_one_bias() -> None:
    words = TiedSoftmax(100, 64, cutoffs=(20, 50, 70))
    assert [tuple(table.shape) for table in words.tables] == [(20, 64), (30, 32), (20, 16), (30, SMALLEST_ROW)]
    assert [tuple(matrix.shape) for matrix in words.projections] == [(32, 64), (16, 64), (8, 64)]
    assert words.bias.shape == (100,)


@every_form
def test_an_embedded_word_is_its_row_brought_to_full_size(cutoffs: tuple[int, ...]) -> None:
    words = make(cutoffs)
    ids = torch.randperm(NUM_WORDS).view(5, 6)
    embedded = words.embed(ids)
    assert embedded.shape == (5, 6, SIZE)
    for place, word in enumerate(ids.flatten().tolist()):
        cluster = next(index for index, (start, end) in enumerate(words.bounds) if start <= word < end)
        row = words.tables[cluster][word - words.bounds[cluster][0]]
        expected = row if cluster == 0 else row @ words.projections[cluster - 1]
        torch.testing.assert_close(embedded.view(-1, SIZE)[place], expected * SIZE**0.5, atol=1e-5, rtol=0)


@every_form
def test_words_in_and_out_share_their_weights(cutoffs: tuple[int, ...]) -> None:
    words = make(cutoffs)
    words.embed(torch.arange(NUM_WORDS)[None]).sum().backward()
    assert all(table.grad is not None and table.grad.abs().sum() > 0 for table in words.tables)
    words.zero_grad()
    words.log_probability(torch.randn(NUM_WORDS, SIZE), torch.arange(NUM_WORDS)).sum().backward()
    for parameter in words.parameters():
        if parameter.numel():
            assert parameter.grad.abs().sum() > 0


@every_form
def test_embedding_dropout_drops_a_word_everywhere_and_makes_the_others_larger(cutoffs: tuple[int, ...]) -> None:
    words = make(cutoffs)
    ids = torch.arange(NUM_WORDS).repeat(2, 2)
    kept = torch.rand(NUM_WORDS) >= 0.4
    dropped, whole = words.embed(ids, kept), words.embed(ids)
    factor = NUM_WORDS / int(kept.sum())
    torch.testing.assert_close(dropped, whole * (kept[ids] * factor)[..., None], atol=1e-6, rtol=0)
    assert torch.equal(dropped == 0, (~kept[ids])[..., None].expand_as(dropped))


def test_where_all_words_are_dropped_nothing_is_infinite() -> None:
    dropped = make(()).embed(torch.arange(NUM_WORDS)[None], torch.zeros(NUM_WORDS, dtype=torch.bool))
    assert torch.equal(dropped, torch.zeros_like(dropped))


@every_form
def test_it_starts_from_the_words_shares(cutoffs: tuple[int, ...]) -> None:
    words = TiedSoftmax(NUM_WORDS, SIZE, cutoffs=cutoffs)
    shares = torch.rand(NUM_WORDS) + 0.01
    shares /= shares.sum()
    words.start_from(shares)
    found = words.log_probabilities(torch.zeros(1, SIZE))[0].exp()
    torch.testing.assert_close(found, shares, atol=1e-6, rtol=0)


@pytest.mark.parametrize("cutoffs", [(0,), (30,), (40,), (10, 10), (12, 5), (-3,)])
def test_cutoffs_that_do_not_ascend_are_refused(cutoffs: tuple[int, ...]) -> None:
    shown = ", ".join(map(str, cutoffs))
    with pytest.raises(ConfigError, match=f"the cutoffs {shown} do not ascend .* the 30 words .* model.cutoffs"):
        TiedSoftmax(NUM_WORDS, SIZE, cutoffs=cutoffs)


@torch.no_grad()
@pytest.mark.parametrize("features", [6, 50], ids=["fewer", "more"])
@every_form
def test_rows_that_begin_as_vectors_are_alike_where_these_are(cutoffs: tuple[int, ...], features: int) -> None:
    torch.manual_seed(1)
    hidden = torch.randn(NUM_WORDS, 4)  # so that short rows have room for all that the vectors say
    vectors = 7 * hidden @ torch.randn(4, features) + 3
    known = torch.arange(NUM_WORDS) % 5 != 0
    words = TiedSoftmax(NUM_WORDS, SIZE, cutoffs=cutoffs)
    before = words.embed(torch.arange(NUM_WORDS)[None])[0]
    words.begin_as(vectors, known)
    after = words.embed(torch.arange(NUM_WORDS)[None])[0]
    if not cutoffs:
        torch.testing.assert_close(after[~known], before[~known])
    centred = (vectors - vectors[known].mean(dim=0))[known]
    products = torch.stack([(rows @ rows.T).flatten() for rows in (centred, after[known])])
    assert torch.corrcoef(products)[0, 1] > 0.97
    assert 0.8 < float(after[known].norm(dim=1).mean()) / SIZE**0.5 < 1.2  # as long as random ones


def test_vectors_that_are_all_alike_do_no_harm() -> None:
    words = TiedSoftmax(NUM_WORDS, SIZE)
    words.begin_as(torch.ones(NUM_WORDS, 5), torch.ones(NUM_WORDS, dtype=torch.bool))
    assert words.tables[0].isfinite().all()

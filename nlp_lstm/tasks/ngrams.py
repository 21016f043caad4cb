"""A language model without a network: interpolated modified Kneser-Ney n-grams, what a recurrent one has to beat.

Example:
    >>> model = NgramModel(training_ids, vocab_size=33_280, eos=3, order=5)
    >>> perplexity = math.exp(-model.log_probabilities(test_ids).mean())
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlp_lstm.errors import ConfigError, DataError, VocabularyError

LONGEST_ORDER = 10

Ids = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


class _Level(NamedTuple):
    """What is known of the n-grams of one length, each with an index of its own.

    The key of an n-gram is the index of its history among the n-grams one shorter, times the size of the vocabulary,
    plus its last word. So keys fit into 64 bits at any length, and one sorted array is the whole table.

    Args:
        keys: of all n-grams, ascending, ``int64``; a place in it is an n-gram's index. Unused for single words, whose
            index is their id.
        shares: of each n-gram, the share of its history's count that is left to it after discounting, in [0, 1].
        weights: of each history, the share that goes to the distribution of shorter n-grams; 1 where the history was
            not seen with a word after it.
    """

    keys: Ids
    shares: Numbers
    weights: Numbers


class NgramModel:
    """Interpolated modified Kneser-Ney smoothing.

    The text is one stream: histories reach over the ends of lines, and before its first word stand ends of lines. The
    longest n-grams have their counts; shorter ones the number of different words seen before them. From counts of
    1, 2, and 3 or more three discounts are taken, each length having its own; what they set free goes to the
    distribution of n-grams one shorter, in the end to all ids alike.

    Args:
        ids: the training text, ``time``, any integer type, with ``eos`` after each line.
        vocab_size: ids there are; each has a probability.
        eos: the id that ends lines.
        order: words in the longest n-grams, the predicted one included.

    Raises:
        ConfigError: the order or the size of the vocabulary is out of range.
        DataError: there is no text.
        VocabularyError: an id is not in the vocabulary.

    Source: Chen and Goodman, "An empirical study of smoothing techniques for language modeling", Computer Speech and
    Language 13 (1999), section 3: equation 17 for the discounts, and interpolation instead of backing off.
    """

    def __init__(self, ids: npt.ArrayLike, *, vocab_size: int, eos: int, order: int = 3) -> None:
        if not 1 <= order <= LONGEST_ORDER:
            raise ConfigError(f"the order of the n-grams is {order}; it is from 1 to {LONGEST_ORDER}")
        if not 0 <= eos < vocab_size < 2**31:
            raise ConfigError(f"the id {eos} for ends of lines is not in a vocabulary of {vocab_size} ids")
        self.vocab_size = vocab_size
        self.eos = eos
        self.order = order
        self._levels = self._count(self._stream(ids))

    def log_probabilities(self, ids: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the natural logarithm of the probability of each id of a text, given those before it.

        Args:
            ids: the text, ``time``, any integer type, with ``eos`` after each line.

        Returns:
            ``float32``, ``time``, in nats.

        Raises:
            DataError: there is no text.
            VocabularyError: an id is not in the vocabulary.
        """
        stream = self._stream(ids)
        start = self.order - 1
        found = stream  # index of the n-gram that ends at each place; -1 for one that is not known
        probabilities = np.full(len(stream) - start, 1.0 / self.vocab_size)
        for length, level in enumerate(self._levels, start=1):
            if length == 1:
                history = np.zeros_like(probabilities, dtype=np.int64)
            else:
                before = np.concatenate(([-1], found[:-1]))
                history = before[start:]
                found = _places(level.keys, before * self.vocab_size + stream, before >= 0)
            ending = found[start:]
            shares = np.where(ending >= 0, level.shares[ending], 0.0)
            weights = np.where(history >= 0, level.weights[history], 1.0)
            probabilities = shares + weights * probabilities
        return np.log(probabilities).astype(np.float32)

    def __len__(self) -> int:
        """How many n-grams of all lengths were seen."""
        return sum(int(np.count_nonzero(level.shares)) for level in self._levels)

    def _stream(self, ids: npt.ArrayLike) -> Ids:
        """Return a text with the ends of lines before it that the first word's history takes."""
        given = np.asarray(ids)
        if given.ndim != 1 or not len(given):
            raise DataError(f"n-grams are counted in one stream of ids, and this has the shape {given.shape}")
        lowest, highest = int(given.min()), int(given.max())
        if lowest < 0 or highest >= self.vocab_size:
            raise VocabularyError(
                f"the text has ids from {lowest} to {highest}; those of the vocabulary go from 0 to "
                f"{self.vocab_size - 1}"
            )
        return np.concatenate([np.full(self.order - 1, self.eos, np.int64), given.astype(np.int64)])

    def _count(self, stream: Ids) -> list[_Level]:
        start = self.order - 1  # n-grams count that end here or later; those before are histories only
        all_keys: list[Ids] = [np.arange(self.vocab_size)]
        histories: list[Ids] = [np.zeros(self.vocab_size, np.int64)]
        shorter: list[Ids] = []  # of each n-gram, the index of the one without its first word
        indices = stream  # of the n-grams that end at each place
        times = np.bincount(indices[start:], minlength=self.vocab_size)
        seen = [times > 0]
        for length in range(2, self.order + 1):
            # the n-grams of this length end at the places from length - 1 on
            keys, longer = np.unique(indices[:-1] * self.vocab_size + stream[length - 1 :], return_inverse=True)
            suffix = np.empty(len(keys), np.int64)
            suffix[longer] = indices[1:]
            all_keys.append(keys)
            histories.append(keys // self.vocab_size)
            shorter.append(suffix)
            indices = longer
            times = np.bincount(indices[start - length + 1 :], minlength=len(keys))
            seen.append(times > 0)
        levels = []
        for place, keys in enumerate(all_keys):
            is_longest = place == self.order - 1
            counts = times if is_longest else np.bincount(shorter[place][seen[place + 1]], minlength=len(keys))
            num_histories = len(all_keys[place - 1]) if place else 1
            levels.append(_level(keys, counts, histories[place], num_histories))
        return levels


def _level(keys: Ids, counts: Ids, histories: Ids, num_histories: int) -> _Level:
    """Turn counts into shares and weights.

    Args:
        keys: of the n-grams.
        counts: of the n-grams; 0 for those that are histories only.
        histories: index of each n-gram's history.
        num_histories: how many there are.
    """
    discounts = np.concatenate(([0.0], discounts_of(counts)))[np.minimum(counts, 3)]
    totals = np.bincount(histories, weights=counts, minlength=num_histories)
    freed = np.bincount(histories, weights=discounts, minlength=num_histories)
    is_known = totals > 0
    shares = np.zeros(len(counts))
    np.divide(counts - discounts, totals[histories], out=shares, where=is_known[histories])
    weights = np.ones(num_histories)
    np.divide(freed, totals, out=weights, where=is_known)
    return _Level(keys=keys, shares=shares, weights=weights)


def discounts_of(counts: npt.NDArray[np.int64]) -> tuple[float, float, float]:
    """Return what is taken from counts of 1, of 2 and of 3 or more (Chen and Goodman 1999, equation 17).

    Where a text is so small that the equation has no answer above 0, half of 1, 2 or 3 is taken.
    """
    once, twice, thrice, fourfold = (int(np.count_nonzero(counts == times)) for times in (1, 2, 3, 4))
    ratio = once / (once + 2 * twice) if once else 0.0
    discounts = []
    for times, fewer, more in ((1, once, twice), (2, twice, thrice), (3, thrice, fourfold)):
        discount = times - (times + 1) * ratio * more / fewer if fewer and ratio else 0.0
        discounts.append(discount if 0 < discount < times else times / 2)
    return discounts[0], discounts[1], discounts[2]


def _places(keys: Ids, wanted: Ids, is_possible: npt.NDArray[np.bool_]) -> Ids:
    """Return the place of each wanted key in the sorted keys, -1 for those that are not there."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(is_possible & (keys[places] == wanted), places, -1)

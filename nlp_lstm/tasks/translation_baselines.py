"""Translators without a network: the nearest sentence that was seen, and word by word by a learnt dictionary."""

from __future__ import annotations

import random
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

MEMORY = "nearest training sentence"
DICTIONARY = "word by word, dictionary of IBM model 1"

MOST_PAIRS = 200_000  # that are learnt from; of more a random choice, and the names say so

_AT_ONCE = 256  # sentences looked up together
_PASSES = 5
_NOTHING = 0  # the word of a source that target words without a partner go with
_WORD = re.compile(r"[\w\u0900-\u0963]+|[^\w\s]")  # the signs of Devanagari are parts of its words


def nearest_translations(sources: Sequence[str], targets: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Return for each text the translation of the training sentence that is most like it.

    Alike is the cosine of TF-IDF vectors of words and pairs of words; of equals the first is taken.

    Args:
        sources: training sentences.
        targets: their translations.
        texts: what to translate.
    """
    vectorizer = TfidfVectorizer(token_pattern=_WORD.pattern, ngram_range=(1, 2), sublinear_tf=True)
    known = vectorizer.fit_transform(sources).T.tocsr()
    found: list[str] = []
    for start in range(0, len(texts), _AT_ONCE):
        likeness = (vectorizer.transform(texts[start : start + _AT_ONCE]) @ known).toarray()
        found += [targets[place] for place in likeness.argmax(axis=1)]
    return found


class WordByWord:
    """A dictionary learnt from sentence pairs, used word by word in the order of the source.

    Args:
        sources: training sentences.
        targets: their translations.

    Source: Brown et al., "The Mathematics of Statistical Machine Translation", Computational Linguistics 19 (1993),
    model 1, five passes of expectation maximisation.
    """

    def __init__(self, sources: Sequence[str], targets: Sequence[str]) -> None:
        source_rows, source_words = _number(text.lower() for text in sources)
        target_rows, target_words = _number(targets)
        best = _model_1(source_rows, target_rows, source_words, target_words)
        self._partners: Mapping[str, str] = {
            word: target_words[best[number]] for number, word in enumerate(source_words) if best[number] >= 0
        }

    def translate(self, text: str) -> str:
        """Return the text with each word replaced by its likeliest partner; unknown words stay."""
        words = _WORD.findall(text)
        found = [self._partners.get(word.lower(), word) for word in words]
        joined = " ".join(word for word in found if word)
        return re.sub(r" (?=[.,!?;:।])", "", joined)


def mutual_translations(sources: Sequence[str], targets: Sequence[str]) -> dict[str, str]:
    """Return the words of the sources, in small letters, whose likeliest partner has them as its likeliest partner.

    Args:
        sources: training sentences.
        targets: their translations.

    Source: as of `WordByWord`, in both directions.
    """
    source_rows, source_words = _number(text.lower() for text in sources)
    target_rows, target_words = _number(targets)
    forth = _model_1(source_rows, target_rows, source_words, target_words)
    back = _model_1(target_rows, source_rows, target_words, source_words)
    return {
        word: target_words[forth[number]]
        for number, word in enumerate(source_words)
        if word.isalpha() and forth[number] > _NOTHING and back[forth[number]] == number
    }


def split_words(text: str) -> list[str]:
    """Return the words and punctuation marks that the dictionary tells apart."""
    return _WORD.findall(text)


def _number(texts: Iterable[str]) -> tuple[list[list[int]], list[str]]:
    """Each text as numbers of words, and the words; number 0 is no word."""
    numbers: dict[str, int] = {"": _NOTHING}
    rows = [[numbers.setdefault(word, len(numbers)) for word in _WORD.findall(text)] for text in texts]
    return rows, list(numbers)


def _model_1(
    sources: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    source_words: Sequence[str],
    target_words: Sequence[str],
) -> NDArray[np.int64]:
    """Return for each source word its likeliest target word; -1 where it has none. Words go with words only."""
    source_pairs, target_pairs, group_sizes = array("q"), array("q"), array("q")  # there are many millions
    source_is_word = [word[:1].isalnum() for word in source_words]
    target_is_word = [word[:1].isalnum() for word in target_words]
    for source, target in zip(sources, targets, strict=True):
        for word in target:
            partners = [other for other in source if source_is_word[other] == target_is_word[word]]
            source_pairs.extend((_NOTHING, *partners))
            target_pairs.extend([word] * (1 + len(partners)))
            group_sizes.append(1 + len(partners))
    num_sources, num_targets = len(source_words), len(target_words)
    pairs, places = np.unique(np.array(source_pairs) * num_targets + np.array(target_pairs), return_inverse=True)
    pair_sources = pairs // num_targets
    groups = np.repeat(np.arange(len(group_sizes)), group_sizes)
    chances = np.ones(len(pairs))
    for _ in range(_PASSES):
        share = chances[places]
        share /= np.bincount(groups, share)[groups]
        counts = np.bincount(places, share, minlength=len(pairs))
        chances = counts / np.bincount(pair_sources, counts, minlength=num_sources)[pair_sources]
    table = sparse.csr_matrix((chances, (pair_sources, pairs % num_targets)), shape=(num_sources, num_targets))
    best = np.asarray(table.argmax(axis=1)).ravel()
    best[np.diff(table.indptr) == 0] = -1
    return best


def baseline_translations(pairs: Sequence[tuple[str, str]], texts: Sequence[str]) -> dict[str, list[str]]:
    """Return what the two baselines make of texts, by their names.

    Args:
        pairs: training texts with their translations.
        texts: to translate.
    """
    note = ""
    if len(pairs) > MOST_PAIRS:
        pairs, note = random.Random(1).sample(pairs, MOST_PAIRS), f" ({MOST_PAIRS:,} pairs)"
    sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
    dictionary = WordByWord(sources, targets)
    return {
        MEMORY + note: nearest_translations(sources, targets, texts),
        DICTIONARY + note: [dictionary.translate(text) for text in texts],
    }

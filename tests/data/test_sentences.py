"""Lines cut into sentences, and sentences as arrays."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import running_examples

from nlp_lstm.data.batch import BatchMaker
from nlp_lstm.data.sentences import LONGEST_SENTENCE, EncodedSentences, cut_sentences
from nlp_lstm.data.words import EOS_ID, WordVocabularies
from nlp_lstm.nn.settings import EmbeddingSettings


def cut(line: str) -> list[str]:
    words = line.split()
    return [" ".join(words[start:end]) for start, end in cut_sentences(words)]


def test_a_sentence_ends_with_its_mark_and_what_closes_behind_it():
    assert cut("He left . So did I ! Why ?") == ["He left .", "So did I !", "Why ?"]
    assert cut('" He left . " So did I . " Why ? "') == ['" He left . "', "So did I .", '" Why ? "']
    assert cut('" One . Two . " Three') == ['" One .', 'Two . "', "Three"]
    assert cut("( He left . ) No ! ! ! Mr. Lee") == ["( He left . )", "No ! ! !", "Mr. Lee"]
    assert cut("") == []


@given(st.lists(st.sampled_from(["a", ".", "!", '"', ")"]), max_size=350))
def test_no_word_is_lost_and_no_sentence_is_too_long(words):
    bounds = list(cut_sentences(words))
    assert [word for start, end in bounds for word in words[start:end]] == words
    assert all(0 < end - start <= LONGEST_SENTENCE for start, end in bounds)


def test_a_batch_of_numbered_sentences_is_that_of_their_words():
    sentences = [example.document.words for example in running_examples()[:12]]
    counts = {word: 2 for sentence in sentences for word in sentence}
    maker = BatchMaker(WordVocabularies.build(counts, EmbeddingSettings()))
    targets = {word: number for number, word in enumerate(counts, start=4)}
    encoded = EncodedSentences.collect(sentences, maker.make_table, lambda words: [targets[word] for word in words])
    assert len(encoded) == len(sentences)
    chosen = [7, 0, 3, 3]
    rows = [sentences[number] for number in chosen]
    ids = [[targets[word] for word in row] for row in rows]
    labels = {"next": [[*row[1:], EOS_ID] for row in ids], "previous": [[EOS_ID, *row[:-1]] for row in ids]}
    expected, found = maker.make_batch(rows, labels), encoded.make_batch(chosen)
    assert torch.equal(found.lengths, expected.lengths)
    assert torch.equal(found.mask, expected.mask)
    for name, values in expected.labels.items():
        assert torch.equal(found.labels[name], values)
    for mine, theirs in zip(found.features, expected.features, strict=True):
        mine, theirs = mine[found.index[found.mask]], theirs[expected.index[expected.mask]]
        assert torch.equal(mine, theirs)


def test_a_text_is_told_from_any_other():
    table = BatchMaker(WordVocabularies.build({"a": 2}, EmbeddingSettings())).make_table

    def digest(*sentences: str) -> bytes:
        return EncodedSentences.collect(map(str.split, sentences), table, lambda words: [1] * len(words)).digest()

    assert digest("a b", "c") == digest("a b", "c")
    assert len({digest("a b", "c"), digest("a", "b c"), digest("a c", "b"), digest("a b c")}) == 4

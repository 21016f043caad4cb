import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_lstm.errors import DataError
from nlp_lstm.text.document import Document

words_lists = st.lists(st.text(min_size=1, max_size=8), max_size=12)


@given(words_lists)
def test_offsets_give_back_every_token(words):
    document = Document.from_words(words)
    assert document.words == words
    assert [document.text[token.start : token.end] for token in document.tokens] == words
    assert len(document) == len(words)


@given(words_lists, st.data())
def test_spaces_stand_exactly_where_they_were_asked_for(words, data):
    spaces = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    document = Document.from_words(words, spaces)
    assert document.text == "".join(
        word + (" " if follows else "") for word, follows in zip(words, spaces, strict=True)
    )


def test_a_space_stands_between_words_and_none_at_the_end():
    assert Document.from_words(["Good", "night", "!"]).text == "Good night !"


@pytest.mark.parametrize("bad", ["", None, 3, b"x"])
def test_a_bad_token_is_named_with_its_index(bad):
    with pytest.raises(DataError, match="token 1 is"):
        Document.from_words(["fine", bad])

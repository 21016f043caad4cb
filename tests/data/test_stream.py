import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_lstm.data import stream as stream_module
from nlp_lstm.data.stream import TokenStream
from nlp_lstm.errors import DataError

END = 3
LINES = [[5, 6, 7], [8], [], [9, 10]]
WHOLE = [END, 5, 6, 7, END, 8, END, END, 9, 10, END]  # LINES with an end on both sides of each

streams = st.integers(2, 300).map(lambda length: TokenStream(np.arange(length, dtype=np.int32)))
noises = st.none() | st.integers(0, 99)


def plan(stream, batch_tokens, window, seed):
    return stream.plan(batch_tokens, window=window, noise=None if seed is None else random.Random(seed))


@given(streams, st.integers(1, 400), st.integers(2, 30), noises)
def test_rows_and_windows_cover_the_text_once_and_in_order(stream, batch_tokens, window, seed):
    parts = plan(stream, batch_tokens, window, seed)
    rows = parts[0].rows
    assert {part.rows for part in parts} == {rows}
    assert parts[0].start == 0
    assert all(before.end == after.start for before, after in pairwise(parts))
    read = np.concatenate([stream.read(part)[:, :-1] for part in parts], axis=1)
    assert read.flatten().tolist() == list(range(read.size))  # row after row, nothing twice
    left_out = len(stream) - 1 - read.size  # the very last id is predicted and never read
    assert 0 <= left_out < rows


@given(streams, st.integers(1, 400), st.integers(2, 30), noises)
def test_next_ids_are_the_ids_a_step_later(stream, batch_tokens, window, seed):
    for part in plan(stream, batch_tokens, window, seed):
        ids = stream.read(part)
        assert ids.shape == (part.rows, part.end - part.start + 1)
        assert ids.dtype == np.int64
        assert (ids[:, 1:] == ids[:, :-1] + 1).all()


def test_a_batch_holds_the_tokens_asked_for():
    parts = TokenStream(np.arange(10_001, dtype=np.int32)).plan(200, window=20)
    assert {(part.rows, part.end - part.start) for part in parts} == {(10, 20)}


def test_the_same_seed_gives_the_same_windows_and_another_seed_others():
    stream = TokenStream(np.arange(20_000, dtype=np.int32))
    assert plan(stream, 200, 50, 1) == plan(stream, 200, 50, 1)
    assert plan(stream, 200, 50, 1) != plan(stream, 200, 50, 2)


def test_windows_vary_about_the_wanted_length_and_one_in_twenty_is_about_half():
    """Merity et al. 2018, section 5: 0.95 of the base, 0.05 of half of it, normal with a deviation of 5."""
    lengths = [part.end - part.start for part in plan(TokenStream(np.arange(300_000, dtype=np.int32)), 70, 70, 1)][:-1]
    is_short = [length < 52 for length in lengths]
    # five standard errors of a share of 0.05
    assert np.mean(is_short) == pytest.approx(0.05, abs=5 * (0.05 * 0.95 / len(lengths)) ** 0.5)
    long = [length for length, short in zip(lengths, is_short, strict=True) if not short]
    assert np.mean(long) == pytest.approx(70, abs=5 * 5 / len(long) ** 0.5)
    assert np.std(long) == pytest.approx(5, rel=0.1)
    assert max(lengths) <= 90


def test_an_end_stands_on_both_sides_of_every_line():
    assert TokenStream.collect(LINES, end_id=END).ids.tolist() == WHOLE


@pytest.mark.parametrize("is_backward", [False, True])
@pytest.mark.parametrize("at_a_time", [1, 3, 1_000_000])
def test_a_file_and_the_memory_hold_the_same(tmp_path, monkeypatch, is_backward, at_a_time):
    monkeypatch.setattr(stream_module, "_IDS_AT_A_TIME", at_a_time)
    written = TokenStream.write(tmp_path / "text.ids", iter(LINES), end_id=END, is_backward=is_backward)
    held = TokenStream.collect(iter(LINES), end_id=END, is_backward=is_backward)
    assert written.ids.tolist() == held.ids.tolist() == (WHOLE[::-1] if is_backward else WHOLE)
    assert len(written) == len(WHOLE)
    assert written.digest() == held.digest()
    assert [path.name for path in tmp_path.iterdir()] == ["text.ids"]


def test_a_backward_stream_gives_each_token_after_those_behind_it():
    stream = TokenStream.collect(LINES, end_id=END, is_backward=True)
    [part] = stream.plan(10, window=10)
    assert stream.read(part).tolist() == [[END, 10, 9, END, END, 8, END, 7, 6, 5, END]]


def test_the_checksum_tells_texts_and_directions_apart():
    streams = [
        TokenStream.collect(LINES, end_id=END),
        TokenStream.collect(LINES, end_id=END, is_backward=True),
        TokenStream.collect([[5, 6, 7, 8], [], [9, 10]], end_id=END),
    ]
    assert len({stream.digest() for stream in streams}) == 3


def test_a_files_ids_are_mapped_and_never_loaded_whole(tmp_path):
    path = tmp_path / "text.ids"
    for is_backward in (False, True):
        stream = TokenStream.write(path, ([number] * 99 for number in range(1_000)), end_id=0, is_backward=is_backward)
        assert isinstance(stream.ids, np.memmap)
        assert stream.ids.mode == "r"
        part = stream.plan(500, window=50)[3]
        assert isinstance(stream.read(part), np.ndarray)
        assert not np.shares_memory(stream.read(part), stream.ids)
    assert path.stat().st_size == 4 * len(stream)


def test_an_earlier_file_is_replaced(tmp_path):
    TokenStream.write(tmp_path / "text.ids", [[5] * 50], end_id=END)
    again = TokenStream.write(tmp_path / "text.ids", LINES, end_id=END)
    assert again.ids.tolist() == WHOLE


@pytest.mark.parametrize("lines", [[], iter(())])
def test_an_empty_text_is_refused(tmp_path, lines):
    with pytest.raises(DataError, match="the text is empty; give a text with words in it"):
        TokenStream.collect(lines, end_id=END)
    with pytest.raises(DataError, match="the text is empty"):
        TokenStream.write(tmp_path / "text.ids", lines, end_id=END)

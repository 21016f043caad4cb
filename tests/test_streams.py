"""Streams against `predict` and `score` on the whole text."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import (
    LETTERS,
    bundled_model,
    corpus_file,
    tagged_examples,
    tiny_classifier,
    tiny_language_model,
    tiny_model,
    tiny_pipeline,
)
from typer.testing import CliRunner

from nlp_lstm.cli import app
from nlp_lstm.data.readers import read_conllu
from nlp_lstm.data.sampling import cut_windows
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.inference.streams import STREAM_OPTIONS
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.stream_commands import read_pieces
from nlp_lstm.tasks.tagging import WINDOW_CONTEXT, WINDOW_SIZE
from nlp_lstm.text.incoming import LONGEST_WORD, LineReader, SentenceReader
from nlp_lstm.text.tokenize import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
LETTER_TEXT = LETTERS.read_text(encoding="utf-8")
ENDLESS = "and then we went on " * 300  # a sentence of 1,500 words
ODD = 'He said: "Go (now)!"  \t\nShe did.\n \n\n…Why?! "Yes." e.g. U.S. 10,000 नमस्ते।\r\nok 👍\x0c\u2028end'


def cut(text, seed):
    """The text in pieces of random length, many of them short."""
    generator = random.Random(seed)
    start = 0
    while start < len(text):
        end = start + generator.choice((1, 1, 2, 5, 20, 300))
        yield text[start:end]
        start = end


# ---- sentences


def read_sentences(text, pieces, size=10**6, context=0):
    reader = SentenceReader(Tokenizer("en"), size=size, context=context)
    return list(itertools.chain(*map(reader.read, pieces), reader.finish()))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("text", [LETTER_TEXT, ODD * 5, "", " \n\n ", "word", " . . ! x"])
def test_sentences_are_those_of_the_whole_text(text, seed):
    expected = [document.tokens for document in Tokenizer("en").sentences(text)]
    assert [stretch.tokens for stretch in read_sentences(text, cut(text, seed))] == expected


@given(st.text(alphabet="ab.!?\"'() \n\t\u0964…", max_size=60), st.integers(0, 9))
def test_sentences_of_any_text_are_those_of_the_whole(text, seed):
    expected = [document.tokens for document in Tokenizer("en").sentences(text)]
    assert [stretch.tokens for stretch in read_sentences(text, cut(text, seed))] == expected


@pytest.mark.parametrize("length", [1, 7, 8, 9, 11, 12, 16, 17, 19, 50])
def test_long_sentences_are_cut_where_windows_are_cut(length):
    words = [f"w{number}" for number in range(length)]
    text = " ".join(words)
    for _ in range(2):
        found = read_sentences(text, [text + " "], size=8, context=3)
        expected = cut_windows(length, size=8, context=3)
        assert [
            ([token.text for token in stretch.tokens], stretch.keep_start, stretch.keep_end) for stretch in found
        ] == [
            (words[window.start : window.end], window.keep_start - window.start, window.keep_end - window.start)
            for window in expected
        ]
        text = f"First. {text}."  # the same after a sentence; its end counts as a word
        found = read_sentences(text, list(text), size=8, context=3)[1:]
        assert len(found) == len(cut_windows(length + 1, size=8, context=3))
        text = " ".join(words)


def test_a_sentence_comes_with_the_next_ones_first_word_or_a_blank_line():
    reader = SentenceReader(Tokenizer("en"), size=10, context=2)
    assert [len(list(reader.read(piece))) for piece in ["We wait. ", "They", " ", "go", "\n", "\n"]] == [
        0,
        0,
        1,
        0,
        0,
        1,
    ]
    assert list(reader.finish()) == []


def test_no_token_waits_for_more_than_the_look_ahead():
    reader = SentenceReader(Tokenizer("en"), size=10, context=4)
    num_answered = 0
    for num_given, word in enumerate(["word"] * 100, start=1):
        num_answered += sum(stretch.keep_end - stretch.keep_start for stretch in reader.read(f"{word} "))
        assert num_given - num_answered < 10 + 4


def test_a_word_without_an_end_is_cut():
    found = read_sentences("", itertools.repeat("x" * 1_000, 120))
    assert [len(token.text) for stretch in found for token in stretch.tokens] == [LONGEST_WORD + 1_000] * 2 + [18_000]


# ---- lines


@given(st.text(alphabet="ab@,\n \t\r\u2028", max_size=60), st.integers(0, 9))
def test_parts_of_lines_are_the_lines(text, seed):
    reader = LineReader()
    lines, parts = [], []
    for part in itertools.chain(*map(reader.read, cut(text, seed)), reader.finish()):
        assert text[part.start : part.start + len(part.text)] == part.text
        if part.is_end:
            lines.append((parts[0].start, "".join(one.text for one in parts)))
            assert part.start == parts[-1].start + len(parts[-1].text)
            parts = []
        else:
            assert part.text[0] == " " or not parts
            parts.append(part)
    assert not parts
    assert [line for _, line in lines] == [line.strip() for line in text.split("\n") if line.strip()]
    assert all(text[start : start + len(line)] == line for start, line in lines)


# ---- tags


@pytest.mark.parametrize("seed", range(2))
def test_tags_are_those_of_the_whole_text(seed):
    text = f"{LETTER_TEXT}\n{ODD}\n\n{ENDLESS}. We wait. {ENDLESS}"
    assert len(ENDLESS.split()) > 2 * WINDOW_SIZE + WINDOW_CONTEXT
    found = list(tiny_pipeline().stream(cut(text, seed)))
    expected = tiny_pipeline().predict(text)
    assert [{**token, "score": 0, "xpos_score": 0} for token in found] == [
        {**token, "score": 0, "xpos_score": 0} for token in expected
    ]
    assert [token["score"] for token in found] == pytest.approx([token["score"] for token in expected], abs=1e-5)
    by_xpos = list(tiny_pipeline().stream([text], label="xpos"))
    assert [token["entity"] for token in by_xpos] == [token["xpos"] for token in expected]


def test_tags_of_a_treebanks_text_are_those_of_the_bundled_model():
    tagger = Pipeline(bundled_model("pos-en"))
    sentences = read_conllu(corpus_file("ud-english-ewt/*dev.conllu*"))[:150]
    text = "\n\n".join(example.document.text for example in sentences)
    found = [(token["word"], token["entity"], token["xpos"], token["start"]) for token in tagger.stream(cut(text, 1))]
    assert found == [(token["word"], token["entity"], token["xpos"], token["start"]) for token in tagger.predict(text)]


def test_answers_come_while_the_text_goes_on():
    asked = []

    def endless():
        for number in itertools.count():
            asked.append(number)
            yield f"We wait for ferry {number}. "

    tags = tiny_pipeline().stream(endless())
    assert next(tags)["word"] == "We"
    assert len(asked) == 2
    labels = tiny_classifier().stream(endless())
    next(labels)
    assert len(asked) == 4


# ---- labels


@pytest.mark.parametrize("window", [3, 25, 200])
def test_labels_are_those_of_the_last_sentences(window):
    text = LETTER_TEXT + " " + ENDLESS[:2_000]
    units = []
    for sentence in Tokenizer("en").sentences(text):
        units += [sentence.tokens[start : start + window] for start in range(0, len(sentence), window)]
    expected = []
    for number in range(len(units)):
        first = number
        while first and sum(map(len, units[first - 1 : number + 1])) <= window:
            first -= 1
        expected.append([token for unit in units[first : number + 1] for token in unit])
    found = list(tiny_classifier().stream(cut(text, 3), window=window, top_k=None))
    assert [(answer["start"], answer["end"]) for answer in found] == [
        (tokens[0].start, tokens[-1].end) for tokens in expected
    ]
    answers = tiny_classifier().predict(
        [[token.text for token in tokens] for tokens in expected], pretokenized=True, top_k=None
    )
    for one, other in zip(found, answers, strict=True):
        assert {label["label"]: label["score"] for label in one["labels"]} == pytest.approx(
            {label["label"]: label["score"] for label in other}, abs=1e-5
        )


def test_a_label_is_that_of_the_text_it_names():
    for answer in itertools.islice(tiny_classifier().stream([LETTER_TEXT], window=30), 5):
        [best] = tiny_classifier().predict([LETTER_TEXT[answer["start"] : answer["end"]]])
        assert {**answer, "score": 0} == {**best, "score": 0, "start": answer["start"], "end": answer["end"]}


# ---- scores


@pytest.mark.parametrize("unit", ["word", "subword", "character"])
def test_scores_are_those_of_the_whole_text(unit):
    model = tiny_language_model(unit)
    text = f"  {LETTER_TEXT}\n{ODD}\n10 @,@ 000 @-@ x  y \n{ENDLESS[:900]}"
    expected = model.score(text)["tokens"]
    for seed in range(2):
        found = list(model.stream(cut(text, seed)))
        assert [{**token, "log_probability": 0} for token in found] == [
            {**token, "log_probability": 0} for token in expected
        ]
        assert [token["log_probability"] for token in found] == pytest.approx(
            [token["log_probability"] for token in expected], abs=1e-5
        )


def test_scores_of_the_bundled_model_are_those_of_the_whole_text():
    model = Pipeline(bundled_model("lm-en"))
    text = "\n".join(example.document.text for example in tagged_examples()[:20]) + "\nA well-known 10,000 things."
    found, expected = list(model.stream(cut(text, 2))), model.score(text)["tokens"]
    assert [token["token"] for token in found] == [token["token"] for token in expected]
    assert [token["log_probability"] for token in found] == pytest.approx(
        [token["log_probability"] for token in expected], abs=1e-5
    )


def test_a_language_model_still_writes_on_a_string():
    assert "".join(tiny_language_model().stream("The old", max_new_tokens=3, seed=1))


# ---- memory


def pieces_of(num_characters):
    text = LETTER_TEXT + "\n\n" + ENDLESS
    for _ in range(num_characters // len(text)):
        yield text


@pytest.mark.parametrize("task", ["pos", "sentiment", "lm"])
def test_memory_does_not_grow_with_the_text(task):
    """The soak of benchmarks/streams.py over a hundred million characters, scaled down."""
    pipeline = {"pos": tiny_pipeline, "sentiment": tiny_classifier, "lm": tiny_language_model}[task]()
    assert sum(1 for _ in pipeline.stream(pieces_of(10_000)))  # what is made once
    peaks = []
    for num_characters in (20_000, 60_000):  # from 20,000 on as much as is read together
        tracemalloc.start()
        assert sum(1 for _ in pipeline.stream(pieces_of(num_characters)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 100_000


# ---- what is refused


@pytest.mark.parametrize("bad", ["a string", b"bytes", None, 3])
def test_what_is_no_stream_is_refused(bad):
    with pytest.raises(DataError, match="give the pieces of a text one after the other"):
        tiny_pipeline().stream(bad)


def test_a_bad_piece_is_named():
    with pytest.raises(DataError, match="piece 1 is b'x'"):
        list(tiny_pipeline().stream(["fine. ", b"x"]))


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (tiny_pipeline, {"window": 3}, 'unknown option "window".*known: label'),
        (tiny_pipeline, {"label": "nope"}, 'unknown label column "nope"'),
        (tiny_classifier, {"explain": True}, 'unknown option "explain".*known: window, top_k'),
        (tiny_classifier, {"window": 0}, "window is 0"),
        (tiny_classifier, {"top_k": 0}, "top_k is 0"),
        (tiny_language_model, {"seed": 1}, "known: none"),
    ],
)
def test_options_are_checked_before_any_piece_is_asked_for(make, options, message):
    with pytest.raises(ConfigError, match=message):
        make().stream(iter(["We wait."]), **options)


def test_a_task_that_reads_no_streams_says_so(monkeypatch):
    monkeypatch.delitem(STREAM_OPTIONS, "pos")
    with pytest.raises(ConfigError, match="the task pos reads no streams; those that do are sentiment, lm"):
        tiny_pipeline().stream(["We wait."])


# ---- the command


def run_stream(*arguments, text):
    result = CliRunner().invoke(app, ["stream", *arguments], input=text)
    assert result.exception is None, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_command_writes_a_line_for_each_answer():
    text = LETTER_TEXT.encode()
    assert run_stream(str(tiny_model()), text=text) == list(tiny_pipeline().stream([LETTER_TEXT]))
    labels = run_stream(str(tiny_classifier().folder), "--window", "30", "--top-k", "0", text=text)
    assert labels == list(tiny_classifier().stream([LETTER_TEXT], window=30, top_k=None))


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_bytes_become_text_wherever_they_are_cut(size):
    class Pipe:
        def __init__(self, data):
            self.data = data

        def read1(self, _):
            data, self.data = self.data[:size], self.data[size:]
            return data

    text = "naïve नमस्ते 👍\r\n"
    assert "".join(read_pieces(Pipe(b"\xef\xbb\xbf" + text.encode()))) == text
    with pytest.raises(DataError, match=r"stdin: byte b'\\xff' at position 4 is not UTF-8"):
        list(read_pieces(Pipe("né!".encode() + b"\xffx")))
    with pytest.raises(DataError, match=r"byte b'\\xf0' at position 2"):
        list(read_pieces(Pipe(b"ab\xf0\x9f")))


def test_the_command_answers_as_text_comes_and_ends_cleanly():
    command = [sys.executable, "-m", "nlp_lstm", "stream", str(tiny_model())]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        process.stdin.write("We wait. They ")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["word"] == "We"  # while stdin is open
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
        assert (process.returncode, errors) == (130, "")
    with subprocess.Popen(command, env=environment, **pipes) as process:
        process.stdout.close()
        process.stdin.write("We wait. They go. " * 200)
        process.stdin.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0

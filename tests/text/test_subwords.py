import hashlib
import random
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import SAMPLES

from nlp_lstm.errors import CheckpointError, ConfigError, DataError, VocabularyError
from nlp_lstm.text.subwords import LARGEST_MODEL, SMALLEST_SIZE, SPECIALS, SubwordModel

LETTERS = SAMPLES / "letters.txt"


@lru_cache
def model(kind="unigram"):
    return SubwordModel.train(LETTERS.read_text("utf-8").splitlines(), size=400, kind=kind)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_pieces_are_specials_bytes_and_parts_of_words(kind):
    trained = model(kind)
    assert trained.pieces[:4] == SPECIALS == ("<pad>", "<unk>", "<bos>", "<eos>")
    assert trained.pieces[4:260] == tuple(f"<0x{byte:02X}>" for byte in range(256))
    assert len(trained) == len(trained.pieces) == 400
    assert "\u2581the" in trained.pieces
    text = "The harbour in winter."
    ids = trained.encode(text)
    assert len(ids) < len(text)
    assert "".join(trained.pieces[index] for index in ids).replace("\u2581", " ") == f" {text}"


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@given(text=st.text())
def test_every_text_comes_back_and_nothing_is_unknown(kind, text):
    text = text.replace("\u2581", "")  # sentencepiece's own sign for a space
    ids = model(kind).encode(text)
    assert model(kind).decode(ids) == text
    assert all(len(SPECIALS) <= index < len(model(kind)) for index in ids)


@pytest.mark.parametrize(
    "text", ["", " ", "  two  spaces ", "line\nend\t\r\n", "日本 😀", "<eos> <unk><pad>", "ﬁ½\u3000\u00a0", "a\0b"]
)
def test_spaces_line_ends_and_signs_are_kept(text):
    assert model().decode(model().encode(text)) == text


def test_a_text_is_encoded_alike_after_saving():
    again = SubwordModel.from_bytes(model().to_bytes())
    text = "Marek's café was shut; the gulls didn't mind."
    assert again.encode(text) == model().encode(text)
    assert again.pieces == model().pieces
    assert again.to_bytes() == model().to_bytes()


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_the_same_text_gives_the_same_model_in_another_process(kind):
    code = (
        "import hashlib, pathlib, sys\nfrom nlp_lstm.text.subwords import SubwordModel\n"
        "lines = pathlib.Path(sys.argv[1]).read_text('utf-8').splitlines()\n"
        "trained = SubwordModel.train(iter(lines), size=400, kind=sys.argv[2])\n"
        "print(hashlib.sha256(trained.to_bytes()).hexdigest())"
    )
    command = [sys.executable, "-c", code, str(LETTERS), kind]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == hashlib.sha256(model(kind).to_bytes()).hexdigest()
    assert ran.stderr == ""  # sentencepiece's log is silent


def test_training_leaves_no_file_and_says_nothing(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    SubwordModel.train(LETTERS.read_text("utf-8").splitlines(), size=400)
    assert list(Path().iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_small_text_gives_fewer_pieces_than_asked_for():
    trained = SubwordModel.train(["a quiet film"], size=8_000)
    assert SMALLEST_SIZE < len(trained) < 300
    assert trained.decode(trained.encode("Some other words")) == "Some other words"


def test_of_many_texts_a_choice_is_learnt_from_that_the_seed_decides():
    texts = [f"{'abcdefghij'[number % 10] * 3} {number}" for number in range(500)]
    few = [SubwordModel.train(iter(texts), size=290, max_texts=40, seed=seed).to_bytes() for seed in (1, 1, 2)]
    assert few[0] == few[1] != few[2]


def test_long_texts_and_texts_with_nul_are_learnt_from():
    text = "harbours and ferries " * 5_000
    assert "\u2581ferries" in SubwordModel.train([text, "a\0b"], size=300).pieces


@pytest.mark.parametrize(
    ("texts", "settings", "kind", "fault"),
    [
        (
            ["a quiet film"],
            {"size": 100},
            ConfigError,
            "size 100 .*smaller than required_chars. 100 vs 27.*choose a larger size",
        ),
        (["a"], {"size": 300, "kind": "word"}, ConfigError, 'is "word"; known kinds: unigram, bpe'),
        (["a"], {"size": 300, "character_coverage": 0.0}, ConfigError, "character_coverage is 0.0"),
        ([], {"size": 300}, DataError, "there is none"),
        (["", " \n"], {"size": 300}, DataError, "there is none"),
        (["fine", "\ud800"], {"size": 300}, DataError, "text 1 holds .* lone surrogate"),
        (["fine", 3], {"size": 300}, DataError, "text 1 is 3"),
    ],
)
def test_what_cannot_be_learnt_is_refused(texts, settings, kind, fault):
    with pytest.raises(kind, match=fault):
        SubwordModel.train(texts, **settings)


def test_texts_and_ids_that_are_none_are_refused():
    with pytest.raises(DataError, match="lone surrogate"):
        model().encode("\udc00")
    for index in (-1, 400):
        with pytest.raises(VocabularyError, match=f"there is no piece {index}; the ids go from 0 to 399"):
            model().decode([index])


def draw(text: str, sharpness: float, seeds: int = 50) -> list[list[int]]:
    return [model().encode_randomly(text, random.Random(seed), sharpness=sharpness) for seed in range(seeds)]


def test_words_are_cut_at_random_the_likelier_ways_more_often():
    text = "The harbourmaster remembered it."
    plain = model().encode(text)
    assert draw(text, 1e6, 5) == [plain] * 5
    drawn = draw(text, 0.1)
    assert drawn == draw(text, 0.1)
    assert {model().decode(ids) for ids in drawn} == {text}
    assert len(set(map(tuple, drawn))) > 25
    assert drawn.count(plain) < draw(text, 1.0).count(plain) < 50


def test_spaces_side_by_side_are_cut_in_one_way():
    assert draw("a  quiet film ", 0.1) == [model().encode("a  quiet film ")] * 50


def test_specials_have_no_text_and_half_a_character_is_replaced():
    ids = model().encode("The ferry")
    assert model().decode([2, *ids[:1], 0, *ids[1:], 3, 1]) == "The ferry"
    assert model().decode([4 + 0xC3]) == "\ufffd"


def test_empty_random_cut_and_oversized_bytes_are_no_model():
    whole = model().to_bytes()
    damaged = [b"", b"\0" * 100, b"no model at all", random.Random(1).randbytes(5_000)]
    damaged += [whole[:length] for length in range(1, len(whole) - 20, 97)]
    for data in damaged:
        with pytest.raises(CheckpointError, match="subword model"):
            SubwordModel.from_bytes(data)
    with pytest.raises(CheckpointError, match="it takes from 1 to 16,000,000"):
        SubwordModel.from_bytes(bytes(LARGEST_MODEL + 1))


def test_changed_bytes_are_refused_or_still_a_model():
    """2,000 models with some bytes changed: none ends the process or raises anything else."""
    generator = random.Random(1)
    whole = model().to_bytes()
    refused = 0
    for _ in range(2_000):
        data = bytearray(whole)
        for _ in range(generator.choice([1, 1, 4])):
            data[generator.randrange(len(data))] = generator.randrange(256)
        try:
            changed = SubwordModel.from_bytes(bytes(data))
        except CheckpointError:
            refused += 1
        else:
            changed.decode(changed.encode("Marek's café 😀"))
            changed.decode(range(len(changed)))
    assert 500 < refused < 2_000


def test_a_model_of_other_specials_is_refused():
    import io

    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a quiet film"]), model_writer=written, vocab_size=13, minloglevel=2
    )
    with pytest.raises(CheckpointError, match=r"begins with '<unk>', .* and has 0 bytes; ours begin with <pad>"):
        SubwordModel.from_bytes(written.getvalue())

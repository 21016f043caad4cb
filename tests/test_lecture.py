"""The sentences of the lecture: none of them is ever learnt."""

from __future__ import annotations

import gzip

import pytest
from samples import corpus_file

from nlp_lstm.data.lecture import lecture_sentences, lecture_texts
from nlp_lstm.data.overlap import normal_form
from nlp_lstm.data.sides import held_out_sentences
from nlp_lstm.evaluation.references import plain_spelling
from nlp_lstm.recipes import load_recipe
from nlp_lstm.run_data import read_run_data


def test_there_are_fifty_sentences_with_translations_that_differ():
    sentences = lecture_sentences()
    assert len({sentence.english for sentence in sentences}) == 50
    for sentence in sentences:
        assert len({plain_spelling(hindi) for hindi in sentence.hindi}) == len(sentence.hindi)
        end = "?" if sentence.english.endswith("?") else "।"
        assert all(hindi.endswith(end) and hindi == hindi.strip() for hindi in sentence.hindi)
        letters = set("".join(sentence.hindi)) - set(" ।?")
        assert all("\u0900" <= letter <= "\u097f" for letter in letters)


@pytest.mark.parametrize(
    ("name", "columns"), [("tatoeba-manythings/eng-hin", (0, 1)), ("hindencorp-slice/en-hi", (1, 2))]
)
def test_no_real_pair_has_one_of_the_sentences(name, columns):
    english, hindi = ({normal_form(text) for text in lecture_texts(language)} for language in ("en", "hi"))
    with gzip.open(corpus_file(f"{name}.tsv.gz"), "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    assert not [row for row in rows if normal_form(row[columns[0]]) in english]
    assert not [row for row in rows if normal_form(row[columns[1]]) in hindi]


def test_a_run_leaves_out_pairs_that_have_one(tmp_path):
    rows = [(f"Number {number}.", f"संख्या {number}।") for number in range(60)]
    rows += [("i am going", "कुछ और"), ("Something else.", "मैं जा रही हूँ")]
    path = tmp_path / "own.tsv"
    path.write_text("en\thi\n" + "".join(f"{en}\t{hi}\n" for en, hi in rows), encoding="utf-8")
    recipe = load_recipe("translate", ["reading.target=hi"])
    data = read_run_data(recipe, path, lambda line: None)
    learnt = {text for pair in data.training for text in (pair.source, pair.target)}
    assert not learnt & {"i am going", "मैं जा रही हूँ"}
    assert data.removed["own.tsv"]["lecture sentences"] >= 1


def test_a_run_of_another_pair_leaves_out_their_english_and_nothing_else(tmp_path):
    path = tmp_path / "own.tsv"
    rows = [f"Number {number}.\tNummer {number}.\n" for number in range(60)]
    rows += [f"{text.upper()}\tSatz {number}.\n" for number, text in enumerate(lecture_texts("en"))]
    path.write_text("en\tde\n" + "".join(rows), encoding="utf-8")
    data = read_run_data(load_recipe("translate"), path, lambda line: None)
    assert all(pair.source.startswith("Number") for pair in data.training)
    assert data.removed["own.tsv"]["lecture sentences"] > 30
    assert data.removed["own.tsv"].total() == data.removed["own.tsv"]["lecture sentences"]


def test_a_run_of_another_pair_leaves_out_what_this_pair_holds_out():
    """A translator into Hindi may begin as one into German, which must not have read its test sentences."""
    corpus_file("tatoeba-manythings/eng-hin.tsv.gz")
    hindi = load_recipe("translate", ["reading.target=hi", "data=[tatoeba-manythings]"])
    german = load_recipe("translate", ["data=[tatoeba-manythings]"])
    held_out = read_run_data(hindi, None, lambda line: None)
    learnt = {normal_form(pair.source) for pair in read_run_data(german, None, lambda line: None).training}
    tested = [normal_form(pair.source) for pair in (*held_out.development, *held_out.test)]
    assert len(tested) > 400
    assert not learnt.intersection(tested)


def test_a_language_model_leaves_them_out_too(monkeypatch, tmp_path):
    monkeypatch.setenv("NLP_LSTM_DATA", str(tmp_path))
    monkeypatch.setenv("NLP_LSTM_CACHE", str(tmp_path))
    assert held_out_sentences("hi") == {"lecture sentences": lecture_texts("hi")}
    assert held_out_sentences("fr") == {}

"""The benchmark beside other libraries, as far as it goes without them: what they are given, asked and counted."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pytest
import sacrebleu
from samples import bundled_model

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
sys.path.append(str(Path(__file__).parent.parent / "benchmarks" / "peers"))

import export
import pareto
import peer
import peers
import with_spacy
import with_stanza

from nlp_lstm.data.example import LabelledExample, ParallelExample, TaggedExample
from nlp_lstm.errors import DataError
from nlp_lstm.text.document import Document

FOLDER = Path(peer.__file__).parent
DOGS = peer.Row(text="Dogs bark.", words=["Dogs", "bark", "."], gold=["NOUN", "VERB", "PUNCT"])
CATS = peer.Row(text="Cats sleep", words=["Cats", "sleep"], gold=["NOUN", "VERB"])
REQUESTS = """
import argparse, pathlib, sys
sys.path.append(sys.argv[1])
import peer

class Nouns:
    def of_texts(self, texts):
        print("what libraries print is no answer")
        return [["NOUN"] * len(text.split()) for text in texts]

    def of_words(self, sentences):
        return [["NOUN"] * len(words) for words in sentences]

arguments = argparse.Namespace(data=pathlib.Path(sys.argv[2]), sentences=2)
peer.answer_requests(Nouns, arguments, {"task": "pos", "bytes": 7, "minutes": 1.0})
"""


@pytest.fixture
def data(tmp_path) -> Path:
    """A folder with two sentences as test split."""
    lines = [json.dumps(row._asdict()) for row in (DOGS, CATS)]
    (tmp_path / "test.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def test_rows_survive_the_export(data):
    document = Document.from_words(["Dogs", "bark", "."], [True, False, False])
    tagged = TaggedExample(document=document, labels={"upos": ("NOUN", "VERB", "PUNCT")})
    assert export.row_of(tagged) == DOGS
    assert export.row_of(LabelledExample(document=document, label="POSITIVE")).gold == "POSITIVE"
    with pytest.raises(DataError, match="no label"):
        export.row_of(LabelledExample(document=document))
    assert peer.read_rows(data, "test") == [DOGS, CATS]


def test_a_worker_says_its_facts_then_answers_and_measures(data):
    command = [sys.executable, "-c", REQUESTS, str(FOLDER), str(data)]
    worker = peers.Worker("nouns", command, peers.environment(argparse.Namespace(threads=1, output=data)))
    assert worker.facts == {"task": "pos", "bytes": 7, "minutes": 1.0}
    assert worker.ask("answers") == [["NOUN"] * 3, ["NOUN"] * 2]
    found = worker.ask("measure")
    assert found["words_per_second"] > 0
    assert 0 < found["p50"] <= found["p99"]
    worker.close()


def test_a_worker_that_ends_is_named(data):
    surroundings = peers.environment(argparse.Namespace(threads=1, output=data))
    with pytest.raises(SystemExit, match="the process of nobody ended with code 3"):
        peers.Worker("nobody", [sys.executable, "-c", "raise SystemExit(3)"], surroundings)


def test_right_labels_are_counted_for_each_text():
    assert peers.count_correct("nouns", [["NOUN"] * 3, ["NOUN"] * 2], [DOGS, CATS]) == [1, 1]
    assert peers.count_correct("ours", ["POSITIVE"], [DOGS._replace(gold="POSITIVE")]) == [1]
    with pytest.raises(DataError, match="2 tags for the 3 words of test sentence 1"):
        peers.count_correct("nouns", [["NOUN"] * 2], [DOGS])


def test_the_summary_compares_ours_with_each_peer(capsys):
    measured = dict.fromkeys(("text_words_per_second", "text_cpu_per_million", "words_per_second", "p50", "p99"), 2.0)
    ours = peers.System(name="ours onnx", commands=[], is_ours=True, turns=[measured])
    ours.answers = [[DOGS.gold, CATS.gold]] * 2
    ours.facts = {"bytes": 10, "minutes": None, "began_as": None, "trained_on": ["ewt", "brown"]}
    turn = measured | {"text_words_per_second": 1.0}
    other = peers.System(name="nouns", commands=[], is_ours=False, turns=[turn])
    other.answers = [[["NOUN"] * 3, ["NOUN"] * 2], [["NOUN", "VERB", "VERB"], ["NOUN", "VERB"]]]
    other.facts = {"bytes": 20, "minutes": 3.0, "ended_by": "patience"}
    found = peers.summary([ours, other], peers.Labels([DOGS, CATS]))
    assert found["nouns"]["ours_is_faster"] == 2.0
    assert found["nouns"]["accuracies"] == [0.4, 0.8]
    assert found["nouns"]["ours_minus_it"]["difference"] == pytest.approx(1 - 0.6)
    peers.print_table("pos", found, argparse.Namespace(threads=1, rounds=1, seeds=[1, 2]))
    printed = capsys.readouterr().out
    assert "ended by patience" in printed
    assert "learnt brown" in printed


def test_translations_are_judged_by_the_bleu_of_sacrebleu():
    outputs = ["Ein Hund rennt über das grüne Gras.", "Zwei Kinder spielen am Strand mit einem Ball."]
    golds = ["Ein Hund rennt über das Gras.", "Zwei Kinder spielen am Strand mit einem Ball."]
    pairs = [ParallelExample(source="A dog runs.", target=gold, target_language="de") for gold in golds]
    rows = [export.row_of(pair) for pair in pairs]
    assert rows[0] == peer.Row(text="A dog runs.", words=["A", "dog", "runs."], gold=golds[0])
    ours = peers.System(name="ours", commands=[], is_ours=True, answers=[golds])
    other = peers.System(name="joeynmt", commands=[], is_ours=False, answers=[outputs, golds])
    judge = peers.Translations(rows)
    bleu = sacrebleu.corpus_bleu(outputs, [golds]).score / 100
    assert judge.scores(other) == [pytest.approx(bleu), pytest.approx(1.0)]
    assert judge.difference(ours, other).difference == pytest.approx(1 - bleu)
    low, high = judge.interval(other)
    assert low <= bleu <= high


def test_the_report_says_which_systems_no_other_beats():
    points = {"slow": (1.0, 96.0), "fast": (9.0, 95.0), "beaten": (2.0, 94.0), "as good": (9.0, 95.0)}
    assert pareto.pareto_front(points, is_gain=True) == ["slow", "fast", "as good"]
    assert pareto.pareto_front(points, is_gain=False) == ["slow"]
    figures = {"text_words_per_second": 9.0, "ours_is_faster": 1.0, "p50": 1.0, "accuracy": 0.9, "interval": [0.8, 1.0]}
    model = {"bytes": 7_000_000, "minutes": None}
    other = figures | {"model": model | {"minutes": 3.0}, "ours_minus_it": {"difference": 0.01, "p_value": 0.5}}
    systems = {"ours": figures | {"model": model}, "nouns": other}
    report = pareto.make_report(
        {"pos": {"systems": systems, "options": {"threads": "1", "rounds": "1", "seeds": "[1]"}}}
    )
    shown = report.to_html()
    assert "+1.00 (p = 0.5000)" in shown
    assert "No other is better in both: nouns." in shown  # of training time, which ours does not tell


def test_texts_reach_the_libraries_as_they_are(tmp_path):
    assert with_spacy.spaces_of(DOGS) == [True, False, False]
    with_stanza.write_conllu([CATS], tmp_path / "cats.conllu")
    lines = (tmp_path / "cats.conllu").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[:4] for line in lines[:2]] == [["1", "Cats", "_", "NOUN"], ["2", "sleep", "_", "VERB"]]


def test_a_wrong_model_of_ours_is_found_before_anything_is_trained(monkeypatch, capsys, tmp_path):
    bundled_model("sentiment-en")
    options = ["--tasks", "pos", "--our-pos", "sentiment-en", "--engines", "onnx", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["peers.py", *options])
    with pytest.raises(SystemExit) as ended:
        peers.main()
    assert ended.value.code == 2
    assert "sentiment-en is a model of the task sentiment" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--minutes", "--rounds", "--limit"])
def test_options_must_be_above_zero(option, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["peers.py", option, "0"])
    with pytest.raises(SystemExit) as ended:
        peers.main()
    assert ended.value.code == 2
    assert "must be above 0" in capsys.readouterr().err


def test_answers_of_a_shorter_training_do_not_count(tmp_path):
    path = tmp_path / "pos-nouns-2.json"
    assert not peers.has_answered(path, 20.0)
    peers.write_json(path, {"facts": {"ended_by": "minutes", "limit": 20.0}, "answers": []})
    assert peers.has_answered(path, 20.0)
    assert not peers.has_answered(path, 60.0)
    peers.write_json(path, {"facts": {"ended_by": "patience", "limit": 20.0}, "answers": []})
    assert peers.has_answered(path, 60.0)

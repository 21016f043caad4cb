"""The task of translation: what it learns by heart comes back, with options, long texts and odd input."""

from __future__ import annotations

import json
import random
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
import sacrebleu
import torch
from samples import pair_examples, tiny_translation_recipe, tiny_translation_run, tiny_translator

from nlp_lstm.data.example import ParallelExample
from nlp_lstm.data.readers import read_examples
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.decoding.search import Hypothesis
from nlp_lstm.errors import CheckpointError, ConfigError, DataError
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.recipes import load_recipe, model_name
from nlp_lstm.tasks import TranslationTask, predict_examples
from nlp_lstm.tasks.translation import Translated
from nlp_lstm.tasks.translation_batches import make_pair_batch
from nlp_lstm.tasks.translation_pieces import LONGEST_SENTENCE
from nlp_lstm.tasks.translation_search import by_coverage
from nlp_lstm.text.copies import take_out, take_out_of_pair
from nlp_lstm.text.subwords import SubwordModel
from nlp_lstm.text.units import BOS_ID, EOS_ID, PAD_ID, UNK_ID

LEARNT = "A dog runs across the wet field."
TRANSLATED = "Ein Hund läuft über das nasse Feld."


def prepared(*overrides: str) -> TranslationTask:
    return TranslationTask.prepare(tiny_translation_recipe(*overrides).model, pair_examples())


def test_what_was_learnt_by_heart_comes_back():
    assert tiny_translator().predict(LEARNT) == {"translation_text": TRANSLATED}


def test_a_text_is_translated_sentence_by_sentence_and_keeps_its_gaps():
    text = f"{LEARNT}\n\n{LEARNT}  {LEARNT}"
    expected = f"{TRANSLATED}\n\n{TRANSLATED}  {TRANSLATED}"
    assert tiny_translator().predict(text)["translation_text"] == expected


def test_tokens_may_come_split():
    assert tiny_translator().predict(LEARNT.split(), pretokenized=True) == {"translation_text": TRANSLATED}


def test_several_translations_come_the_best_first():
    found = tiny_translator().predict(LEARNT, num_return_sequences=3)
    assert found[0]["translation_text"] == TRANSLATED
    assert len({one["translation_text"] for one in found}) == 3
    assert sorted((one["score"] for one in found), reverse=True) == [one["score"] for one in found]


def test_attention_says_where_each_piece_looked():
    [shown] = tiny_translator().predict(LEARNT, attention=True)["attention"]
    assert "".join(shown["target"][:-1]).replace("▁", " ").strip() == TRANSLATED
    assert "".join(shown["source"][:-1]).replace("▁", " ").strip() == LEARNT
    assert shown["source"][-1] == shown["target"][-1] == "<eos>"
    assert [len(row) for row in shown["weights"]] == [len(shown["source"])] * len(shown["target"])
    assert [sum(row) for row in shown["weights"]] == pytest.approx([1.0] * len(shown["target"]), abs=1e-5)
    json.dumps(shown)


def test_no_ngram_comes_twice_where_that_is_asked_for():
    texts = [" ".join([word] * 30) for word in ["bread", "dog", "hill", "sea", "Anna", "garden", "teacher", "letter"]]
    free, bound = (
        tiny_translator().predict(texts, attention=True, no_repeat_ngram_size=size, max_new_tokens=60)
        for size in (0, 2)
    )
    pieces = [[list(pairwise(one["attention"][0]["target"])) for one in found] for found in (free, bound)]
    assert any(len(set(pairs)) < len(pairs) for pairs in pieces[0])
    assert all(len(set(pairs)) == len(pairs) for pairs in pieces[1])


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"num_beams": 0}, "num_beams"),
        ({"beams": 3}, "num_beams"),
        ({"length_penalty": -1}, "length_penalty"),
        ({"attention": True, "num_return_sequences": 2}, "attention is shown for one"),
    ],
)
def test_options_that_do_not_go_are_refused(options, fault):
    with pytest.raises(ConfigError, match=fault):
        tiny_translator().predict(LEARNT, **options)


@pytest.mark.parametrize("text", ["x", "👍", "ж" * 40, "\u0000", "नाव", "a" * 3_000, "word " * 2_000])
@pytest.mark.parametrize("beams", [1, 3])
def test_odd_and_long_texts_are_answered_and_end(text, beams):
    found = tiny_translator().predict(text, num_beams=beams, max_new_tokens=20)["translation_text"]
    assert isinstance(found, str)
    assert len(found) < 100_000


def test_long_sentences_are_cut_at_spaces_and_joined():
    task = tiny_translator().task
    text = " ".join(f"word{number}" for number in range(150))
    pieces = [piece.source for piece, _, _ in task.cut_long(ParallelExample(source=text))]
    assert " ".join(pieces) == text
    assert all(len(task.pieces.source.encode(piece)) <= LONGEST_SENTENCE for piece in pieces)
    single = [tiny_translator().predict(piece)["translation_text"] for piece in pieces]
    assert tiny_translator().predict(text)["translation_text"] == " ".join(single)


@pytest.mark.parametrize("text", ["x" * 5_000, "今日は犬が走る。" * 400, "a" * 200 + " b " + "c" * 900])
def test_a_text_without_spaces_is_cut_as_well(text):
    task = tiny_translator().task
    pieces = [piece for piece, _, _ in task.cut_long(ParallelExample(source=text))]
    assert "".join(piece.source for piece in pieces).replace(" ", "") == text.replace(" ", "")
    assert all(len(piece.source_ids) <= LONGEST_SENTENCE for piece in pieces)


def test_greedy_and_beams_do_not_depend_on_the_batch():
    texts = [example.source for example in pair_examples()[::3]] + ["", "x", "word " * 100]
    order = list(range(len(texts)))
    random.Random(1).shuffle(order)
    for beams in (1, 4):
        alone = [tiny_translator().predict(text, num_beams=beams) for text in texts]
        together = tiny_translator().predict([texts[index] for index in order], num_beams=beams)
        assert together == [alone[index] for index in order]


def test_a_batch_holds_pieces_and_specials():
    batch = make_pair_batch([[7, 8, 9], [5]], [[6], [4, 4]])
    assert batch.source_ids.tolist() == [[7, 8, 9, EOS_ID], [5, EOS_ID, PAD_ID, PAD_ID]]
    assert batch.source_lengths.tolist() == [4, 2]
    assert batch.target_ids.tolist() == [[BOS_ID, 6, PAD_ID], [BOS_ID, 4, 4]]
    assert batch.next_ids.tolist() == [[6, EOS_ID, PAD_ID], [4, 4, EOS_ID]]
    assert batch.num_tokens == 6 + 5


def test_random_pieces_are_those_of_the_seed_and_spell_the_same_text():
    task = prepared("model.random_pieces=1.0", "model.sharpness=0.1")
    examples = pair_examples()
    first, again, other = (task.plan_epoch(examples, 100, seed=1, epoch=epoch)[0] for epoch in (0, 0, 1))
    batches = [task.training_batch(examples, part, {}) for part in (first, again, other)]
    assert batches[0].source_ids.tolist() == batches[1].source_ids.tolist()
    spelt = {task.pieces.source.decode(row.tolist()) for row in batches[0].source_ids}
    assert spelt == {examples[row].source for row in first.rows}
    plain = prepared().training_batch(examples, first, {})
    assert plain.source_ids.tolist() != batches[0].source_ids.tolist()


def test_dropped_words_are_read_as_unknown_but_still_to_be_written():
    task = prepared("model.word_dropout=0.5")
    examples = pair_examples()
    [part, *_] = task.plan_epoch(examples, 200, seed=1, epoch=0)
    batch = task.training_batch(examples, part, {})
    assert 0.3 < (batch.source_ids == UNK_ID).sum() / (batch.source_ids > EOS_ID).sum() < 3
    assert (batch.target_ids[:, 0] == BOS_ID).all()
    assert not (batch.next_ids == UNK_ID).any()


@torch.no_grad()
def test_the_loss_counts_real_pieces_only():
    task = prepared()
    torch.manual_seed(0)
    model = task.build_model().eval()
    examples = pair_examples()[:4]
    losses, counts = [], []
    for example in examples:
        batch = task.make_batch([example], with_labels=True)
        losses.append(float(task.loss(model, model(batch), batch)))
        counts.append(int((batch.next_ids != PAD_ID).sum()))
    together = task.make_batch(examples, with_labels=True, pad_to=50)
    expected = sum(loss * count for loss, count in zip(losses, counts, strict=True)) / sum(counts)
    assert float(task.loss(model, model(together), together)) == pytest.approx(expected, abs=1e-5)


def test_bleu_is_that_of_sacrebleu():
    task = tiny_translator().task
    examples = pair_examples()
    predictions = predict_examples(task, tiny_translator()._model, examples)
    expected = sacrebleu.corpus_bleu([found.text for found in predictions], [[one.target for one in examples]])
    assert task.score(examples, predictions)["bleu"] == pytest.approx(expected.score, abs=1e-9)
    assert expected.score > 60  # 32 of 40 are learnt by heart


@pytest.mark.parametrize("text", ["A dog runs\nacross the wet field.", "A  dog\truns across\u00a0the wet field."])
def test_a_sentence_means_the_same_however_its_lines_are_broken(text):
    assert tiny_translator().predict(text) == {"translation_text": TRANSLATED}


def test_letters_mean_the_same_composed_and_decomposed():
    task = prepared()
    composed, decomposed = (unicodedata.normalize(form, "Fährt die Fähre ab?") for form in ("NFC", "NFD"))
    cut = [task.pieces.cut(ParallelExample(source=text, target=text)) for text in (composed, decomposed)]
    assert cut[0].source_ids == cut[1].source_ids
    assert cut[0].target_ids == cut[1].target_ids


def test_pairs_longer_than_what_is_translated_at_once_are_left_out_and_counted(tmp_path):
    told: list[str] = []
    long = [
        ParallelExample(source="A dog runs. " * 60, target="Kurz."),
        ParallelExample(source="Short.", target="Das ist viel. " * 60),
    ]
    examples = [*pair_examples(), *long]
    task = TranslationTask.prepare(tiny_translation_recipe().model, examples, say=told.append)
    assert [pair.source for pair in task.encode(examples, tmp_path)] == [pair.source for pair in pair_examples()]
    assert any("2 training pairs are left out, a side has more than 120 pieces" in line for line in told)


def test_placeholders_and_numbers_come_through_whatever_was_learnt():
    texts = [
        "A dog %(count)d runs {0} <b>away</b>.",
        "Mail a.b@c.org by 2031-05-17 or 17 or 17!",
        "\ue003 at 99.",
        LEARNT,
    ]
    for options in ({}, {"num_beams": 1}, {"num_beams": 3, "num_return_sequences": 3}):
        for text, result in zip(texts, tiny_translator().predict(texts, **options), strict=True):
            for found in result if isinstance(result, list) else [result]:
                for copy in take_out(text).copies:
                    assert found["translation_text"].count(copy) == text.count(copy)
    assert tiny_translator().predict(texts) == [tiny_translator().predict(text) for text in texts]


@pytest.mark.parametrize("kind", ["none", "aligned"])
@pytest.mark.parametrize("options", [{"attention": True}, {"coverage_penalty": 0.2}])
def test_a_model_that_weighs_no_places_refuses_options_about_them(kind, options):
    task = prepared(f"model.attention={kind}")
    task.check_options(num_beams=3)
    with pytest.raises(ConfigError, match=f'model.attention is "{kind}".*leave out attention and coverage_penalty'):
        task.check_options(**options)


def test_attention_shows_what_was_copied():
    (looked,) = tiny_translator().predict("A dog {name} runs.", attention=True)["attention"]
    assert "{name}" in looked["source"]
    assert "{name}" in looked["target"]


def test_score_and_report_cut_words_as_the_target_language_is_cut(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("en\tja\nI go to the market.\t私は市場に行きます。\n", encoding="utf-8")
    examples = read_examples([path], kind="parallel", reading=ParallelSettings(target="ja"))
    task = tiny_translator().task
    found = [Translated(texts=("私は市場へ行きます。",))]
    expected = sacrebleu.corpus_bleu([found[0].text], [[examples[0].target]], tokenize="char").score
    assert task.score(examples, found)["bleu"] == pytest.approx(expected, abs=1e-9)
    report = task.report(examples, found, title="Japanese")
    assert report.metrics["language"] == "ja"
    assert report.figures[0].value == pytest.approx(expected, abs=1e-9)


def test_translations_that_leave_the_source_unread_loseby_coverage():
    pipeline = tiny_translator()
    task, model = pipeline.task, pipeline._model
    whole = Hypothesis(tuple(task.pieces.source.encode(TRANSLATED)), -2.0, -2.0, True)
    part = Hypothesis(tuple(task.pieces.source.encode("Ein Hund")), -1.0, -1.0, True)
    batch = make_pair_batch([task.pieces.source.encode(LEARNT)] * 2, [part.ids, whole.ids])
    with torch.inference_mode():
        weights = model(batch).weights.numpy()
    assert by_coverage([part, whole], weights, 0.0)[0] == part
    assert by_coverage([part, whole], weights, 5.0)[0].ids == whole.ids
    assert pipeline.predict(LEARNT, coverage_penalty=0.2)["translation_text"] == TRANSLATED


def test_the_report_shows_scores_rivals_and_attention():
    page = (tiny_translation_run() / "report.html").read_text(encoding="utf-8")
    for part in ("BLEU", "chrF", "nearest training sentence", "word by word", "Where it looks", "tok:13a"):
        assert part in page


def test_a_folder_without_its_pieces_is_no_model(tmp_path):
    tiny_translator().save(tmp_path / "model")
    (tmp_path / "model" / "subwords.model").unlink()
    with pytest.raises(CheckpointError, match=r"subwords\.model"):
        Pipeline(tmp_path / "model")
    with pytest.raises(CheckpointError, match="has no subwords"):
        TranslationTask.from_vocabulary(tiny_translation_recipe().model, {})


def test_a_pair_needs_both_sides_to_be_scored():
    with pytest.raises(DataError, match="test: a text has no translation"):
        prepared().check_examples([ParallelExample(source="A dog.")], "test")


def test_the_model_is_named_by_its_languages():
    assert model_name(load_recipe("translate")) == "translate-en-de"
    turned = load_recipe("translate", ["reading.source=de", "reading.target=fr"])
    assert (model_name(turned), turned.language) == ("translate-de-fr", "de")
    with pytest.raises(ConfigError, match="leave out"):
        load_recipe("translate", ["reading.source=de", "reading.target=en", "language=en"])


def test_a_translator_is_found_by_its_languages(tmp_path, monkeypatch):
    tiny_translator().save(tmp_path / "translate-en-hi")
    monkeypatch.setenv("NLP_LSTM_MODELS", str(tmp_path))
    found = Pipeline("translate", source="en", target="hi")
    assert found.folder == Path(tmp_path / "translate-en-hi")
    with pytest.raises(ConfigError, match="leave them out"):
        Pipeline("pos", source="en")


def test_pairs_that_are_cut_once_make_the_same_batches(tmp_path):
    for overrides in ((), ("model.random_pieces=0.5", "model.sharpness=0.1")):
        task = prepared(*overrides)
        examples = pair_examples()
        cut = task.encode(examples, tmp_path)
        assert task.num_tokens(cut) == task.num_tokens(examples)
        for epoch in (0, 1):
            plan = task.plan_epoch(cut, 100, seed=1, epoch=epoch)
            assert plan == task.plan_epoch(examples, 100, seed=1, epoch=epoch)
            for part in plan:
                found, expected = (task.training_batch(some, part, {}) for some in (cut, examples))
                assert found.source_ids.tolist() == expected.source_ids.tolist()
                assert found.target_ids.tolist() == expected.target_ids.tolist()
                assert found.next_ids.tolist() == expected.next_ids.tolist()


def test_a_text_is_cut_once_in_training_and_in_prediction(tmp_path, monkeypatch):
    task = prepared()
    cut: list[str] = []
    encode = SubwordModel.encode
    monkeypatch.setattr(SubwordModel, "encode", lambda self, text: cut.append(text) or encode(self, text))
    examples = pair_examples()
    encoded = task.encode(examples, tmp_path)
    for epoch in range(3):
        for part in task.plan_epoch(encoded, 100, seed=1, epoch=epoch):
            task.training_batch(encoded, part, {})
    assert sorted(cut) == sorted(text for one in examples for text in take_out_of_pair(one.source, one.target)[:2])
    cut.clear()
    predict_examples(task, task.build_model(), examples[:5], options={"num_beams": 1, "max_new_tokens": 2})
    assert sorted(cut) == sorted(one.source for one in examples[:5])

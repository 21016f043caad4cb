"""A translator whose halves begin as language models of its two languages, each with pieces of its own."""

from __future__ import annotations

import dataclasses
import gzip
from functools import cache
from itertools import islice
from pathlib import Path

import pytest
import torch
from samples import (
    SMALL_LANGUAGE_MODEL,
    corpus_file,
    pair_examples,
    tiny_language_recipe,
    tiny_translation_recipe,
    tiny_translation_run,
    without_corpora,
)

from nlp_lstm.beginnings import open_beginning
from nlp_lstm.data.example import TextExample
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.settings import BackboneSettings
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.recipes import load_recipe
from nlp_lstm.runs import run_recipe
from nlp_lstm.tasks import LanguageTask, TranslationTask
from nlp_lstm.tasks.beginning import Beginning, check_beginnings
from nlp_lstm.tasks.translation_beginning import TranslatorBeginning
from nlp_lstm.text.document import Document
from nlp_lstm.text.units import EOS_ID, SubwordUnits

READING = ParallelSettings(source="en", target="de")
FITTING = (
    "model.vocabularies=separate",
    "model.combined=linear",
    "model.embed=24",
    "model.source_embed=48",
    "model.hidden=32",
)


@cache
def beginning(language: str, *overrides: str, is_backward: bool = False) -> Beginning:
    """An untrained language model of one side of the hand-written pairs."""
    hidden = 16 if language == "en" else 32
    recipe = tiny_language_recipe(
        "model.unit=subword",
        "model.vocabulary=400",
        "model.cutoffs=[]",
        f"model.hidden={hidden}",
        f"model.direction={'backward' if is_backward else 'forward'}",
        *overrides,
    )
    texts = [one.source if language == "en" else one.target for one in pair_examples()]
    task = LanguageTask.prepare(recipe.model, [TextExample(document=Document.from_words([text])) for text in texts])
    torch.manual_seed(len(language) + is_backward)
    return Beginning(
        name=f"lm-{language}-{'backward' if is_backward else 'forward'}",
        units=task.units,
        network=task.build_model().eval(),
        is_backward=is_backward,
        language=language,
    )


def prepared(*overrides: str) -> TranslationTask:
    return TranslationTask.prepare(tiny_translation_recipe(*overrides).model, pair_examples())


def test_each_half_is_the_language_model_of_its_language():
    models = [beginning("de"), beginning("en", is_backward=True), beginning("en")]
    task = prepared(*FITTING)
    task.begin_as(models, READING)
    assert task.pieces.source.to_bytes() == models[2].units.model.to_bytes()
    assert task.pieces.target.to_bytes() == models[0].units.model.to_bytes()
    assert "lm-de-forward" in task.facts()["begins as"]
    network = task.build_model()
    task.fill_model(network)
    network.eval()
    example = pair_examples()[0]
    batch = task.make_batch([example], with_labels=True)
    with torch.inference_mode():
        logits = network.words.logits(network(batch).outputs[0])
        line = [EOS_ID, *models[0].units.encode(Document.from_words([example.target]))]
        expected = models[0].network.words.logits(models[0].network.read(torch.tensor([line])).outputs[0])
        outputs = network.read(batch.source_ids, batch.source_lengths).memory.values[0]
        read = models[2].network.read(batch.source_ids).hidden[0]
        backward = models[1].network.read(batch.source_ids.flip(1)).hidden[0].flip(0)
    torch.testing.assert_close(logits[:, EOS_ID:], expected[:, EOS_ID:], atol=1e-5, rtol=0)
    torch.testing.assert_close(outputs, torch.cat((read, backward), dim=1), atol=1e-5, rtol=0)
    again = TranslationTask.from_folder(task.settings, task.vocabulary(), task.vocabulary_files())
    assert set(task.vocabulary_files()) == {"source.model", "target.model"}
    assert again.pieces.target.decode(again.pieces.target.encode(example.target)) == example.target


def test_one_half_alone_begins_as_a_language_model():
    task = prepared("model.vocabularies=separate", "model.embed=24", "model.hidden=32")
    own = task.pieces.target.to_bytes()
    task.begin_as([beginning("en")], READING)
    assert task.pieces.target.to_bytes() == own
    network = task.build_model()
    task.fill_model(network)
    torch.testing.assert_close(network.source_words.tables[0], beginning("en").network.words.tables[0])


def test_separate_pieces_learn_and_translate():
    task = prepared("model.vocabularies=separate", "model.source_embed=16")
    assert "of the source" in task.facts()["vocabulary"]
    batch = task.make_batch(pair_examples()[:3], with_labels=True)
    network = task.build_model()
    task.loss(network, network(batch), batch).backward()
    assert all(parameter.grad is not None for parameter in network.parameters() if parameter.numel())
    assert task.pieces.source.decode(batch.source_ids[0].tolist()) == pair_examples()[0].source
    assert task.pieces.target.decode(batch.next_ids[0].tolist()) == pair_examples()[0].target


WORDS = dataclasses.replace(beginning("en"), name="lm-words", units=SubwordUnits)


def translator(*overrides: str, **languages: str) -> TranslatorBeginning:
    """An untrained translator."""
    task = prepared(*overrides)
    torch.manual_seed(9)
    return TranslatorBeginning(
        name="earlier",
        settings=task.settings,
        pieces=task.pieces,
        network=task.build_model().eval(),
        reading=ParallelSettings(**languages),
    )


def test_a_stored_translator_is_opened_as_one_and_no_tagger_begins_so():
    opened = open_beginning(str(tiny_translation_run() / "model"))
    assert isinstance(opened, TranslatorBeginning)
    assert opened.reading.pair == "en-de"
    task = TranslationTask.prepare(opened.settings, pair_examples()[:20])
    task.begin_as([opened], READING)
    assert task.pieces.source.to_bytes() == opened.pieces.source.to_bytes()
    with pytest.raises(ConfigError, match="is a translator; a network that reads words cannot begin as one"):
        check_beginnings([opened], BackboneSettings())


@pytest.mark.parametrize("vocabularies", ["shared", "separate"])
def test_a_translator_of_the_same_languages_is_taken_whole(vocabularies):
    earlier = translator(f"model.vocabularies={vocabularies}", source="en", target="de")
    task = TranslationTask.prepare(
        tiny_translation_recipe(f"model.vocabularies={vocabularies}").model, pair_examples()[:20]
    )
    task.begin_as([earlier], READING)
    assert task.vocabulary_files() == earlier.pieces.files()
    assert "everything: earlier" in task.facts()["begins as"]
    network = task.build_model()
    task.fill_model(network)
    for name, value in earlier.network.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], value, atol=0, rtol=0)


@pytest.mark.parametrize(
    ("earlier_pair", "has_source"),
    [({"source": "en", "target": "fr"}, True), ({"source": "fr", "target": "de"}, False)],
)
def test_of_a_translator_of_one_of_the_languages_the_other_ones_words_begin_afresh(earlier_pair, has_source):
    earlier = translator(**earlier_pair)
    task = TranslationTask.prepare(tiny_translation_recipe("model.vocabularies=separate").model, pair_examples()[:20])
    own = task.pieces
    task.begin_as([earlier], READING)
    kept, fresh = (task.pieces.source, task.pieces.target) if has_source else (task.pieces.target, task.pieces.source)
    assert kept.to_bytes() == earlier.pieces.source.to_bytes()
    assert fresh.to_bytes() == (own.target if has_source else own.source).to_bytes()
    network = task.build_model()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    task.fill_model(network)
    same, changed = ("words", "own_source_words") if has_source else ("own_source_words", "words")
    for name, value in network.state_dict().items():
        part = name.split(".")[0]
        if part == same:
            torch.testing.assert_close(value, before[name], atol=0, rtol=0)
        elif part != changed:
            torch.testing.assert_close(value, earlier.network.state_dict()[name], atol=0, rtol=0)
    table = (network.source_words if has_source else network.words).tables[0]
    torch.testing.assert_close(table, earlier.network.words.tables[0], atol=0, rtol=0)


@pytest.mark.parametrize(
    ("models", "overrides", "message"),
    [
        (lambda: [translator(source="de", target="en")], (), "translates de-en, and this en-de; give one that"),
        (lambda: [translator(target="fr")], (), r"to begin as earlier, set model\.vocabularies=separate$"),
        (
            lambda: [translator("model.vocabularies=separate", "model.source_embed=20", "model.hidden=20")],
            (),
            r"set model\.hidden=20 model\.vocabularies=separate model\.source_embed=20$",
        ),
        (lambda: [translator(), beginning("en")], (), "a whole translator; give it alone"),
        (lambda: [WORDS], (), r"lm-words does not read pieces of words.*lm-translate"),
        (
            lambda: [dataclasses.replace(beginning("en"), language="fr")],
            (),
            r'model of "fr", and this translates en-de',
        ),
        (lambda: [beginning("en"), beginning("en")], (), "same language and direction"),
        (lambda: [beginning("de", is_backward=True)], (), r"a decoder writes forward"),
        (
            lambda: [beginning("en"), beginning("de")],
            (),
            r"set model\.vocabularies=separate model\.hidden=32 model\.embed=24 model\.combined=linear$",
        ),
        (lambda: [beginning("de")], FITTING[:2], r"set model\.hidden=32 model\.embed=24$"),
        (
            lambda: [beginning("en"), beginning("en", is_backward=True), beginning("de")],
            (*FITTING[:3], FITTING[4]),
            r"set model\.source_embed=48$",
        ),
        (
            lambda: [beginning("en", "model.hidden=12"), beginning("de")],
            (*FITTING[:3], FITTING[4]),
            r"lstm layers of 12 features.* so train the former with model\.cell=lstm model\.hidden=16",
        ),
        (lambda: [beginning("en", "model.cutoffs=[100]")], FITTING, r"train it with model\.cutoffs=\[\]"),
        (
            lambda: [beginning("en", "model.vocabulary=350"), beginning("en", is_backward=True)],
            FITTING,
            "have other pieces; train both on the same text",
        ),
        (lambda: [beginning("en", is_backward=True)], ("model.bidirectional=false",), r"model\.bidirectional=true"),
    ],
)
def test_what_does_not_fit_says_what_to_set(models, overrides, message):
    with pytest.raises(ConfigError, match=message):
        prepared(*overrides).begin_as(models(), READING)


def test_a_shared_table_has_no_size_of_its_own_for_the_source():
    with pytest.raises(ConfigError, match="source_embed goes with vocabularies: separate"):
        tiny_translation_recipe("model.source_embed=16")


def small_corpus(folder: Path, num_pairs: int) -> Path:
    """Some real pairs as files of lines; the last training sentences are also those of dev and test."""
    lines = {}
    for language in ("en", "de"):
        with gzip.open(corpus_file(f"multi30k/train.{language}.gz"), "rt", encoding="utf-8") as file:
            lines[language] = [line.strip() for line in islice(file, num_pairs)]
    for language, texts in lines.items():
        for split, part in (("train", texts), ("dev", texts[-10:-5]), ("test", texts[-5:])):
            (folder / f"{split}.{language}").write_text("\n".join(part) + "\n", encoding="utf-8")
    return folder


@pytest.mark.slow
def test_language_models_of_real_pairs_begin_a_translator_from_end_to_end(tmp_path, monkeypatch):
    (tmp_path / "pairs").mkdir()
    data = small_corpus(tmp_path / "pairs", 200)
    said: list[str] = []
    monkeypatch.setattr("nlp_lstm.runs.make_say", lambda console: said.append)
    models = []
    with without_corpora():
        for name, overrides in (
            ("en", ("model.hidden=16",)),
            ("de", ("model.hidden=32", "language=de")),
        ):
            small = [
                *(one for one in SMALL_LANGUAGE_MODEL if not one.startswith(("model.hidden", "model.adapt"))),
                "model.vocabulary=500",
                "training.tokens=1_500",
                "training.evaluations=1",
                "training.batch_tokens=200",
                "baselines.words=false",
            ]
            recipe = load_recipe("lm-translate", [*small, *overrides])
            models.append(run_recipe(recipe, tmp_path / name, data=data).model_folder)
        assert any("10 of 200 training texts left out" in line for line in said)
        assert not any("mixed languages" in line for line in said)
        recipe = tiny_translation_recipe(
            *FITTING[:3],
            FITTING[4],
            "training.evaluations=1",
            f"init=[{','.join(map(str, models))}]",
            "baselines.words=false",
            tokens=1_000,
        )
        result = run_recipe(recipe, tmp_path / "translate", data=data)
        pipeline = Pipeline(result.model_folder)
        assert isinstance(pipeline.predict("A man is sleeping.")["translation_text"], str)
        page = (result.folder / "report.html").read_text(encoding="utf-8")
        assert "encoder, forward" in page
        evaluated = Pipeline(models[1]).evaluate(data, allow_overlap=True)
        assert evaluated.figures[0].value > 1

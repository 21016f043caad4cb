"""Taggers and classifiers that begin as language models."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from samples import (
    REVIEWS,
    TAGGED,
    review_examples,
    running_examples,
    tagged_examples,
    tiny_bidirectional_recipe,
    tiny_bidirectional_run,
    tiny_language_recipe,
    tiny_language_run,
    tiny_model,
    tiny_recipe,
    tiny_sentiment_recipe,
    tiny_series_run,
    without_corpora,
)

from nlp_lstm import Pipeline
from nlp_lstm.artifacts import read_config
from nlp_lstm.beginnings import open_beginning
from nlp_lstm.data.batch import BatchMaker
from nlp_lstm.data.example import TextExample
from nlp_lstm.data.words import WordVocabularies, word_affixes
from nlp_lstm.errors import ConfigError, DataError, NotTrainedError
from nlp_lstm.files import sha256_of
from nlp_lstm.runs import run_recipe
from nlp_lstm.tasks import BidirectionalTask, ClassificationTask, LanguageTask, TaggingTask
from nlp_lstm.tasks.beginning import Beginning, BidirectionalBeginning, TaskBeginning
from nlp_lstm.text.vectors import WordVectors
from nlp_lstm.training import train

TOLERANCE = 1e-6  # the same sums in another order
DEEP_TOLERANCE = 1e-5  # of two layers over all that a word is made of
SIZES = ("model.hidden=32", "model.layers=1", "model.embedding.words=learned")


def beginning(direction: str) -> Beginning:
    """An untrained language model of words."""
    recipe = tiny_language_recipe(f"model.direction={direction}")
    task = LanguageTask.prepare(recipe.model, running_examples())
    torch.manual_seed(3 if direction == "forward" else 4)
    model = task.build_model().eval()
    return Beginning(name=direction, units=task.units, network=model, is_backward=direction == "backward")


def tagger(*beginnings: Beginning, word_size: int = 48, overrides: tuple[str, ...] = ()) -> TaggingTask:
    """A tagger that begins as language models, and has characters besides."""
    recipe = tiny_recipe(*SIZES, f"model.embedding.word_size={word_size}", *overrides)
    task = TaggingTask.prepare(recipe.model, tagged_examples())
    task.begin_as(beginnings)
    return task


def test_before_its_first_step_the_tagger_reads_as_the_language_models_do():
    forward, backward = beginning("forward"), beginning("backward")
    task = tagger(forward, backward, overrides=("model.embedding.min_count=1",))
    model = task.build_model().eval()
    task.fill_model(model)
    known = [one for one in tagged_examples() if all(word in task.words.words for word in one.document.words)][:4]
    assert known
    for example in known:
        batch = task.make_batch([example])
        tokens = getattr(batch, "tokens", batch)
        with torch.inference_mode():
            found = model.backbone(tokens.features, tokens.index, tokens.lengths)[0]
            ids = torch.tensor([forward.units.encode(example.document)])
            ids_back = torch.tensor([backward.units.encode(example.document)[::-1]])
            expected = forward.network.read(ids).hidden[0]
            expected_back = backward.network.read(ids_back).hidden[0].flip(0)
        torch.testing.assert_close(found[:, :32], expected, atol=TOLERANCE, rtol=0)
        torch.testing.assert_close(found[:, 32:], expected_back, atol=TOLERANCE, rtol=0)


def test_what_does_not_fit_is_refused_with_the_setting_to_change():
    with pytest.raises(ConfigError, match=r"word vectors of 24 features; set.*word_size=24"):
        tagger(beginning("forward"))
    with pytest.raises(ConfigError, match="same direction"):
        tagger(beginning("forward"), beginning("forward"))
    with pytest.raises(ConfigError, match=r"model\.encoder=recurrent"):
        tagger(beginning("forward"), word_size=24, overrides=("model.encoder=window",))


def test_layers_are_learnt_one_by_one_from_the_head_down(tmp_path):
    task = tagger(beginning("forward"), word_size=24)
    fresh = task.build_model()
    task.fill_model(fresh)
    recipe = tiny_recipe(
        "training.unfreeze_steps=1000", "training.layer_decay=0.5", "training.average_decay=0", tokens=600
    )
    result = train(task, tagged_examples(), tagged_examples()[:8], recipe.training, tmp_path)
    trained = dict(result.model.named_parameters())
    head = [name for name in trained if not name.startswith("backbone")]
    for name in head:
        assert not torch.equal(trained[name], dict(fresh.named_parameters())[name]), name
    words = "backbone.embedding.words.weight"
    assert torch.equal(trained[words], dict(fresh.named_parameters())[words])


def test_a_run_takes_a_language_model_by_its_folder_and_says_so(tmp_path):
    model = tiny_language_run() / "model"
    recipe = tiny_sentiment_recipe(
        *SIZES, "model.embedding.word_size=24", "model.embedding.vectors=null", f"init=[{model}]", tokens=600
    )
    with without_corpora():
        run_recipe(recipe, tmp_path / "run", data=REVIEWS)
    assert "begins as" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_other_models_and_names_are_refused(tmp_path):
    for init, error, message in (
        (str(tiny_series_run() / "model"), ConfigError, "a model of the task series; give a language model, a"),
        (str(tiny_model()), ConfigError, "reads words in another way than this network; set model"),
        ("lm-xx", NotTrainedError, "nlp-lstm run lm"),
    ):
        with without_corpora(), pytest.raises(error, match=message):
            run_recipe(tiny_sentiment_recipe(f"init=[{init}]"), tmp_path / Path(init).name, data=REVIEWS)
    with without_corpora(), pytest.raises(ConfigError, match=r"context: .* of the task pos; give a language model"):
        run_recipe(tiny_recipe(f"context=[{tiny_model()}]"), tmp_path / "context", data=TAGGED)
    with pytest.raises(ConfigError, match="cannot begin as a language model"):
        LanguageTask.prepare(tiny_language_recipe().model, running_examples()).begin_as([beginning("forward")])


# ---- as a bidirectional language model


def toy_vectors() -> WordVectors:
    """Vectors of the commonest words of the samples, as a file would give them."""
    words = sorted({word.lower() for example in tagged_examples() for word in example.document.words})[:80]
    matrix = np.random.default_rng(5).normal(size=(len(words), 6)).astype(np.float32)
    return WordVectors(name="toy", words=words, matrix=matrix, sha256="")


def bidirectional(*overrides: str, vectors: tuple[WordVectors, ...] = ()) -> BidirectionalBeginning:
    """An untrained bidirectional language model of the letters, the tagged sentences and the reviews."""
    recipe = tiny_bidirectional_recipe("model.layers=2", *overrides)
    documents = [*tagged_examples(), *review_examples()]
    examples = [*running_examples(), *(TextExample(document=example.document) for example in documents)]
    task = BidirectionalTask.prepare(recipe.model, examples, vectors)
    torch.manual_seed(6)
    network = task.build_model().eval()
    if hasattr(network.embedding, "changes"):
        torch.nn.init.normal_(network.embedding.changes.weight)
    task.fill_model(network)
    return BidirectionalBeginning(name="both", settings=task.settings, words=task.words, network=network)


def knows(words: WordVocabularies, other: WordVocabularies, word: str, lower_case: bool) -> bool:
    """Whether two models read a word as the same parts."""
    word = word.lower() if lower_case else word
    parts = [*((words.characters, other.characters, letter) for letter in word)]
    parts += [(words.affixes, other.affixes, affix) for affix in word_affixes(word)]
    return word in words.words and word in other.words and all((part in a) == (part in b) for a, b, part in parts)


def assert_reads_alike(task: TaggingTask | ClassificationTask, source: BidirectionalBeginning) -> None:
    """The backbone of a task that begins as a model gives the hidden states of that model side by side."""
    task.begin_as([source])
    model = task.build_model().eval()
    task.fill_model(model)
    lower_case = task.settings.embedding.lower_case
    words = task.words.words.tokens[task.words.words.num_specials :]
    known = [word for word in words if knows(task.words, source.words, word, lower_case)]
    assert len(known) > 20
    assert [source.words.words.id(word) for word in known] != [task.words.words.id(word) for word in known]
    rows = [random.sample(known, size) for size in (9, 4, 1)]
    own, theirs = (
        BatchMaker(vocabularies, lower_case=lower_case).make_batch(rows) for vocabularies in (task.words, source.words)
    )
    with torch.inference_mode():
        found = model.backbone(own.features, own.index, own.lengths)
        expected = torch.cat(source.network.read(theirs.features, theirs.index, theirs.lengths), dim=2)
    torch.testing.assert_close(found, expected, atol=DEEP_TOLERANCE, rtol=0)


@pytest.mark.parametrize("characters", ["bilstm", "cnn", "none"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_before_its_first_step_the_tagger_reads_as_the_bidirectional_model_does(cell, characters):
    overrides = ("model.embedding.min_count=1", f"model.embedding.characters={characters}", f"model.cell={cell}")
    recipe = tiny_recipe("model.layers=2", *overrides)
    task = TaggingTask.prepare(recipe.model, tagged_examples())
    assert_reads_alike(task, bidirectional(*overrides))


def test_before_its_first_step_the_classifier_reads_as_the_bidirectional_model_does():
    embedding = {"words": "tuned", "min_count": "1", "characters": "none", "affix_size": "0", "lower_case": "true"}
    overrides = [f"model.embedding.{name}={value}" for name, value in embedding.items()]
    vectors = (toy_vectors(),)
    recipe = tiny_sentiment_recipe("model.layers=2", "model.embedding.vectors=[toy]", *overrides)
    task = ClassificationTask.prepare(recipe.model, review_examples(), vectors)
    source = bidirectional("model.embedding.vectors=[toy]", *overrides, vectors=vectors)
    assert_reads_alike(task, source)


def test_what_the_bidirectional_model_does_not_know_begins_as_it_would_have():
    source = bidirectional("model.embedding.min_count=3")
    recipe = tiny_recipe("model.layers=1", "model.embedding.min_count=1")
    task = TaggingTask.prepare(recipe.model, tagged_examples())
    torch.manual_seed(8)
    fresh = task.build_model().backbone.embedding.words.weight
    task.begin_as([source])
    torch.manual_seed(8)
    model = task.build_model()
    task.fill_model(model)
    found = model.backbone.embedding.words.weight
    unknown = [task.words.words.id(word) for word in task.words.words.tokens[2:] if word not in source.words.words]
    known = [task.words.words.id(word) for word in task.words.words.tokens[2:] if word in source.words.words]
    assert unknown
    assert torch.equal(found[unknown], fresh[unknown])
    assert not (found[known] == fresh[known]).all(dim=1).any()
    assert torch.equal(found[1], source.network.embedding.words.weight[1])
    assert not found[0].any()


def test_a_bidirectional_model_that_reads_in_another_way_is_refused_with_the_settings_to_change():
    def begin(source: BidirectionalBeginning, *overrides: str) -> None:
        TaggingTask.prepare(tiny_recipe(*overrides).model, tagged_examples()).begin_as([source])

    source = bidirectional("model.embedding.lower_case=true", "model.embedding.word_size=12")
    with pytest.raises(ConfigError, match=r"set model\.embedding\.lower_case=true model\.embedding\.word_size=12$"):
        begin(source)
    source = bidirectional()
    with pytest.raises(ConfigError, match=r"set model\.cell=lstm model\.hidden=32 model\.embedding\.vectors=null$"):
        begin(source, "model.cell=gru", "model.hidden=8", "model.embedding.vectors=[vectors-100d]")
    with pytest.raises(ConfigError, match=r"set model\.encoder=recurrent model\.bidirectional=true$"):
        begin(source, "model.encoder=window", "model.bidirectional=false")
    with pytest.raises(ConfigError, match="give it alone"):
        TaggingTask.prepare(tiny_recipe().model, tagged_examples()).begin_as([source, beginning("forward")])
    for override in ("min_count=7", "word_dropout=0.4", "vectors_kept=3"):
        begin(source, f"model.embedding.{override}")


def test_a_run_takes_a_bidirectional_model_by_its_folder_and_says_so(tmp_path):
    recipe = tiny_recipe(f"init=[{tiny_bidirectional_run() / 'model'}]", tokens=600)
    with without_corpora():
        run_recipe(recipe, tmp_path / "run", data=TAGGED)
    assert "begins as" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


# ---- as a model of a task


def trained_tagger(*overrides: str) -> TaskBeginning:
    """A tagger of the sentences, untrained."""
    recipe = tiny_recipe("model.embedding.min_count=1", *overrides)
    task = TaggingTask.prepare(recipe.model, tagged_examples())
    torch.manual_seed(9)
    model = task.build_model().eval()
    return TaskBeginning(name="tagger", settings=task.settings, words=task.words, backbone=model.backbone)


@pytest.mark.parametrize("encoder", ["recurrent", "window"])
def test_a_tagger_of_some_sentences_begins_as_the_tagger_of_all_and_knows_its_words(encoder):
    source = trained_tagger(f"model.encoder={encoder}")
    task = TaggingTask.prepare(tiny_recipe(f"model.encoder={encoder}").model, tagged_examples()[1::2])
    own = task.words
    task.begin_as([source])
    model = task.build_model().eval()
    task.fill_model(model)
    for name in ("words", "characters", "affixes"):
        before, after, theirs = (getattr(words, name) for words in (own, task.words, source.words))
        assert after.tokens[: len(before)] == before.tokens
        assert set(after.tokens) == {*before.tokens, *theirs.tokens}
    assert any(word not in own.words for word in source.words.words.tokens)
    rows = [example.document.words for example in tagged_examples()]
    batch, expected_batch = task.batches.make_batch(rows), BatchMaker(source.words).make_batch(rows)
    with torch.inference_mode():
        found = model.backbone(batch.features, batch.index, batch.lengths)
        expected = source.backbone(expected_batch.features, expected_batch.index, expected_batch.lengths)
    torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=0)


def test_networks_side_by_side_all_begin_as_the_model():
    task = TaggingTask.prepare(tiny_recipe("model.networks=2").model, tagged_examples())
    source = trained_tagger()
    task.begin_as([source])
    model = task.build_model()
    task.fill_model(model)
    for encoder in (network.backbone.encoder for network in model.networks):
        for name, value in source.backbone.encoder.state_dict().items():
            torch.testing.assert_close(encoder.state_dict()[name], value, atol=0, rtol=0)


def test_a_tagger_of_another_shape_is_refused_with_the_settings_to_change():
    task = TaggingTask.prepare(tiny_recipe().model, tagged_examples())
    with pytest.raises(ConfigError, match=r"tagger reads words .* set model\.layers=3 model\.embedding\.affix_size=3$"):
        task.begin_as([trained_tagger("model.layers=3", "model.embedding.affix_size=3")])
    with pytest.raises(ConfigError, match="give it alone"):
        task.begin_as([trained_tagger(), trained_tagger()])


def test_a_run_takes_a_tagger_by_its_folder_and_its_words_are_in_the_model(tmp_path):
    lines = "1\t{number}\t_\tNUM\t_\t_\t_\t_\t_\t_\n2\tquaggas\t_\tNOUN\t_\t_\t_\t_\t_\t_\n\n"
    few = tmp_path / "few.conllu"
    few.write_text("".join(lines.format(number=number) for number in range(60)), encoding="utf-8")
    source = open_beginning(str(tiny_model()))
    with without_corpora():
        run_recipe(tiny_recipe(f"init=[{tiny_model()}]", tokens=120), tmp_path / "run", data=few)
    words = open_beginning(str(tmp_path / "run" / "model")).words.words
    assert "quaggas" in words
    assert set(source.words.words.tokens) < set(words.tokens)
    assert "begins as" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")

    earlier, later = (read_config(folder) for folder in (tiny_model(), tmp_path / "run" / "model"))
    assert (later.data, later.also_trained_on) == ("few.conllu", (earlier.data,))
    assert later.trained_files == {sha256_of(few): ("dev", "test"), **earlier.trained_files}
    assert "of the task pos, which learnt hand.conllu" in (tmp_path / "run" / "model" / "README.md").read_text("utf-8")
    with pytest.raises(DataError, match=r"This model was trained on hand\.conllu"):
        Pipeline(tmp_path / "run" / "model").evaluate(TAGGED)

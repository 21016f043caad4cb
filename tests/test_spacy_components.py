"""Components of spaCy against `Pipeline` on the same texts."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
import spacy
from samples import LETTERS, TAGGED, bundled_model, tagged_examples, tiny_classifier, tiny_model, tiny_pipeline

from nlp_lstm import spacy_components
from nlp_lstm.carried import CarriedModel, pack_folder, unpack_folder
from nlp_lstm.data.readers import read_conllu
from nlp_lstm.errors import CheckpointError, ConfigError, NotTrainedError
from nlp_lstm.pipeline import Pipeline

ROOT = Path(__file__).resolve().parent.parent
TEXTS = [
    "The old ferry leaves at six.  We wait!\n\nMaria doesn't like it (she said\nso).",
    "",
    " \n ",
    "No end and\n\nno beginning 👍",
    LETTERS.read_text(encoding="utf-8"),
]


def make_nlp(**models):
    nlp = spacy.blank("en")
    for name, model in models.items():
        nlp.add_pipe(f"nlp_lstm_{name}", config={"model": str(model)})
    return nlp


@pytest.fixture
def nlp():
    return make_nlp(tagger=tiny_model(), sentiment=tiny_classifier().folder)


def tags(doc):
    return [(token.text, token.pos_, token.tag_) for token in doc if not token.is_space]


def expected_tags(pipeline, text):
    return [(token["word"], token["entity"], token["xpos"]) for token in pipeline.predict(text)]


def expected_cats(pipeline, text):
    return {label["label"]: label["score"] for label in pipeline.predict(text, top_k=None)}


# ---- answers


@pytest.mark.filterwarnings("ignore::nlp_lstm.tasks.classification.EmptyTextWarning")
def test_documents_get_what_the_pipeline_says_of_their_text(nlp):
    for doc, text in zip(nlp.pipe(TEXTS, batch_size=2), TEXTS, strict=True):
        assert doc.text == text
        assert tags(doc) == expected_tags(tiny_pipeline(), text)
        assert doc.cats == pytest.approx(expected_cats(tiny_classifier(), text), abs=1e-5)
        assert [token.tag_ for token in doc if token.is_space] == ["_SP"] * sum(token.is_space for token in doc)
        assert [token.pos_ for token in nlp(text)] == [token.pos_ for token in doc]


def test_the_bundled_tagger_agrees_with_the_pipeline_on_a_treebanks_text():
    folder = bundled_model("pos-en")
    path = Path(os.environ.get("NLP_LSTM_DATA", "")) / "ud-english-ewt"
    files = sorted(path.glob("*dev.conllu*")) or [TAGGED]
    sentences = [example.document.text for example in read_conllu(files[0])[:200]]
    texts = [" ".join(sentences[start : start + 5]) for start in range(0, len(sentences), 5)]
    pipeline = Pipeline(folder)
    for doc, text in zip(make_nlp(tagger=folder).pipe(texts), texts, strict=True):
        assert tags(doc) == expected_tags(pipeline, text)


def test_sentences_that_the_document_has_are_those_that_are_read():
    words, ends = ["We", "wait", "Maria", "goes"], [True, False, True, False]
    nlp = make_nlp(tagger=tiny_model())
    doc = nlp.get_pipe("nlp_lstm_tagger")(spacy.tokens.Doc(nlp.vocab, words=words, sent_starts=ends))
    first, second = tiny_pipeline().predict([words[:2], words[2:]], pretokenized=True)
    assert [token.pos_ for token in doc] == [tag["entity"] for tag in [*first, *second]]


def test_categories_that_are_there_already_stay():
    nlp = make_nlp(sentiment=tiny_classifier().folder)
    doc = nlp.make_doc("A quiet film.")
    doc.cats = {"short": 1.0}
    assert nlp(doc).cats.keys() == {"short", *tiny_classifier().predictor.labels.tokens}


# ---- saving


def test_the_model_travels_with_the_pipeline(nlp, tmp_path):
    original = shutil.copytree(tiny_model(), tmp_path / "original")
    nlp = make_nlp(tagger=original, sentiment=tiny_classifier().folder)
    nlp.to_disk(tmp_path / "saved")
    nlp.to_disk(tmp_path / "saved")  # over itself
    content = nlp.to_bytes()
    shutil.rmtree(original)
    loaded = spacy.load(tmp_path / "saved")
    loaded.to_disk(tmp_path / "saved")  # over what it was loaded from
    from_bytes = make_nlp(tagger="no-such-model", sentiment="no-such-model").from_bytes(content)
    pickled = pickle.loads(pickle.dumps(from_bytes))
    for other in (loaded, from_bytes, pickled):
        doc = other(TEXTS[0])
        assert tags(doc) == expected_tags(tiny_pipeline(), TEXTS[0])
        assert doc.cats == pytest.approx(expected_cats(tiny_classifier(), TEXTS[0]), abs=1e-5)
        assert other.to_bytes()[-1000:] == content[-1000:]


def test_a_damaged_model_is_refused_when_it_is_loaded(nlp, tmp_path):
    nlp.to_disk(tmp_path)
    path = tmp_path / "nlp_lstm_tagger" / "vocab.json"
    path.write_bytes(path.read_bytes().replace(b"NOUN", b"VERB"))
    with pytest.raises(CheckpointError, match=r"vocab\.json is not the file"):
        spacy.load(tmp_path)


def test_a_model_of_another_task_is_refused(nlp, tmp_path):
    wrong = make_nlp(tagger=tiny_classifier().folder)
    with pytest.raises(ConfigError, match='is of the task "sentiment"; give one of "pos"'):
        wrong("We wait.")
    nlp.to_disk(tmp_path)
    shutil.rmtree(tmp_path / "nlp_lstm_tagger")
    shutil.copytree(tmp_path / "nlp_lstm_sentiment", tmp_path / "nlp_lstm_tagger")
    with pytest.raises(ConfigError, match='is of the task "sentiment"'):
        spacy.load(tmp_path)


def test_a_model_that_is_not_there_is_named_with_the_first_text():
    with pytest.raises(NotTrainedError, match="xx"):
        make_nlp(tagger="pos-xx")("We wait.")


def test_an_error_handler_of_spacy_gets_the_documents_and_the_others_go_on():
    nlp = make_nlp(tagger=tiny_model())
    seen = []
    nlp.set_error_handler(lambda name, component, docs, error: seen.append((name, len(docs), type(error))))
    component = nlp.get_pipe("nlp_lstm_tagger")
    annotate = component._annotate

    def fail_on_bang(docs):
        if any("!" in doc.text for doc in docs):
            raise ValueError("bang")
        annotate(docs)

    component._annotate = fail_on_bang
    docs = list(nlp.pipe(["We wait.", "We go!", "They stay."], batch_size=1))
    assert [doc.text for doc in docs] == ["We wait.", "They stay."]
    assert seen == [("nlp_lstm_tagger", 1, ValueError)]


# ---- the archive


def test_an_archive_gives_the_same_folder_and_the_same_bytes(tmp_path):
    content = pack_folder(tiny_model())
    unpack_folder(content, tmp_path / "model")
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == {
        path.name: path.read_bytes() for path in tiny_model().iterdir()
    }
    assert pack_folder(tmp_path / "model") == content


def archive(files, compression=zipfile.ZIP_STORED):
    content = BytesIO()
    with zipfile.ZipFile(content, "w", compression) as file:
        for name, text in files:
            file.writestr(zipfile.ZipInfo(name), text, compression)  # without the time of day
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        pickle.dumps({"model": 1}),
        archive([("../outside.json", "{}")]),
        archive([("/tmp/outside.json", "{}")]),
        archive([("folder/config.json", "{}")]),
        archive([("code.py", "import os")]),
        archive([("config.json\n", "{}")]),
        archive([("config.json", "{}"), ("CONFIG.json", "{}")]),
        archive([("config.json", "0" * 10**6)], zipfile.ZIP_DEFLATED),
        archive([(f"{number}.json", "") for number in range(65)]),
    ],
    ids=lambda content: repr(content[:40]),
)
def test_bytes_that_are_no_model_are_refused_and_nothing_is_written(content, tmp_path):
    with pytest.raises(CheckpointError):
        unpack_folder(content, tmp_path / "in" / "model")
    assert not list(tmp_path.rglob("*.*"))


def test_no_cut_or_changed_archive_does_anything_but_fail():
    content = pack_folder(tiny_model())
    for place in range(0, len(content), len(content) // 40):
        for damaged in (content[:place], content[:place] + b"\xff\x00" + content[place + 2 :]):
            if damaged != content:
                try:
                    carried = CarriedModel.from_bytes(damaged)
                    _ = carried.pipeline
                except CheckpointError:
                    continue
                kept = set(os.listdir(carried.name_or_path))
                assert kept == set(os.listdir(tiny_model()))  # what was changed is no file's content


def test_folders_of_models_that_came_as_bytes_go_with_them():
    carried = CarriedModel.from_bytes(pack_folder(tiny_model()))
    folder = carried.name_or_path
    again = pickle.loads(pickle.dumps(carried))
    assert folder.is_dir()
    del carried
    assert not folder.exists()
    assert again.pipeline.predict("We wait.") == tiny_pipeline().predict("We wait.")


# ---- where it is installed


def write_metadata(folder):
    """What an installed package's metadata says of the entry points in pyproject.toml."""
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / "nlp_lstm-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nlp-lstm\nVersion: 0\n", encoding="utf-8")
    lines = [f"{name} = {place}" for name, place in project["entry-points"]["spacy_factories"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[spacy_factories]", *lines, ""]), encoding="utf-8")


def test_spacy_finds_the_components_without_an_import(tmp_path):
    write_metadata(tmp_path)
    code = (
        "import json, sys, spacy\n"
        "nlp = spacy.blank('en')\n"
        "nlp.add_pipe('nlp_lstm_tagger', config={'model': sys.argv[1]})\n"
        "nlp.add_pipe('nlp_lstm_sentiment', config={'model': sys.argv[2]})\n"
        "docs = list(nlp.pipe(['We wait.', 'They go!'], n_process=2, batch_size=1))\n"
        "print(json.dumps([[[t.pos_ for t in doc], doc.cats] for doc in docs]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-c", code, str(tiny_model()), str(tiny_classifier().folder)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for text, (labels, cats) in zip(["We wait.", "They go!"], json.loads(done.stdout), strict=True):
        assert labels == [label for _, label, _ in expected_tags(tiny_pipeline(), text)]
        assert cats == pytest.approx(expected_cats(tiny_classifier(), text), abs=1e-5)


def test_the_sample_sentences_have_no_label_that_spacy_lacks():
    labels = {label for example in tagged_examples() for label in example.labels["upos"]}
    assert labels <= spacy_components.UNIVERSAL_TAGS.keys()

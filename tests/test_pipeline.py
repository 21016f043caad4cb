import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from samples import SPANS, TAGGED, tagged_examples, tiny_model, tiny_pipeline

import nlp_lstm
from nlp_lstm import pipeline as pipeline_module
from nlp_lstm.artifacts import CONFIG_NAME
from nlp_lstm.errors import CheckpointError, ConfigError, DataError, NotTrainedError
from nlp_lstm.evaluation.report import Report
from nlp_lstm.nn.precision import can_run_bf16
from nlp_lstm.pipeline import TEXTS_AT_A_TIME, Pipeline
from nlp_lstm.weights import load_model

TEXT = "The old ferry leaves at six. We wait!\n\nMaria doesn't like it."
KEYS = ["entity", "score", "index", "word", "start", "end", "xpos", "xpos_score"]


@pytest.fixture
def tagger() -> Pipeline:
    return tiny_pipeline()


@pytest.fixture
def idle_tagger(tagger, monkeypatch) -> Pipeline:
    """A tagger whose network must not run."""

    def fail(*args, **kwargs):
        pytest.fail("the network ran")

    monkeypatch.setattr("nlp_lstm.inference.torch_engine.predict_examples", fail)
    return tagger


# ---- results


def test_a_result_has_the_shape_of_token_classification(tagger):
    results = tagger.predict(TEXT)
    assert [list(result) for result in results] == [KEYS] * len(results)
    assert json.loads(json.dumps(results)) == results
    assert [result["index"] for result in results] == list(range(1, len(results) + 1))  # over the whole text
    assert [TEXT[result["start"] : result["end"]] for result in results] == [result["word"] for result in results]
    assert [result["word"] for result in results][-5:] == ["does", "n't", "like", "it", "."]
    assert all(isinstance(result["score"], float) and 0 < result["score"] <= 1 for result in results)


def test_tokens_split_elsewhere_are_taken_as_they_are(tagger):
    words = ["Maria", "doesn't", "like New York", "."]
    results = tagger.predict(words, pretokenized=True)
    assert [result["word"] for result in results] == words
    text = " ".join(words)
    assert [text[result["start"] : result["end"]] for result in results] == words
    assert tagger.predict([words, ["Yes"]], pretokenized=True)[0] == results
    assert next(tagger.predict(iter([words]), pretokenized=True)) == results
    assert tagger.predict([[], words], pretokenized=True)[0] == []


def test_the_type_of_the_result_follows_the_input(tagger):
    one = tagger.predict("We wait.")
    assert isinstance(one[0], dict)
    assert tagger.predict(["We wait."]) == [one]
    assert tagger.predict([]) == []
    lazy = tagger.predict(text for text in ["We wait."])
    assert not isinstance(lazy, list)
    assert list(lazy) == [one]


def test_conllu_has_every_column(tagger):
    [first, second] = tagger.predict_conllu(["We wait. They go."])
    assert first.startswith("# text = We wait.\n1\tWe\t_\t")
    assert second.endswith("\n\n")


# ---- inputs that are no text


@pytest.mark.parametrize(("bad", "name"), [(None, "NoneType"), (3, "int"), (b"text", "bytes"), ({"a": 1}, "dict")])
def test_an_input_of_another_type_is_refused(idle_tagger, bad, name):
    with pytest.raises(DataError, match=rf"\({name}\); give a string or a list of strings"):
        idle_tagger.predict(bad)


@pytest.mark.parametrize("bad", [None, 3, b"x", ["a"], "half \ud83d"])
def test_a_bad_item_is_named_with_its_index_before_any_work(idle_tagger, bad):
    with pytest.raises(DataError, match="input 2 "):
        idle_tagger.predict(["fine", "fine", bad, "fine"])


@pytest.mark.parametrize("bad", ["a string", None, ["a", ""], ["a", 3], ["a", "\ud83d"], [["a"]]])
def test_a_bad_item_with_tokens_is_named_with_its_index(idle_tagger, bad):
    with pytest.raises(DataError, match=r"input 1[ ,]"):
        idle_tagger.predict([["fine"], bad], pretokenized=True)


@pytest.mark.parametrize("bad", ["a string", ["a", "", "b"]])
def test_one_bad_text_with_tokens_is_refused(idle_tagger, bad):
    with pytest.raises(DataError):
        idle_tagger.predict(bad, pretokenized=True)


def test_a_bad_item_of_an_iterator_is_named_after_the_good_ones(tagger):
    results = tagger.predict(iter([*["We wait."] * TEXTS_AT_A_TIME, None]))
    assert len(list(itertools.islice(results, TEXTS_AT_A_TIME))) == TEXTS_AT_A_TIME
    with pytest.raises(DataError, match=f"input {TEXTS_AT_A_TIME} "):
        next(results)


@pytest.mark.parametrize("text", ["👍", "👍🏽👩‍👩‍👧 🇮🇳", "\x00", "e\u0301", "नमस्ते", "\u200b", "\ufeff"])
def test_odd_text_gets_an_answer(tagger, text):
    results = tagger.predict(text)
    assert "".join(result["word"] for result in results) == "".join(text.split())


@pytest.mark.parametrize("text", ["x" * 100_000, "(" * 100_000, "👍" * 100_000])
def test_a_token_of_100_000_characters_gets_one_answer(tagger, text):
    assert [result["word"] for result in tagger.predict(text)] == [text]


# ---- laziness


def test_an_endless_iterator_is_read_only_as_far_as_needed(tagger):
    read = itertools.count()
    results = tagger.predict(f"We wait {next(read)} minutes." for _ in itertools.count())
    assert next(read) == 0  # nothing is read before the first answer is asked for
    for number in range(1, 4):
        assert next(results)[2]["word"] == str(number)
    assert next(read) <= TEXTS_AT_A_TIME + 1


def test_an_iterator_keeps_the_order_over_many_chunks(tagger, monkeypatch):
    monkeypatch.setattr(pipeline_module, "TEXTS_AT_A_TIME", 7)
    monkeypatch.setattr(pipeline_module, "EXAMPLES_AT_A_TIME", 3)
    texts = [" ".join(f"number{index} waits." for _ in range(index % 5)) for index in range(40)]
    results = list(tagger.predict(iter(texts)))
    assert [len(result) for result in results] == [3 * (index % 5) for index in range(40)]
    assert all(result[0]["word"] == f"number{index}" for index, result in enumerate(results) if result)


def test_the_sentences_of_a_text_are_forgotten_while_it_is_answered(tagger, monkeypatch):
    monkeypatch.setattr(pipeline_module, "EXAMPLES_AT_A_TIME", 5)
    read = itertools.count()
    real_read = tagger.task.read_text

    def counted(*args, **kwargs):
        for example in real_read(*args, **kwargs):
            next(read)
            yield example

    seen = []
    monkeypatch.setattr(tagger.task, "read_text", counted)
    monkeypatch.setattr(tagger.task, "format", lambda answers: seen.extend(next(read) for _ in answers))
    next(tagger._results(["We wait. " * 50], False, {}))
    assert len(seen) == 50
    assert seen[0] == 5  # five sentences had been read when the first was answered


MEMORY = """
import sys, torch
from nlp_lstm.pipeline import Pipeline
torch.set_num_threads(1)
def peak():  # of this process alone: ru_maxrss begins with what the parent held
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10
tagger = Pipeline(sys.argv[1])
size = int(sys.argv[2])
line = "The old ferry leaves at six, and my sister paints small boats on Sundays.\\n"
text = (line * (size // len(line) + 1))[:size]
tagger.predict(line)
start = peak()
tokens = sum(len(result) for result in tagger.predict(iter(text.splitlines())))
lines = peak() - start
whole = len(tagger.predict(text))
print(tokens, lines, whole, peak() - start)
"""


def measure_memory(size: int) -> tuple[int, float, int, float]:
    """Tag ``size`` characters as lines and as one string in a process of its own; MiB above what the start took."""
    pytest.importorskip("resource")
    environment = {"PYTHONPATH": str(Path(nlp_lstm.__file__).parent.parent), "OMP_NUM_THREADS": "1", "HOME": "/tmp"}
    command = [sys.executable, "-c", MEMORY, str(tiny_model()), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    tokens, lines, whole, total = done.stdout.split()
    return int(tokens), float(lines), int(whole), float(total)


def test_a_megabyte_of_text_is_tagged_in_bounded_memory():
    tokens, lines, whole, total = measure_memory(500_000)
    assert tokens == whole > 100_000
    assert lines < 150
    assert total < 300


@pytest.mark.slow
def test_ten_megabytes_of_text_are_tagged_in_bounded_memory():
    tokens, lines, whole, total = measure_memory(10_000_000)
    assert tokens == whole > 2_000_000
    assert lines < 200  # as for the small text: lines are forgotten once answered
    assert total < 2_000  # the results of one string are one list: about 0.5 kB per token


# ---- options and names


@pytest.mark.parametrize("name", ["labl", "top_k", "pretokenised"])
def test_an_unknown_option_lists_the_known_ones(idle_tagger, name):
    with pytest.raises(ConfigError, match=rf'unknown option "{name}" .* known options: pretokenized, label\.'):
        idle_tagger.predict("We wait.", **{name: 1})


def test_an_unknown_option_names_the_nearest(idle_tagger):
    with pytest.raises(ConfigError, match='Did you mean "label"'):
        idle_tagger.predict(iter([]), lable="xpos")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp8"}, "precision is"),
        ({"batch_tokens": 0}, "batch_tokens is 0"),
        ({"batch_tokens": "many"}, "batch_tokens is 'many'"),
        ({"device": "abacus"}, 'device is "abacus"'),
    ],
)
def test_a_wrong_option_value_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Pipeline(tiny_model(), **options)


@pytest.mark.skipif(not can_run_bf16(), reason="this processor's kernels have no bfloat16")
def test_bf16_gives_the_same_labels(tagger):
    other = Pipeline(tiny_model(), precision="bf16")
    texts = [example.document.text for example in tagged_examples()[:20]]
    pairs = [
        (one["entity"], two["entity"])
        for left, right in zip(tagger.predict(texts), other.predict(texts), strict=True)
        for one, two in zip(left, right, strict=True)
    ]
    assert sum(one == two for one, two in pairs) / len(pairs) > 0.98


def test_an_unknown_task_names_the_nearest():
    with pytest.raises(ConfigError, match=r'unknown task or model "poss"; known tasks: .*pos.*Did you mean "pos'):
        Pipeline("poss")


def test_a_model_that_is_not_there_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv("NLP_LSTM_MODELS", str(tmp_path))
    monkeypatch.setattr(pipeline_module, "model_roots", lambda: {"here": tmp_path})
    command = r'`nlp-lstm run pos`, then open its folder, as in Pipeline\("runs/pos/model"\)'
    for name in ("pos", "pos-en", "pos-en-large"):
        with pytest.raises(NotTrainedError, match=command):
            Pipeline(name)


def test_for_another_language_the_command_is_not_one_that_makes_an_english_model():
    for name, language in (("pos", "xx"), ("pos-xx", "en"), ("pos-xx-large", "en")):
        with pytest.raises(NotTrainedError, match=r'is for "en"; for "xx" .* run pos language=xx .*--data') as caught:
            Pipeline(name, language=language)
        assert "`nlp-lstm run pos`" not in str(caught.value)


def test_known_models_are_folders_with_a_config_only(monkeypatch, tmp_path):
    shutil.copytree(tiny_model(), tmp_path / "mine")
    (tmp_path / "notes").mkdir()
    monkeypatch.setattr(pipeline_module, "model_roots", lambda: {"here": tmp_path})
    with pytest.raises(ConfigError, match=r"known models: mine\. "):
        Pipeline("mien")


def test_a_path_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="is not a model folder"):
        Pipeline(tmp_path)
    with pytest.raises(CheckpointError, match="is not a model folder"):
        Pipeline(str(tmp_path / "nowhere"))


def test_a_model_is_found_by_task_name_and_path(monkeypatch, tmp_path):
    shutil.copytree(tiny_model(), tmp_path / "pos-en")
    monkeypatch.setenv("NLP_LSTM_MODELS", str(tmp_path))
    expected = tiny_pipeline().predict(TEXT)
    for name in ("pos", "pos-en", tmp_path / "pos-en", str(tmp_path / "pos-en")):
        assert Pipeline(name).predict(TEXT) == expected


def test_info_says_what_model_it_is(tagger):
    info = tagger.info
    assert (info["task"], info["language"], info["trained_on"]) == ("pos", "en", "hand.conllu")
    assert info["num_parameters"] > 10_000
    assert info["num_bytes"] == sum(path.stat().st_size for path in tagger.folder.iterdir())


# ---- save and evaluate


def test_a_saved_pipeline_answers_the_same(tagger, tmp_path):
    tagger.save(tmp_path / "deep" / "copy")
    assert Pipeline(tmp_path / "deep" / "copy").predict(TEXT) == tagger.predict(TEXT)
    tagger.save(tmp_path / "deep" / "copy")  # a model is replaced
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["copy"]


def test_saving_never_replaces_something_else(tagger, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / CONFIG_NAME).write_text('{"format": 1}', encoding="utf-8")
    for target in (tmp_path, tmp_path / "thesis.txt", tmp_path / "program"):
        with pytest.raises(ConfigError, match="exists and is not a model folder"):
            tagger.save(target)
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work"
    assert (tmp_path / "program" / CONFIG_NAME).read_text(encoding="utf-8") == '{"format": 1}'


def test_saving_never_replaces_what_lies_beside_a_model(tagger, tmp_path):
    tagger.save(tmp_path / "copy")
    (tmp_path / "copy" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"holds more than a model: 'thesis\.txt'"):
        tagger.save(tmp_path / "copy")
    assert (tmp_path / "copy" / "thesis.txt").is_file()


def test_saving_into_the_pipelines_own_folder_is_refused(tmp_path):
    tagger = Pipeline(shutil.copytree(tiny_model(), tmp_path / "model"))
    names = {path.name for path in tagger.folder.iterdir()}
    with pytest.raises(ConfigError, match="is inside"):
        tagger.save(tagger.folder / "deep" / "copy")
    assert {path.name for path in tagger.folder.iterdir()} == names
    tagger.save(tagger.folder)  # the same again
    assert {path.name for path in tagger.folder.iterdir()} == names


def test_only_the_models_own_files_are_saved(tmp_path):
    tagger = Pipeline(shutil.copytree(tiny_model(), tmp_path / "model"))
    (tagger.folder / "notes.txt").write_text("mine", encoding="utf-8")
    tagger.save(tmp_path / "copy")
    assert not (tmp_path / "copy" / "notes.txt").exists()
    tagger.save(tmp_path / "copy")


def test_a_model_whose_replacement_was_cut_off_still_opens(tagger, tmp_path):
    shutil.copytree(tiny_model(), tmp_path / "model.replaced")
    with pytest.warns(UserWarning, match="saving it was cut off"):
        opened = Pipeline(tmp_path / "model")
    assert opened.predict(TEXT) == tagger.predict(TEXT)
    assert opened.info["num_bytes"] == tagger.info["num_bytes"]


def test_a_failed_save_leaves_the_old_model(tagger, tmp_path, monkeypatch):
    tagger.save(tmp_path / "copy")
    with monkeypatch.context() as patch:

        def fail(*args, **kwargs):
            raise OSError("disk full")

        patch.setattr(shutil, "copy", fail)
        with pytest.raises(OSError, match="disk full"):
            tagger.save(tmp_path / "copy")
    assert load_model(tmp_path / "copy").config.task == "pos"
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_a_file_is_evaluated_whole(tagger):
    report = tagger.evaluate(TAGGED, allow_overlap=True)
    assert isinstance(report, Report)
    assert report.metrics["upos"]["num_tokens"] == sum(len(example.document) for example in tagged_examples())
    expected = tagger.task.score(tagged_examples(), tagger._predict_examples(tagged_examples()))
    assert report.figures[0].value == pytest.approx(expected["upos_accuracy"])


def test_a_folder_is_evaluated_by_split(tagger, tmp_path):
    text = TAGGED.read_text(encoding="utf-8").strip().split("\n\n")
    for split, part in (("train", text[:50]), ("test", text[50:])):
        (tmp_path / f"my-{split}.conllu").write_text("\n\n".join(part) + "\n", encoding="utf-8")
    tokens = [len(example.document) for example in tagged_examples()]
    assert tagger.evaluate(tmp_path).metrics["upos"]["num_tokens"] == sum(tokens[50:])
    assert tagger.evaluate(tmp_path, split="train").metrics["upos"]["num_tokens"] <= sum(tokens[:50])
    with pytest.raises(DataError, match='no split is called "all"'):
        tagger.evaluate(tmp_path, split="all")


def test_what_cannot_be_evaluated_is_refused(tagger, tmp_path):
    (tmp_path / "bad.conllu").write_text("1\tonly two\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"bad\.conllu:1"):
        tagger.evaluate(tmp_path / "bad.conllu")
    with pytest.raises(DataError, match="the tag sets differ"):
        tagger.evaluate(SPANS)
    with pytest.raises((DataError, ConfigError), match="nowhere"):
        tagger.evaluate(tmp_path / "nowhere.conllu")
    with pytest.raises(ConfigError, match="ud-english-ewt"):
        tagger.evaluate("ud-english-ew")

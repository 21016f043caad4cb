import concurrent.futures
import gzip
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from samples import (
    PAIRS,
    REVIEWS,
    SMALL_CLASSIFIER,
    SMALL_NETWORK,
    TAGGED,
    corpus_file,
    review_examples,
    split_reviews,
    tagged_examples,
    tiny_classifier,
    tiny_language_model,
    tiny_model,
    tiny_pipeline,
    tiny_sentiment_run,
    tiny_translation_run,
)
from typer.testing import CliRunner

import nlp_lstm
from nlp_lstm import __main__ as entry
from nlp_lstm.cli import app
from nlp_lstm.data.readers import read_conllu
from nlp_lstm.errors import DataError, NlpLstmError
from nlp_lstm.inference.export import export_model
from nlp_lstm.pipeline import Pipeline

LINES = ["The old ferry leaves at six.", "", "We wait. They don't!", "नाव गई। 👍🏽"]
TINY = [*SMALL_NETWORK, "model.hidden=8", "training.tokens=600"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder, with a cache of its own and the tiny model as pos-en."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("NLP_LSTM_CACHE", str(tmp_path / "cache"))
    shutil.copytree(tiny_model(), tmp_path / "models" / "pos-en")
    monkeypatch.setenv("NLP_LSTM_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("COLUMNS", "200")


def call(*arguments: object, input: str | bytes | None = None) -> str:
    """Run a command that works, and return what it prints."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=input)
    if result.exception is not None:
        raise result.exception
    assert result.exit_code == 0
    return result.stdout


def fail(monkeypatch, capsys, *arguments: object, stdin: Path | None = None) -> str:
    """Run a command that must fail through the entry point: exit code 2, one line, no traceback."""
    monkeypatch.setattr(sys, "argv", ["nlp-lstm", *map(str, arguments)])
    with open(stdin or os.devnull, encoding="utf-8") as source:
        monkeypatch.setattr(sys, "stdin", source)
        with pytest.raises(SystemExit) as caught:
            entry.main()
    captured = capsys.readouterr()
    assert caught.value.code == 2
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    return captured.err.strip()


def test_predict_takes_the_translator_of_two_languages(tmp_path, monkeypatch, capsys):
    shutil.copytree(tiny_translation_run() / "model", tmp_path / "models" / "translate-en-hi")
    printed = call("predict", "translate", "--target", "hi", input="A dog runs across the wet field.\n\n")
    translated = [json.loads(line)["translation_text"] for line in printed.splitlines()]
    assert translated == ["Ein Hund läuft über das nasse Feld.", ""]
    message = fail(monkeypatch, capsys, "predict", "translate", "--source", "fr")
    assert "nlp-lstm run translate reading.source=fr reading.target=en" in message


def start(*arguments: object, **options) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(nlp_lstm.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    environment.update(options.pop("env", {}))
    command = [sys.executable, "-m", "nlp_lstm", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, env=environment, **options)


# ---- predict


def test_lines_of_stdin_become_json_lines():
    printed = call("predict", "pos", input="\n".join(LINES) + "\n")
    assert [json.loads(line) for line in printed.splitlines()] == tiny_pipeline().predict(LINES)
    assert "नाव" in printed


def test_files_become_a_file(tmp_path):
    for name, lines in (("one.txt", LINES[:2]), ("two.txt", LINES[2:])):
        Path(name).write_bytes("".join(f"{line}\r\n" for line in lines).encode())
    assert call("predict", "pos", "one.txt", "two.txt", "-o", "deep/out.jsonl", "--label", "xpos") == ""
    results = [json.loads(line) for line in Path("deep/out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert results == tiny_pipeline().predict(LINES, label="xpos")
    assert [path.name for path in Path("deep").iterdir()] == ["out.jsonl"]


def test_plain_text_is_a_line_for_each_line_in_order(tmp_path):
    shutil.copytree(tiny_translation_run() / "model", tmp_path / "models" / "translate-en-hi")
    lines = ["A dog runs across the wet field.", "", "x", "A dog runs across the wet field."] * 80
    printed = call("predict", "translate", "--target", "hi", "--format", "text", input="\n".join(lines) + "\n")
    written = printed.split("\n")[:-1]
    assert len(written) == len(lines)
    assert set(written[0::4]) == set(written[3::4]) == {"Ein Hund läuft über das nasse Feld."}
    assert set(written[1::4]) == {""}
    tagged = call("predict", "pos", "--format", "text", input="We wait.\n")
    expected = " ".join(f"{token['word']}/{token['entity']}" for token in tiny_pipeline().predict("We wait."))
    assert tagged == expected + "\n"


def test_options_of_the_task_are_given_by_name(tmp_path, monkeypatch, capsys):
    model = tmp_path / "model"
    shutil.copytree(tiny_translation_run() / "model", model)
    asked = ("--option", "num_return_sequences=2", "--option", "num_beams=3")
    (found,) = map(json.loads, call("predict", model, *asked, input="A dog runs.\n").splitlines())
    assert found == Pipeline(model).predict("A dog runs.", num_return_sequences=2, num_beams=3)
    assert 'unknown option "num_beans"' in fail(monkeypatch, capsys, "predict", model, "--option", "num_beans=3")
    short = call("evaluate", model, PAIRS, "options.max_new_tokens=1", "--allow-overlap")
    assert short != call("evaluate", model, PAIRS, "--allow-overlap")
    message = fail(monkeypatch, capsys, "evaluate", model, PAIRS, "options.pretokenized=true")
    assert 'unknown option "pretokenized"' in message


def test_one_language_does_not_choose_a_translator(monkeypatch, capsys):
    message = fail(monkeypatch, capsys, "predict", "translate", "--language", "de")
    assert message.startswith('ConfigError: language is "de", but a translator has two; say source= and target=')


def test_models_of_several_runs_are_evaluated_together():
    printed = call("evaluate", "pos", TAGGED, "--together-with", "pos-en", "--allow-overlap")
    assert printed == call("evaluate", "pos", TAGGED, "--allow-overlap").replace("model pos-en", "2 models together")


def test_data_shows_each_pair_of_languages(tmp_path, monkeypatch):
    folder = tmp_path / "corpora" / "multi30k"
    folder.mkdir(parents=True)
    for split in ("train", "val", "test_2016_flickr"):
        for language in ("en", "de", "fr"):
            with gzip.open(folder / f"{split}.{language}.gz", "wt", encoding="utf-8") as file:
                file.write("one\ntwo\n")
    monkeypatch.setenv("NLP_LSTM_DATA", str(folder.parent))
    printed = call("data", "multi30k")
    assert [line for line in printed.splitlines() if line[2:3] == "-"] == [
        "en-de and de-en",
        "en-fr and fr-en",
        "de-fr and fr-de",
    ]
    assert printed.count("train: 2 examples") == 3


def test_conllu_is_read_back_with_the_same_labels():
    call("predict", "pos", "--format", "conllu", "-o", "out.conllu", input="\n".join(LINES))
    examples = read_conllu("out.conllu")
    results = [result for line in tiny_pipeline().predict(LINES) for result in line]
    assert [word for example in examples for word in example.document.words] == [result["word"] for result in results]
    for column, key in (("upos", "entity"), ("xpos", "xpos")):
        labels = [label for example in examples for label in example.labels[column]]
        assert labels == [result[key] for result in results]


def test_tokens_may_come_split_already():
    printed = call("predict", "pos", "--pretokenized", input="Maria doesn't wait .\n")
    assert [token["word"] for token in json.loads(printed)] == ["Maria", "doesn't", "wait", "."]


def test_an_output_file_has_the_mode_that_the_umask_gives_and_a_link_stays_one():
    Path("there").mkdir()
    Path("there/real.jsonl").write_text("from before", encoding="utf-8")
    Path("link.jsonl").symlink_to("there/real.jsonl")
    before = os.umask(0o027)
    try:
        call("predict", "pos", "-o", "link.jsonl", input="We wait.\n")
    finally:
        os.umask(before)
    assert Path("link.jsonl").is_symlink()
    assert json.loads(Path("there/real.jsonl").read_text(encoding="utf-8")) == tiny_pipeline().predict("We wait.")
    assert stat.S_IMODE(Path("there/real.jsonl").stat().st_mode) == 0o640
    assert [path.name for path in Path("there").iterdir()] == ["real.jsonl"]


def test_pipes_and_devices_are_written_to_directly():
    call("predict", "pos", "-o", os.devnull, input="We wait.\n")
    assert not Path(os.devnull).is_file()
    os.mkfifo("pipe")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        received = pool.submit(Path("pipe").read_text, encoding="utf-8")
        call("predict", "pos", "-o", "pipe", input="We wait.\n")
        assert json.loads(received.result(timeout=60)) == tiny_pipeline().predict("We wait.")
    assert Path("pipe").is_fifo()


def test_in_a_process_of_its_own_the_bytes_are_utf8_whatever_the_locale():
    done = start("predict", "pos", input=LINES[3].encode(), env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode("utf-8")) == tiny_pipeline().predict(LINES[3])


def test_a_reader_that_goes_away_is_no_error():
    environment = {**os.environ, "PYTHONPATH": str(Path(nlp_lstm.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "nlp_lstm", "predict", "pos"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as process:
        process.stdout.close()
        process.stdin.write(b"The old ferry leaves at six.\n" * 2_000)
        process.stdin.close()
        complaint = process.stderr.read()
    assert complaint == b""
    assert process.returncode == 0


def test_the_first_line_of_much_output_may_be_all_that_is_read():
    environment = {**os.environ, "PYTHONPATH": str(Path(nlp_lstm.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    Path("in.txt").write_text("The old ferry leaves at six.\n" * 2_000, encoding="utf-8")
    command = [sys.executable, "-m", "nlp_lstm", "predict", "pos", "in.txt"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment) as process:
        assert len(json.loads(process.stdout.readline())) == 7
        process.stdout.close()
        complaint = process.stderr.read()
    assert (process.returncode, complaint) == (0, b"")


# ---- whole texts


@pytest.fixture
def classifier(tmp_path, elsewhere):
    """The tiny model of whole texts as sentiment-en."""
    shutil.copytree(tiny_sentiment_run() / "model", tmp_path / "models" / "sentiment-en")
    return tiny_classifier()


REVIEW_LINES = ["A quiet, wonderful film.", "My pasta was overcooked."]


def test_each_line_gets_a_label_and_its_score(classifier):
    printed = call("predict", "sentiment", input="\n".join(REVIEW_LINES) + "\n")
    assert [json.loads(line) for line in printed.splitlines()] == classifier.predict(REVIEW_LINES)


def test_top_k_gives_so_many_labels_and_0_all(classifier):
    for asked, top_k in ((0, None), (1, 1), (2, 2)):
        printed = call("predict", "sentiment", "--top-k", asked, input=REVIEW_LINES[0])
        assert json.loads(printed) == classifier.predict(REVIEW_LINES[0], top_k=top_k)


def test_explain_adds_the_words(classifier):
    printed = call("predict", "sentiment", "--explain", "--pretokenized", input="A quiet film .\n")
    answer = json.loads(printed)
    assert answer == classifier.predict(["A", "quiet", "film", "."], pretokenized=True, explain=True)
    assert [word["word"] for word in answer["words"]] == ["A", "quiet", "film", "."]


def test_an_empty_line_is_answered_with_a_warning_on_stderr(classifier):
    done = start("predict", "sentiment", input="\n".join([REVIEW_LINES[0], "", REVIEW_LINES[1]]).encode())
    assert done.returncode == 0
    answers = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    assert [answer["label"] for answer in answers] == ["POSITIVE", "NEGATIVE", "NEGATIVE"]
    assert answers[1]["score"] == 0.5
    complaint = done.stderr.decode("utf-8")
    assert complaint.startswith("warning: the text has no words; the answer is how frequent each label is")
    assert complaint.count("\n") == 1
    assert "Traceback" not in complaint


def test_evaluate_reads_the_columns_that_it_is_told(classifier):
    expected = classifier.task.score(review_examples(), classifier._predict_examples(review_examples()))["accuracy"]
    rows = [line.split("\t") for line in REVIEWS.read_text(encoding="utf-8").splitlines()[1:]]
    lines = ["number\treview\tstars", *(f"{n}\t{text}\t{label[:3]}" for n, (text, label) in enumerate(rows))]
    Path("mine.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    reading = ["reading.text=review", "reading.label=stars", "reading.labels={POS: POSITIVE, NEG: NEGATIVE}"]
    call("evaluate", "sentiment", "mine.tsv", *reading, "--output", "report")
    metrics = json.loads(Path("report/metrics.json").read_text(encoding="utf-8"))
    assert metrics["figures"]["Accuracy"]["value"] == expected
    assert "Accuracy" in call("evaluate", "sentiment", REVIEWS)


def test_run_and_evaluate_work_for_whole_texts(monkeypatch):
    monkeypatch.delenv("NLP_LSTM_DATA", raising=False)
    Path("mine").mkdir()
    split_reviews(Path("mine"))
    printed = call("run", "sentiment", *SMALL_CLASSIFIER, "training.tokens=600", "--data", "mine")
    assert printed.splitlines()[-1] == 'use it: Pipeline("runs/sentiment/model")'
    figures = json.loads(Path("runs/sentiment/metrics.json").read_text(encoding="utf-8"))["figures"]
    assert f"{100 * figures['Accuracy']['value']:.2f}" in call("evaluate", "runs/sentiment/model", "mine")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "sentiment", "in.txt", "--label", "xpos"], 'ConfigError: unknown option "label"'),
        (["predict", "pos", "in.txt", "--explain"], 'ConfigError: unknown option "explain"'),
        (["predict", "pos", "in.txt", "--top-k", "2"], 'ConfigError: unknown option "top_k"'),
        (["predict", "sentiment", "in.txt", "--explain", "--top-k", "0"], "ConfigError: explain is about the most"),
        (["predict", "sentiment", "in.txt", "--top-k", "-1"], "nlp-lstm predict: Invalid value for '--top-k'"),
        (["predict", "sentiment", "in.txt", "--format", "conllu"], "ConfigError: CoNLL-U is for tagging"),
        (
            ["evaluate", "sentiment", "in.txt", "model.hidden=3"],
            "evaluate takes reading.KEY=VALUE and options.KEY=VALUE, as in",
        ),
        (
            ["evaluate", "sentiment", "in.txt", "reading=3"],
            "evaluate takes reading.KEY=VALUE and options.KEY=VALUE, as in",
        ),
        (["evaluate", "sentiment", "in.tsv", "reading.txt=1"], 'unknown key "txt"'),
        (["evaluate", "sentiment", "in.tsv", "reading.text=reviw"], 'no column is called "reviw"'),
        (["evaluate", "pos", "in.tsv", "reading.text=1"], 'unknown key "text"'),
        (["evaluate", "sentiment"], "a file of one's own; give the data"),
    ],
)
def test_an_error_about_whole_texts_is_one_line_and_code_2(classifier, monkeypatch, capsys, arguments, message):
    Path("in.txt").write_text("We wait.\n", encoding="utf-8")
    Path("in.tsv").write_text("review\tlabel\nWe wait.\tPOSITIVE\n", encoding="utf-8")
    assert message in fail(monkeypatch, capsys, *arguments)


def test_data_that_the_model_may_have_seen_needs_a_flag(classifier, monkeypatch, capsys, tmp_path):
    corpus_file("sst2/test.tsv")
    path = tmp_path / "models" / "sentiment-en" / "config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**values, "data": "vader-snippets", "kept_apart": []}), encoding="utf-8")
    complaint = fail(monkeypatch, capsys, "evaluate", "sentiment", "sst2")
    assert complaint.startswith("DataError: sst2 shares texts with vader-snippets")
    assert "--allow-overlap" in complaint
    assert "1,821" in call("evaluate", "sentiment", "sst2", "--allow-overlap")


def test_the_file_that_a_model_learnt_needs_a_flag_or_a_split(monkeypatch, capsys):
    complaint = fail(monkeypatch, capsys, "evaluate", "pos", TAGGED)
    assert complaint.startswith(
        "DataError: --split test evaluates the part of hand.conllu that was kept out of training"
    )
    assert "test split" in call("evaluate", "pos", TAGGED, "--split", "test")
    assert 'no split is called "all"' in fail(monkeypatch, capsys, "evaluate", "pos", TAGGED, "--split", "all")


# ---- run, evaluate


def test_run_trains_and_evaluate_gives_the_same_figures():
    printed = call("run", "pos", *TINY, "--data", TAGGED)
    assert "model:  runs/pos/model" in printed
    assert printed.splitlines()[-1] == 'use it: Pipeline("runs/pos/model")'
    assert Path("runs/pos/report.html").is_file()
    again = call("run", "pos", *TINY, "--data", TAGGED)
    assert "runs/pos-2/model" in again
    figures = json.loads(Path("runs/pos/metrics.json").read_text(encoding="utf-8"))["figures"]
    assert json.loads(Path("runs/pos-2/metrics.json").read_text(encoding="utf-8"))["figures"] == figures
    assert "accuracy" in call("evaluate", "runs/pos/model", TAGGED, "--allow-overlap", "--output", "report").lower()
    assert Path("report/report.html").is_file()
    assert Path("report/metrics.json").is_file()


def test_resume_needs_nothing_else(monkeypatch):
    from nlp_lstm.training import loop

    take_step = loop._Run._take_step

    def interrupted(run, indices):
        if run.state.step == 3:
            signal.raise_signal(signal.SIGINT)
        return take_step(run, indices)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "_take_step", interrupted)
        stopped = CliRunner().invoke(app, ["run", "pos", *TINY, "--data", str(TAGGED)])
    assert stopped.exit_code != 0
    assert "--resume" in stopped.stdout
    assert not Path("runs/pos/report.html").exists()
    assert "model:  runs/pos/model" in call("run", "pos", "--resume")
    call("run", "pos", *TINY, "--data", TAGGED)
    weights = [Path(f"runs/{name}/model/model.safetensors").read_bytes() for name in ("pos", "pos-2")]
    assert weights[0] == weights[1]


def test_ctrl_c_ends_with_code_130(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["nlp-lstm", "run", "pos", *TINY])

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("nlp_lstm.runs.run_recipe", interrupt)
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == 130


def test_evaluate_prints_the_figures():
    printed = call("evaluate", "pos", TAGGED, "--allow-overlap")
    value = tiny_pipeline().task.score(tagged_examples(), tiny_pipeline()._predict_examples(tagged_examples()))
    assert f"{100 * value['upos_accuracy']:.1f}" in printed or f"{100 * value['upos_accuracy']:.2f}" in printed


# ---- lists and vectors


def test_data_lists_the_data_sets():
    printed = call("data")
    assert "ud-english-ewt" in printed
    assert "brown" in printed


def test_models_lists_name_place_and_size(tmp_path):
    (tmp_path / "models" / "notes").mkdir()
    (tmp_path / "models" / "README.md").write_text("mine", encoding="utf-8")
    printed = call("models")
    assert "pos-en" in printed
    assert "NLP_LSTM_MODELS" in printed
    assert "MB" in printed
    assert "notes" not in printed
    assert "README" not in printed


def test_vectors_are_trained_and_shown():
    Path("text.txt").write_text("the old ferry leaves\nthe new ferry waits\n" * 20, encoding="utf-8")
    printed = call("vectors", "train", "text.txt", "-o", "mine.txt", "--size", 8, "--min-count", 1, "--epochs", 1)
    assert "vectors of 8 features: mine.txt" in printed
    assert Path("mine.txt").read_text(encoding="utf-8").startswith("6 8\n")
    shown = call("vectors", "show", "mine.txt", "ferry")
    assert "6 words, 8 features" in shown
    assert "ferry: " in shown


@pytest.mark.parametrize("arguments", [[], ["run"], ["predict"], ["evaluate"], ["data"], ["models"], ["vectors"]])
def test_every_command_has_help(arguments):
    assert "Usage" in call(*arguments, "--help")


def test_help_of_evaluate_says_which_data_it_takes_by_default():
    assert "without DATA, on the data set of the catalogue that it was trained on" in call("evaluate", "--help")


def test_help_needs_no_torch():
    code = "import sys; from nlp_lstm.cli import app; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(nlp_lstm.__file__).parent.parent)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


# ---- errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "poss"], 'ConfigError: unknown task or model "poss"'),
        (["predict", "pos", "--language", "hi"], 'NotTrainedError: no model "pos-hi"'),
        (["predict", "pos", "nowhere.txt"], "DataError: nowhere.txt: cannot be read (No such file"),
        (["predict", "pos", "."], "DataError: .: cannot be read (Is a directory"),
        (["predict", "pos", "in.txt", "--label", "xpso"], 'ConfigError: unknown label column "xpso"'),
        (["predict", "pos", "in.txt", "--label", "xpos", "--format", "conllu"], "ConfigError: --label goes with"),
        (["predict", "pos", "in.txt", "-o", "in.txt/out"], "in.txt: "),
        (["predict", "no/model"], "CheckpointError: no/model is not a model folder"),
        (["run", "poss"], 'ConfigError: unknown task or recipe "poss"'),
        (["run", "pos", "model.hiden=3", "training.tokens=0"], "training.tokens is 0"),
        (["run", "pos", "hidden"], 'ConfigError: override "hidden" is not of the form'),
        (["run", "bad.yaml"], "ConfigError: bad.yaml is not valid YAML"),
        (["run", "pos", "--resume"], "ConfigError: no unfinished run of pos"),
        (["run", "pos", "--output", "full"], "ConfigError: full is not empty"),
        (["run", "pos", "--output", "new", "--data", "nowhere"], "DataError: nowhere: there is no such file"),
        (["evaluate", "pos", "bad.conllu"], "DataError: bad.conllu:1"),
        (["evaluate", "pos", "ud-english-ew"], "ConfigError"),
        (["data", "ud-english-ew"], "ConfigError"),
        (["vectors", "show", "nowhere.txt"], "nowhere.txt"),
        (["predict"], "nlp-lstm predict: Missing argument"),
        (["predict", "pos", "--outptu", "x"], "nlp-lstm predict: No such option: --outptu"),
        (["run", "--seeds", "0"], "nlp-lstm run: Invalid value for '--seeds'"),
        (["nope"], "nlp-lstm: No such command 'nope'; see nlp-lstm --help"),
        (["vectors", "train", "nowhere.txt", "-o", "out.txt"], "DataError: nowhere.txt does not exist"),
    ],
)
def test_an_error_is_one_line_and_code_2(monkeypatch, capsys, arguments, message):
    Path("in.txt").write_text("We wait.\n", encoding="utf-8")
    Path("bad.conllu").write_text("1\tonly two\n", encoding="utf-8")
    Path("bad.yaml").write_text("task: [pos\nmodel: {\n", encoding="utf-8")
    Path("full").mkdir()
    Path("full/thesis.txt").write_text("years of work", encoding="utf-8")
    assert message in fail(monkeypatch, capsys, *arguments)


@pytest.mark.parametrize("form", ["jsonl", "conllu"])
def test_bad_bytes_name_file_and_line_and_leave_no_output(monkeypatch, capsys, form):
    Path("in.txt").write_bytes(b"We wait.\nfine\ncaf\xe9\n")
    Path("out.txt").write_text("from before", encoding="utf-8")
    complaint = fail(monkeypatch, capsys, "predict", "pos", "in.txt", "-o", "out.txt", "--format", form)
    assert complaint.startswith("DataError: in.txt:3: byte b'\\xe9' at position 3 is not UTF-8")
    assert Path("out.txt").read_text(encoding="utf-8") == "from before"
    assert sorted(path.name for path in Path().iterdir()) == ["in.txt", "out.txt"]


def test_bad_bytes_of_stdin_name_the_line(monkeypatch, capsys):
    Path("in.txt").write_bytes(b"fine\n\xff\n")
    assert "stdin:2: byte" in fail(monkeypatch, capsys, "predict", "pos", "-o", "out.txt", stdin=Path("in.txt"))
    assert not Path("out.txt").exists()


def test_a_damaged_model_is_one_line(monkeypatch, capsys, tmp_path):
    path = tmp_path / "models" / "pos-en" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert fail(monkeypatch, capsys, "predict", "pos").startswith("CheckpointError: ")


def test_generate_writes_with_or_without_the_beginning_and_takes_no_other_word_for_it(monkeypatch, capsys):
    folder = tiny_language_model().folder
    whole = call("generate", folder, "The ferry", "max_new_tokens=5")
    assert whole.startswith("The ferry")
    assert "The ferry" + call("generate", folder, "The ferry", "max_new_tokens=5", "return_full_text=false") == whole
    message = fail(monkeypatch, capsys, "generate", folder, "The ferry", "return_full_text=perhaps")
    assert "return_full_text is 'perhaps'" in message


def test_score_refuses_a_tagger_before_it_reads_a_line(monkeypatch, capsys, tmp_path):
    (tmp_path / "empty.txt").touch()
    message = fail(monkeypatch, capsys, "score", "pos", tmp_path / "empty.txt")
    assert "the task pos neither scores nor writes text" in message


def test_an_error_message_over_several_lines_becomes_one(monkeypatch, capsys):
    def explode(*args):
        raise NlpLstmError("first\n  second")

    monkeypatch.setattr("nlp_lstm.cli.read_texts", explode)
    assert fail(monkeypatch, capsys, "predict", "pos") == "NlpLstmError: first second"


def test_a_message_cannot_steer_the_terminal(monkeypatch, capsys):
    assert 'unknown task or model "po[2Js"' in fail(monkeypatch, capsys, "predict", "po\x1b[2J\x07s")


def test_a_score_that_is_no_number_is_an_error(monkeypatch, capsys):
    monkeypatch.setattr("nlp_lstm.pipeline.Pipeline.predict", lambda *args, **options: [{"score": float("nan")}])
    complaint = fail(monkeypatch, capsys, "predict", "pos", "-o", "out.jsonl")
    assert complaint.startswith("CheckpointError: ")
    assert "a score that is no number" in complaint
    assert not Path("out.jsonl").exists()


@pytest.mark.parametrize("arguments", [[], ["vectors"]])
def test_without_arguments_there_is_help(monkeypatch, capsys, arguments):
    monkeypatch.setattr(sys, "argv", ["nlp-lstm", *arguments])
    with pytest.raises(SystemExit) as caught:
        entry.main()
    captured = capsys.readouterr()
    assert (caught.value.code, captured.err) == (2, "")
    assert "Usage" in captured.out


@pytest.mark.parametrize(
    ("raised", "code"), [(typer.Exit(3), 3), (typer.Exit(), 0), (typer.Abort(), 130), (KeyboardInterrupt(), 130)]
)
def test_ways_to_end_have_their_codes(monkeypatch, raised, code):
    def end(*args, **options):
        raise raised

    monkeypatch.setattr("nlp_lstm.data.catalogue.list_data", end)
    monkeypatch.setattr(sys, "argv", ["nlp-lstm", "data"])
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == code


def test_in_a_process_of_its_own_an_error_has_code_2_too():
    done = start("predict", "poss", text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


# ---- speed


def test_bench_measures_each_engine_that_runs_the_model(tmp_path):
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join(LINES * 3), encoding="utf-8")
    export_model(tmp_path / "models" / "pos-en")
    printed = call("bench", "pos", lines, "--turns", "1", "--threads", "1", "--output", tmp_path / "speed.json")
    assert "pos-en: 9 texts" in printed
    found = {one["way"]: one for one in json.loads((tmp_path / "speed.json").read_text())}
    assert {"torch", "onnx"} <= set(found)
    for one in found.values():
        assert one["equal"] == 1
        assert min(one["words_per_second"], one["p50"], one["cold"], one["memory"]) > 0
        assert one["p50"] <= one["p99"]


def test_bench_says_what_it_cannot_measure(tmp_path, capsys):
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n", encoding="utf-8")
    with pytest.raises(DataError, match="no text with a word in it"):
        call("bench", "pos", empty)
    with pytest.raises(DataError, match=r"none\.txt: cannot be read"):
        call("bench", "pos", tmp_path / "none.txt")

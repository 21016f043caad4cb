"""What the README shows and what `make help` offers, run in tiny form."""

import asyncio
import csv
import gzip
import importlib
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from samples import (
    PAIRS,
    PRICES,
    REVIEWS,
    SMALL_BIDIRECTIONAL_MODEL,
    SMALL_CAPTIONER,
    SMALL_CLASSIFIER,
    SMALL_LANGUAGE_MODEL,
    SMALL_NETWORK,
    SMALL_SERIES,
    SMALL_TRANSLATOR,
    SMALL_VIDEO,
    TAGGED,
    bundled_model,
    tiny_bidirectional_run,
    tiny_caption_run,
    tiny_language_run,
    tiny_model,
    tiny_run,
    tiny_sentiment_run,
    tiny_series_run,
    tiny_translation_run,
    tiny_video_run,
    write_clips,
    write_pictures,
)
from typer.testing import CliRunner

from nlp_lstm.cli import app
from nlp_lstm.paths import bundled_folder
from nlp_lstm.recipes import load_recipe
from nlp_lstm.serving.app import create_app
from nlp_lstm.serving.models import choose_models

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?", README, re.MULTILINE | re.DOTALL)
PYTHON = [(code, output) for language, code, output in BLOCKS if language == "python"]
SHELL = [
    line.partition(" #")[0].strip()
    for language, code, _ in BLOCKS
    if language == "bash"
    for line in code.splitlines()
    if line.strip() and not line.startswith("#")
]
TARGETS = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
TINY = [*SMALL_NETWORK, "model.hidden=8", "training.tokens=400"]
TINY_CLASSIFIER = [*SMALL_CLASSIFIER, "model.hidden=8", "training.tokens=400"]
TINY_BIDIRECTIONAL_MODEL = [*SMALL_BIDIRECTIONAL_MODEL, "model.hidden=8", "training.tokens=400"]
TINY_LANGUAGE_MODEL = [*SMALL_LANGUAGE_MODEL, "training.tokens=400"]
TINY_CAPTIONER = [*SMALL_CAPTIONER, "training.tokens=400"]
TINY_VIDEO = [*SMALL_VIDEO, "training.tokens=400"]
TINY_SERIES = [*SMALL_SERIES, "training.tokens=400"]
AHEAD = ["reading.time=day", "reading.numbers={price: log-change}", "reading.ahead=price"]
TINY_TRANSLATOR = [*SMALL_TRANSLATOR, "training.tokens=400"]


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Path:
    """An empty folder with a user's files in it, and the tiny model as pos-en."""
    model = Path(shutil.copytree(tiny_model(), tmp_path / "models" / "pos-en"))
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps({**config, "data": "ud-english-ewt"}), encoding="utf-8")
    shutil.copytree(tiny_sentiment_run() / "model", tmp_path / "models" / "sentiment-en")
    monkeypatch.setenv("NLP_LSTM_MODELS", str(tmp_path / "models"))
    treebank = tmp_path / "data" / "ud-english-ewt"
    treebank.mkdir(parents=True)
    for split in ("train", "dev", "test"):
        with gzip.open(treebank / f"en_ewt-ud-{split}.conllu.gz", "wb") as file:
            file.write(TAGGED.read_bytes())
    monkeypatch.setenv("NLP_LSTM_DATA", str(treebank.parent))
    monkeypatch.setenv("NLP_LSTM_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "work"
    (folder / "my_corpus").mkdir(parents=True)
    (folder / "my_treebank.conllu").write_bytes(b"# not the file that the model was trained on\n" + TAGGED.read_bytes())
    shutil.copy(TAGGED, folder / "my_corpus" / "all.conllu")
    rows = [line.split("\t") for line in REVIEWS.read_text(encoding="utf-8").splitlines()[1:]]
    with (folder / "my_reviews.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["review", "verdict"], *([row[0], row[1]] for row in rows)])
    (folder / "reviews.txt").write_text("".join(f"{row[0]}\n" for row in rows), encoding="utf-8")
    (folder / "my_text.txt").write_text("The old ferry leaves at six.\n" * 20, encoding="utf-8")
    shutil.copy(folder / "my_text.txt", folder / "my_sentences.txt")
    shutil.copy(PAIRS, folder / "my_pairs.tsv")
    write_pictures(folder / "my_pictures")
    shutil.copy(folder / "my_pictures" / "images" / "0.png", folder / "my_photo.png")
    write_clips(folder / "my_clips")
    shutil.copy(folder / "my_clips" / "images" / "1.gif", folder / "my_clip.gif")
    shutil.copytree(folder / "my_clips" / "images" / "2", folder / "my_frames")
    (folder / "my_space.yaml").write_text("model.hidden: {low: 4, high: 8}\n", encoding="utf-8")
    (folder / "my_prices.csv").write_text(PRICES, encoding="utf-8")
    symbols = (f'{{"symbols": "{number:b}", "label": "{number % 2}"}}' for number in range(1, 60))
    (folder / "my_symbols.jsonl").write_text("\n".join(symbols), encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def run_nlp_lstm(arguments: list[str], text: str = "") -> None:
    """Run an `nlp-lstm` command line; `run` gets the tiny network and, unless it has some, the sample data."""
    if arguments[0] == "run" and "--resume" in arguments:
        run_nlp_lstm(["run", "pos"])
        for status in Path("runs").glob("*/run.json"):  # as if it had been interrupted
            status.write_text(status.read_text(encoding="utf-8").replace("true", "false"), encoding="utf-8")
    elif arguments[0] == "run":
        tiny, sample = {
            "pos": (TINY, TAGGED),
            "runs/tune-pos/best.yaml": (TINY, TAGGED),
            "lm": (TINY_LANGUAGE_MODEL, Path("my_text.txt")),
            "topics": ([*TINY_LANGUAGE_MODEL, "training.tokens=1_500"], REVIEWS),
            "lm-characters": (TINY_LANGUAGE_MODEL, Path("my_text.txt")),
            "bilm": (TINY_BIDIRECTIONAL_MODEL, Path("my_text.txt")),
            "bilm-sentiment": ([*TINY_BIDIRECTIONAL_MODEL, "model.embedding.words=learned"], Path("my_text.txt")),
            "translate": (TINY_TRANSLATOR, PAIRS),
            "caption": (TINY_CAPTIONER, Path("my_pictures/pictures.json")),
            "video": (TINY_VIDEO, Path("my_clips/clips.json")),
            "series": ([*TINY_SERIES, *AHEAD], Path("my_prices.csv")),
            "series-vowels": (TINY_SERIES, Path("my_symbols.jsonl")),
            "series-peptides": (TINY_SERIES, Path("my_symbols.jsonl")),
        }.get(arguments[1], (TINY_CLASSIFIER, REVIEWS))
        arguments = [*arguments, *tiny, *([] if "--data" in arguments else ["--data", str(sample)])]
    elif arguments[0] == "annotate":
        arguments = [*arguments, "--workers", "1"]
    elif arguments[0] == "tune" and "--resume" in arguments:
        run_nlp_lstm(["tune", "pos", "--data", str(TAGGED)])
        Path("runs/tune-pos/run.json").write_text(json.dumps({"is_finished": False, "data": str(TAGGED)}))
        arguments = [*arguments, "--trials", "1"]
    elif arguments[0] == "tune":
        arguments = [*arguments, *TINY, "--trials", "1"]
    elif arguments[:2] == ["doctor", "pos"]:
        arguments = [*arguments, *TINY]
    with pytest.MonkeyPatch.context() as patch:
        if arguments[0] == "serve":  # up to where it would answer until it is stopped
            arguments = [*arguments, "--port", "0"]
            patch.setattr("uvicorn.Server.run", lambda server, sockets: sockets[0].close())
            patch.setattr(importlib.import_module("nlp_lstm.serving.server"), "write_logs", lambda: None)
        result = CliRunner().invoke(app, arguments, input=text)
    assert result.exception is None, (arguments, result.exception, result.output)


def make_commands(*arguments: str) -> list[str]:
    """What make would run, the building of the environment left out."""
    command = ["make", "--dry-run", "--no-print-directory", *arguments]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [line for line in printed.splitlines() if not re.search(r"-m venv|pip install|^touch", line)]


def run_line(line: str) -> None:
    """Run one line of shell in tiny form."""
    if "runs/topics/model" in line:
        run_nlp_lstm(["run", "topics", "--output", "runs/topics"])
    if "runs/lm/model" in line:
        shutil.copytree(tiny_language_run() / "model", "runs/lm/model")
    if "runs/tune-pos/best.yaml" in line:
        Path("runs/tune-pos").mkdir(parents=True)
        shutil.copy(bundled_folder("pipelines") / "pos.yaml", "runs/tune-pos/best.yaml")
    if "runs/caption/model" in line:
        shutil.copytree(tiny_caption_run() / "model", "runs/caption/model")
    if "runs/video/model" in line:
        shutil.copytree(tiny_video_run() / "model", "runs/video/model")
    if "runs/series/model" in line:
        shutil.copytree(tiny_series_run() / "model", "runs/series/model")
    if "runs/sentiment/model" in line:
        shutil.copytree(tiny_sentiment_run() / "model", "runs/sentiment/model")
    if line.startswith("nlp-lstm trim runs/bilm-sentiment/model"):
        shutil.copytree(tiny_bidirectional_run() / "model", "runs/bilm-sentiment/model")
    if line.endswith("doctor runs/pos"):
        shutil.copytree(tiny_run(), "runs/pos")
    if "runs/translate/model" in line:
        shutil.copytree(tiny_translation_run() / "model", "runs/translate/model")
    if "init=" in line or "context=" in line:
        for folder in re.findall(r"(runs/[\w-]+)/model", line):
            run_line(next(earlier for earlier in SHELL if f"--output {folder} " in f"{earlier} "))
    words = shlex.split(line)
    if words[0] == "echo" and "|" in words:
        bar = words.index("|")
        assert words[bar + 1] == "nlp-lstm"
        run_nlp_lstm(words[bar + 2 :], " ".join(words[1:bar]) + "\n")
    elif words[0] == "nlp-lstm":
        run_nlp_lstm(words[1:])
    elif words[0] == "curl":
        run_curl(words)
    elif words[0] == "make":
        for made in make_commands(*words[1:]):
            run_tool(made)
    else:
        pytest.fail(f"the README shows a command that no test runs: {line}")


def run_curl(words: list[str]) -> None:
    """Ask what the README asks, without a socket."""

    async def ask() -> httpx.Response:
        served = create_app(choose_models(["pos", "sentiment"]))
        transport = httpx.ASGITransport(served)
        async with served.router.lifespan_context(served), httpx.AsyncClient(transport=transport) as client:
            while (await client.get("http://127.0.0.1/readyz")).status_code != 200:
                await asyncio.sleep(0.01)
            return await client.post(words[3], json=json.loads(words[2]))

    assert (words[0], words[1], len(words)) == ("curl", "--json", 4)
    response = asyncio.run(ask())
    assert response.status_code == 200, response.text


def run_tool(line: str) -> None:
    """Run what a make target runs where it is ours; for the tools, check that the project sets them up."""
    words = shlex.split(line)
    tool = words[0].rpartition("/")[2]
    if tool == "nlp-lstm":
        run_nlp_lstm(words[1:])
    elif tool == "python" and words[1] == "-m":
        assert words[2] in ("pytest", "pip")
    elif tool == "python":
        compile((ROOT / words[1]).read_text(encoding="utf-8"), words[1], "exec")
    elif tool == "pip-audit":
        assert "--strict" in words  # else what cannot be looked up passes
    else:
        assert tool in ("ruff", "mypy", "lint-imports")
        settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        assert f"[tool.{'importlinter' if tool == 'lint-imports' else tool}" in settings


@pytest.mark.parametrize(("code", "output"), PYTHON)
def test_the_readmes_python_prints_what_it_says(code, output, capsys, tmp_path, monkeypatch):
    for task in re.findall(r'Pipeline\("(\w+)"\)', code):
        bundled_model(f"{task}-en")
    if "spacy" in code:
        importlib.import_module("nlp_lstm.spacy_components")  # which entry points do where the package is installed
    monkeypatch.delenv("NLP_LSTM_MODELS", raising=False)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    if output:
        assert capsys.readouterr().out == output


@pytest.mark.parametrize("line", SHELL)
@pytest.mark.usefixtures("workplace")
def test_the_readmes_commands_run(line):
    run_line(line)


def test_the_readme_has_python_and_shell():
    assert PYTHON
    assert SHELL


def test_make_help_lists_every_target():
    printed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[1] for line in printed.splitlines()] == TARGETS
    assert {"pipeline", "test", "lint"} <= set(TARGETS)


@pytest.mark.parametrize("target", [target for target in TARGETS if target != "help"])
@pytest.mark.usefixtures("workplace")
def test_every_target_of_make_runs_in_tiny_form(target):
    commands = make_commands(target)
    assert commands
    for command in commands:
        run_tool(command)


@pytest.mark.usefixtures("workplace")
def test_make_pipeline_takes_data_and_overrides():
    [command] = make_commands("pipeline", "TASK=pos", "DATA=my_corpus", "ARGS=model.hidden=16")
    assert shlex.split(command)[1:] == ["run", "pos", "--data", "my_corpus", "model.hidden=16"]


@pytest.mark.parametrize("path", sorted(bundled_folder("pipelines").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_bundled_recipe_loads(path):
    recipe = load_recipe(str(path))
    assert path.stem.partition("-")[0] == recipe.task or recipe.kind


def test_links_of_the_readme_lead_somewhere():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    missing = [link for link in links if not (ROOT / link).exists() and not link.startswith("models/")]
    assert not missing


def test_make_pipeline_takes_data_with_a_space_in_its_name():
    [command] = make_commands("pipeline", "TASK=pos", "DATA=my corpus")
    assert shlex.split(command)[1:] == ["run", "pos", "--data", "my corpus"]

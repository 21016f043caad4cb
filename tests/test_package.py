"""The wheel and the sdist hold everything, and the wheel works from outside the checkout."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODELS = sorted(path.parent.name for path in (ROOT / "models").glob("*/config.json"))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def unpacked(built, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(built[0]) as wheel:
        wheel.extractall(folder)
    return folder


def run_outside(unpacked, folder, *arguments, code=0):
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    environment.pop("NLP_LSTM_MODELS", None)
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout


def test_wheel_holds_recipes_models_templates_and_catalogue(built):
    names = zipfile.ZipFile(built[0]).namelist()
    for name in ("_bundled/pipelines/pos.yaml", "evaluation/templates/report.html.j2", "data/catalogue.yaml"):
        assert f"nlp_lstm/{name}" in names
    for model in MODELS:
        for path in (ROOT / "models" / model).iterdir():
            assert f"nlp_lstm/_bundled/models/{model}/{path.name}" in names
    assert built[0].stat().st_size < 95e6


def test_wheel_says_where_spacy_finds_its_components(built):
    wheel = zipfile.ZipFile(built[0])
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]
    assert (
        "[spacy_factories]\nnlp_lstm_sentiment = nlp_lstm.spacy_components:make_sentiment\n"
        in wheel.read(name).decode()
    )


def test_sdist_builds_the_same_things(built):
    with tarfile.open(built[1]) as archive:
        names = archive.getnames()
    base = built[1].name.removesuffix(".tar.gz")
    for name in ("LICENSE", "README.md", "Makefile", "pipelines/pos.yaml", "tests/test_package.py"):
        assert f"{base}/{name}" in names


def test_installed_package_finds_its_recipes_outside_the_checkout(unpacked, tmp_path):
    code = "import nlp_lstm, nlp_lstm.recipes as r; print(nlp_lstm.__file__); print(*r.list_recipes())"
    home, recipes = run_outside(unpacked, tmp_path, "-c", code).splitlines()
    assert Path(home).is_relative_to(unpacked)
    assert "pos" in recipes.split()


@pytest.mark.skipif("pos-en" not in MODELS, reason="the bundled model is not in this checkout")
def test_installed_package_predicts_with_its_bundled_model_and_no_network(unpacked, tmp_path):
    code = (
        "import socket\n"
        "def refuse(*arguments, **options): raise OSError('the network is switched off')\n"
        "socket.socket.connect = socket.create_connection = refuse\n"
        "from nlp_lstm import Pipeline\n"
        "print(*[token['entity'] for token in Pipeline('pos').predict('Dogs bark.')])\n"
    )
    assert run_outside(unpacked, tmp_path, "-c", code).split() == ["NOUN", "VERB", "PUNCT"]

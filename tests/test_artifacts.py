import hashlib
import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from samples import tiny_model

from nlp_lstm import artifacts
from nlp_lstm.artifacts import (
    CONFIG_NAME,
    VOCABULARY_NAME,
    WEIGHTS_NAME,
    find_model,
    list_models,
)
from nlp_lstm.errors import CheckpointError, NotTrainedError
from nlp_lstm.inference.opening import open_model
from nlp_lstm.settings import Settings
from nlp_lstm.weights import load_model, pack_weights, save_model, unpack_weights


class NoSettings(Settings):
    """Of a model without any."""


def save(folder: Path, weights: dict[str, torch.Tensor], precision: str = "fp32", **documents: str) -> None:
    save_model(
        folder,
        task="pos",
        language="en",
        data="none",
        model_settings=NoSettings(),
        vocabulary={"words": ["नाव"]},
        weights=weights,
        precision=precision,
        documents={f"{name}.md": text for name, text in documents.items()},
    )


def some_weights() -> dict[str, torch.Tensor]:
    return {
        "matrix": torch.randn(40, 50) * torch.logspace(-3, 3, 40)[:, None],
        "cube": torch.randn(8, 16, 16),
        "small": torch.randn(3, 4),
        "vector": torch.randn(2_000),
        "codes": torch.randint(0, 255, (40, 40), dtype=torch.uint8),
        "zeros": torch.zeros(40, 40),
    }


@pytest.fixture
def model_copy(tmp_path) -> Path:
    """A copy of the tiny model, to be damaged."""
    return Path(shutil.copytree(tiny_model(), tmp_path / "model"))


def rewrite(folder: Path, name: str, data: bytes) -> None:
    """Put ``data`` in a file of the folder and make config.json agree with it, as an attacker would."""
    (folder / name).write_bytes(data)
    config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
    config["files"][name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / CONFIG_NAME).write_text(json.dumps(config), encoding="utf-8")


def change_config(folder: Path, change) -> None:
    config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
    change(config)
    (folder / CONFIG_NAME).write_text(json.dumps(config), encoding="utf-8")


def change_vocabulary(folder: Path, change) -> None:
    vocabulary = json.loads((folder / VOCABULARY_NAME).read_text(encoding="utf-8"))
    change(vocabulary)
    rewrite(folder, VOCABULARY_NAME, json.dumps(vocabulary).encode())


def change_weights(folder: Path, change) -> None:
    weights = load_file(folder / WEIGHTS_NAME)
    change(weights)
    save_file(weights, folder / WEIGHTS_NAME)
    rewrite(folder, WEIGHTS_NAME, (folder / WEIGHTS_NAME).read_bytes())


# ---- what is written comes back


def test_fp32_comes_back_bit_for_bit(tmp_path):
    weights = some_weights()
    save(tmp_path / "model", weights, README="# नाव\n")
    loaded = load_model(tmp_path / "model")
    assert loaded.weights.keys() == weights.keys()
    assert all(torch.equal(loaded.weights[name], tensor) for name, tensor in weights.items())
    assert loaded.vocabulary == {"words": ["नाव"]}
    assert (tmp_path / "model" / "README.md").read_text(encoding="utf-8") == "# नाव\n"


def test_fp16_comes_back_as_its_rounding(tmp_path):
    weights = some_weights()
    save(tmp_path / "model", weights, "fp16")
    loaded = load_model(tmp_path / "model").weights
    for name in ("matrix", "cube", "zeros"):
        assert loaded[name].dtype == torch.float32
        assert torch.equal(loaded[name], weights[name].half().float())
    for name in ("small", "vector", "codes"):
        assert torch.equal(loaded[name], weights[name])


def test_int8_comes_back_within_half_a_step_per_row(tmp_path):
    weights = some_weights()
    save(tmp_path / "model", weights, "int8")
    loaded = load_model(tmp_path / "model").weights
    assert loaded.keys() == weights.keys()
    for name in ("matrix", "cube", "zeros"):
        rows = weights[name].flatten(1)
        half_step = rows.abs().amax(dim=1, keepdim=True) / 127 / 2
        error = (loaded[name].flatten(1) - rows).abs()
        assert (error <= half_step * (1 + 1e-5)).all()  # the factor: division and product round in fp32
        assert loaded[name].dtype == torch.float32
    for name in ("small", "vector", "codes"):
        assert torch.equal(loaded[name], weights[name])


def test_rounding_twice_changes_nothing():
    once = unpack_weights(pack_weights(some_weights(), "int8"))
    twice = unpack_weights(pack_weights(once, "int8"))
    assert all(torch.allclose(once[name], twice[name], rtol=1e-6, atol=0) for name in once)  # scales round in fp32


def test_int8_takes_about_a_quarter_of_the_bytes(tmp_path):
    weights = {"matrix": torch.randn(500, 500)}
    for precision in ("fp32", "int8"):
        save(tmp_path / precision, weights, precision)
    sizes = {name: (tmp_path / name / WEIGHTS_NAME).stat().st_size for name in ("fp32", "int8")}
    assert sizes["int8"] < 0.26 * sizes["fp32"]


# ---- all or nothing


@pytest.mark.parametrize("step", ["save_file", "text", "move"])
def test_a_failed_save_leaves_the_old_model(tmp_path, monkeypatch, step):
    folder = tmp_path / "model"
    save(folder, {"matrix": torch.ones(2, 2)})
    moved = []

    def fail(*args, **kwargs):
        raise OSError("disk full")

    def fail_at_second_move(source, target):
        moved.append(target)
        if len(moved) == 2:
            fail()
        real_replace(source, target)

    real_replace = os.replace
    with monkeypatch.context() as patch:
        if step == "save_file":
            patch.setattr("nlp_lstm.weights.save_file", fail)
        elif step == "text":
            patch.setattr("nlp_lstm.weights.write_text", fail)
        else:
            patch.setattr(os, "replace", fail_at_second_move)
        with pytest.raises(OSError, match="disk full"):
            save(folder, {"matrix": torch.zeros(2, 2)})
    assert torch.equal(load_model(folder).weights["matrix"], torch.ones(2, 2))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_saving_again_replaces_the_whole_folder(tmp_path):
    folder = tmp_path / "model"
    save(folder, {"matrix": torch.ones(2, 2)}, old="gone soon")
    save(folder, {"matrix": torch.zeros(2, 2)})
    assert torch.equal(load_model(folder).weights["matrix"], torch.zeros(2, 2))
    assert not (folder / "old.md").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


class Killed(BaseException):
    """Stands for a kill: nothing after it runs."""


def save_and_die(monkeypatch, folder: Path, when: str) -> None:
    """Save zeros as ``folder`` and stop as a kill would, between the two moves or after them."""
    real_replace = os.replace
    moves = []

    def replace(source, target):
        moves.append(target)
        if when == "between the moves" and len(moves) >= 2:  # also what would undo the first move
            raise Killed
        real_replace(source, target)

    def remove(path):
        if when == "after the moves" and path.exists():
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        patch.setattr(artifacts, "_remove", remove)
        with pytest.raises(Killed):
            save(folder, {"matrix": torch.zeros(2, 2)})


def test_a_kill_between_the_moves_leaves_the_old_model_to_be_found(tmp_path, monkeypatch):
    folder = tmp_path / "pos-en"
    save(folder, {"matrix": torch.ones(2, 2)})
    save_and_die(monkeypatch, folder, "between the moves")
    assert not folder.exists()
    with pytest.warns(UserWarning, match=r"pos-en is missing, saving it was cut off.* used: .*pos-en\.replaced"):
        assert torch.equal(load_model(folder).weights["matrix"], torch.ones(2, 2))
    with pytest.warns(UserWarning, match="cut off"):
        assert find_model("pos-en", roots={"here": tmp_path}, advice=lambda: "") == tmp_path / "pos-en.replaced"
    save(folder, {"matrix": torch.zeros(2, 2)})
    assert torch.equal(load_model(folder).weights["matrix"], torch.zeros(2, 2))
    assert [path.name for path in tmp_path.iterdir()] == ["pos-en"]


def test_a_kill_after_the_moves_leaves_the_new_model(tmp_path, monkeypatch):
    folder = tmp_path / "pos-en"
    save(folder, {"matrix": torch.ones(2, 2)})
    save_and_die(monkeypatch, folder, "after the moves")
    assert torch.equal(load_model(folder).weights["matrix"], torch.zeros(2, 2))
    save(folder, {"matrix": torch.ones(2, 2)})
    assert [path.name for path in tmp_path.iterdir()] == ["pos-en"]


def test_saving_over_a_link_leaves_what_it_leads_to(tmp_path):
    save(tmp_path / "real", {"matrix": torch.ones(2, 2)})
    (tmp_path / "link").symlink_to(tmp_path / "real")
    save(tmp_path / "link", {"matrix": torch.zeros(2, 2)})
    assert torch.equal(load_model(tmp_path / "real").weights["matrix"], torch.ones(2, 2))
    assert torch.equal(load_model(tmp_path / "link").weights["matrix"], torch.zeros(2, 2))
    assert {path.name for path in tmp_path.iterdir()} == {"real", "link"}


# ---- damaged folders


def test_the_copy_opens_before_it_is_damaged(model_copy):
    assert open_model(model_copy).config.task == "pos"


@pytest.mark.parametrize("name", [CONFIG_NAME, VOCABULARY_NAME, WEIGHTS_NAME])
def test_a_missing_file_is_named(model_copy, name):
    (model_copy / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        open_model(model_copy)


@pytest.mark.parametrize("name", [VOCABULARY_NAME, WEIGHTS_NAME, "README.md"])
def test_a_truncated_file_is_named(model_copy, name):
    path = model_copy / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=f"{name} is not the file that config.json describes"):
        open_model(model_copy)


@pytest.mark.parametrize("name", [VOCABULARY_NAME, WEIGHTS_NAME])
def test_one_flipped_bit_is_found(model_copy, name):
    path = model_copy / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="sha256 differs"):
        open_model(model_copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "\udcff", "[" * 100_000])
def test_a_config_that_is_no_object_is_refused(model_copy, text):
    (model_copy / CONFIG_NAME).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=CONFIG_NAME):
        open_model(model_copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config.update(fromat=1), r'unknown key "fromat".* Did you mean "format"'),
        (lambda config: config.update(format=2), "format is 2"),
        (lambda config: config.pop("task"), '"task" is missing'),
        (lambda config: config.update(task="poss"), 'unknown task "poss"'),
        (lambda config: config.update(precision="int4"), "precision is 'int4'"),
        (lambda config: config["model"].update(hiden=3), 'unknown key "hiden"'),
        (lambda config: config["model"].update(cell="../lstm"), "unknown cell"),
        (lambda config: config["model"].update(layers=10**9), "layers is 1000000000"),
        (lambda config: config["model"].update(hidden=10**9), "."),
        (lambda config: config["model"].update(hidden=10**40), "."),
        (lambda config: config["model"].update(hidden=33), "the settings call for"),
        (lambda config: config["model"].update(layers=2), "is missing from the weights file"),
        (lambda config: config["model"].update(bidirectional=False), "is missing from the settings' network"),
        (lambda config: config["model"]["embedding"].update(word_size=10**12), "."),
        (lambda config: config["model"]["embedding"].update(character_hidden=10**7), "the settings call for"),
        (lambda config: config["files"].pop(WEIGHTS_NAME), "files does not list model.safetensors"),
        (lambda config: config["files"].pop(VOCABULARY_NAME), "files does not list vocab.json"),
        (lambda config: config["files"][WEIGHTS_NAME].update(size=10**15), "size is 1000000000000000"),
        (lambda config: config["files"][WEIGHTS_NAME].update(sha256="no"), "sha256 is 'no'"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(model_copy, change, message):
    change_config(model_copy, change)
    with pytest.raises(CheckpointError, match=message):
        open_model(model_copy)


@pytest.mark.parametrize(
    "name",
    [
        *("../outside.txt", "../outside.json", "/etc/passwd", "sub/file", "..", ""),
        *("a\n.json", "a b.md", "README.md\n", "x" * 99 + ".md", "json", "extra.pkl", "model.json.pt"),
    ],
)
def test_a_file_outside_the_folder_or_of_another_kind_is_never_opened(model_copy, monkeypatch, name):
    (model_copy.parent / "outside.txt").write_text("secret", encoding="utf-8")
    facts = {"size": 6, "sha256": hashlib.sha256(b"secret").hexdigest()}
    change_config(model_copy, lambda config: config.update(files={name: facts, **config["files"]}))
    opened = []
    monkeypatch.setattr(artifacts, "sha256_of", lambda path: opened.append(path) or "")
    with pytest.raises(CheckpointError, match="should match pattern"):
        open_model(model_copy)
    assert opened == []


def test_a_file_that_is_not_listed_is_never_read(model_copy):
    (model_copy / "extra.pkl").write_bytes(pickle.dumps(print))
    assert open_model(model_copy).config.task == "pos"


@pytest.mark.parametrize(
    "change",
    [
        lambda vocabulary: vocabulary.clear(),
        lambda vocabulary: vocabulary.update(words=[]),
        lambda vocabulary: vocabulary.update(labels={}),
        lambda vocabulary: vocabulary.update(labels=["NOUN"]),
        lambda vocabulary: vocabulary["labels"].update(upos=None),
        lambda vocabulary: vocabulary["labels"]["upos"]["tokens"].append("EXTRA"),
        lambda vocabulary: vocabulary["labels"]["upos"]["tokens"].append(["list"]),
        lambda vocabulary: vocabulary["labels"]["upos"].update(tokens=[]),
        lambda vocabulary: vocabulary["words"].pop("affixes"),
        lambda vocabulary: vocabulary["words"].update(words="abc"),
        lambda vocabulary: vocabulary["words"]["words"].update(specials=0),
        lambda vocabulary: vocabulary["words"].update(vector_size="100"),
        lambda vocabulary: vocabulary["words"].update(vector_size=10**12),
        lambda vocabulary: vocabulary["words"].update(vector_size=-1),
    ],
)
def test_a_damaged_vocabulary_is_refused(model_copy, change):
    change_vocabulary(model_copy, change)
    with pytest.raises(CheckpointError):
        open_model(model_copy)


@pytest.mark.parametrize(
    "part",
    [
        lambda vocabulary: vocabulary,
        lambda vocabulary: vocabulary["words"],
        lambda vocabulary: vocabulary["words"]["affixes"],
        lambda vocabulary: vocabulary["labels"]["upos"],
    ],
)
def test_an_unknown_key_in_a_vocabulary_is_named(model_copy, part):
    change_vocabulary(model_copy, lambda vocabulary: part(vocabulary).update(extra=1))
    with pytest.raises(CheckpointError, match=r"model: damaged vocabulary: unknown key 'extra'; known keys: "):
        open_model(model_copy)


@pytest.mark.parametrize("label", ["", " ", "NO\nUN", "NO\tUN", "\x1b[2J", "\x85", "\u2028", "\ud800"])
def test_a_label_that_cannot_be_printed_on_a_line_is_refused(model_copy, label):
    change_vocabulary(model_copy, lambda vocabulary: vocabulary["labels"]["upos"]["tokens"].__setitem__(0, label))
    with pytest.raises(CheckpointError, match='"upos" has the label'):
        open_model(model_copy)


@pytest.mark.parametrize("column", ["", "a b", "1st", "entity", "score", "index", "word", "start", "end", "upos_score"])
def test_a_label_column_that_cannot_be_a_key_of_the_results_is_refused(model_copy, column):
    def rename(vocabulary):
        vocabulary["labels"][column] = vocabulary["labels"].pop("xpos")

    change_vocabulary(model_copy, rename)
    with pytest.raises(CheckpointError, match=r"the label column .* cannot be a key of the results"):
        open_model(model_copy)


@pytest.mark.parametrize("data", [b"[]", b"3", b"{", b"\xff", b""])
def test_a_vocabulary_file_that_is_no_object_is_refused(model_copy, data):
    rewrite(model_copy, VOCABULARY_NAME, data)
    with pytest.raises(CheckpointError, match=VOCABULARY_NAME):
        open_model(model_copy)


def first_matrix(weights: dict[str, torch.Tensor]) -> str:
    return next(name for name in weights if name.endswith("//codes")).removesuffix("//codes")


def first_vector(weights: dict[str, torch.Tensor]) -> str:
    return next(name for name, tensor in weights.items() if tensor.dim() == 1 and "//" not in name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.update(extra=torch.zeros(2)), "'extra' is missing from the settings' network"),
        (lambda weights: weights.pop(first_matrix(weights) + "//scales"), "has no fitting scales"),
        (lambda weights: weights.update({first_matrix(weights) + "//scales": torch.zeros(1)}), "no fitting scales"),
        (lambda weights: weights.update({first_matrix(weights) + "//codes": torch.zeros(3)}), "no fitting scales"),
        (lambda weights: weights.update({"orphan//scales": torch.zeros(1)}), "'orphan//scales' has no codes"),
        (lambda weights: weights.update({first_matrix(weights): torch.zeros(1)}), "is there twice"),
        (lambda weights: weights[first_vector(weights)].fill_(float("nan")), "numbers that are not finite"),
        (lambda weights: weights[first_vector(weights)].fill_(float("-inf")), "numbers that are not finite"),
        (
            lambda weights: weights[first_matrix(weights) + "//scales"].fill_(float("inf")),
            "numbers that are not finite",
        ),
        (lambda weights: weights.update({"heads.0.output.bias": torch.zeros(1)}), "heads"),
        (lambda weights: [weights.pop(name) for name in list(weights) if "bias" in name], "missing from the weights"),
        (lambda weights: weights.clear(), "missing from the weights"),
        (
            lambda weights: weights.update(
                {n: t.double() for n, t in weights.items() if t.dim() == 1 and "//" not in n}
            ),
            "F64",
        ),
    ],
)
def test_weights_that_do_not_fit_the_settings_are_refused(model_copy, change, message):
    change_weights(model_copy, change)
    with pytest.raises(CheckpointError, match=message):
        open_model(model_copy)


class Trap:
    """Leaves a mark when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("trap-was-sprung",)


def test_a_pickle_by_the_name_of_weights_is_refused_and_never_run(model_copy, monkeypatch):
    monkeypatch.chdir(model_copy.parent)
    rewrite(model_copy, WEIGHTS_NAME, pickle.dumps(Trap()))
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        open_model(model_copy)
    assert not Path("trap-was-sprung").exists()


# ---- finding


def test_an_unknown_model_names_the_places_and_the_advice(tmp_path):
    with pytest.raises(NotTrainedError, match=r'no model "pos-hi" \(looked in cache: .*\)\. Train one'):
        find_model("pos-hi", roots={"cache": tmp_path}, advice=lambda: "Train one")


def test_the_first_place_that_has_the_model_wins(tmp_path):
    for place in ("one", "two"):
        save(tmp_path / place / "pos-en", {})
    roots = {"empty": tmp_path / "nowhere", "one": tmp_path / "one", "two": tmp_path / "two"}
    assert find_model("pos-en", roots=roots, advice=lambda: "") == tmp_path / "one" / "pos-en"


def test_only_folders_with_a_config_are_listed(tmp_path):
    for name in ("two/pos-en", "one/pos-hi", "one/pos-en"):
        save(tmp_path / name, {})
    (tmp_path / "one" / "notes").mkdir()
    (tmp_path / "one" / "README.md").write_text("not a model", encoding="utf-8")
    roots = {"first": tmp_path / "one", "empty": tmp_path / "nowhere", "second": tmp_path / "two"}
    assert list_models(roots) == [
        ("pos-en", "first", tmp_path / "one" / "pos-en"),
        ("pos-hi", "first", tmp_path / "one" / "pos-hi"),
        ("pos-en", "second", tmp_path / "two" / "pos-en"),
    ]


def test_a_model_that_could_not_be_read_back_is_not_saved(tmp_path, monkeypatch):
    opened = open_model(tiny_model())
    monkeypatch.setitem(artifacts.LARGEST_BY_ENDING, ".json", 1_000)
    with pytest.raises(CheckpointError, match=r"model cannot be saved: .*vocab\.json has [\d,]+ bytes; at most 1,000"):
        save_model(
            tmp_path / "model",
            task="pos",
            language="en",
            data="hand.conllu",
            model_settings=opened.task.settings,
            vocabulary=opened.task.vocabulary(),
            weights=opened.model.state_dict(),
            precision="fp32",
        )
    assert not (tmp_path / "model").exists()

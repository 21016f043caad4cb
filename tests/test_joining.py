import json
import shutil

import pytest
from safetensors.torch import load_file, save_file
from samples import bundled_model, tiny_classifier, tiny_model

from nlp_lstm.artifacts import CONFIG_NAME, WEIGHTS_NAME, file_facts
from nlp_lstm.errors import ConfigError
from nlp_lstm.inference.opening import open_model
from nlp_lstm.joining import join_models


def changed(tmp_path, change):
    """A copy of the tiny tagger whose config.json was changed."""
    folder = shutil.copytree(tiny_model(), tmp_path / "changed")
    values = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
    change(values)
    (folder / CONFIG_NAME).write_text(json.dumps(values), encoding="utf-8")
    return folder


def test_each_network_keeps_its_numbers(tmp_path):
    join_models([tiny_model()] * 3, tmp_path / "joined", {"README.md": "three times the same\n"})
    joined, alone = open_model(tmp_path / "joined").model, open_model(tiny_model()).model
    for network in joined.networks:
        found = {name: value for name, value in network.state_dict().items() if not name.startswith("beside.")}
        assert found.keys() == alone.state_dict().keys()
        assert all(value.equal(alone.state_dict()[name]) for name, value in found.items())
    assert (tmp_path / "joined" / "README.md").read_text(encoding="utf-8") == "three times the same\n"


def test_what_does_not_go_together_is_refused(tmp_path):
    other = changed(tmp_path, lambda values: values["model"].update(dropout=0.111))
    with pytest.raises(ConfigError, match="other settings than the first model"):
        join_models([tiny_model(), other], tmp_path / "joined", {})
    with pytest.raises(ConfigError, match="only taggers with"):
        join_models([tiny_classifier().folder] * 2, tmp_path / "joined", {})
    with pytest.raises(ConfigError, match=r"has a model\.onnx, which fits it as it is"):
        join_models([bundled_model("pos-en")] * 2, tmp_path / "joined", {})
    join_models([tiny_model()] * 2, tmp_path / "joined", {})
    with pytest.raises(ConfigError, match="of one network can"):
        join_models([tmp_path / "joined"] * 2, tmp_path / "again", {})
    assert not (tmp_path / "again").exists()


def test_other_pretrained_vectors_are_refused(tmp_path):
    folders = [shutil.copytree(bundled_model("pos-en"), tmp_path / name) for name in ("one", "other")]
    for folder in folders:
        values = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
        (folder / "model.onnx").unlink()
        del values["files"]["model.onnx"]
        if folder.name == "other":
            weights = load_file(folder / WEIGHTS_NAME)
            weights["backbone.embedding.vectors.codes"][7] += 1
            save_file(weights, folder / WEIGHTS_NAME)
            values["files"][WEIGHTS_NAME] = file_facts(folder / WEIGHTS_NAME).model_dump()
        (folder / CONFIG_NAME).write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ConfigError, match="has other pretrained vectors"):
        join_models(folders, tmp_path / "joined", {})
    join_models(folders[:1] * 2, tmp_path / "joined", {})
    weights = load_file(tmp_path / "joined" / WEIGHTS_NAME)
    assert sum("vectors." in name for name in weights) == 2

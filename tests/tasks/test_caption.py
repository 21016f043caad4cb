import json

import numpy as np
import pytest
from PIL import Image
from samples import scene_examples, tiny_caption_recipe, tiny_caption_run, write_pictures
from typer.testing import CliRunner

from nlp_lstm.cli import app
from nlp_lstm.data.pictures import PictureExample
from nlp_lstm.errors import CheckpointError, ConfigError, DataError
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.runs import run_recipe
from nlp_lstm.tasks import CaptionSettings, CaptionTask, predict_examples


def small(**settings) -> CaptionTask:
    chosen = {"image_size": 32, "channels": 8, "hidden": 16, "embed": 8, "min_count": 1, **settings}
    return CaptionTask.prepare(CaptionSettings(**chosen), scene_examples())


def test_a_run_on_pictures_in_karpathys_form_leaves_a_model_and_a_report():
    run = tiny_caption_run()
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert set(metrics["metrics"]["rivals"]) == {"most frequent sentence", "nearest training picture"}
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Where each word looked" in page
    assert "By number of drawings" not in page  # such files do not say how many there are


def test_a_path_bytes_pixels_or_an_open_picture_get_the_same_sentence(tmp_path):
    path = write_pictures(tmp_path / "p").parent / "images" / "2.png"
    pipeline = Pipeline(tiny_caption_run() / "model")
    with Image.open(path) as opened:
        opened.load()
    result = pipeline.predict(path)
    assert result == pipeline.predict(str(path)) == pipeline.predict(path.read_bytes()) == pipeline.predict(opened)
    assert result["generated_text"]
    assert pipeline.predict([path, np.array(opened)]) == [result, result]
    several = pipeline.predict(path, num_return_sequences=3, num_beams=4)
    assert len(several) == 3
    assert [one["score"] for one in several] == sorted((one["score"] for one in several), reverse=True)
    looked = pipeline.predict(path, attention=True)["attention"]
    assert len(looked["words"]) == len(looked["weights"])
    assert sum(looked["weights"][0]) == pytest.approx(1, abs=1e-4)
    printed = CliRunner().invoke(app, ["predict", str(pipeline.folder), str(path), "--format", "text"])
    assert printed.stdout.strip() == result["generated_text"]


def test_a_bad_picture_is_named_by_its_place_before_any_work_is_done(tmp_path):
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    pipeline = Pipeline(tiny_caption_run() / "model")
    good = np.zeros((5, 5, 3), np.uint8)
    for bad, message in (
        (tmp_path / "text.png", r"input 1, .*text\.png: is no picture"),
        (b"PK\3\4", "input 1: is no picture"),
        (tmp_path / "none.png", r"input 1, .*none\.png: cannot be read"),
        (7, "input 1 is 7"),
    ):
        with pytest.raises(DataError, match=message):
            pipeline.predict([good, bad])
    with pytest.raises(DataError, match="a picture has no tokens"):
        pipeline.predict([["a"]], pretokenized=True)
    with pytest.raises(ConfigError, match="leave out num_return_sequences"):
        pipeline.predict(good, attention=True, num_return_sequences=2)
    with pytest.raises(ConfigError, match="num_beams"):
        pipeline.predict(good, num_beams=0)


def test_features_of_another_network_take_the_place_of_pixels(tmp_path):
    path = write_pictures(tmp_path / "p")
    (path.parent / "features").mkdir()
    random = np.random.default_rng(0)
    for number in range(20):
        np.save(path.parent / "features" / f"{number}.npy", random.normal(size=(1 + number % 3, 6)))
    features = f"reading.features={path.parent / 'features'}"
    recipe = tiny_caption_recipe("model.encoder=features", "model.channels=8", features, tokens=400)
    result = run_recipe(recipe, tmp_path / "run", data=path)
    pipeline = Pipeline(result.model_folder)
    assert pipeline.predict(path.parent / "features" / "3.npy")["generated_text"]
    with pytest.raises(DataError, match="has 5 features a place; this model has learnt 6"):
        pipeline.predict(np.ones((2, 5)))


@pytest.mark.parametrize("encoder", ["grid", "none"])
def test_other_encoders_write_too(encoder):
    task = small(encoder=encoder, attention="none")
    found = predict_examples(task, task.build_model(), scene_examples()[:3])
    assert all(isinstance(one.text, str) for one in found)


def test_each_step_of_training_takes_one_sentence_of_each_picture():
    task = small()
    seen = task.encode(scene_examples(), None)
    plan = task.plan_epoch(seen, 100, seed=1, epoch=0)
    assert sorted(row for part in plan for row in part.rows) == list(range(40))
    batch = task.training_batch(seen, plan[0], {})
    again = task.training_batch(seen, plan[0], {})
    assert (batch.next_ids == again.next_ids).all()
    words = task.words.tokens
    for row, ids in zip(plan[0].rows, batch.next_ids.tolist(), strict=True):
        text = [words[id] for id in ids if id > 3]
        assert text in [caption.replace(",", " ,").split() for caption in seen[row].captions]


def test_unknown_words_are_never_written_and_rare_ones_are_left_out():
    task = small(min_count=30)
    assert "the" in task.words
    found = predict_examples(task, task.build_model(), scene_examples()[:5])
    assert not any("<" in one.text for one in found)
    with pytest.raises(DataError, match=r"no word comes 1000 times .* lower model\.min_count"):
        small(min_count=1000)


def test_pictures_without_sentences_are_refused():
    task = small()
    bare = PictureExample(name="bare", picture=scene_examples()[0].picture)
    with pytest.raises(DataError, match="test: the picture 'bare' has no sentence"):
        task.check_examples([bare], "test")
    with pytest.raises(DataError, match="no training picture has a sentence"):
        CaptionTask.prepare(CaptionSettings(), [bare])


@pytest.mark.parametrize(
    "change", [{"words": 3}, {"objects": "x"}, {"num_features": 7}, {"num_features": True}, {"more": 1}]
)
def test_a_damaged_vocabulary_is_refused(change):
    task = small()
    with pytest.raises(CheckpointError):
        CaptionTask.from_vocabulary(task.settings, {**task.vocabulary(), **change})

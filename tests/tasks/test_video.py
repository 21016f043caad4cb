import json

import numpy as np
import pytest
from samples import clip_examples, gif, tiny_video_recipe, tiny_video_run, write_clips
from typer.testing import CliRunner

from nlp_lstm.cli import app
from nlp_lstm.data.pictures import PictureExample
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.recipes import load_recipe
from nlp_lstm.runs import run_recipe
from nlp_lstm.tasks import VideoSettings, VideoTask, predict_examples


def small(**settings) -> VideoTask:
    chosen = {"image_size": 32, "channels": 8, "hidden": 16, "embed": 8, "min_count": 1, **settings}
    return VideoTask.prepare(VideoSettings(**chosen), clip_examples())


def test_a_run_on_files_of_clips_leaves_a_model_and_a_report():
    run = tiny_video_run()
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert set(metrics["metrics"]["rivals"]) == {"most frequent sentence", "nearest training clip"}
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Where each word looked" in page
    assert "of 4 clips are described" in page
    assert "data:image/png;base64," in page


def test_a_folder_a_gif_bytes_or_pixels_get_a_sentence(tmp_path):
    images = write_clips(tmp_path / "c").parent / "images"
    pipeline = Pipeline(tiny_video_run() / "model")
    folder, path = images / "2", images / "3.gif"
    result = pipeline.predict(folder)
    assert result["generated_text"]
    assert result == pipeline.predict(str(folder)) == pipeline.predict(clip_examples()[2].picture.draw())
    moving = pipeline.predict(path)
    assert moving == pipeline.predict(path.read_bytes())
    assert pipeline.predict([folder, path]) == [result, moving]
    several = pipeline.predict(path, num_return_sequences=3, num_beams=4)
    assert [one["score"] for one in several] == sorted((one["score"] for one in several), reverse=True)
    looked = pipeline.predict(path, attention=True)["attention"]
    assert len(looked["weights"][0]) == len(clip_examples()[3].picture.frames)
    assert sum(looked["weights"][0]) == pytest.approx(1, abs=1e-4)
    printed = CliRunner().invoke(app, ["predict", str(pipeline.folder), str(folder), str(path), "--format", "text"])
    assert printed.stdout.splitlines() == [result["generated_text"], moving["generated_text"]]


def test_a_bad_clip_is_named_by_its_place_before_any_work_is_done(tmp_path):
    pipeline = Pipeline(tiny_video_run() / "model")
    good = np.zeros((3, 5, 5, 3), np.uint8)
    for bad, message in (
        (tmp_path, "this folder has no frame"),
        (b"PK\3\4", "input 1: is no picture"),
        (tmp_path / "none.gif", r"input 1, .*none\.gif: cannot be read"),
        (7, "input 1 is 7"),
    ):
        with pytest.raises(DataError, match=message):
            pipeline.predict([good, bad])
    with pytest.raises(DataError, match="a clip has no tokens"):
        pipeline.predict([["a"]], pretokenized=True)


def test_features_of_another_network_take_the_place_of_frames(tmp_path):
    path = write_clips(tmp_path / "c")
    (path.parent / "features").mkdir()
    random = np.random.default_rng(0)
    for number in range(20):
        name = f"{number}.gif.npy" if number % 2 else f"{number}.npy"
        np.save(path.parent / "features" / name, random.normal(size=(2 + number % 3, 6)))
    features = f"reading.features={path.parent / 'features'}"
    recipe = tiny_video_recipe("model.encoder=features", features, tokens=400)
    pipeline = Pipeline(run_recipe(recipe, tmp_path / "run", data=path).model_folder)
    assert pipeline.predict(path.parent / "features" / "4.npy")["generated_text"]
    with pytest.raises(DataError, match="has 5 features a place; this model has learnt 6"):
        pipeline.predict(np.ones((2, 5)))


@pytest.mark.parametrize(
    "settings", [{"encoder": "grid", "attention": "none"}, {"encoder": "none"}, {"bidirectional": False, "frames": 3}]
)
def test_other_forms_write_too(settings):
    task = small(**settings)
    found = predict_examples(task, task.build_model(), clip_examples()[:3])
    assert all(isinstance(one.text, str) for one in found)


def test_as_many_frames_are_seen_as_the_settings_say():
    seen = small(frames=3).see(clip_examples()[0])
    frames = small(frames=8).see(clip_examples()[0]).content
    assert (seen.content == frames[[0, len(frames) // 2, -1]]).all()
    assert len(seen.content) == 3
    assert len(frames) == len(clip_examples()[0].picture.frames)


def test_clips_are_padded_to_the_longest_and_the_mask_tells_frames_from_padding():
    task = small()
    batch = task.make_batch(clip_examples()[:4], pad_to=11)
    lengths = [len(example.picture.frames) for example in clip_examples()[:4]]
    assert batch.mask.sum(dim=1).tolist() == lengths
    assert batch.pixels.shape == (4, 11, 32, 32, 3)
    assert (batch.pixels[~batch.mask] == 0).all()


def test_the_nearest_training_clip_is_found_where_it_is_among_them():
    task = small()
    examples = clip_examples()
    found = task.baseline_predictions(examples, examples[:5], examples[10:15])
    assert [one.text for one in found["nearest training clip"]] == [one.captions[0] for one in examples[10:15]]


def test_an_odd_size_cannot_be_halved_and_clips_need_sentences():
    with pytest.raises(ConfigError, match="two directions need an even number"):
        load_recipe("video", ["model.hidden=15"])
    bare = PictureExample(name="bare", picture=gif(clip_examples()[0].picture.draw()))
    with pytest.raises(DataError, match="test: the clip 'bare' has no sentence"):
        small().check_examples([bare], "test")

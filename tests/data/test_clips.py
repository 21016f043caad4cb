import io
import random
import sys
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from samples import clip_examples, gif, shapes, write_clips

from nlp_lstm.data import clip_files, pictures
from nlp_lstm.data.catalogue import catalogue, find_at_hand, open_files
from nlp_lstm.data.clip_files import even_places, load_frames, to_strip
from nlp_lstm.data.clips import ACTIONS, MOVERS, NUM_FRAMES, Clip, make_clip, read_clips
from nlp_lstm.data.pictures import PictureExample, PictureReading, load_pixels, split_of_picture, to_png
from nlp_lstm.data.scenes import NOUNS, SIDE
from nlp_lstm.errors import DataError

RAMP = np.repeat(np.arange(0, 250, 10, dtype=np.uint8), 20 * 30 * 3).reshape(25, 20, 30, 3)  # 25 frames, ever lighter


def film(frames: np.ndarray, ending: str = "mp4") -> bytes:
    """Frames as a film, by the package av."""
    av = pytest.importorskip("av")
    stream = io.BytesIO()
    with av.open(stream, "w", format=ending) as written:
        track = written.add_stream("mpeg4", rate=10)
        track.width, track.height, track.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            written.mux(track.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        written.mux(track.encode())
    return stream.getvalue()


# ---- drawn clips


def happens(example: PictureExample, noun: str) -> set[str]:
    """What a drawing does, measured in the clip as it is placed."""
    frames = [{one.noun: one for one in scene.placed}.get(noun) for scene in example.picture.frames]
    there = [one for one in frames if one]
    found = set()
    if frames[0] is None:
        found.add("appears")
    if frames[-1] is None:
        found.add("disappears")
    sides = [one.side for one in there]
    found |= {"grows"} if max(sides) > 1.2 * sides[0] else set()
    found |= {"shrinks"} if min(sides[sides.index(max(sides)) :]) < max(sides) / 1.2 else set()
    for middle, less, more in ((0, "moves left", "moves right"), (1, "moves up", "moves down")):
        path = [(one.left + one.side / 2, one.top + one.side / 2)[middle] for one in there]
        steps = np.diff(path)
        found |= {less} if steps[steps < 0].sum() < -5 else set()
        found |= {more} if steps[steps > 0].sum() > 5 else set()
    return found


def said(example: PictureExample, noun: str) -> set[str]:
    """What the first sentence says that a drawing does."""
    parts = example.captions[0].replace(" while ", ", then ").split(", then ")
    own = [part for part in parts if noun in part.split() or not set(part.split()) & set(shapes().by_noun)]
    return {action for action in ACTIONS for part in own if action in part.replace("disappears", "?")} | {
        "disappears" for part in own if "disappears" in part
    }


def test_sentences_are_true_in_clips_of_every_form():
    examples = clip_examples()
    forms = Counter((len(one.facts.objects), " then " in one.captions[0]) for one in examples)
    assert len(forms) == 4
    assert {action for one in examples for noun in one.facts.objects for action in said(one, noun)} == set(ACTIONS)
    for example in examples:
        for noun in example.facts.objects:
            assert happens(example, noun) == said(example, noun), (example.captions[0], noun)


def test_what_comes_first_in_a_clip_comes_first_in_the_sentence():
    for example in clip_examples():
        if len(example.facts.objects) == 2 and " then " in example.captions[0]:
            first, second = example.facts.objects
            frames = [{one.noun: one for one in scene.placed} for scene in example.picture.frames]
            changes = {
                noun: [time for time in range(1, len(frames)) if frames[time].get(noun) != frames[time - 1].get(noun)]
                for noun in (first, second)
            }
            assert max(changes[first]) < min(changes[second])


def test_drawings_stay_inside_and_apart():
    for example in clip_examples():
        assert len(example.picture.frames) in NUM_FRAMES
        for scene in example.picture.frames:
            for one in scene.placed:
                assert min(one.left, one.top) >= -1
                assert max(one.left, one.top) + one.side <= SIDE + 1
            if len(scene.placed) == 2:
                one, other = scene.placed
                across = max(one.left, other.left) >= min(one.left + one.side, other.left + other.side)
                assert across or max(one.top, other.top) >= min(one.top + one.side, other.top + other.side)


def test_clips_have_three_sentences_and_their_frames_are_scenes():
    example = clip_examples()[0]
    assert len(set(example.captions)) == 3
    pixels = example.picture.draw()
    assert pixels.shape == (len(example.picture.frames), SIDE, SIDE, 3)
    assert (pixels[2] == example.picture.frames[2].draw()).all()


def test_the_drawings_are_those_of_the_scenes():
    assert set(MOVERS) < set(NOUNS)
    assert len(set(MOVERS)) == len(MOVERS) == 52


def test_the_same_seed_gives_the_same_clips(monkeypatch):
    monkeypatch.setattr("nlp_lstm.data.clips.load_sprites", lambda path, nouns: shapes())
    first, second, other = (read_clips("openmoji.json", PictureReading(clips=20, seed=seed)) for seed in (1, 1, 2))
    assert [one.captions for one in first] == [one.captions for one in second] != [one.captions for one in other]
    assert (first[7].picture.draw() == second[7].picture.draw()).all()


def test_a_combination_is_in_one_split_alone():
    generator = random.Random(1)
    examples = [make_clip(generator, shapes(), str(number)) for number in range(100)]
    splits: dict[str, set[str]] = {}
    for example in examples:
        splits.setdefault(example.key, set()).add(split_of_picture(example))
    assert all(len(found) == 1 for found in splits.values())
    assert {example.key for example in examples if len(example.facts.objects) == 2} <= {
        " ".join(sorted((one, other))) for one in shapes().by_noun for other in shapes().by_noun
    }


def test_the_clips_of_the_catalogue_ask_for_unseen_combinations_where_they_are_here():
    entry = catalogue().data["openmoji-clips"]
    assert "Synthetic" in entry.title
    found = find_at_hand("openmoji-clips")
    if found is None:
        pytest.skip("the drawings of OpenMoji are not on this machine")
    pytest.importorskip("resvg_py")
    parts = found.read_splits(("train", "dev", "test"), PictureReading(clips=400))
    keys = {split: {example.key for example in part} for split, part in parts.items()}
    assert all(keys.values())
    assert not keys["train"] & (keys["test"] | keys["dev"])


# ---- files


def test_a_folder_a_gif_its_bytes_and_pixels_are_the_same_clip(tmp_path):
    frames = clip_examples()[0].picture.draw()
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, frame in enumerate(frames, start=7):  # 10 comes after 9
        (folder / f"frame{number}.png").write_bytes(to_png(frame))
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "notes.txt").write_text("no frame", encoding="utf-8")
    path = tmp_path / "clip.gif"
    path.write_bytes(gif(frames))
    expected = np.stack([load_pixels(frame, 32) for frame in frames])
    for source in (folder, str(folder), frames, clip_examples()[0].picture):
        assert (load_frames(source, 32, 8) == expected).all()
    opened = Image.open(io.BytesIO(path.read_bytes()))
    for source in (path, path.read_bytes(), opened):
        found = load_frames(source, 32, 8)
        assert found.shape == expected.shape
        assert abs(found.astype(int) - expected).mean() < 3  # a GIF has 256 colours


@pytest.mark.parametrize("format", ["WEBP", "PNG"])
def test_moving_pictures_of_other_formats_are_read(format):
    stream = io.BytesIO()
    first, *others = map(Image.fromarray, RAMP[:5])
    first.save(stream, format, save_all=True, append_images=others, lossless=True)
    found = load_frames(stream.getvalue(), 8, 8)
    assert found[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]


def test_of_a_long_clip_the_frames_that_are_kept_lie_evenly():
    assert even_places(25, 4) == [0, 8, 16, 24]
    assert even_places(2, 4) == [0, 0, 1, 1]
    assert even_places(1, 3) == [0, 0, 0]
    for source in (RAMP, gif(RAMP)):
        assert load_frames(source, 8, 4)[:, 0, 0, 0].tolist() == [0, 80, 160, 240]


def test_a_frame_that_lasts_longer_counts_as_several():
    still = RAMP[[0, 0, 0, 8, 16, 16]]
    content = gif(still)
    assert Image.open(io.BytesIO(content)).n_frames == 3  # equal frames are written as one
    assert load_frames(content, 8, 8)[:, 0, 0, 0].tolist() == [0, 0, 0, 80, 160, 160]


def test_a_picture_that_does_not_move_is_a_clip_of_one_frame():
    for source in (RAMP[0], to_png(RAMP[0]), Image.fromarray(RAMP[0])):
        assert load_frames(source, 8, 4).shape == (1, 8, 8, 3)


@pytest.mark.parametrize("ending", ["mp4", "matroska", "avi"])
def test_films_are_read_where_the_package_av_is_installed(ending, tmp_path):
    path = tmp_path / "film.bin"
    path.write_bytes(film(RAMP, ending))
    found = load_frames(path, 8, 4)
    assert found.shape == (4, 8, 8, 3)
    assert abs(found[:, 4, 4, 0].astype(int) - [0, 80, 160, 240]).max() < 12  # the film loses a little


def test_damaged_and_too_long_films_are_refused(monkeypatch):
    content = film(RAMP)
    with pytest.raises(DataError, match=r"clip: the film (is damaged, cut off|has no frame)"):
        load_frames(content[:200], 8, 4)
    monkeypatch.setattr(clip_files, "MOST_FRAMES", 24)
    with pytest.raises(DataError, match="clip has 25 frames of 30 x 20 pixels; from 1 to 24 frames"):
        load_frames(content, 8, 4)


def test_lists_of_files_are_no_films(tmp_path):
    for content in (b"#EXTM3U\n#EXTINF:1\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n"):
        with pytest.raises(DataError, match="is no picture in one of the formats"):
            load_frames(content, 8, 4)


def test_without_the_package_the_message_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    for content in (b"\0\0\0\x18ftypmp42", b"\x1a\x45\xdf\xa3....", b"RIFF....AVI LIST"):
        with pytest.raises(DataError, match=r'input 2: films need the package av: pip install "nlp-lstm\[video\]"'):
            load_frames(content, 8, 4, "input 2")


def test_what_is_no_clip_or_too_large_is_refused(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "1.png").write_text("no picture", encoding="utf-8")
    for source, message in (
        (tmp_path / "empty", r"empty: this folder has no frame; frames are pictures that end in \.png"),
        (tmp_path / "bad", r"1\.png: is no picture in one of the formats"),
        (tmp_path / "nowhere.gif", r"nowhere\.gif: cannot be read"),
        ("a\0b", "is no path|cannot be read"),
        (3, r"clip is 3 \(int\); give a path, the bytes of a file, or pixels"),
        (np.zeros((0, 4, 4, 3), np.uint8), "clip has 0 frames"),
        (np.zeros((2, 4, 4)), "pixels are uint8"),
        (gif(RAMP)[:300], "damaged or cut off"),
    ):
        with pytest.raises(DataError, match=message):
            load_frames(source, 8, 4)
    monkeypatch.setattr(clip_files, "MOST_CLIP_PIXELS", 24 * 600)
    with pytest.raises(DataError, match=r"clip has 25 frames of 30 x 20 pixels; .* at most 14,400 pixels together"):
        load_frames(gif(RAMP), 8, 4)
    monkeypatch.setattr(clip_files, "MOST_FRAMES", 3)
    for number in range(4):
        (tmp_path / "empty" / f"{number}.png").write_bytes(b"")
    with pytest.raises(DataError, match="has more than 3 frames"):
        load_frames(tmp_path / "empty", 8, 4)
    monkeypatch.setattr(pictures, "LARGEST_FILE", 10)
    with pytest.raises(DataError, match="at most 10 are read"):
        load_frames(gif(RAMP), 8, 4)


def test_a_strip_has_the_frames_side_by_side():
    strip = to_strip(RAMP[:3])
    assert strip.shape == (20, 90, 3)
    assert (strip[:, 30:59] == 10).all()


def test_clips_are_listed_as_pictures_are(tmp_path):
    found = open_files(write_clips(tmp_path / "c"), kind="pictures")
    parts = found.read_splits(("train", "dev", "test"))
    assert [len(part) for part in parts.values()] == [12, 4, 4]
    first = parts["train"][0]
    assert first.captions == clip_examples()[0].captions
    assert (load_frames(first.picture, SIDE, 8) == clip_examples()[0].picture.draw()).all()
    assert isinstance(clip_examples()[0].picture, Clip)

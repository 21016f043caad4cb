import io
import json
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from samples import scene_examples, shapes, write_pictures

from nlp_lstm.data import pictures
from nlp_lstm.data.catalogue import find_at_hand, open_files
from nlp_lstm.data.picture_files import read_karpathy, read_tokens
from nlp_lstm.data.pictures import PictureReading, load_features, load_pixels, split_of_picture, to_png
from nlp_lstm.data.scenes import (
    COLOURS,
    NOUNS,
    SIDE,
    Group,
    Sprites,
    load_sprites,
    make_scene,
    plural,
    read_scenes,
    tinted,
)
from nlp_lstm.errors import DataError


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG file whose head states a size, whatever its data holds."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def encoded(format: str, mode: str = "RGB", size: tuple[int, int] = (40, 20)) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, "red" if mode == "RGB" else 0).save(stream, format)
    return stream.getvalue()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_pictures_of_every_format_become_a_square_of_pixels(format, tmp_path):
    content = encoded(format)
    path = tmp_path / "picture.bin"
    path.write_bytes(content)
    opened = Image.open(io.BytesIO(content))
    for source in (content, path, str(path), opened, np.array(opened.convert("RGB"))):
        pixels = load_pixels(source, 16)
        assert (pixels.shape, pixels.dtype) == ((16, 16, 3), np.uint8)
        assert abs(pixels.astype(int) - [255, 0, 0]).max() < 8


def test_what_is_transparent_is_white_and_other_modes_are_read():
    stream = io.BytesIO()
    Image.new("RGBA", (10, 10), (255, 0, 0, 0)).save(stream, "PNG")
    assert (load_pixels(stream.getvalue(), 8) == 255).all()
    for mode in ("L", "1", "P", "I;16", "LA"):
        assert load_pixels(encoded("PNG", mode), 8).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no picture in one of the formats PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "is no picture"),
        (b"<svg></svg>", "is no picture"),
        (encoded("PNG")[:60], r"input 3: (the picture is damaged or cut off|is no picture)"),
        (encoded("PNG", size=(400, 300))[:-200], "damaged or cut off"),
        (encoded("JPEG", size=(400, 300))[:400], "damaged or cut off|is no picture"),
        (png(20_000, 20_000), r"far too large|has 20,000 x 20,000 pixels; at most 40,000,000 in all"),
        (png(60_000, 60_000), "is far too large a picture"),
        (png(40_000, 1), "has 40,000 x 1 pixels"),
        (png(0, 5), "is no picture|pixels|damaged"),
        (png(50, 50), "damaged or cut off"),
    ],
)
def test_hostile_files_are_refused_before_they_are_unpacked(content, message):
    with pytest.raises(DataError, match=message):
        load_pixels(content, 16, "input 3")


def test_a_picture_of_20_000_pixels_a_side_that_is_thin_is_read():
    assert load_pixels(encoded("PNG", size=(20_000, 40)), 16).shape == (16, 16, 3)


def test_a_file_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "LARGEST_FILE", 10)
    path = tmp_path / "large.png"
    path.write_bytes(encoded("PNG"))
    for source in (path, encoded("PNG")):
        with pytest.raises(DataError, match=r"bytes; at most 10 are read"):
            load_pixels(source, 16)


def test_what_is_no_picture_at_all_is_refused(tmp_path):
    for source, message in (
        (3, "give a path, the bytes of a file, or pixels"),
        (np.zeros((4, 4)), "pixels are uint8, height width 3"),
        (tmp_path / "nowhere.png", "cannot be read"),
        (tmp_path, "cannot be read"),
        ("a\0b", "is no path|cannot be read"),
    ):
        with pytest.raises(DataError, match=message):
            load_pixels(source, 16)


def test_features_are_numbers_of_places(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6.0).reshape(2, 3))
    assert load_features(tmp_path / "a.npy", 3).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert load_features(np.ones(4), None).shape == (1, 4)
    assert load_features(np.ones((2, 2, 4)), 4).shape == (4, 4)
    np.save(tmp_path / "b.npy", np.array([object()]), allow_pickle=True)
    for source, message in (
        (tmp_path / "b.npy", r"is no \.npy file of numbers"),
        (np.ones((2, 5)), "has 5 features a place; this model has learnt 3"),
        (np.full((2, 3), np.nan), "not finite"),
        ("text", r"is no \.npy file"),
        (np.array(["a"]), "features are an array of numbers"),
    ):
        with pytest.raises(DataError, match=message):
            load_features(source, 3)


def test_a_scene_says_what_is_on_it():
    example = next(one for one in scene_examples() if one.facts.num_pictures == 4 and len(one.facts.objects) == 2)
    placed = example.picture.placed
    assert len(placed) == 4
    assert len(set(example.captions)) == 4
    for caption in example.captions:
        assert all(word in caption.split() for word in example.facts.objects)
    pixels = example.picture.draw()
    assert (pixels == example.picture.draw()).all()
    ground = (pixels == np.array(example.picture.ground)).all(axis=2)
    for one in placed:
        inside = (slice(one.top, one.top + one.side), slice(one.left, one.left + one.side))
        assert 0 <= one.left <= SIDE - one.side
        assert 0 <= one.top <= SIDE - one.side
        assert not ground[inside].all()
        ground[inside] = True
    assert ground.all()  # nothing is drawn beside the drawings


def test_scenes_are_told_in_hundreds_of_structures():
    kinds = dict.fromkeys(NOUNS, "N") | {plural(noun): "Ns" for noun in NOUNS} | dict.fromkeys(COLOURS, "C")
    nothing = Sprites(dict.fromkeys(NOUNS, np.zeros((1, 1, 4), np.uint8)))
    generator = random.Random(1)
    scenes = [make_scene(generator, nothing, str(number)) for number in range(3_000)]
    captions = [caption.replace(",", " ,") for scene in scenes for caption in scene.captions]
    structures = {" ".join(kinds.get(word, word) for word in caption.split()) for caption in captions}
    assert len(structures) >= 300


def test_relations_are_true():
    for example in scene_examples():
        caption = example.captions[0]
        if " above " in caption and " and " not in caption:
            upper, lower = caption.split(" above ")
            tops = {noun: [one.top for one in example.picture.placed if one.noun == noun] for noun in shapes().by_noun}
            find = [next(noun for noun in tops if {noun, plural(noun)} & set(part.split())) for part in (upper, lower)]
            assert max(tops[find[0]]) < min(tops[find[1]])


def test_words_of_a_group_agree():
    assert Group("egg", "", 1).phrase == "an egg"
    assert Group("egg", "red", 1).phrase == "a red egg"
    assert Group("tomato", "", 3).phrase == "three tomatoes"
    assert (plural("bus"), plural("strawberry"), plural("key"), plural("compass")) == (
        "buses",
        "strawberries",
        "keys",
        "compasses",
    )
    assert len(set(NOUNS)) == len(NOUNS) >= 100


def test_tinted_drawings_keep_their_shape_and_take_the_colour():
    sprite = shapes().by_noun["star"]
    red = tinted(sprite, "red")
    assert (red[..., 3] == sprite[..., 3]).all()
    assert abs(red[32, 32, :3].astype(int) - COLOURS["red"]).max() < 10
    assert tinted(sprite, "") is sprite


def test_a_combination_of_drawings_is_in_one_split_alone():
    splits: dict[str, set[str]] = {}
    for example in scene_examples():
        splits.setdefault(example.key, set()).add(split_of_picture(example))
    assert all(len(found) == 1 for found in splits.values())


def test_drawings_of_openmoji_are_read_by_their_names(tmp_path):
    pytest.importorskip("resvg_py")
    listed = [{"annotation": "pear", "hexcode": "1F350"}, {"annotation": "pear", "hexcode": "E000"}]
    (tmp_path / "openmoji.json").write_text(json.dumps(listed), encoding="utf-8")
    (tmp_path / "1F350.svg").write_text(
        '<svg viewBox="0 0 72 72" xmlns="http://www.w3.org/2000/svg">'
        '<circle cx="36" cy="36" r="20" fill="#0f0"/></svg>',
        encoding="utf-8",
    )
    sprite = load_sprites(tmp_path / "openmoji.json", ["pear"]).by_noun["pear"]
    assert sprite[32, 32].tolist() == [0, 255, 0, 255]
    assert sprite[0, 0, 3] == 0
    with pytest.raises(DataError, match="the drawing of a fox cannot be read"):
        load_sprites(tmp_path / "openmoji.json", ["fox"])
    (tmp_path / "openmoji.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="is not OpenMoji's list"):
        load_sprites(tmp_path / "openmoji.json", ["pear"])


def test_the_same_seed_gives_the_same_scenes(monkeypatch):
    monkeypatch.setattr("nlp_lstm.data.scenes.load_sprites", lambda path: shapes())
    first, second, other = (
        read_scenes(Path("openmoji.json"), PictureReading(scenes=20, seed=seed)) for seed in (1, 1, 2)
    )
    assert [one.captions for one in first] == [one.captions for one in second] != [one.captions for one in other]
    assert (first[7].picture.draw() == second[7].picture.draw()).all()


def test_karpathys_json_has_its_own_splits(tmp_path):
    path = write_pictures(tmp_path / "p")
    found = open_files(path, kind="pictures")
    parts = found.read_splits(("train", "dev", "test"))
    assert [len(part) for part in parts.values()] == [12, 4, 4]
    assert parts["train"][0].captions == scene_examples()[0].captions
    assert load_pixels(parts["train"][0].picture, 64).tolist() == scene_examples()[0].picture.draw().tolist()
    assert len(open_files(path.parent, kind="pictures").read("dev")) == 4


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([{"filename": "a.png"}], "image 1: .* needs filename, sentences"),
        ([{"filename": "a.png", "sentences": [], "split": "train"}], "'a.png' has no sentence"),
        ([{"filename": "a.png", "sentences": [{"raw": "x"}], "split": "exam"}], "a known split"),
        ([{"filename": "../a.png", "sentences": [{"raw": "x"}]}], "leads out of the folder"),
        ([{"filename": "a.png", "sentences": [{"tokens": ["x"]}]}], "there is no picture 'a.png'"),
        ([], "lists no picture"),
        (None, "lists no picture"),
    ],
)
def test_faults_in_karpathys_json_are_named(tmp_path, images, message):
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"images": images}), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_karpathy(path, PictureReading())
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="is not JSON of the form"):
        read_karpathy(path, PictureReading())


def test_token_files_are_read_with_pictures_or_features(tmp_path):
    (tmp_path / "a.png").write_bytes(to_png(np.zeros((4, 4, 3), np.uint8)))
    path = tmp_path / "captions.token"
    path.write_text("a.png#0\tA dog , running .\na.png#1\tA dog .\n", encoding="utf-8")
    (example,) = read_tokens(path, PictureReading())
    assert (example.name, example.captions) == ("a.png", ("A dog, running.", "A dog."))
    (tmp_path / "features").mkdir()
    np.save(tmp_path / "features" / "a.npy", np.ones((3, 2)))
    (example,) = read_tokens(path, PictureReading(features=str(tmp_path / "features")))
    assert load_features(example.picture, 2).shape == (3, 2)
    from safetensors.numpy import save_file

    save_file({"a.png": np.ones((5, 2), np.float32)}, tmp_path / "all.safetensors")
    (example,) = read_tokens(path, PictureReading(features=str(tmp_path / "all.safetensors")))
    assert load_features(example.picture, 2).shape == (5, 2)
    path.write_text("a.png\tA dog .\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"captions\.token:1: .* is not of the form"):
        read_tokens(path, PictureReading())


def test_the_scenes_of_the_catalogue_ask_for_unseen_combinations_where_they_are_here():
    found = find_at_hand("openmoji-scenes")
    if found is None:
        pytest.skip("openmoji-scenes is not on this machine")
    pytest.importorskip("resvg_py")
    parts = found.read_splits(("train", "dev", "test"), PictureReading(scenes=500))
    keys = {split: {example.key for example in part} for split, part in parts.items()}
    assert all(keys.values())
    assert not keys["train"] & keys["test"]
    assert not keys["train"] & keys["dev"]

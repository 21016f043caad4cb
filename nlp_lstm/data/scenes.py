"""Scenes of drawings: one to four pictures of OpenMoji on a plain ground, with sentences that say what is where.

    two blue owls above a pear                  a pear below two blue owls
    there are two blue owls above a pear        two blue owls at the top and a pear at the bottom

The drawings and their names are OpenMoji's; places, sizes and colours are drawn by a seeded generator, and the
sentences made by rule. These are synthetic scenes of real drawings, no photographs that people have described.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nlp_lstm.data.pictures import PictureExample, PictureReading, Pixels, SceneFacts, open_sprite
from nlp_lstm.errors import ConfigError, DataError

SIDE = 64  # pixels of a scene
SPRITE_SIDE = 64  # pixels of a drawing as it is kept
# fmt: off
NOUNS = (
    "fox", "zebra", "giraffe", "elephant", "panda", "pig", "rabbit", "camel", "hedgehog", "lion", "koala", "horse",
    "cow", "kangaroo", "penguin", "duck", "owl", "flamingo", "peacock", "rooster", "parrot", "whale", "dolphin",
    "octopus", "crab", "shark", "lobster", "snail", "butterfly", "ant", "spider", "turtle", "snake", "frog",
    "scorpion", "rose", "tulip", "sunflower", "cactus", "mushroom", "seedling", "shamrock", "lotus", "melon",
    "watermelon", "lemon", "banana", "pineapple", "mango", "pear", "peach", "strawberry", "tomato", "coconut",
    "avocado", "eggplant", "potato", "carrot", "cucumber", "onion", "chestnut", "doughnut", "cookie", "cupcake",
    "pie", "lollipop", "pretzel", "croissant", "waffle", "hamburger", "pizza", "taco", "egg", "locomotive", "tram",
    "bus", "ambulance", "taxi", "automobile", "tractor", "motorcycle", "bicycle", "skateboard", "anchor",
    "sailboat", "canoe", "airplane", "helicopter", "rocket", "parachute", "satellite", "necktie", "dress",
    "backpack", "crown", "hammer", "axe", "wrench", "screwdriver", "magnet", "ladder", "shovel", "shield", "bomb",
    "gear", "saxophone", "trumpet", "guitar", "violin", "drum", "door", "mirror", "chair", "basket", "bucket",
    "broom", "umbrella", "kite", "joystick", "basketball", "teapot", "candle", "bell", "key", "hook", "house",
    "castle", "tent", "fountain", "snowman", "star", "balloon", "telescope", "microscope", "trophy", "compass",
)
# fmt: on
"""The drawings that are used, by their annotation: things that can be told apart when they are small."""

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (235, 45, 40),
    "green": (50, 175, 70),
    "blue": (45, 95, 235),
    "yellow": (250, 220, 40),
    "purple": (150, 60, 195),
    "orange": (250, 140, 25),
}
COUNTS = ("a", "two", "three", "four")
PLURALS = {"mango": "mangoes", "tomato": "tomatoes", "potato": "potatoes"}
GROUNDS = range(205, 256)  # light: each of red, green and blue
_BREATHS = "aeiou"


@dataclass(frozen=True, slots=True)
class Group:
    """Equal drawings that stand together.

    Args:
        noun: what they show.
        colour: their one colour; empty for their own colours.
        count: how many.
    """

    noun: str
    colour: str
    count: int

    @property
    def word(self) -> str:
        """The noun as a sentence has it."""
        return self.noun if self.count == 1 else plural(self.noun)

    @property
    def phrase(self) -> str:
        """As in "two blue owls"."""
        words = " ".join(filter(None, (self.colour, self.word)))
        if self.count > 1:
            return f"{COUNTS[self.count - 1]} {words}"
        return ("an " if words[0] in _BREATHS else "a ") + words


class Placed(NamedTuple):
    """One drawing on a scene: what, in which colour, its left upper corner and its side, in pixels."""

    noun: str
    colour: str
    left: int
    top: int
    side: int


@dataclass(frozen=True, slots=True)
class Sprites:
    """The drawings as pixels with transparency, `side side 4`, by noun."""

    by_noun: Mapping[str, Pixels] = field(repr=False)

    def __len__(self) -> int:
        return len(self.by_noun)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A scene that can be drawn.

    Args:
        placed: the drawings.
        ground: red, green and blue of the ground.
        sprites: what the drawings look like.
    """

    placed: tuple[Placed, ...]
    ground: tuple[int, int, int]
    sprites: Sprites = field(repr=False)

    def draw(self) -> Pixels:
        """Return the pixels, `SIDE SIDE 3`."""
        from PIL import Image

        scene = Image.new("RGB", (SIDE, SIDE), self.ground)
        for one in self.placed:
            sprite = Image.fromarray(tinted(self.sprites.by_noun[one.noun], one.colour))
            small = sprite.resize((one.side, one.side), Image.Resampling.BOX)
            scene.paste(small, (one.left, one.top), small)
        return np.array(scene, dtype=np.uint8)


def read_scenes(path: Path | str, reading: PictureReading) -> list[PictureExample]:
    """Make the scenes of the drawings that lie beside ``openmoji.json``.

    Raises:
        DataError: the file or a drawing is missing or damaged.
        ConfigError: the package resvg-py, which draws them, is not installed.
    """
    sprites = load_sprites(Path(path))
    generator = random.Random(f"scenes/{reading.seed}")
    return [make_scene(generator, sprites, f"scene {number}") for number in range(reading.scenes)]


def make_scene(generator: random.Random, sprites: Sprites, name: str) -> PictureExample:
    """Return a scene with its sentences, drawn by a generator."""
    groups = _choose_groups(generator, sorted(sprites.by_noun))
    layout = generator.choice(_LAYOUTS[len(groups)])
    placed: list[Placed] = []
    for group, box in zip(groups, layout.boxes, strict=True):
        placed += _place(generator, group, box)
    ground = tuple(generator.choice(GROUNDS) for _ in range(3))
    phrases = [group.phrase for group in groups]
    first = groups[0].count > 1 or layout.opens_with_several
    values = dict(zip("ABCD", phrases, strict=False)) | {"is": "are" if first else "is"}
    nouns = sorted(group.noun for group in groups)
    return PictureExample(
        name=name,
        picture=Scene(placed=tuple(placed), ground=ground, sprites=sprites),  # type: ignore[arg-type]
        captions=tuple(form.format(**values) for form in layout.forms),
        key=" ".join(nouns) if len(nouns) > 1 else phrases[0],
        facts=SceneFacts(num_pictures=len(placed), objects=tuple(group.word for group in groups)),
    )


def plural(noun: str) -> str:
    """Return the plural of one of the nouns."""
    if noun in PLURALS:
        return PLURALS[noun]
    if noun.endswith(("s", "x", "sh", "ch")):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in _BREATHS else f"{noun}s"


def tinted(sprite: Pixels, colour: str) -> Pixels:
    """Return a drawing in shades of one colour, black lines black; or as it is without a colour."""
    if not colour:
        return sprite
    light = sprite[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32) / 255
    shades = np.where(light < 0.15, light, 0.35 + 0.65 * light)[..., None] * np.array(COLOURS[colour], dtype=np.float32)
    return np.concatenate([shades.clip(0, 255).astype(np.uint8), sprite[..., 3:]], axis=2)


def load_sprites(path: Path, nouns: Sequence[str] = NOUNS) -> Sprites:
    """Draw the drawings named by ``nouns`` once.

    Args:
        path: ``openmoji.json``; the drawings lie beside it, as in ``1F98A.svg``.
        nouns: their annotations.

    Raises:
        DataError: the file or a drawing is missing or damaged.
        ConfigError: the package resvg-py is not installed.
    """
    try:
        import resvg_py
    except ImportError as error:
        raise ConfigError("drawing scenes needs the package resvg-py: pip install resvg-py") from error
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        codes: dict[str, str] = {}
        for entry in entries:
            codes.setdefault(entry["annotation"], entry["hexcode"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: is not OpenMoji's list of its drawings ({error})") from error
    by_noun: dict[str, Pixels] = {}
    for noun in nouns:
        drawing = path.parent / f"{codes.get(noun, '-')}.svg"
        try:
            content = drawing.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise DataError(
                f"{drawing}: the drawing of a {noun} cannot be read ({error}); fetch the data again"
            ) from error
        png = resvg_py.svg_to_bytes(svg_string=content, width=SPRITE_SIDE, height=SPRITE_SIDE, skip_system_fonts=True)
        by_noun[noun] = open_sprite(bytes(png))
    return Sprites(by_noun)


class _Box(NamedTuple):
    """A part of the scene, in pixels."""

    left: int
    top: int
    right: int
    bottom: int


class _Layout(NamedTuple):
    """Where groups stand, and the sentences that say so: A, B, C and D are the groups' phrases, ``is`` is or are."""

    boxes: tuple[_Box, ...]
    forms: tuple[str, ...]
    opens_with_several: bool = False


_HALF, _THIRD = SIDE // 2, SIDE // 3
_WHOLE = _Box(0, 0, SIDE, SIDE)
_TOP, _BOTTOM = _Box(0, 0, SIDE, _HALF), _Box(0, _HALF, SIDE, SIDE)
_LEFT, _RIGHT = _Box(0, 0, _HALF, SIDE), _Box(_HALF, 0, SIDE, SIDE)
_TOP_LEFT, _TOP_RIGHT = _Box(0, 0, _HALF, _HALF), _Box(_HALF, 0, SIDE, _HALF)
_BOTTOM_LEFT, _BOTTOM_RIGHT = _Box(0, _HALF, _HALF, SIDE), _Box(_HALF, _HALF, SIDE, SIDE)
_ROW = tuple(_Box(number * _THIRD, 0, (number + 1) * _THIRD, SIDE) for number in range(3))
_COLUMN = tuple(_Box(0, number * _THIRD, SIDE, (number + 1) * _THIRD) for number in range(3))


def _alone(box: _Box, place: str) -> _Layout:
    return _Layout(
        (box,), (f"{{A}} {place}", f"there {{is}} {{A}} {place}", f"{place} there {{is}} {{A}}", f"{{A}}, {place}")
    )


_LAYOUTS: Mapping[int, tuple[_Layout, ...]] = {
    1: (
        _alone(_TOP, "at the top"),
        _alone(_BOTTOM, "at the bottom"),
        _alone(_LEFT, "on the left"),
        _alone(_RIGHT, "on the right"),
    ),
    2: (
        _Layout(
            (_TOP, _BOTTOM),
            ("{A} above {B}", "{B} below {A}", "there {is} {A} above {B}", "{A} at the top and {B} at the bottom"),
        ),
        _Layout(
            (_LEFT, _RIGHT),
            (
                "{A} to the left of {B}",
                "{B} to the right of {A}",
                "there {is} {A} to the left of {B}",
                "{A} on the left and {B} on the right",
            ),
        ),
    ),
    3: (
        _Layout(
            _ROW,
            (
                "{B} between {A} on the left and {C} on the right",
                "{A}, {B} and {C} from left to right",
                "there are {A}, {B} and {C} from left to right",
                "{C}, {B} and {A} from right to left",
            ),
        ),
        _Layout(
            _COLUMN,
            (
                "{B} between {A} at the top and {C} at the bottom",
                "{A}, {B} and {C} from top to bottom",
                "there are {A}, {B} and {C} from top to bottom",
                "{C}, {B} and {A} from bottom to top",
            ),
        ),
        _Layout(
            (_TOP, _BOTTOM_LEFT, _BOTTOM_RIGHT),
            (
                "{A} above {B} and {C}",
                "{B} and {C} below {A}",
                "there {is} {A} above {B} and {C}",
                "{A} at the top, {B} and {C} at the bottom",
            ),
        ),
        _Layout(
            (_TOP_LEFT, _TOP_RIGHT, _BOTTOM),
            (
                "{A} and {B} above {C}",
                "{C} below {A} and {B}",
                "there {is} {A} and {B} above {C}",
                "{A} and {B} at the top, {C} at the bottom",
            ),
            opens_with_several=True,
        ),
    ),
    4: (
        _Layout(
            (_TOP_LEFT, _TOP_RIGHT, _BOTTOM_LEFT, _BOTTOM_RIGHT),
            (
                "{A} and {B} above {C} and {D}",
                "{C} and {D} below {A} and {B}",
                "there {is} {A} and {B} above {C} and {D}",
                "{A} and {B} at the top, {C} and {D} at the bottom",
            ),
            opens_with_several=True,
        ),
    ),
}


def _choose_groups(generator: random.Random, nouns: Sequence[str]) -> list[Group]:
    """One to four drawings in groups of equal ones."""
    num_pictures = generator.randint(1, 4)
    num_groups = generator.randint(1, num_pictures)
    counts = [1] * num_groups
    for _ in range(num_pictures - num_groups):
        counts[generator.randrange(num_groups)] += 1
    chosen = generator.sample(nouns, num_groups)
    colours = list(COLOURS)
    return [
        Group(noun=noun, colour=generator.choice(colours) if generator.random() < 0.5 else "", count=count)
        for noun, count in zip(chosen, counts, strict=True)
    ]


def _place(generator: random.Random, group: Group, box: _Box) -> list[Placed]:
    """Give each drawing of a group a part of the group's box, and in it a place and a size."""
    width, height = box.right - box.left, box.bottom - box.top
    rows, columns = min(
        ((rows, -(-group.count // rows)) for rows in range(1, group.count + 1)),
        key=lambda shape: -min(width // shape[1], height // shape[0]),
    )
    cell_width, cell_height = width // columns, height // rows
    largest = min(cell_width, cell_height, 34)
    side = generator.randint(max(12, round(0.75 * largest)), largest)
    placed = []
    for number in range(group.count):
        row, column = divmod(number, columns)
        left = box.left + column * cell_width + generator.randint(0, cell_width - side)
        top = box.top + row * cell_height + generator.randint(0, cell_height - side)
        placed.append(Placed(group.noun, group.colour, left, top, side))
    return placed

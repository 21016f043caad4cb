"""Clips of moving drawings: one or two pictures of OpenMoji on a plain ground, with sentences that say what they do.

    the fox moves left, then disappears             after moving left, the fox disappears
    the fox moves left, then the owl grows          the owl grows after the fox moves left
    the fox moves left while the owl stays          the fox moves left and the owl stays

The drawings are those of the scenes; what they do, where and how large they are is drawn by a seeded generator, and the
sentences are made by rule. These are synthetic clips of real drawings, no films that people have described.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nlp_lstm.data.pictures import PictureExample, PictureReading, Pixels, SceneFacts
from nlp_lstm.data.scenes import GROUNDS, NOUNS, SIDE, Group, Placed, Scene, Sprites, load_sprites

NUM_FRAMES = range(6, 9)
ANIMALS = NOUNS[: NOUNS.index("rose")]
VEHICLES = (
    NOUNS[NOUNS.index("locomotive") : NOUNS.index("anchor")] + NOUNS[NOUNS.index("sailboat") : NOUNS.index("necktie")]
)
MOVERS = ANIMALS + VEHICLES
"""The drawings that are used: those of what moves."""


class Action(NamedTuple):
    """Something that a drawing does, as "it …" and as "after …" have it."""

    does: str
    doing: str


ACTIONS: Mapping[str, Action] = {
    **{f"moves {way}": Action(f"moves {way}", f"moving {way}") for way in ("left", "right", "up", "down")},
    "grows": Action("grows", "growing"),
    "shrinks": Action("shrinks", "shrinking"),
    "appears": Action("appears", "appearing"),
    "disappears": Action("disappears", "disappearing"),
}
_WAYS: Mapping[str, tuple[int, int]] = {
    "moves left": (-1, 0),
    "moves right": (1, 0),
    "moves up": (0, -1),
    "moves down": (0, 1),
}
_GROWTH = 1.4
_SIZES = {"grows": _GROWTH, "shrinks": 1 / _GROWTH}  # times the side before
_SHORTEST_WAY = 16  # pixels
_SIDES = {1: range(22, 29), 2: range(18, 24)}  # pixels of a drawing where it is smallest, by number of drawings
_GAP = 2  # pixels between two drawings

_FORMS: Mapping[str, tuple[str, ...]] = {
    "one does one": ("the {A} {a}", "{an_A} {a}", "there is {an_A} that {a}"),
    "one does two": (
        "the {A} {a}, then {b}",
        "first the {A} {a}, then it {b}",
        "after {doing_a}, the {A} {b}",
    ),
    "two do one each": (
        "the {A} {a}, then the {B} {b}",
        "first the {A} {a}, then the {B} {b}",
        "the {B} {b} after the {A} {a}",
    ),
    "one of two does one": (
        "the {A} {a} while the {B} stays",
        "while the {B} stays, the {A} {a}",
        "the {A} {a} and the {B} stays",
    ),
}
"""The sentences: A and B are drawings, a and b what is done first and last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A clip that can be drawn: its frames are scenes."""

    frames: tuple[Scene, ...]

    def draw(self) -> Pixels:
        """Return the pixels, `time SIDE SIDE 3`."""
        return np.stack([frame.draw() for frame in self.frames])


class _Pose(NamedTuple):
    """Where a drawing is in one frame: its middle and its side, in pixels, and whether it is there at all."""

    x: float
    y: float
    side: float
    is_there: bool

    def place(self, noun: str) -> Placed:
        side = round(self.side)
        return Placed(noun, "", round(self.x - side / 2), round(self.y - side / 2), side)


class _Stretch(NamedTuple):
    """An action from one frame to another."""

    action: str
    first: int
    last: int


def read_clips(path: Path | str, reading: PictureReading) -> list[PictureExample]:
    """Make the clips of the drawings that lie beside ``openmoji.json``.

    Raises:
        DataError: the file or a drawing is missing or damaged.
        ConfigError: the package resvg-py, which draws them, is not installed.
    """
    sprites = load_sprites(Path(path), MOVERS)
    generator = random.Random(f"clips/{reading.seed}")
    return [make_clip(generator, sprites, f"clip {number}") for number in range(reading.clips)]


def make_clip(generator: random.Random, sprites: Sprites, name: str) -> PictureExample:
    """Return a clip with its sentences, drawn by a generator."""
    kind = generator.choice(list(_FORMS))
    num_drawings = 1 if kind.startswith("one does") else 2
    num_actions = 1 if kind.endswith("one") else 2
    nouns = generator.sample(sorted(sprites.by_noun), num_drawings)
    actions = _choose_actions(generator, num_actions, is_same=num_drawings == 1)
    num_frames = generator.choice(NUM_FRAMES)
    turn = num_frames - 1 if num_actions == 1 else num_frames // 2 - 1
    stretches = [_Stretch(actions[0], 0, turn), *(_Stretch(action, turn, num_frames - 1) for action in actions[1:])]
    of_each = [stretches] if num_drawings == 1 else [stretches[:1], stretches[1:]]
    paths = _choose_paths(generator, of_each, num_frames)
    ground = tuple(generator.choice(GROUNDS) for _ in range(3))
    scenes = []
    for time in range(num_frames):
        there = ((noun, poses[time]) for noun, poses in zip(nouns, paths, strict=True))
        placed = tuple(pose.place(noun) for noun, pose in there if pose.is_there)
        scenes.append(Scene(placed=placed, ground=ground, sprites=sprites))  # type: ignore[arg-type]
    values = {"A": nouns[0], "B": nouns[-1], "an_A": Group(nouns[0], "", 1).phrase}
    values |= {"a": actions[0], "b": actions[-1], "doing_a": ACTIONS[actions[0]].doing}
    return PictureExample(
        name=name,
        picture=Clip(frames=tuple(scenes)),
        captions=tuple(form.format(**values) for form in _FORMS[kind]),
        key=" ".join(sorted(nouns) if num_drawings == 2 else [*nouns, *actions]),
        facts=SceneFacts(num_pictures=num_drawings, objects=tuple(nouns)),
    )


def _choose_actions(generator: random.Random, count: int, *, is_same: bool) -> list[str]:
    """What happens, in order; one drawing never does the same twice, and nothing before it is there or after."""
    while True:
        chosen = [generator.choice(list(ACTIONS)) for _ in range(count)]
        if count == 1 or not is_same:
            return chosen
        if chosen[0] not in (chosen[1], "disappears") and chosen[1] != "appears":
            return chosen


def _choose_paths(
    generator: random.Random, of_each: Sequence[Sequence[_Stretch]], num_frames: int
) -> list[list[_Pose]]:
    """Return the poses of each drawing, never one upon the other."""
    while True:
        paths = [_choose_path(generator, stretches, num_frames, _SIDES[len(of_each)]) for stretches in of_each]
        if len(paths) == 1 or not any(_touch(*poses) for poses in zip(*paths, strict=True)):
            return paths


def _choose_path(generator: random.Random, stretches: Sequence[_Stretch], num_frames: int, sides: range) -> list[_Pose]:
    """Return the pose of one drawing in each frame, inside the frame."""
    side = generator.choice(sides)
    changes = [stretch.action for stretch in stretches if stretch.action in _SIZES]
    largest = side * _GROWTH if changes else side
    is_there = all(stretch.action != "appears" for stretch in stretches)
    poses = [_Pose(0, 0, largest if changes[:1] == ["shrinks"] else side, is_there)] * num_frames
    for action, first, last in stretches:
        begin = poses[first]
        length = generator.uniform(_SHORTEST_WAY, SIDE - largest) if action in _WAYS else 0
        moment = generator.randint(first + 1, last)  # of appearing and disappearing
        for time in range(first + 1, num_frames):
            share = min(1.0, (time - first) / (last - first))
            way_x, way_y = _WAYS.get(action, (0, 0))
            poses[time] = _Pose(
                x=begin.x + share * length * way_x,
                y=begin.y + share * length * way_y,
                side=begin.side * _SIZES.get(action, 1) ** share,
                is_there=(time >= moment) == (action == "appears") if action.endswith("appears") else begin.is_there,
            )
    right, down = (_choose_start(generator, [(pose[axis], pose.side) for pose in poses]) for axis in (0, 1))
    return [pose._replace(x=pose.x + right, y=pose.y + down) for pose in poses]


def _choose_start(generator: random.Random, stretches: Sequence[tuple[float, float]]) -> float:
    """Return how far stretches of a middle and a length are moved, so that all are inside the frame."""
    least = max(length / 2 - middle for middle, length in stretches)
    most = min(SIDE - length / 2 - middle for middle, length in stretches)
    return generator.uniform(least, max(least, most))


def _touch(one: _Pose, other: _Pose) -> bool:
    return max(abs(one.x - other.x), abs(one.y - other.y)) < (one.side + other.side) / 2 + _GAP

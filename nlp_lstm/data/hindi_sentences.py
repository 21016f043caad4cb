"""English sentences with their Hindi translations, made by rules from a lexicon: plain grammar for a small translator.

    She is reading a new book in the garden.    वह बगीचे में एक नई किताब पढ़ रही है।
    I did not give two apples to my sister.     मैंने अपनी बहन को दो सेब नहीं दिए।

Real pairs of the two languages are few. From these a network learns the order of words, the postpositions, and whom
verbs and adjectives agree with; what they say is often odd. A speaker is a man, and "you" is a friend.

Source of the idea: Lucas, Baladón et al., "Grammar-based Data Augmentation for Low-Resource Languages: The Case of
Guarani-Spanish Neural Machine Translation", NAACL 2024.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

from nlp_lstm.data.example import ParallelExample
from nlp_lstm.data.hindi_actions import ActionMaker
from nlp_lstm.data.hindi_clauses import BEFORE_PARTICLE
from nlp_lstm.data.hindi_complex import ComplexMaker
from nlp_lstm.data.hindi_phrases import Lexicon, read_lexicon
from nlp_lstm.data.hindi_states import StateMaker
from nlp_lstm.data.parallel import Pair, make_parallel
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.data.sources import Say
from nlp_lstm.errors import DataError

NUM_PAIRS = 80_000

_OBJECT_BEHIND = re.compile(rf"(\w+) {BEFORE_PARTICLE}(\w+)")
_SHORT_BE = {"i am": "i'm", "i will": "i'll", "cannot": "can't", "will not": "won't"}
_SHORT_NOT = ("is", "are", "was", "were", "do", "does", "did", "has", "have", "should")
_SHORT_HELPERS = {"is": "'s", "are": "'re", "will": "'ll"}


def read_lexicon_pairs(paths: Sequence[Path], reading: ParallelSettings, say: Say) -> list[ParallelExample]:
    """Make sentence pairs of the words of a lexicon.

    Raises:
        DataError: the languages are others, or what ``read_lexicon`` raises.
    """
    if reading.languages != {"en", "hi"}:
        raise DataError(f"{paths[0]}: makes sentences in English and Hindi, not {reading.pair}")
    pairs = make_pairs(Lexicon(read_lexicon(paths[0])), NUM_PAIRS, seed=1)
    is_english = reading.source == "en"
    made = (Pair(f"sentence {n}", *(pair if is_english else pair[::-1])) for n, pair in enumerate(pairs, start=1))
    return make_parallel(paths, made, reading, say)


def make_pairs(lexicon: Lexicon, num_pairs: int, *, seed: int) -> list[tuple[str, str]]:
    """Return different English sentences with their translations.

    Args:
        lexicon: the words.
        num_pairs: how many.
        seed: the same gives the same.
    """
    maker = SentenceMaker(lexicon, random.Random(seed))
    made: dict[str, str] = {}
    while len(made) < num_pairs:
        made.setdefault(*maker.make())
    return list(made.items())


class SentenceMaker:
    """Makes sentences.

    Args:
        lexicon: the words.
        generator: the source of chance.
    """

    def __init__(self, lexicon: Lexicon, generator: random.Random) -> None:
        self._random = generator
        actions = ActionMaker(lexicon, generator)
        states, clauses = StateMaker(lexicon, generator, actions), ComplexMaker(lexicon, generator, actions)
        self._forms = {**actions.forms, **states.forms, **clauses.forms}

    def make(self) -> tuple[str, str]:
        """Return a sentence with its translation."""
        made = self._random.choices(list(self._forms), list(self._forms.values()))[0]()
        english = _OBJECT_BEHIND.sub(r"\2 \1", made.english)
        english = shorten(english) if self._random.random() < 0.3 else english
        english = " ".join("I" + word[1:] if word.split("'")[0] == "i" else word for word in english.split())
        return english[:1].upper() + english[1:] + made.mark, made.hindi + (made.mark if made.mark in "?!" else "।")


def shorten(english: str) -> str:
    """Return an English sentence with the first contraction that it allows."""
    text = english[:1].lower() + english[1:] if english.startswith("I ") else english
    for full, short in _SHORT_BE.items():
        if f" {full} " in f" {text} ":
            return f" {text} ".replace(f" {full} ", f" {short} ", 1).strip()
    for word in _SHORT_NOT:
        if f" {word} not " in f" {text} ":
            return f" {text} ".replace(f" {word} not ", f" {word}n't ", 1).strip()
    for who in ("you", "he", "she", "we", "they"):
        for helper, short in _SHORT_HELPERS.items():
            if text.startswith(f"{who} {helper} "):
                return who + short + text[len(who) + 1 + len(helper) :]
    return english

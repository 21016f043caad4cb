"""Words of FreeDict's English-Hindi dictionary, to make sentences of.

    actor /ˈaktə/ <N>
    1. अभिनेता
          "Ram is a good actor."

Taken are words that its own example sentences use often, with the first of their Hindi words. Genders are guessed by
the ending, and what can be said of a word is not known, so sentences of them are odder than those of the lexicon.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nlp_lstm.data.hindi_phrases import Word
from nlp_lstm.errors import DataError

FEWEST_EXAMPLES = 4  # sentences of the dictionary that have a word
LARGEST_TEXT = 1 << 25  # bytes, unpacked

_HEAD = re.compile(r"([a-z]+) /[^/]*/ <(\w+)>")
_SENSE = re.compile(r"\d+\. (.+)")
_EXAMPLE = re.compile(r'\s+"(.+)"')
_HINDI = re.compile(r"[\u0900-\u097f]+(?: [\u0900-\u097f]+)?")
_ASIDE = re.compile(r"\([^)]*\)?|\{[^}]*\}?")
_FEMININE = ("ी", "ि", "ता", "त", "ट", "श", "ख", "ना", "मा", "आ")
_MASCULINE = {"पानी", "आदमी", "हाथी", "मोती", "घी", "पति", "व्यक्ति", "ऋषि", "कवि", "ख़ज़ाना", "खजाना", "खाना", "ज़माना"}
_WITHOUT_OBJECT = """
    जा आ रह बैठ सो गिर निकल पहुँच लौट मर मिल चल डर उठ घूम रो हँस बह फैल टूट जल बढ़ घट बच हट लड़ भाग उड़ तैर कूद
"""
_IRREGULAR = """
    arise awake be bear beat become begin bend bet bind bite bleed blow break breed bring build burst buy catch choose
    cling come cost creep cut deal dig do draw drink drive eat fall feed feel fight find flee fling fly forbid forget
    forgive freeze get give go grind grow hang have hear hide hit hold hurt keep kneel know lay lead leap leave lend let
    lie light lose make mean meet pay put quit read ride ring rise run say see seek sell send set sew shake shine shoot
    show shrink shut sing sink sit sleep slide sow speak spend spin spit split spread spring stand steal stick sting
    stink strike swear sweep swell swim swing take teach tear tell think throw understand wake wear weave weep win wind
    write
"""


class _Entry(NamedTuple):
    word: str
    kind: str
    senses: list[str]


def read_dictionary(path: Path) -> list[Word]:
    """Read the dictionary's file, as dictd has it.

    Raises:
        DataError: it is damaged, too large, or has no such entries.
    """
    entries, examples = _read_entries(path)
    counts = Counter(word for example in examples for word in set(re.findall("[a-z]+", example.lower())))
    found: dict[tuple[str, str], Word] = {}
    for entry in entries:
        if counts[entry.word] < FEWEST_EXAMPLES or not entry.senses:
            continue
        translation = next(_translations(entry.senses[0]), None)
        word = _make_word(entry, translation) if translation else None
        if word:
            found.setdefault((word.kind, word.english), word)
    if not found:
        raise DataError(f"{path}: no English words with Hindi ones in it; give FreeDict's freedict-eng-hin.dict.dz")
    return list(found.values())


def _read_entries(path: Path) -> tuple[list[_Entry], list[str]]:
    try:
        with gzip.open(path) as file:
            content = file.read(LARGEST_TEXT + 1)
        if len(content) > LARGEST_TEXT:
            raise DataError(f"{path} is larger than {LARGEST_TEXT:,} bytes unpacked")
        text = content.decode("utf-8")
    except (gzip.BadGzipFile, zlib.error, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged ({error})") from error
    entries: list[_Entry] = []
    examples: list[str] = []
    for line in text.splitlines():
        if head := _HEAD.match(line):
            entries.append(_Entry(head[1], head[2], []))
        elif (sense := _SENSE.match(line)) and entries:
            entries[-1].senses.append(sense[1])
        elif example := _EXAMPLE.match(line):
            examples.append(example[1])
        elif line and not line[0].isspace():  # a head of another form: its senses are not the last entry's
            entries.append(_Entry("", "", []))
    return entries, examples


def _translations(sense: str) -> Iterator[str]:
    """The translations of one or two words; ~ stands for a space."""
    for part in re.split("[,;/]", sense.replace("~", " ")):
        plain = " ".join(_ASIDE.sub("", part).split())
        if _HINDI.fullmatch(plain):
            yield plain


def _make_word(entry: _Entry, translation: str) -> Word | None:
    if entry.kind == "N":
        last = translation.split()[-1]
        is_feminine = last.endswith(_FEMININE) and last not in _MASCULINE
        return Word("noun", entry.word, translation, "f" if is_feminine else "m", frozenset({"thing"}))
    if entry.kind == "Adj":
        return Word("adjective", entry.word, translation, "-", frozenset({"all"}))
    if entry.kind == "Adv":
        return Word("time", entry.word, translation, "-", frozenset({"manner"}))
    if entry.kind in ("V", "VT", "VI") and translation.endswith("ना") and entry.word not in _IRREGULAR.split():
        stem = translation.removesuffix("ना")
        last = stem.split()[-1] if stem.split() else ""
        if not last or last == "हो":
            return None
        is_alone = last in _WITHOUT_OBJECT.split()
        uses = frozenset({"alone" if is_alone else "thing"})
        return Word("verb", " ".join(_verb_forms(entry.word)), stem, "-" if is_alone else "ne", uses)
    return None


def _verb_forms(verb: str) -> tuple[str, str, str, str]:
    """Base, past, participle and -ing form of a regular English verb."""
    doubled = verb + verb[-1] if re.fullmatch("[^aeiou]*[aeiou][bdgmnprt]", verb) else verb
    if verb.endswith("e"):
        past = verb + "d"
        going = (
            verb + "ing" if verb.endswith("ee") else verb[:-2] + "ying" if verb.endswith("ie") else verb[:-1] + "ing"
        )
        return verb, past, past, going
    past = verb[:-1] + "ied" if re.search("[^aeiou]y$", verb) else doubled + "ed"
    return verb, past, past, doubled + "ing"

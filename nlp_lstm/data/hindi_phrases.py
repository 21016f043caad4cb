"""People and things in English and Hindi: pronouns, names, and nouns with what stands before them.

my two old friends    मेरे दो बूढ़े दोस्त, before a postposition मेरे दो बूढ़े दोस्तों
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from nlp_lstm.data.hindi import Agreement, agree, noun_forms
from nlp_lstm.data.labelled import check_width
from nlp_lstm.errors import DataError, shorten
from nlp_lstm.text.lines import read_lines

KINDS = ("noun", "name", "verb", "adjective", "time")
NUM_COLUMNS = 5
NUM_FORMS = 4  # of a verb: go, went, gone, going

THIRD = Agreement()
PLURAL = Agreement(is_plural=True)

NUMBERS = {
    "two": "दो",
    "three": "तीन",
    "four": "चार",
    "five": "पाँच",
    "six": "छः",
    "seven": "सात",
    "eight": "आठ",
    "nine": "नौ",
    "ten": "दस",
}
_AMOUNTS = {"many": "बहुत सारा", "some": "कुछ"}
_POINTERS = {  # English singular and plural; Hindi direct and oblique, singular and plural
    ("this", "these"): (("यह", "इस"), ("ये", "इन")),
    ("that", "those"): (("वह", "उस"), ("वे", "उन")),
}


class Word(NamedTuple):
    """A row of the lexicon."""

    kind: str
    english: str
    hindi: str
    grammar: str
    uses: frozenset[str]


class Lexicon:
    """Words of both languages.

    Args:
        rows: the words that sentences are made of.
    """

    def __init__(self, rows: Iterable[Word]) -> None:
        self._by_use = _by_use(rows)

    def words(self, kind: str, use: str = "") -> Sequence[Word]:
        """Return the words of a kind, of a use if one is given, in the file's order."""
        return self._by_use.get((kind, use), [])

    def draw(self, generator: random.Random, kind: str, use: str = "") -> Word:
        """Return a word of a kind and a use, drawn by chance."""
        return generator.choice(self.words(kind, use))

    def draw_adjective(self, generator: random.Random, noun: Word, *, has_degrees: bool = False) -> Word | None:
        """Return an adjective that suits a noun, drawn by chance; None where none does.

        Args:
            generator: the source of chance.
            noun: a row of the lexicon.
            has_degrees: whether it must be one that is so more or less, unlike "wooden".
        """
        uses = set(noun.uses)
        if uses & {"person", "animal"}:
            uses |= {"living", "all"}
        elif uses & {"food", "drink"}:
            uses |= {"eaten"}
        elif "mass" not in uses:
            uses |= {"thing", "all"}
        suiting = [
            word
            for word in self.words("adjective")
            if word.uses & uses and not (has_degrees and "absolute" in word.grammar)
        ]
        return generator.choice(suiting) if suiting else None


def _by_use(rows: Iterable[Word]) -> dict[tuple[str, str], list[Word]]:
    found: dict[tuple[str, str], list[Word]] = {}
    for word in rows:
        for use in ("", *sorted(word.uses)):
            found.setdefault((word.kind, use), []).append(word)
    return found


def read_lexicon(path: Path) -> list[Word]:
    """Read the words of a lexicon: kind, English, Hindi, grammar and uses, with tabs between.

    Raises:
        DataError: a line is not of this form; with its number.
    """
    rows = []
    for number, line in read_lines(path):
        if not line.strip() or line.startswith("#"):
            continue
        cells = line.split("\t")
        where = f"{path}:{number}"
        check_width(cells, NUM_COLUMNS, where)
        kind, english, translation, grammar, uses = cells
        if kind not in KINDS:
            raise DataError(f"{where}: {shorten(kind)} is no kind of word; give one of {', '.join(KINDS)}")
        if kind == "verb" and len(english.split()) != NUM_FORMS:
            raise DataError(f"{where}: {shorten(english)} has not {NUM_FORMS} forms, as in: go went gone going")
        if not all(cell.strip() for cell in cells):
            raise DataError(f"{where}: a column is empty; give a word in both languages, its grammar and its uses")
        rows.append(Word(kind, english, translation, grammar, frozenset(uses.split())))
    return rows


@dataclass(frozen=True, slots=True)
class Phrase:
    """Someone or something in a sentence.

    Args:
        english: as a subject.
        english_object: as an object.
        direct: in Hindi.
        oblique: before a postposition.
        ergative: with ने, the subject of a past action.
        dative: with को.
        genitive: with का, in the masculine singular.
        agreement: what goes with it.
        is_many: whether the English is plural.
        is_certain: whether a certain one is meant; a certain person or animal has को as an object.
        possessive: of a pronoun in English.
    """

    english: str
    english_object: str
    direct: str
    oblique: str
    ergative: str
    dative: str
    genitive: str
    agreement: Agreement
    is_many: bool = False
    is_certain: bool = True
    possessive: str = ""

    @property
    def is_pronoun(self) -> bool:
        """Whether it is a pronoun, which is one word with its short postpositions."""
        return bool(self.possessive)

    def owning(self, agreement: Agreement, *, is_oblique: bool = False) -> str:
        """Return it as the owner of what `agreement` belongs to, as in मेरी and राम का."""
        before, _, last = self.genitive.rpartition(" ")
        return f"{before} {agree(last, agreement, is_oblique=is_oblique)}".strip()

    def with_postposition(self, postposition: str) -> str:
        """Return it before a postposition; के and की, as in के साथ and की तरह, make the genitive."""
        if postposition == "को":
            return self.dative
        if postposition.startswith("के "):
            return f"{self.owning(THIRD, is_oblique=True)} {postposition[3:]}"
        if postposition.startswith("की "):
            return f"{self.owning(Agreement(is_feminine=True))} {postposition[3:]}"
        return self.oblique + ("" if self.is_pronoun and postposition == "से" else " ") + postposition


def make_phrase(english: str, direct: str, oblique: str, agreement: Agreement, *, is_many: bool = False) -> Phrase:
    """Return a phrase that is no pronoun."""
    return Phrase(
        english=english,
        english_object=english,
        direct=direct,
        oblique=oblique,
        ergative=f"{oblique} ने",
        dative=f"{oblique} को",
        genitive=f"{oblique} का",
        agreement=agreement,
        is_many=is_many,
    )


def _pronoun(english: str, forms: str, agreement: Agreement) -> Phrase:
    subject, english_object, possessive = english.split()
    direct, oblique, ergative, dative, genitive = forms.split()
    return Phrase(
        english=subject,
        english_object=english_object,
        direct=direct,
        oblique=oblique,
        ergative=ergative,
        dative=dative,
        genitive=genitive,
        agreement=agreement,
        is_many=agreement.is_plural,
        possessive=possessive,
    )


PRONOUNS = (
    _pronoun("I me my", "मैं मुझ मैंने मुझे मेरा", Agreement(person=1)),
    _pronoun("you you your", "तुम तुम तुमने तुम्हें तुम्हारा", Agreement(is_plural=True, person=2)),
    _pronoun("he him his", "वह उस उसने उसे उसका", THIRD),
    _pronoun("she her her", "वह उस उसने उसे उसका", Agreement(is_feminine=True)),
    _pronoun("we us our", "हम हम हमने हमें हमारा", Agreement(is_plural=True, person=1)),
    _pronoun("they them their", "वे उन उन्होंने उन्हें उनका", PLURAL),
)
SPEAKER, FRIEND = PRONOUNS[:2]


def _someone(english: str, direct: str, oblique: str, *, is_plural: bool = False) -> Phrase:
    phrase = make_phrase(english, direct, oblique, Agreement(is_plural=is_plural))
    return replace(phrase, is_certain=True)


SOMEONE, NOBODY, NO_ONE = (_someone(english, "कोई", "किसी") for english in ("someone", "nobody", "no one"))
EVERYONE = _someone("everyone", "सब", "सब", is_plural=True)
IT, THIS, THAT = (
    replace(_pronoun(f"{english} {english} its", forms, THIRD), is_certain=True)
    for english, forms in (
        ("it", "यह इस इसने इसे इसका"),
        ("this", "यह इस इसने इसे इसका"),
        ("that", "वह उस उसने उसे उसका"),
    )
)


class _Before(NamedTuple):
    """What stands before a noun: in English, and in Hindi in both cases."""

    english: str = ""
    direct: str = ""
    oblique: str = ""
    is_certain: bool = True


class PhraseMaker:
    """Makes phrases.

    Args:
        lexicon: the words.
        generator: the source of chance.
    """

    def __init__(self, lexicon: Lexicon, generator: random.Random) -> None:
        self._lexicon = lexicon
        self._random = generator

    def chance(self, share: float) -> bool:
        """Return whether a thing happens that happens with this share."""
        return self._random.random() < share

    def anyone(self) -> Phrase:
        """Return a pronoun, a name or a person."""
        if self.chance(0.58):
            return self._random.choice(PRONOUNS)
        if self.chance(0.1):
            return self._random.choice((SOMEONE, EVERYONE))
        if self.chance(0.1):
            return self._pair()
        return self.name() if self.chance(0.3) else self.noun(self.word("noun", "person"))

    def _pair(self) -> Phrase:
        """Return two people with an "and" between."""
        first, second = self.name(), self.name()
        english, both = f"{first.english} and {second.english}", f"{first.direct} और {second.direct}"
        are_women = first.agreement.is_feminine and second.agreement.is_feminine
        return make_phrase(english, both, both, Agreement(are_women, is_plural=True), is_many=True)

    def name(self, use: str = "name") -> Phrase:
        """Return a proper name: of a person, a city or a language."""
        is_tom = use == "name" and self.chance(0.35)  # whom examples of languages are mostly about
        word = self._lexicon.words("name", use)[0] if is_tom else self.word("name", use)
        return make_phrase(word.english, word.hindi, word.hindi, Agreement(is_feminine=word.grammar == "f"))

    def word(self, kind: str, *uses: str) -> Word:
        """Return a word of a kind that has one of the uses."""
        return self._lexicon.draw(self._random, kind, self._random.choice(uses) if uses else "")

    def noun(self, word: Word, owner: Phrase | None = None, *, is_bare: bool = False) -> Phrase:
        """Return a noun with what stands before it.

        Args:
            word: the noun.
            owner: the subject, where this is another part of its sentence; what belongs to it is अपना.
            is_bare: without anything before it but an article.
        """
        singular, _, irregular = word.english.partition("/")
        forms = noun_forms(word.hindi, word.grammar)
        is_single = bool(word.uses & {"mass", "one"})
        is_many = "plural" in word.uses or (not is_single and self.chance(0.22))
        agreement = Agreement(word.grammar.startswith("f"), is_many or "plural-in-hindi" in word.uses)
        before = (
            self._article(word, is_many=is_many) if is_bare else self._before(word, owner, agreement, is_many=is_many)
        )
        name = (irregular or plural(singular)) if is_many else singular
        adjective = self.adjective(word) if not is_bare and self.chance(0.2) else None
        if adjective:
            name = f"{adjective.english.split()[0]} {name}"
        shown = adjective.hindi if adjective else ""
        direct = (before.direct, agree(shown, agreement), forms.direct_plural if is_many else forms.direct)
        oblique = (
            before.oblique,
            agree(shown, agreement, is_oblique=True),
            forms.oblique_plural if is_many else forms.oblique,
        )
        english = with_article(name) if before.english == "a" else join(before.english, name)
        phrase = make_phrase(english, join(*direct), join(*oblique), agreement, is_many=is_many)
        return replace(phrase, is_certain=before.is_certain)

    def adjective(self, noun: Word, *, has_degrees: bool = False) -> Word | None:
        """Return an adjective that suits a noun, and that has degrees if it must; None where none does."""
        return self._lexicon.draw_adjective(self._random, noun, has_degrees=has_degrees)

    def _before(self, word: Word, owner: Phrase | None, agreement: Agreement, *, is_many: bool) -> _Before:
        if self.chance(0.75 if word.uses & {"kin", "bond"} else 0.2):
            return self._possessive(owner, agreement)
        if is_many and self.chance(0.5):
            if self.chance(0.3):
                english, amount = self._random.choice(list(_AMOUNTS.items()))
                return _Before(
                    english, agree(amount, agreement), agree(amount, agreement, is_oblique=True), is_certain=False
                )
            english, number = self._random.choice(list(NUMBERS.items()))
            return _Before(english, number, number, is_certain=False)
        if not word.uses & {"mass", "one"} and self.chance(0.15):
            names, forms = self._random.choice(list(_POINTERS.items()))
            return _Before(names[is_many], *forms[agreement.is_plural])
        return self._article(word, is_many=is_many)

    def _possessive(self, owner: Phrase | None, agreement: Agreement) -> _Before:
        if owner and owner.is_pronoun and self.chance(0.6):
            return _Before(owner.possessive, agree("अपना", agreement), agree("अपना", agreement, is_oblique=True))
        if self.chance(0.15):
            chosen = self.name()
            english = f"{chosen.english}'s"
        else:  # her book is not said of her own, where she is the subject
            own = ("he", "she", "they", owner.english) if owner else ()
            chosen = self._random.choice([one for one in PRONOUNS if one.english not in own])
            english = chosen.possessive
        return _Before(english, chosen.owning(agreement), chosen.owning(agreement, is_oblique=True))

    def _article(self, word: Word, *, is_many: bool) -> _Before:
        if "one" in word.uses:
            return _Before("the")
        if is_many or "mass" in word.uses:
            return _Before("the") if self.chance(0.4) else _Before(is_certain=False)
        return _Before("the") if self.chance(0.5) else _Before("a", "एक", "एक", is_certain=False)


def join(*parts: str) -> str:
    """Return parts of a sentence with spaces; empty ones are left out."""
    return " ".join(part for part in parts if part)


def with_article(noun: str) -> str:
    """Return an English noun, or an adjective before one, with "a" or "an", as it sounds."""
    is_open = noun.startswith(tuple("aeiou")) and not noun.startswith(("uni", "use", "one"))
    return f"an {noun}" if is_open or noun.startswith(("honest", "hour")) else f"a {noun}"


def plural(noun: str) -> str:
    """Return the plural of a regular English noun."""
    return noun + ("es" if noun.endswith(("s", "sh", "ch", "x")) else "s")

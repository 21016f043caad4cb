"""Sentences in English and Hindi in which someone does something: statements, orders, questions.

She is reading a new book in the garden.    वह बगीचे में एक नई किताब पढ़ रही है।
"""

from __future__ import annotations

import random
from collections.abc import Callable

from nlp_lstm.data.hindi import Agreement, agree
from nlp_lstm.data.hindi_clauses import (
    BEFORE_PARTICLE,
    PARTICIPLE,
    TENSES,
    Parts,
    Sentence,
    base,
    deny,
    english_have,
    english_question,
    english_verb,
    form,
    hindi_clause,
    hindi_order,
)
from nlp_lstm.data.hindi_phrases import (
    FRIEND,
    NO_ONE,
    NOBODY,
    PRONOUNS,
    THIRD,
    Lexicon,
    Phrase,
    PhraseMaker,
    Word,
    join,
    make_phrase,
)

_PLACES = {"under": "के नीचे", "behind": "के पीछे", "in front of": "के सामने", "near": "के पास"}
_CUPS = {"a cup of": "एक कप", "two cups of": "दो कप"}
_GLASSES = {"a glass of": "एक गिलास", "two glasses of": "दो गिलास", "a bottle of": "एक बोतल"}
_FOR = {"for": "के लिए", "without": "के बिना", "like": "की तरह", "because of": "की वजह से", "with": "के साथ"}
_ASKED = {"where": "कहाँ", "why": "क्यों", "when": "कब", "how": "कैसे", "what time": "कितने बजे", "how often": "कितनी बार"}
_VAGUE = {"it": "इसे", "this": "यह", "that": "वह", "something": "कुछ", "everything": "सब कुछ"}
_ALWAYS_STATED = ("already", "had", "began", "stopped", "decided", "going", "would", "may")
_WHO = Phrase(
    english="who",
    english_object="who",
    direct="कौन",
    oblique="किस",
    ergative="किसने",
    dative="किसे",
    genitive="किसका",
    agreement=THIRD,
)

Maker = Callable[[], Sentence]


class ActionMaker:
    """Makes sentences in which someone does something.

    Args:
        lexicon: the words.
        generator: the source of chance.
    """

    def __init__(self, lexicon: Lexicon, generator: random.Random) -> None:
        self._random = generator
        self._phrases = PhraseMaker(lexicon, generator)
        self._chance = self._phrases.chance

    @property
    def forms(self) -> dict[Maker, int]:
        """The kinds of sentences and how often each is made."""
        return {self.action: 38, self._order: 8, self._question: 16, self._nobody: 1, self._ever: 1}

    # Someone does something

    def action(self) -> Sentence:
        """Someone does something, or does not."""
        subject, verb = self._phrases.anyone(), self._phrases.word("verb")
        tense = self.tense(verb)
        is_negative = self._chance(0.22) and tense not in _ALWAYS_STATED
        parts = self.parts(verb, subject)
        if self._chance(0.18):
            parts = parts.then(*self._beside(subject))
        elif self._chance(0.12) and not verb.uses & {"goal", "source", "inside"}:
            parts = parts.then(*self.place())
        elif self._chance(0.12):
            parts = parts.beside_verb(*self.time("manner"))
        elif verb.uses & {"goal", "source"} and self._chance(0.15):
            parts = parts.then(*self.time("road"))
        adverb, use = "", TENSES[tense][1]
        if tense in ("habit", "past", "future") and self._chance(0.05):
            english = english_verb(verb, tense, subject, adverb="never")
            denied = hindi_clause(verb, tense, subject, parts.beside_verb("", "कभी"), is_negative=True)
            return Sentence(join(subject.english, english, parts.english), denied)
        if tense == "habit" and not is_negative and self._chance(0.08):
            chosen = self._phrases.word("time", "adverb")
            adverb, parts = chosen.english, parts.then("", chosen.hindi)
        elif use and self._chance(0.25):
            parts = parts.then(*self.time(use))
        english = english_verb(verb, tense, subject, is_negative=is_negative, adverb=adverb)
        return Sentence(
            join(subject.english, english, parts.english),
            hindi_clause(verb, tense, subject, parts, is_negative=is_negative),
        )

    def _beside(self, subject: Phrase) -> tuple[str, str]:
        """For whom, without or because of whom."""
        if self._chance(0.4):
            friend = self._phrases.noun(self._phrases.word("noun", "kin", "bond"), subject)
            return f"with {friend.english_object}", friend.with_postposition("के साथ")
        english, postposition = self._random.choice(list(_FOR.items()))
        someone = self.someone_else(subject)
        return f"{english} {someone.english_object}", someone.with_postposition(postposition)

    def _nobody(self) -> Sentence:
        """Nobody does something, which in Hindi someone does not do."""
        verb = self._phrases.word("verb")
        tense, subject = self.tense(verb), self._random.choice((NOBODY, NO_ONE))
        while tense in _ALWAYS_STATED:
            tense = self.tense(verb)
        parts = self.parts(verb, subject)
        return Sentence(
            join(subject.english, english_verb(verb, tense, subject), parts.english),
            hindi_clause(verb, tense, subject, parts, is_negative=True),
        )

    def _ever(self) -> Sentence:
        """Has someone ever done it?"""
        subject, verb = self._phrases.anyone(), self._phrases.word("verb")
        parts = self.parts(verb, subject)
        translation = hindi_clause(verb, "perfect", subject, parts.beside_verb("", "कभी"))
        have = join(english_have(subject), subject.english, "ever", form(verb, PARTICIPLE), parts.english)
        return Sentence(have, f"क्या {translation}", "?")

    def tense(self, verb: Word) -> str:
        """One that the verb can have: nobody is knowing."""
        tense = self._random.choices(list(TENSES), [share for share, _ in TENSES.values()])[0]
        return self.tense(verb) if "stative" in verb.grammar and tense in ("now", "was") else tense

    def time(self, use: str) -> tuple[str, str]:
        """When or how, in both languages."""
        word = self._phrases.word("time", use)
        return word.english, word.hindi

    def parts(self, verb: Word, subject: Phrase) -> Parts:
        """What the verb is done to, or where."""
        if "to" in verb.uses:
            return self._gift(verb, subject)
        if "alone" in verb.uses:
            return Parts()
        if verb.uses & {"goal", "source"}:
            return Parts() if self._chance(0.3) else Parts(*self._way(verb))
        if verb.uses & {"inside", "seat", "work"} and verb.hindi != "साफ़ कर":
            return Parts() if self._chance(0.3) else Parts(*self.place(is_seat="seat" in verb.uses))
        if verb.uses == {"water"}:
            place = self._phrases.noun(self._phrases.word("noun", "water"), is_bare=True)
            return Parts(f"in {place.english_object}", f"{place.oblique} में")
        target, is_living = self._object(verb, subject)
        marker = verb.grammar.split()[-1]
        if marker in ("से", "पर"):
            return Parts(target.english_object, target.with_postposition(marker))
        if marker in ("का", "की"):
            return Parts(target.english_object, target.owning(Agreement(is_feminine=marker == "की")))
        before = BEFORE_PARTICLE if "apart" in verb.grammar else ""
        if not is_living and not verb.uses & {"language", "food", "drink"} and self._chance(0.15):
            english, vague = self._random.choice(list(_VAGUE.items()))
            return Parts(before + english, vague, has_object=True)
        english = (before if target.is_pronoun else "") + target.english_object
        if marker == "ko" or (is_living and target.is_certain):
            return Parts(english, target.dative, has_object=True)
        return Parts(english, target.direct, target.agreement, has_object=True)

    def _which(self, verb: Word, tense: str, subject: Phrase) -> Sentence:
        """Which thing someone does it to."""
        word = self._phrases.word("noun", "thing")
        singular = word.english.partition("/")[0]
        agreement = Agreement(word.grammar.startswith("f"))
        english, which = self._random.choice((("which", "कौन सा"), ("what kind of", "किस तरह का")))
        parts = Parts(hindi=join(agree(which, agreement), word.hindi), agreement=agreement, has_object=True)
        asked = english_question(verb, tense, subject)
        return Sentence(join(english, singular, asked), hindi_clause(verb, tense, subject, parts), "?")

    def _object(self, verb: Word, subject: Phrase) -> tuple[Phrase, bool]:
        """What the verb is done to, and whether that lives."""
        use = self._random.choice(sorted(verb.uses - {"to"}))
        if use == "language":
            return self._phrases.name("language"), False
        if use == "person":
            return self.someone_else(subject), True
        if use == "drink" and self._chance(0.25):
            word = self._phrases.word("noun", "drink")
            english, measure = self._random.choice(list((_CUPS if "made" in word.uses else _GLASSES).items()))
            agreement = Agreement(is_feminine=measure == "एक बोतल", is_plural=english.startswith("two"))
            return make_phrase(f"{english} {word.english}", f"{measure} {word.hindi}", "", agreement), False
        return self._phrases.noun(self._phrases.word("noun", use), subject), use == "animal"

    def someone_else(self, subject: Phrase) -> Phrase:
        """Someone who is not the subject."""
        roll = self._random.random()
        if roll < 0.4:
            person = subject.agreement.person
            others = (one for one in PRONOUNS if one is not subject)
            return self._random.choice([one for one in others if person == 3 or one.agreement.person != person])
        if roll < 0.55:
            return self._phrases.name()
        return self._phrases.noun(self._phrases.word("noun", "person"), subject)

    def _gift(self, verb: Word, subject: Phrase) -> Parts:
        """Something for someone."""
        given, _ = self._object(verb, subject)
        taker = self.someone_else(subject)
        translation = f"{taker.dative} {given.direct}"
        english = f"{given.english_object} to {taker.english_object}"
        if verb.english.startswith("tell") or self._chance(0.5):
            english = f"{taker.english_object} {given.english_object}"
        return Parts(english, translation, given.agreement, has_object=True)

    def _way(self, verb: Word) -> tuple[str, str]:
        """Where someone goes to, or comes from."""
        if self._chance(0.15):
            return "home", "घर"
        is_city = self._chance(0.2)
        place = self._phrases.name("city") if is_city else self._bare("goal")
        english = place.english_object
        if english == "the school" and self._chance(0.7):
            english = "school"
        if "source" in verb.uses and self._chance(0.4):
            return f"from {english}", f"{place.oblique} से"
        return f"to {english}", place.oblique

    def _bare(self, *uses: str) -> Phrase:
        return self._phrases.noun(self._phrases.word("noun", *uses), is_bare=self._chance(0.85))

    def place(self, *, is_seat: bool = False) -> tuple[str, str]:
        """Where something is."""
        roll = 0.7 if is_seat and self._chance(0.5) else self._random.random()
        if roll < 0.07:
            return "at home", "घर पर"
        if roll < 0.12:
            return self.time("spot")
        if roll < 0.25:
            city = self._phrases.name("city")
            return f"in {city.english}", f"{city.oblique} में"
        if roll < 0.6:
            place = self._bare("inside", "inside", "holder")
            return f"in {place.english_object}", f"{place.oblique} में"
        if roll < 0.8:
            thing = self._bare("furniture")
            return f"on {thing.english_object}", f"{thing.oblique} पर"
        english, postposition = self._random.choice(list(_PLACES.items()))
        thing = self._bare("building", "seen", "opened", "furniture", "water")
        return f"{english} {thing.english_object}", thing.with_postposition(postposition)

    # Orders and questions

    def _order(self) -> Sentence:
        verb = self._phrases.word("verb")
        parts = self.parts(verb, FRIEND)
        if "to" in verb.uses and self._chance(0.5):
            given, _ = self._object(verb, FRIEND)
            parts = Parts(f"me {given.english_object}", f"मुझे {given.direct}")
        elif not parts.english and self._chance(0.5):
            parts = Parts("here", "यहाँ")
        english, kind = join(base(verb), parts.english), self._random.random()
        if kind < 0.3:
            return Sentence(f"do not {english}", hindi_order(verb, parts, is_negative=True))
        if kind < 0.65:
            return Sentence(f"please {english}", hindi_order(verb, parts, is_polite=True))
        return Sentence(english, hindi_order(verb, parts))

    def _question(self) -> Sentence:
        subject, verb = self._phrases.anyone(), self._phrases.word("verb")
        tense = self.tense(verb)
        parts = self.parts(verb, subject)
        english = english_question(verb, tense, subject)
        roll = self._random.random()
        if roll < 0.08 and tense != "may":
            helper, _, rest = english.partition(" ")
            translation = "क्या " + hindi_clause(verb, tense, subject, parts, is_negative=True)
            return Sentence(join(deny(helper), rest, parts.english), translation, "?")
        if roll < 0.3:
            translation = "क्या " + hindi_clause(verb, tense, subject, parts)
            return Sentence(join(english, parts.english), translation, "?")
        if roll < 0.4:
            english = english_verb(verb, tense, _WHO)
            return Sentence(join("who", english, parts.english), hindi_clause(verb, tense, _WHO, parts), "?")
        if roll < 0.6 and parts.has_object and not verb.uses & {"to", "person", "animal", "language"}:
            what = Parts(hindi="क्या", has_object=True)
            return Sentence(join("what", english), hindi_clause(verb, tense, subject, what), "?")
        if roll < 0.7 and parts.has_object and "thing" in verb.uses:
            return self._which(verb, tense, subject)
        name, asked = self._random.choice(list(_ASKED.items()))
        if name == "where" and not parts.has_object:
            parts = Parts()
        translation = hindi_clause(verb, tense, subject, parts, asked=asked)
        return Sentence(join(name, english, parts.english), translation, "?")

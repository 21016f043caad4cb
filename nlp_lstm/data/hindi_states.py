"""Sentences in English and Hindi about what is, what someone has, wants and feels, and the weather.

Her new house is bigger than mine.    उसका नया घर मेरे घर से बड़ा है।
"""

from __future__ import annotations

import random
from collections.abc import Callable

from nlp_lstm.data import hindi
from nlp_lstm.data.hindi import Agreement, agree
from nlp_lstm.data.hindi_actions import ActionMaker
from nlp_lstm.data.hindi_clauses import Sentence, english_be, english_do, english_have
from nlp_lstm.data.hindi_phrases import (
    FRIEND,
    IT,
    NUMBERS,
    SPEAKER,
    THAT,
    THIRD,
    THIS,
    Lexicon,
    Phrase,
    PhraseMaker,
    Word,
    join,
    plural,
    with_article,
)

_DEGREES = (("", ""), ("", ""), ("very", "बहुत"), ("too", "बहुत ज़्यादा"))
_FEELINGS = {  # hunger comes to someone: what is felt, and its verb
    "hungry": ("भूख", "लगी", True),
    "thirsty": ("प्यास", "लगी", True),
    "sleepy": ("नींद", "आ रही", True),
    "cold": ("ठंड", "लग रही", True),
    "afraid": ("डर", "लग रहा", False),
}
_WEATHER = {
    "it is raining": ("बारिश हो रही है", "now"),
    "it was raining": ("बारिश हो रही थी", "past"),
    "it rained": ("बारिश हुई", "past"),
    "it will rain": ("बारिश होगी", "future"),
    "it is hot": ("गर्मी है", "now"),
    "it is cold": ("ठंड है", "now"),
    "it was cold": ("ठंड थी", "past"),
}


class StateMaker:
    """Makes sentences about what is.

    Args:
        lexicon: the words.
        generator: the source of chance.
        actions: says where things are, and when.
    """

    def __init__(self, lexicon: Lexicon, generator: random.Random, actions: ActionMaker) -> None:
        self._lexicon = lexicon
        self._random = generator
        self._phrases = PhraseMaker(lexicon, generator)
        self._chance = self._phrases.chance
        self._place, self._time = actions.place, actions.time

    @property
    def forms(self) -> dict[Callable[[], Sentence], int]:
        """The kinds of sentences and how often each is made."""
        return {
            self._is_so: 8,
            self._is_somewhere: 4,
            self._is_someone: 2,
            self._is_more_so: 2,
            self._is_as_so: 1,
            self._is_most_so: 2,
            self._how_so: 1,
            self._is_this: 3,
            self._is_called: 1,
            self._how_is: 2,
            self._is_old: 1,
            self._there_is: 4,
            self._has: 5,
            self._wants: 6,
            self._feels: 3,
            self._weather: 2,
        }

    def _known_thing(self) -> tuple[Phrase, Word]:
        """Someone or something of which something can be said, and its noun."""
        if self._chance(0.35):
            return self._phrases.anyone(), self._phrases.word("noun", "person")
        if self._chance(0.12):
            return self._random.choice((IT, THIS, THAT)), self._phrases.word("noun", "thing", "told", "task")
        word = self._phrases.word("noun")
        thing = self._phrases.noun(word)
        while not thing.is_certain:
            thing = self._phrases.noun(word)
        return thing, word

    def _being(self, thing: Phrase) -> tuple[str, str]:
        is_past = self._chance(0.25)
        return english_be(thing, is_past=is_past), (hindi.was if is_past else hindi.is_now)(thing.agreement)

    def _not(self) -> tuple[str, str]:
        return ("not", "नहीं") if self._chance(0.18) else ("", "")

    def _is_so(self) -> Sentence:
        thing, word = self._known_thing()
        adjective = self._phrases.adjective(word)
        if adjective is None:
            return self._is_so()
        english, shown = adjective.english.split()[0], agree(adjective.hindi, thing.agreement)
        (be, being), (no, denied), (degree, much) = self._being(thing), self._not(), self._random.choice(_DEGREES)
        if "absolute" in adjective.grammar:
            degree = much = ""
        if self._chance(0.15):
            return Sentence(join(be, thing.english, english), join("क्या", thing.direct, shown, being), "?")
        return Sentence(join(thing.english, be, no, degree, english), join(thing.direct, much, shown, denied, being))

    def _is_as_so(self) -> Sentence:
        """As tall as another."""
        thing, word = self._known_thing()
        adjective = self._phrases.adjective(word, has_degrees=True)
        if adjective is None or thing.is_pronoun:
            return self._is_as_so()
        other, (be, being), (no, denied) = self._phrases.noun(word), self._being(thing), self._not()
        shown = agree(f"जितना {adjective.hindi}", thing.agreement)
        return Sentence(
            join(thing.english, be, no, "as", adjective.english.split()[0], "as", other.english_object),
            join(thing.direct, other.oblique, shown, denied, being),
        )

    def _how_so(self) -> Sentence:
        """How tall someone is; what a beautiful thing."""
        thing, word = self._known_thing()
        adjective = self._phrases.adjective(word, has_degrees=True)
        if adjective is None:
            return self._how_so()
        (be, being), english = self._being(thing), adjective.english.split()[0]
        shown = agree(f"कितना {adjective.hindi}", thing.agreement)
        if self._chance(0.4):
            return Sentence(join("how", english, be, thing.english), join(thing.direct, shown, being), "?")
        if self._chance(0.5) or word.uses & {"mass", "one", "plural"}:
            return Sentence(join("how", english, thing.english, be), join(thing.direct, shown, being), "!")
        agreement = Agreement(word.grammar.startswith("f"))
        what = agree(f"कितना {adjective.hindi}", agreement)
        noun = hindi.noun_forms(word.hindi, word.grammar).direct
        named = f"{with_article(english)} {word.english.split('/')[0]}"
        return Sentence(f"what {named}", join(what, noun, "है"), "!")

    def _is_more_so(self) -> Sentence:
        thing, word = self._known_thing()
        adjective = self._phrases.adjective(word, has_degrees=True)
        if adjective is None or thing.is_pronoun:
            return self._is_more_so()
        other = self._phrases.noun(word)
        english, compared = other.english_object, other.oblique
        if self._chance(0.3) and " " in thing.english.split(" and ")[0]:  # the dog, not Sita, is bigger than mine
            owner, english = self._random.choice(((SPEAKER, "mine"), (FRIEND, "yours")))
            compared = join(owner.owning(thing.agreement, is_oblique=True), thing.oblique.split()[-1])
        degrees = adjective.english.split()
        more = degrees[1] if len(degrees) > 1 else f"more {degrees[0]}"
        be, being = self._being(thing)
        shown = agree(adjective.hindi, thing.agreement)
        return Sentence(
            join(thing.english, be, more, "than", english),
            join(thing.direct, compared, "से", "" if len(degrees) > 1 else "ज़्यादा", shown, being),
        )

    def _is_most_so(self) -> Sentence:
        thing, word = self._known_thing()
        adjective = self._phrases.adjective(word, has_degrees=True)
        if adjective is None or thing.is_many or word.uses & {"mass", "one"}:
            return self._is_most_so()
        degrees, (be, being) = adjective.english.split(), self._being(thing)
        most = f"the {degrees[2]}" if len(degrees) > 2 else f"the most {degrees[0]}"
        shown = agree(f"सबसे {adjective.hindi}", thing.agreement)
        if self._chance(0.4):
            english, place = self._place()
            return Sentence(join(thing.english, be, most, english), join(thing.direct, place, shown, being))
        noun = hindi.noun_forms(word.hindi, word.grammar).direct
        shown = agree(f"सबसे {adjective.hindi}", Agreement(word.grammar.startswith("f")))
        return Sentence(
            join(thing.english, be, most, word.english.split("/")[0]), join(thing.direct, shown, noun, being)
        )

    def _is_this(self) -> Sentence:
        """This is something, or whose it is."""
        word = self._phrases.word("noun")
        thing, (no, denied) = self._phrases.noun(word), self._not()
        far, is_many = self._chance(0.4), thing.is_many
        this = (("this", "these"), ("that", "those"))[far][is_many]
        yah = (("यह", "ये"), ("वह", "वे"))[far][thing.agreement.is_plural]
        be, being = ("are" if is_many else "is"), hindi.is_now(thing.agreement)
        roll = self._random.random()
        if roll < 0.12:
            return Sentence(f"what {be} {this}", f"{yah} क्या {being}", "?")
        if roll < 0.24 and not word.uses & {"person", "one"}:
            singular, _, irregular = word.english.partition("/")
            forms = hindi.noun_forms(word.hindi, word.grammar)
            owned = (irregular or plural(singular), forms.direct_plural) if is_many else (singular, forms.direct)
            whose = agree("किसका", thing.agreement)
            return Sentence(join("whose", owned[0], be, this), join(yah, whose, owned[1], being), "?")
        if roll < 0.36:
            return Sentence(join(be, this, thing.english), join("क्या", yah, thing.direct, being), "?")
        return Sentence(join(this, be, no, thing.english), join(yah, thing.direct, denied, being))

    def _is_called(self) -> Sentence:
        owner, name = self._phrases.anyone(), self._phrases.name()
        english = f"{owner.possessive} name" if owner.is_pronoun else f"{owner.english}'s name"
        whose = owner.owning(THIRD)
        if self._chance(0.3):
            return Sentence(f"what is {english}", f"{whose} नाम क्या है", "?")
        return Sentence(f"{english} is {name.english}", f"{whose} नाम {name.direct} है")

    def _how_is(self) -> Sentence:
        thing, _ = self._known_thing()
        be, being = self._being(thing)
        return Sentence(join("how", be, thing.english), join(thing.direct, agree("कैसा", thing.agreement), being), "?")

    def _is_old(self) -> Sentence:
        someone = self._phrases.anyone()
        be, being = self._being(someone)
        if self._chance(0.4):
            how = agree("कितने साल का", someone.agreement)
            return Sentence(join("how old", be, someone.english), join(someone.direct, how, being), "?")
        english, years = self._random.choice(list(NUMBERS.items()))
        of_years = f"{years} साल {agree('का', someone.agreement)}"
        return Sentence(join(someone.english, be, f"{english} years old"), join(someone.direct, of_years, being))

    def _is_somewhere(self) -> Sentence:
        thing, _ = self._known_thing()
        (be, being), (no, denied) = self._being(thing), self._not()
        if self._chance(0.25):
            return Sentence(join("where", be, thing.english), join(thing.direct, "कहाँ", being), "?")
        english, place = self._place()
        if self._chance(0.15):
            return Sentence(join(be, thing.english, english), join("क्या", thing.direct, place, being), "?")
        return Sentence(join(thing.english, be, no, english), join(thing.direct, place, denied, being))

    def _is_someone(self) -> Sentence:
        thing = self._phrases.anyone()
        (be, being), (no, denied) = self._being(thing), self._not()
        if self._chance(0.25):
            return Sentence(join("who", be, thing.english), join(thing.direct, "कौन", being), "?")
        word = self._phrases.word("noun", "person")
        if thing.is_many or "kin" in word.uses:
            return self._is_someone()
        english = with_article(word.english.split("/")[0])
        return Sentence(join(thing.english, be, no, english), join(thing.direct, "एक", word.hindi, denied, being))

    def _there_is(self) -> Sentence:
        thing = self._some(
            self._random.choice([one for one in self._lexicon.words("noun") if not one.uses & {"one", "kin"}])
        )
        (be, being), (english, place) = self._being(thing), self._place()
        if self._chance(0.2) and thing.english.split()[0] not in ("a", "an", "some", "many", *NUMBERS):
            return Sentence(join("there", be, "no", thing.english, english), join(place, thing.direct, "नहीं", being))
        return Sentence(join("there", be, thing.english, english), join(place, thing.direct, being))

    # Having and feeling

    def _some(self, word: Word) -> Phrase:
        """A thing that is not a certain one."""
        thing = self._phrases.noun(word)
        while thing.is_certain:
            thing = self._phrases.noun(word)
        return thing

    def _has(self) -> Sentence:
        """Someone has a thing by him, or a relative."""
        subject = self._phrases.anyone()
        nouns = [
            one
            for one in self._lexicon.words("noun")
            if one.uses & {"kin", "thing", "vehicle", "animal", "food", "had"}
        ]
        word = self._random.choice([one for one in nouns if "one" not in one.uses])
        thing, is_kin = self._some(word), "kin" in word.uses
        by_whom = "" if is_kin else subject.with_postposition("के पास")
        if self._chance(0.2) and "mass" not in word.uses:
            singular, _, irregular = word.english.partition("/")
            forms = hindi.noun_forms(word.hindi, word.grammar)
            agreement = Agreement(word.grammar.startswith("f"), is_plural=True)
            english = join("how many", irregular or plural(singular), english_do(subject), subject.english, "have")
            owner = by_whom or subject.owning(agreement)
            many = join(owner, agree("कितना", agreement), forms.direct_plural, hindi.is_now(agreement))
            return Sentence(english, many, "?")
        owner, being = by_whom or subject.owning(thing.agreement), hindi.is_now(thing.agreement)
        if self._chance(0.2):
            return Sentence(
                join(subject.english, english_do(subject), "not have", thing.english),
                join(owner, thing.direct, "नहीं", being),
            )
        return Sentence(join(subject.english, english_have(subject), thing.english), join(owner, thing.direct, being))

    def _wants(self) -> Sentence:
        """Someone likes, needs or wants a thing."""
        subject, (no, denied) = self._phrases.anyone(), self._not()
        does = english_do(subject)
        if self._chance(0.5):
            thing = self._phrases.noun(
                self._phrases.word("noun", "food", "drink", "readable", "watched", "sung", "worn"), is_bare=False
            )
            verb, translation = "like", join("पसंद", denied, hindi.is_now(thing.agreement))
        else:
            thing = self._phrases.noun(self._phrases.word("noun", "thing", "food", "drink", "vehicle", "small"))
            verb, translation = self._random.choice(("need", "want")), join(denied, "चाहिए")
        english = f"{does} not {verb}" if no else verb + ("s" if does == "does" else "")
        return Sentence(
            join(subject.english, english, thing.english_object), join(subject.dative, thing.direct, translation)
        )

    def _feels(self) -> Sentence:
        """Someone is hungry, which in Hindi comes to him."""
        subject = self._phrases.anyone()
        english, (felt, verb, is_feminine) = self._random.choice(list(_FEELINGS.items()))
        is_past, (no, denied) = self._chance(0.2), self._not()
        being = (hindi.was if is_past else hindi.is_now)(Agreement(is_feminine))
        translation, be = join(subject.dative, felt, denied, verb, being), english_be(subject, is_past=is_past)
        if not no and self._chance(0.15):
            return Sentence(join(be, subject.english, english), f"क्या {translation}", "?")
        return Sentence(join(subject.english, be, no, english), translation)

    def _weather(self) -> Sentence:
        english, (translation, use) = self._random.choice(list(_WEATHER.items()))
        if self._chance(0.4):
            return Sentence(english, translation)
        time, when = self._time(use)
        return Sentence(f"{english} {time}", f"{when} {translation}")

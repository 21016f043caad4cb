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
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nlp_lstm.data import hindi
from nlp_lstm.data.example import ParallelExample
from nlp_lstm.data.freedict import read_dictionary
from nlp_lstm.data.hindi import Agreement, agree
from nlp_lstm.data.hindi_clauses import (
    TENSES,
    Parts,
    base,
    english_be,
    english_do,
    english_have,
    english_question,
    english_verb,
    hindi_clause,
    hindi_order,
)
from nlp_lstm.data.hindi_phrases import (
    FRIEND,
    NUMBERS,
    PRONOUNS,
    SPEAKER,
    THIRD,
    Lexicon,
    Phrase,
    PhraseMaker,
    Word,
    join,
    make_phrase,
    plural,
    read_lexicon,
)
from nlp_lstm.data.parallel import Pair, make_parallel
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.data.sources import Say
from nlp_lstm.errors import DataError

LEXICON = Path(__file__).with_name("lexicon-en-hi.tsv")
NUM_PAIRS = 40_000
NUM_DICTIONARY_PAIRS = 80_000

_PLACES = {"under": "के नीचे", "behind": "के पीछे", "in front of": "के सामने", "near": "के पास"}
_CUPS = {"a cup of": "एक कप", "two cups of": "दो कप"}
_GLASSES = {"a glass of": "एक गिलास", "two glasses of": "दो गिलास", "a bottle of": "एक बोतल"}
_DEGREES = (("", ""), ("", ""), ("very", "बहुत"), ("too", "बहुत ज़्यादा"))
_JOINTS = (("and", "और"), ("but", "लेकिन"), ("because", "क्योंकि"))
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
    "it is hot": ("गरमी है", "now"),
    "it is cold": ("ठंड है", "now"),
    "it was cold": ("ठंड थी", "past"),
}
_SHORT_BE = {"i am": "i'm", "i will": "i'll", "cannot": "can't", "will not": "won't"}
_SHORT_NOT = ("is", "are", "was", "were", "do", "does", "did", "has", "have", "should")
_SHORT_HELPERS = {"is": "'s", "are": "'re", "will": "'ll"}
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


class Sentence(NamedTuple):
    """A sentence in both languages, without its capital and its mark."""

    english: str
    hindi: str
    mark: str = "."


def read_lexicon_pairs(paths: Sequence[Path], reading: ParallelSettings, say: Say) -> list[ParallelExample]:
    """Make sentence pairs of the words of a lexicon.

    Raises:
        DataError: the languages are others, or what ``read_lexicon`` raises.
    """
    return _make_parallel(paths, Lexicon(read_lexicon(paths[0])), NUM_PAIRS, reading, say)


def read_dictionary_pairs(paths: Sequence[Path], reading: ParallelSettings, say: Say) -> list[ParallelExample]:
    """Make sentence pairs of the words of the lexicon that comes with the package, and of a dictionary's.

    Raises:
        DataError: the languages are others, or what ``read_dictionary`` raises.
    """
    own = read_lexicon(LEXICON)
    known = {form for word in own for form in word.english.replace("/", " ").split()}
    more = [word for word in read_dictionary(paths[0]) if word.english.split()[0] not in known]
    return _make_parallel(paths, Lexicon(own, more), NUM_DICTIONARY_PAIRS, reading, say)


def _make_parallel(
    paths: Sequence[Path], lexicon: Lexicon, num_pairs: int, reading: ParallelSettings, say: Say
) -> list[ParallelExample]:
    if reading.languages != {"en", "hi"}:
        raise DataError(f"{paths[0]}: makes sentences in English and Hindi, not {reading.pair}")
    pairs = make_pairs(lexicon, num_pairs, seed=1)
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
        self._lexicon = lexicon
        self._random = generator
        self._phrases = PhraseMaker(lexicon, generator)
        self._chance = self._phrases.chance
        self._forms = {
            self._action: 38,
            self._order: 8,
            self._question: 14,
            self._is_so: 8,
            self._is_somewhere: 4,
            self._is_someone: 2,
            self._is_more_so: 2,
            self._is_most_so: 2,
            self._is_this: 3,
            self._is_called: 1,
            self._how_is: 2,
            self._is_old: 1,
            self._if: 2,
            self._there_is: 4,
            self._has: 5,
            self._wants: 6,
            self._feels: 3,
            self._weather: 2,
            self._joined: 4,
        }

    def make(self) -> tuple[str, str]:
        """Return a sentence with its translation."""
        made = self._random.choices(list(self._forms), list(self._forms.values()))[0]()
        english = shorten(made.english) if self._chance(0.3) else made.english
        english = " ".join("I" + word[1:] if word.split("'")[0] == "i" else word for word in english.split())
        return english[:1].upper() + english[1:] + made.mark, made.hindi + ("?" if made.mark == "?" else "।")

    # Someone does something

    def _action(self) -> Sentence:
        subject, verb = self._phrases.anyone(), self._phrases.word("verb")
        tense = self._tense(verb)
        is_negative = self._chance(0.22)
        parts = self._parts(verb, subject)
        if self._chance(0.14):
            friend = self._phrases.noun(self._phrases.word("noun", "kin", "bond"), subject)
            parts = parts.then(f"with {friend.english_object}", friend.with_postposition("के साथ"))
        elif self._chance(0.12) and not verb.uses & {"goal", "source", "inside"}:
            parts = parts.then(*self._place())
        elif self._chance(0.12):
            parts = parts.beside_verb(*self._time("manner"))
        adverb, use = "", TENSES[tense][1]
        if tense in ("habit", "past", "future") and self._chance(0.05):
            english = english_verb(verb, tense, subject, adverb="never")
            denied = hindi_clause(verb, tense, subject, parts.beside_verb("", "कभी"), is_negative=True)
            return Sentence(join(subject.english, english, parts.english), denied)
        if tense == "habit" and not is_negative and self._chance(0.08):
            chosen = self._phrases.word("time", "adverb")
            adverb, parts = chosen.english, parts.then("", chosen.hindi)
        elif use and self._chance(0.25):
            parts = parts.then(*self._time(use))
        english = english_verb(verb, tense, subject, is_negative=is_negative, adverb=adverb)
        return Sentence(
            join(subject.english, english, parts.english),
            hindi_clause(verb, tense, subject, parts, is_negative=is_negative),
        )

    def _tense(self, verb: Word) -> str:
        """One that the verb can have: nobody is knowing."""
        tense = self._random.choices(list(TENSES), [share for share, _ in TENSES.values()])[0]
        return self._tense(verb) if "stative" in verb.grammar and tense in ("now", "was") else tense

    def _time(self, use: str) -> tuple[str, str]:
        word = self._phrases.word("time", use)
        return word.english, word.hindi

    def _parts(self, verb: Word, subject: Phrase) -> Parts:
        """What the verb is done to, or where."""
        if "to" in verb.uses:
            return self._gift(verb, subject)
        if "alone" in verb.uses:
            return Parts()
        if verb.uses & {"goal", "source"}:
            return Parts() if self._chance(0.3) else Parts(*self._way(verb))
        if verb.uses & {"inside", "seat", "work"} and verb.hindi != "साफ़ कर":
            return Parts() if self._chance(0.3) else Parts(*self._place(is_seat="seat" in verb.uses))
        if verb.uses == {"water"}:
            place = self._phrases.noun(self._phrases.word("noun", "water"), is_bare=True)
            return Parts(f"in {place.english_object}", f"{place.oblique} में")
        target, is_living = self._object(verb, subject)
        marker = verb.grammar.split()[-1]
        if marker in ("से", "पर"):
            return Parts(target.english_object, target.with_postposition(marker))
        if marker in ("का", "की"):
            return Parts(target.english_object, target.owning(Agreement(is_feminine=marker == "की")))
        if marker == "ko" or (is_living and target.is_certain):
            return Parts(target.english_object, target.dative, has_object=True)
        return Parts(target.english_object, target.direct, target.agreement, has_object=True)

    def _object(self, verb: Word, subject: Phrase) -> tuple[Phrase, bool]:
        """What the verb is done to, and whether that lives."""
        use = self._random.choice(sorted(verb.uses - {"to"}))
        if use == "language":
            return self._phrases.name("language"), False
        if use == "person":
            return self._someone_else(subject), True
        if use == "drink" and self._chance(0.25):
            word = self._phrases.word("noun", "drink")
            english, measure = self._random.choice(list((_CUPS if "made" in word.uses else _GLASSES).items()))
            agreement = Agreement(is_feminine=measure == "एक बोतल", is_plural=english.startswith("two"))
            return make_phrase(f"{english} {word.english}", f"{measure} {word.hindi}", "", agreement), False
        return self._phrases.noun(self._phrases.word("noun", use), subject), use == "animal"

    def _someone_else(self, subject: Phrase) -> Phrase:
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
        taker = self._someone_else(subject)
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

    def _place(self, *, is_seat: bool = False) -> tuple[str, str]:
        """Where something is."""
        roll = 0.7 if is_seat and self._chance(0.5) else self._random.random()
        if roll < 0.07:
            return "at home", "घर पर"
        if roll < 0.12:
            return self._time("spot")
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
        parts = self._parts(verb, FRIEND)
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
        tense = self._tense(verb)
        parts = self._parts(verb, subject)
        english = english_question(verb, tense, subject)
        roll = self._random.random()
        if roll < 0.3:
            translation = "क्या " + hindi_clause(verb, tense, subject, parts)
            return Sentence(join(english, parts.english), translation, "?")
        if roll < 0.4:
            english = english_verb(verb, tense, _WHO)
            return Sentence(join("who", english, parts.english), hindi_clause(verb, tense, _WHO, parts), "?")
        if roll < 0.6 and parts.has_object and not verb.uses & {"to", "person", "animal", "language"}:
            what = Parts(hindi="क्या", has_object=True)
            return Sentence(join("what", english), hindi_clause(verb, tense, subject, what), "?")
        name, asked = self._random.choice((("where", "कहाँ"), ("why", "क्यों"), ("when", "कब")))
        if name == "where" and not parts.has_object:
            parts = Parts()
        translation = hindi_clause(verb, tense, subject, parts, asked=asked)
        return Sentence(join(name, english, parts.english), translation, "?")

    # Being

    def _known_thing(self) -> tuple[Phrase, Word]:
        """Someone or something of which something can be said, and its noun."""
        if self._chance(0.35):
            return self._phrases.anyone(), self._phrases.word("noun", "person")
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
        if self._chance(0.15):
            return Sentence(join(be, thing.english, english), join("क्या", thing.direct, shown, being), "?")
        return Sentence(join(thing.english, be, no, degree, english), join(thing.direct, much, shown, denied, being))

    def _is_more_so(self) -> Sentence:
        thing, word = self._known_thing()
        adjective = self._phrases.adjective(word)
        if adjective is None or thing.is_pronoun:
            return self._is_more_so()
        other = self._phrases.noun(word)
        english, compared = other.english_object, other.oblique
        if self._chance(0.3):
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
        adjective = self._phrases.adjective(word)
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

    def _if(self) -> Sentence:
        """If one thing happens, another will."""
        subject, verb = self._phrases.anyone(), self._phrases.word("verb")
        parts = self._parts(verb, subject)
        condition = join("if", subject.english, english_verb(verb, "habit", subject), parts.english)
        happens = join("अगर", hindi_clause(verb, "future", subject, parts), "तो")
        other, then = self._phrases.anyone(), self._phrases.word("verb")
        parts = self._parts(then, other)
        english = join(other.english, english_verb(then, "future", other), parts.english)
        return Sentence(f"{condition}, {english}", join(happens, hindi_clause(then, "future", other, parts)))

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
        article = "an" if word.english[0] in "aeiou" else "a"
        english = f"{article} {word.english.split('/')[0]}"
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

    # Two clauses

    def _joined(self) -> Sentence:
        first, second = self._action(), self._action()
        if self._chance(0.3):
            speaker = self._phrases.anyone()
            does = "s" if english_do(speaker) == "does" else ""
            verb, knows = self._random.choice((("know", "पता है"), ("think", "लगता है")))
            return Sentence(
                join(speaker.english, verb + does, "that", second.english),
                join(speaker.dative, knows, "कि", second.hindi),
            )
        english, translation = self._random.choice(_JOINTS)
        return Sentence(join(first.english, english, second.english), join(first.hindi, translation, second.hindi))


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

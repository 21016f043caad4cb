"""Verbs in English and Hindi sentences: of a tense, with a subject, denied or asked.

past, she, read a book    did not read    नहीं पढ़ी    (the past agrees with what was read)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from nlp_lstm.data import hindi
from nlp_lstm.data.hindi import Agreement, agree
from nlp_lstm.data.hindi_phrases import SPEAKER, THIRD, Phrase, Word, join

TENSES = {  # how often each is made, and which times of the lexicon go with it
    "habit": (18, "habit"),
    "now": (18, "now"),
    "past": (22, "past"),
    "was": (7, "past"),
    "used": (4, ""),
    "future": (14, "future"),
    "going": (2, "future"),
    "can": (7, ""),
    "may": (2, "future"),
    "want": (6, ""),
    "would": (2, ""),
    "like": (3, ""),
    "skill": (1, ""),
    "must": (5, "future"),
    "ought": (2, "future"),
    "should": (4, ""),
    "perfect": (5, ""),
    "already": (2, ""),
    "had": (2, ""),
    "could": (4, "past"),
    "able": (2, "past"),
    "tried": (3, "past"),
    "began": (2, "past"),
    "stopped": (1, ""),
    "decided": (2, ""),
}
BASE, PAST, PARTICIPLE, ING = range(4)  # forms of an English verb
BEFORE_PARTICLE = "~"  # marks an object that goes between the parts of a verb, as in: wake him up
_HELPERS = {
    "future": ("will", BASE),
    "can": ("can", BASE),
    "could": ("could", BASE),
    "may": ("may", BASE),
    "ought": ("must", BASE),
    "should": ("should", BASE),
    "would": ("would", BASE),
    "had": ("had", PARTICIPLE),
    "used": ("did", BASE),
    "past": ("did", BASE),
    "tried": ("did", BASE),
    "began": ("did", BASE),
    "decided": ("did", BASE),
    "stopped": ("did", ING),
}
_AFTER_HELPER = {
    "want": "want to",
    "would": "like to",
    "like": "like to",
    "skill": "know how to",
    "must": "have to",
    "used": "use to",
    "tried": "try to",
    "began": "begin to",
    "stopped": "stop",
    "decided": "decide to",
    "going": "going to",
    "able": "able to",
}
_STATED = {"used": "used to", "tried": "tried to", "began": "began to", "decided": "decided to", "stopped": "stopped"}
_ERGATIVE = ("past", "perfect", "had")
_ALWAYS_ERGATIVE = ("tried", "decided", "stopped")
_DATIVE = ("must", "ought", "should", "like", "skill")
_NO = "नहीं"


class Sentence(NamedTuple):
    """A sentence in both languages, without its capital and its mark."""

    english: str
    hindi: str
    mark: str = "."


@dataclass(frozen=True, slots=True)
class Parts:
    """What a verb needs besides its subject.

    Args:
        english: stands behind the verb.
        hindi: stands before it.
        agreement: of a direct object without को, with which the past agrees.
        has_object: whether there is a direct object.
    """

    english: str = ""
    hindi: str = ""
    agreement: Agreement = THIRD
    has_object: bool = False

    def then(self, english: str, translation: str) -> Parts:
        """Return them with something behind in English and in front in Hindi."""
        return replace(self, english=join(self.english, english), hindi=join(translation, self.hindi))

    def beside_verb(self, english: str, translation: str) -> Parts:
        """Return them with something behind in both languages, where Hindi has how a thing is done."""
        return replace(self, english=join(self.english, english), hindi=join(self.hindi, translation))


def form(verb: Word, number: int) -> str:
    """Return one of the four forms of an English verb: `BASE`, `PAST`, `PARTICIPLE`, `ING`."""
    return verb.english.split()[number].replace("_", " ")


def base(verb: Word) -> str:
    """Return an English verb as the dictionary has it."""
    return form(verb, BASE)


def english_be(subject: Phrase, *, is_past: bool = False) -> str:
    """Return the form of "to be"."""
    if subject is SPEAKER:
        return "was" if is_past else "am"
    if is_past:
        return "were" if subject.is_many else "was"
    return "are" if subject.is_many else "is"


def english_do(subject: Phrase) -> str:
    """Return the form of "to do"."""
    return "do" if subject.is_many or subject is SPEAKER else "does"


def english_have(subject: Phrase) -> str:
    """Return the form of "to have"."""
    return "have" if subject.is_many or subject is SPEAKER else "has"


def _helper(tense: str, subject: Phrase) -> tuple[str, int]:
    """The helping verb of questions and denials, and which form of the verb follows it."""
    if tense in ("now", "was"):
        return english_be(subject, is_past=tense == "was"), ING
    if tense in ("going", "able"):
        return english_be(subject, is_past=tense == "able"), BASE
    if tense in ("perfect", "already"):
        return english_have(subject), PARTICIPLE
    return _HELPERS.get(tense, (english_do(subject), BASE))


def _after_helper(verb: Word, tense: str, number: int) -> str:
    return join(_AFTER_HELPER.get(tense, ""), form(verb, number))


def english_verb(verb: Word, tense: str, subject: Phrase, *, is_negative: bool = False, adverb: str = "") -> str:
    """Return the verb of a statement with its helping verbs.

    Args:
        verb: from the lexicon.
        tense: one of `TENSES`.
        subject: whom it agrees with.
        is_negative: whether it is denied.
        adverb: such as "always" and "never", before the verb or behind its helper.
    """
    helper, number = _helper(tense, subject)
    if is_negative:
        if tense == "can":
            return "cannot " + base(verb)
        return f"{helper} not {_after_helper(verb, tense, number)}"
    takes_s = english_do(subject) == "does"
    if tense == "habit":
        return join(adverb, third_person(base(verb)) if takes_s else base(verb))
    if tense == "past":
        return join(adverb, form(verb, PAST))
    if tense in _STATED:
        return join(_STATED[tense], form(verb, number))
    if tense in ("want", "like", "skill", "must"):
        after = _after_helper(verb, tense, number)
        if tense == "must":
            return english_have(subject) + after.removeprefix("have")
        return third_person(after, takes_s=takes_s)
    return join(helper, "already" if tense == "already" else adverb, _after_helper(verb, tense, number))


def english_question(verb: Word, tense: str, subject: Phrase) -> str:
    """Return helping verb, subject and verb of a question."""
    helper, number = _helper(tense, subject)
    return f"{helper} {subject.english} {_after_helper(verb, tense, number)}"


def deny(helper: str) -> str:
    """Return a helping verb with its short "not"."""
    return {"can": "can't", "will": "won't", "am": "aren't"}.get(helper, f"{helper}n't")


def third_person(verb: str, *, takes_s: bool = True) -> str:
    """Return the form with -s of an English verb, where the subject wants one."""
    if not takes_s:
        return verb
    first, _, rest = verb.partition(" ")
    if first.endswith("y") and first[-2] not in "aeiou":
        first = first[:-1] + "ies"
    else:
        first += "es" if first.endswith(("s", "sh", "ch", "x", "o")) else "s"
    return join(first, rest)


def hindi_clause(
    verb: Word, tense: str, subject: Phrase, parts: Parts, *, is_negative: bool = False, asked: str = ""
) -> str:
    """Return the clause: subject, parts, what is asked, verb.

    Args:
        verb: from the lexicon.
        tense: one of `TENSES`.
        subject: in the case that verb and tense want.
        parts: stand between.
        is_negative: whether it is denied.
        asked: a question word.
    """
    is_ergative = tense in _ALWAYS_ERGATIVE or (tense in _ERGATIVE and verb.grammar.startswith("ne"))
    case = subject.direct
    agreement = subject.agreement
    if is_ergative:
        case = subject.ergative
        fixed = {"m": THIRD, "f": Agreement(is_feminine=True)}
        agreement = next((fixed[part] for part in verb.grammar.split() if part in fixed), parts.agreement)
    elif tense in _DATIVE:
        case, agreement = subject.dative, parts.agreement
    before, _, last = verb.hindi.rpartition(" ")
    if "agrees" in verb.grammar:
        before = agree(before, agreement)
    return join(case, parts.hindi, asked, before, _hindi_verb(verb, last, tense, agreement, is_negative=is_negative))


def _hindi_verb(verb: Word, stem: str, tense: str, agreement: Agreement, *, is_negative: bool) -> str:
    no = _NO if is_negative else ""
    now, was = hindi.is_now(agreement), hindi.was(agreement)
    if tense in ("now", "was"):
        going = agree(hindi.done(stem) if "state" in verb.grammar else "रहा", agreement)
        return join(no, going if "state" in verb.grammar else f"{stem} {going}", now if tense == "now" else was)
    if tense == "want":
        wants = hindi.ends_clause("चाहता", agreement) if is_negative else f"{agree('चाहता', agreement)} {now}"
        return join(hindi.infinitive(stem), no, wants)
    oblique = agree(hindi.infinitive(stem), THIRD, is_oblique=True)
    if tense == "tried":
        return join(oblique, "की कोशिश", no, "की")
    if tense == "decided":
        return join(oblique, "का फ़ैसला", no, "किया")
    if tense == "stopped":
        return join(hindi.infinitive(stem), "बंद", no, "किया")
    if tense == "began":
        return join(oblique, no, hindi.ends_clause("लगा", agreement))
    if tense == "going":
        return join(oblique, agree("वाला", agreement), no, now)
    if tense in ("could", "able"):
        return join(no, stem, hindi.ends_clause("सका" if tense == "could" else "पाया", agreement))
    if tense == "already":
        return join(no, stem, agree("चुका", agreement), now)
    if tense in ("habit", "can", "may"):
        words, last = ("", hindi.habit(stem)) if tense == "habit" else (stem, "सकता")
        if is_negative:  # "is" is left out
            return join(no, words, hindi.ends_clause(last, agreement))
        return join(words, agree(last, agreement), now)
    if tense == "would":
        return join(hindi.infinitive(stem), no, hindi.will("चाह", agreement))
    if tense == "used":
        return join(no, agree(hindi.habit(stem), agreement), was)
    if tense == "future":
        return join(no, hindi.will(stem, agreement))
    if tense in ("perfect", "had"):
        return join(no, agree(hindi.done(stem), agreement), now if tense == "perfect" else was)
    if tense == "like":
        return join(hindi.infinitive(stem), "पसंद", no, "है")
    if tense == "skill":
        return join(agree(hindi.infinitive(stem), agreement), no, agree("आता", agreement), now)
    if tense in _DATIVE:
        must = {"must": now, "ought": hindi.will("पड़", agreement), "should": "चाहिए"}[tense]
        return join(no, agree(hindi.infinitive(stem), agreement), must)
    return join(no, hindi.did(stem, agreement))


def hindi_infinitive(verb: Word, parts: Parts, *, is_oblique: bool = False) -> str:
    """Return parts and verb as what is named: किताब पढ़ना, or before a postposition किताब पढ़ने."""
    return join(parts.hindi, agree(hindi.infinitive(verb.hindi), THIRD, is_oblique=is_oblique))


def hindi_wish(verb: Word, subject: Phrase, parts: Parts) -> str:
    """Return a clause in the subjunctive, as it follows कि after a wish."""
    return join(subject.direct, parts.hindi, hindi.may(verb.hindi, subject.agreement))


def hindi_order(verb: Word, parts: Parts, *, is_polite: bool = False, is_negative: bool = False) -> str:
    """Return what someone is told or asked to do, or told not to do."""
    before, _, last = verb.hindi.rpartition(" ")
    order = hindi.request(last) if is_polite else hindi.command(last)
    return join("कृपया" if is_polite else "", parts.hindi, before, "मत" if is_negative else "", order)

"""Verbs in English and Hindi sentences: of a tense, with a subject, denied or asked.

past, she, read a book    did not read    नहीं पढ़ी    (the past agrees with what was read)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nlp_lstm.data import hindi
from nlp_lstm.data.hindi import Agreement, agree
from nlp_lstm.data.hindi_phrases import SPEAKER, THIRD, Phrase, Word, join

TENSES = {  # how often each is made, and which times of the lexicon go with it
    "habit": (18, "habit"),
    "now": (18, "now"),
    "past": (20, "past"),
    "was": (8, "past"),
    "used": (5, ""),
    "future": (14, "future"),
    "can": (7, ""),
    "want": (7, ""),
    "must": (5, "future"),
    "should": (3, ""),
    "perfect": (6, ""),
    "could": (4, "past"),
    "tried": (4, "past"),
}
BASE, PAST, PARTICIPLE, ING = range(4)  # forms of an English verb
_ERGATIVE = ("past", "perfect")
_DATIVE = ("must", "should")
_NO = "नहीं"


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
    if tense == "perfect":
        return english_have(subject), PARTICIPLE
    helpers = {"future": "will", "can": "can", "could": "could", "should": "should"}
    helpers |= dict.fromkeys(("past", "used", "tried"), "did")
    return helpers.get(tense, english_do(subject)), BASE


def _after_helper(verb: Word, tense: str, number: int) -> str:
    before = {"want": "want to ", "must": "have to ", "used": "use to ", "tried": "try to "}.get(tense, "")
    return before + form(verb, number)


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
    if tense in ("used", "tried"):
        return f"{tense} to {base(verb)}"
    if tense == "want":
        return f"{'wants' if takes_s else 'want'} to {base(verb)}"
    if tense == "must":
        return f"{english_have(subject)} to {base(verb)}"
    return join(helper, adverb, _after_helper(verb, tense, number))


def english_question(verb: Word, tense: str, subject: Phrase) -> str:
    """Return helping verb, subject and verb of a question."""
    helper, number = _helper(tense, subject)
    return f"{helper} {subject.english} {_after_helper(verb, tense, number)}"


def third_person(verb: str) -> str:
    """Return the form with -s of an English verb."""
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
    is_ergative = tense == "tried" or (tense in _ERGATIVE and verb.grammar.startswith("ne"))
    case = subject.direct
    agreement = subject.agreement
    if is_ergative:
        case = subject.ergative
        fixed = {"m": THIRD, "f": Agreement(is_feminine=True)}
        agreement = next((fixed[part] for part in verb.grammar.split() if part in fixed), parts.agreement)
    elif tense in _DATIVE:
        case, agreement = subject.dative, parts.agreement
    before, _, last = verb.hindi.rpartition(" ")
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
    if tense == "tried":
        return join(agree(hindi.infinitive(stem), THIRD, is_oblique=True), "की कोशिश", no, "की")
    if tense == "could":
        return join(no, stem, hindi.ends_clause("सका", agreement))
    if tense in ("habit", "can"):
        words, last = ("", hindi.habit(stem)) if tense == "habit" else (stem, "सकता")
        if is_negative:  # "is" is left out
            return join(no, words, hindi.ends_clause(last, agreement))
        return join(words, agree(last, agreement), now)
    if tense == "used":
        return join(no, agree(hindi.habit(stem), agreement), was)
    if tense == "future":
        return join(no, hindi.will(stem, agreement))
    if tense == "perfect":
        return join(no, agree(hindi.done(stem), agreement), now)
    if tense in _DATIVE:
        must = now if tense == "must" else "चाहिए"
        return join(no, agree(hindi.infinitive(stem), agreement), must)
    return join(no, hindi.did(stem, agreement))


def hindi_order(verb: Word, parts: Parts, *, is_polite: bool = False, is_negative: bool = False) -> str:
    """Return what someone is told or asked to do, or told not to do."""
    before, _, last = verb.hindi.rpartition(" ")
    order = hindi.request(last) if is_polite else hindi.command(last)
    return join("कृपया" if is_polite else "", parts.hindi, before, "मत" if is_negative else "", order)

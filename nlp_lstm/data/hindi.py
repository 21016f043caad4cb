"""Forms of Hindi words: nouns by number and case, adjectives and verbs by whom they agree with.

    लड़का     boy: लड़के boys, लड़के को to the boy, लड़कों को to the boys
    खा       eat: खाता हूँ, खा रहा है, खाया, खाएगा, खाओ, खाइए

Only what rules give, with the irregular verbs; the words themselves are in lexicon-en-hi.tsv.

Source: Kachru, "Hindi", London Oriental and African Language Library 12 (2006), chapters 4 and 5.
"""

from __future__ import annotations

from typing import NamedTuple

_VOWELS = tuple("ािीुूेैोौअआइईउऊएऐओऔ")
_INVARIANT, _FEMININE = "i", "f"
_PERFECTIVES = {"जा": "गया", "छू": "छुआ", "कर": "किया", "ले": "लिया", "दे": "दिया", "पी": "पिया", "हो": "हुआ"}
_COMMANDS = {"ले": "लो", "दे": "दो", "पी": "पियो"}
_REQUESTS = {"कर": "कीजिए", "ले": "लीजिए", "दे": "दीजिए", "पी": "पीजिए"}
_FUTURE_STEMS = {"ले": "ल", "दे": "द", "पी": "पि"}
_BE = {"ऊँग": "ूँग", "ओग": "ोग", "एँग": "ोंग", "एग": "ोग"}  # endings of हो


class Agreement(NamedTuple):
    """Whom a word agrees with.

    Args:
        is_feminine: the gender.
        is_plural: the number; respected people are plural.
        person: 1, 2 or 3.
    """

    is_feminine: bool = False
    is_plural: bool = False
    person: int = 3


class NounForms(NamedTuple):
    """A noun in both cases, the direct one and the oblique one that stands before postpositions, and both numbers."""

    direct: str
    direct_plural: str
    oblique: str
    oblique_plural: str


def noun_forms(word: str, grammar: str) -> NounForms:
    """Return the forms of a noun.

    Args:
        word: direct singular.
        grammar: "m" or "f"; with "i" a final ा stays in the singular, as in राजा and पत्रिका.
    """
    stem = word[:-1]
    if grammar.startswith(_FEMININE):
        if word.endswith(("ी", "ि")):
            return NounForms(word, stem + "ियाँ", word, stem + "ियों")
        if word.endswith("िया"):
            return NounForms(word, word + "ँ", word, word[:-1] + "ों")
        if word.endswith(_VOWELS):
            return NounForms(word, word + "एँ", word, word + "ओं")
        return NounForms(word, word + "ें", word, word + "ों")
    if word.endswith("ा") and _INVARIANT not in grammar:
        return NounForms(word, stem + "े", stem + "े", stem + "ों")
    if word.endswith("आ") and _INVARIANT not in grammar:
        return NounForms(word, stem + "ए", stem + "ए", stem + "ओं")
    if word.endswith(("ी", "ि")):
        return NounForms(word, word, word, stem + "ियों")
    if word.endswith("इया"):
        return NounForms(word, word, word, stem + "ों")
    if word.endswith("ू"):
        return NounForms(word, word, word, stem + "ुओं")
    return NounForms(word, word, word, word + ("ओं" if word.endswith(_VOWELS) else "ों"))


def agree(words: str, agreement: Agreement, *, is_oblique: bool = False) -> str:
    """Return adjectives, participles or possessives in the form that goes with a noun.

    Args:
        words: in the masculine singular; those that do not end in ा stay.
        agreement: of the noun.
        is_oblique: whether the noun stands before a postposition.
    """
    changed = []
    for word in words.split():
        ending = ("ी", "ई") if agreement.is_feminine else ("े", "ए")
        is_changed = agreement.is_feminine or agreement.is_plural or is_oblique
        if not is_changed or not word.endswith(("ा", "आ")):
            changed.append(word)
        elif word.endswith("िया"):
            changed.append(word[:-3] + ("ी" if agreement.is_feminine else "िए"))
        elif word.endswith(("या", "आ")):
            changed.append(word[: -2 if word.endswith("या") else -1] + ending[1])
        else:
            changed.append(word[:-1] + ending[0])
    return " ".join(changed)


def is_now(agreement: Agreement) -> str:
    """Return the present of "to be"."""
    if agreement.person == 2:
        return "हो"
    if agreement.is_plural:
        return "हैं"
    return "हूँ" if agreement.person == 1 else "है"


def was(agreement: Agreement) -> str:
    """Return the past of "to be"."""
    return ends_clause("था", agreement)


def ends_clause(word: str, agreement: Agreement) -> str:
    """Return a participle that no "is" follows: in the feminine plural it ends in a nasal."""
    return agree(word, agreement) + ("ं" if agreement.is_feminine and agreement.is_plural else "")


def _split(stem: str) -> tuple[str, str]:
    """The words before the verb, as in काम कर, with a space, and the verb."""
    before, _, verb = stem.rpartition(" ")
    return (before + " " if before else ""), verb


def habit(stem: str) -> str:
    """Return the imperfective participle."""
    return stem + "ता"


def infinitive(stem: str) -> str:
    """Return the infinitive."""
    return stem + "ना"


def done(stem: str) -> str:
    """Return the perfective participle."""
    before, verb = _split(stem)
    return before + _PERFECTIVES.get(verb, verb + ("या" if verb.endswith(_VOWELS) else "ा"))


def did(stem: str, agreement: Agreement) -> str:
    """Return the simple past."""
    return ends_clause(done(stem), agreement)


def will(stem: str, agreement: Agreement) -> str:
    """Return the future."""
    before, verb = _split(stem)
    short = verb in ("ले", "दे")
    verb = _FUTURE_STEMS.get(verb, verb)
    has_vowel = verb.endswith(_VOWELS) and not short
    if agreement.person == 2:
        ending = "ओग" if has_vowel else "ोग"
    elif agreement.is_plural:
        ending = "एँग" if has_vowel else "ेंग"
    elif agreement.person == 1:
        ending = "ऊँग" if has_vowel else "ूँग"
    else:
        ending = "एग" if has_vowel else "ेग"
    if verb == "हो":
        verb, ending = "ह", _BE[ending]
    return before + verb + agree(ending + "ा", agreement)


def may(stem: str, agreement: Agreement) -> str:
    """Return the subjunctive."""
    return will(stem, agreement)[: -len("गा")]


def command(stem: str) -> str:
    """Return what is said to a friend."""
    before, verb = _split(stem)
    return before + _COMMANDS.get(verb, verb + ("ओ" if verb.endswith(_VOWELS) else "ो"))


def request(stem: str) -> str:
    """Return what is said politely."""
    before, verb = _split(stem)
    return before + _REQUESTS.get(verb, verb + ("इए" if verb.endswith(_VOWELS) else "िए"))

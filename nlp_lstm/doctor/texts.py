"""Whether the texts are those that the model is for: the same in two splits, unknown words, other languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from nlp_lstm.data.overlap import normal_form
from nlp_lstm.doctor.findings import Finding
from nlp_lstm.errors import shorten

LEAST_LETTERS = 30  # of a text that counts as a duplicate; short ones repeat by chance
MOST_DUPLICATES = 0.02  # share of the texts of dev or test
FEWEST_DUPLICATES = 5
MOST_UNKNOWN = 0.35  # share of the words of dev that training has not
MOST_WITHOUT_VECTOR = 0.3
FEWEST_WORDS = 500
LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pt", "sv", "pl", "ru", "hi")
FEWEST_STOP_WORDS = 3  # of one language in a text, below which nothing is said of it
CLEARLY_MORE = 2.0  # times as many as of any other language
MOST_FOREIGN = 0.03
FEWEST_FOREIGN = 5


def check_duplicates(splits: Mapping[str, Sequence[str]], left_out: int = 0) -> list[Finding]:
    """Look for texts of dev or test that training has, too.

    Args:
        splits: "train", "dev" and "test" to the texts.
        left_out: training texts that were left out already because dev or test has them.
    """
    tested = len(splits["dev"]) + len(splits["test"])
    if left_out >= max(FEWEST_DUPLICATES, MOST_DUPLICATES * tested):
        return [
            Finding(
                fault="duplicates between splits",
                evidence=f"{left_out:,} training texts are in the dev or test part, too ({tested:,} texts).",
                remedy="They were left out of training. Look why: were the parts drawn from a list that holds texts "
                "twice?",
            )
        ]
    training = {form for form in map(normal_form, splits["train"]) if len(form) >= LEAST_LETTERS}
    findings = []
    for split in ("dev", "test"):
        long = [(text, form) for text in splits[split] if len(form := normal_form(text)) >= LEAST_LETTERS]
        shared = [text for text, form in long if form in training]
        if len(shared) >= max(FEWEST_DUPLICATES, MOST_DUPLICATES * len(long)):
            findings.append(
                Finding(
                    fault="duplicates between splits",
                    evidence=f"{len(shared):,} of {len(long):,} texts of {split} with {LEAST_LETTERS} or more letters "
                    f"are in the training data, too, such as {shorten(shared[0], 80)}.",
                    remedy="Take them out of the training data; figures on texts that were learnt mean nothing.",
                )
            )
    return findings


def check_coverage(
    training: Sequence[Sequence[str]],
    development: Sequence[Sequence[str]],
    vectors: Sequence[frozenset[str] | set[str]] = (),
) -> list[Finding]:
    """Look for words of the development data that neither training nor pretrained vectors know.

    Args:
        training: the words of each text.
        development: the same.
        vectors: the words of each set of pretrained vectors.
    """
    known = {word.lower() for words in training for word in words}
    words = [word for text in development for word in text if any(map(str.isalpha, word))]
    if len(words) < FEWEST_WORDS:
        return []
    findings = []
    unknown = Counter(word for word in words if word.lower() not in known)
    if unknown.total() > MOST_UNKNOWN * len(words):
        shown = ", ".join(word for word, _ in unknown.most_common(5))
        findings.append(
            Finding(
                fault="vocabulary coverage",
                evidence=f"{unknown.total() / len(words):.1%} of the development words do not occur in the training "
                f"texts, such as {shown}.",
                remedy="Train on more text of the same kind, or check that both were split into words alike.",
            )
        )
    seen = [word for text in training for word in text if any(map(str.isalpha, word))]
    for number, table in enumerate(vectors, start=1):
        missing = Counter(word for word in seen if word not in table and word.lower() not in table)
        if missing.total() > MOST_WITHOUT_VECTOR * len(seen):
            shown = ", ".join(word for word, _ in missing.most_common(5))
            findings.append(
                Finding(
                    fault="vocabulary coverage",
                    evidence=f"{missing.total() / len(seen):.1%} of the training words have no vector in pretrained "
                    f"set {number}, such as {shown}.",
                    remedy="Take vectors of this language and of the same spelling, or none "
                    "(model.embedding.vectors=null).",
                )
            )
            break
    return findings


def check_languages(texts: Iterable[str], language: str, where: str) -> list[Finding]:
    """Look for texts in another language than the recipe's.

    Args:
        texts: the texts.
        language: code of the language that they should be in.
        where: what they are, for the message.
    """
    if language not in LANGUAGES:
        return []
    found: Counter[str] = Counter()
    example: dict[str, str] = {}
    for text in texts:
        code = guess_language(text)
        if code:
            found[code] += 1
            example.setdefault(code, text)
    foreign = {code: count for code, count in found.items() if code != language}
    total = sum(foreign.values())
    if total < max(FEWEST_FOREIGN, MOST_FOREIGN * found.total()):
        return []
    code = max(foreign, key=lambda one: foreign[one])
    return [
        Finding(
            fault="mixed languages",
            evidence=f"Of {found.total():,} {where} whose language is clear {total:,} are not in {language}, "
            f"{foreign[code]:,} of them in {code}, such as {shorten(example[code], 80)}.",
            remedy="Take them out, train one model a language, or set `language` to what the texts are in.",
        )
    ]


def guess_language(text: str) -> str | None:
    """Return the code of the language that a text's commonest words are of, or None where that is not clear."""
    words = text.lower().split()
    counts = {code: sum(word.strip(".,;:!?\"'()") in stops for word in words) for code, stops in _stop_words().items()}
    best, second, *_ = sorted(counts, key=lambda code: counts[code], reverse=True)
    if counts[best] >= FEWEST_STOP_WORDS and counts[best] >= CLEARLY_MORE * counts[second]:
        return best
    return None


@lru_cache(maxsize=1)
def _stop_words() -> dict[str, frozenset[str]]:
    """The commonest words of each language, from spaCy, without what other languages have as well."""
    from importlib import import_module

    found = {code: set(import_module(f"spacy.lang.{code}.stop_words").STOP_WORDS) for code in LANGUAGES}
    shared = Counter(word for words in found.values() for word in words)
    return {code: frozenset(word for word in words if shared[word] == 1) for code, words in found.items()}

"""spaCy's rules for splitting text into tokens, as data, and applied without spaCy, which takes seconds to import.

    "(don't)"     prefix ( · suffix ) · special case do|n't        ( do n't )
    "e-mail."     suffix . · infix -                               e - mail .

The rules of a language are a file in ``rule_files``: the regular expressions of its affixes, and the special cases.
``python -m nlp_lstm.text.rules`` writes them from the spaCy that is installed. The splitting follows
``spacy/tokenizer.pyx`` and ``spacy/pipeline/sentencizer.pyx`` of spaCy 3.8 (MIT licence, Explosion) step by step, and
tests compare the two on every corpus at hand.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence, Set
from functools import cached_property, lru_cache
from itertools import accumulate, chain, count
from operator import add
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "rule_files"
LANGUAGES = ("de", "en", "hi")  # compared on the data sets; French has two megabytes of exceptions and is left to spaCy
SPANS_REMEMBERED = 50_000  # stretches without white space whose tokens are kept
PATTERNS = ("prefix_search", "suffix_search", "infix_finditer", "token_match", "url_match")

_SPANS = re.compile(r"\s+|\S+")


class Rules:
    """The rules of one language, ready to split.

    Args:
        values: what `export_rules` gave.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self._patterns: dict[str, str | None] = values["patterns"]
        self._special_cases: dict[str, tuple[str, ...]] = {
            text: tuple(parts) for text, parts in values["special_cases"].items()
        }
        self._phrases: dict[str, dict[str, list[tuple[str, ...]]]] = {}  # by their first and second word, if any
        for words in values["phrases"]:
            self._phrases.setdefault(words[0], {}).setdefault(words[1] if words[1:] else "", []).append(tuple(words))
        self._sentence_ends = frozenset(values["sentence_ends"])
        self._known: dict[str, tuple[str, ...]] = {}

    def split(self, text: str) -> tuple[list[str], list[int]]:
        """Return the tokens of a text and where each begins. White space other than single spaces is a token too."""
        words: list[str] = []
        starts: list[int] = []
        known = self._known
        for span, position in _cut_at_spaces(text):
            parts = known.get(span)
            if parts is None:
                parts = self._remember(span)
            if len(parts) == 1:
                words.append(span)
                starts.append(position)
                continue
            for part in parts:
                words.append(part)
                starts.append(position)
                position += len(part)
        if firsts := self._phrases.keys() & words:
            self._apply_phrases(text, words, starts, firsts)
        return words, starts

    def sentence_starts(self, words: Sequence[str]) -> list[bool]:
        """Return for each token whether a sentence begins there: after an end and the punctuation behind it."""
        starts = [False] * len(words)
        if words:
            starts[0] = True
        begin = 0
        for end in [place for place, word in enumerate(words) if word in self._sentence_ends]:
            if end < begin:
                continue  # the punctuation behind an earlier one
            begin = end + 1
            while begin < len(words) and (words[begin] in self._sentence_ends or _is_punctuation(words[begin])):
                begin += 1
            if begin < len(words):
                starts[begin] = True
        return starts

    def _remember(self, span: str) -> tuple[str, ...]:
        parts = self._special_cases.get(span)
        if parts is None:
            # No rule touches a word of plain letters, and the expressions for others take long to compile.
            parts = (span,) if span.isascii() and span.isalpha() else tuple(self._split_span(span, self._special_cases))
        if len(self._known) >= SPANS_REMEMBERED:
            self._known.clear()
        self._known[span] = parts
        return parts

    def _split_span(self, span: str, special_cases: dict[str, tuple[str, ...]]) -> list[str]:
        """Return the tokens of a stretch: affixes come off one by one, and what is left is cut at infixes."""
        prefixes: list[str] = []
        suffixes: list[str] = []
        size = -1
        while span and len(span) != size:
            if span in special_cases or self._is_whole(span):
                break
            size = len(span)
            prefix_size = self._prefix_size(span)
            if prefix_size and span[prefix_size:] in special_cases:
                prefixes.append(span[:prefix_size])
                span = span[prefix_size:]
                break
            suffix_size = self._suffix_size(span[prefix_size:])
            if suffix_size and span[:-suffix_size] in special_cases:
                suffixes.append(span[-suffix_size:])
                span = span[:-suffix_size]
                break
            if prefix_size and suffix_size and prefix_size + suffix_size <= size:
                prefixes.append(span[:prefix_size])
                suffixes.append(span[-suffix_size:])
                span = span[prefix_size:-suffix_size]
            elif prefix_size:
                prefixes.append(span[:prefix_size])
                span = span[prefix_size:]
            elif suffix_size:
                suffixes.append(span[-suffix_size:])
                span = span[:-suffix_size]
        return [*prefixes, *self._split_core(span, special_cases), *reversed(suffixes)]

    def _split_core(self, span: str, special_cases: dict[str, tuple[str, ...]]) -> Sequence[str]:
        """Return the tokens of a stretch without affixes."""
        if not span:
            return ()
        if span in special_cases:
            return special_cases[span]
        if (span.isascii() and span.isalpha()) or self._is_whole(span) or self._is_url(span):
            return (span,)
        parts = []
        start = 0
        for infix in self._find_infixes(span):
            if infix.start() == 0:
                continue
            if infix.start() != start:
                parts.append(span[start : infix.start()])
            if infix.group():
                parts.append(infix.group())
            start = infix.end()
        if start < len(span):
            parts.append(span[start:])
        return parts

    def _apply_phrases(self, text: str, words: list[str], starts: list[int], firsts: Set[str]) -> None:
        """Put special cases in place of tokens that their text was cut into, the longest ones first.

        Args:
            text: what the tokens are in.
            words: the tokens.
            starts: the place of each.
            firsts: those of the tokens that phrases begin with.
        """
        matches = []
        for place in [place for place, word in enumerate(words) if word in firsts]:
            phrases = self._phrases[words[place]]
            followers = words[place + 1 : place + 2]
            for phrase in chain.from_iterable(phrases.get(second, ()) for second in ("", *followers)):
                if tuple(words[place : place + len(phrase)]) == phrase:
                    matches.append((place, place + len(phrase)))
        seen: set[int] = set()
        chosen = []
        for start, end in sorted(matches, key=lambda match: (match[0] - match[1], match[0])):
            if start not in seen and end - 1 not in seen:
                chosen.append((start, end))
            seen.update(range(start, end))
        for start, end in sorted(chosen, reverse=True):
            first = starts[start]
            parts = self._special_cases.get(text[first : starts[end - 1] + len(words[end - 1])])
            if parts is None:  # the same words with spaces between them
                continue
            places = [first]
            for part in parts[:-1]:
                places.append(places[-1] + len(part))
            words[start:end] = parts
            starts[start:end] = places

    # ---- the expressions, each compiled when it is first needed

    def _prefix_size(self, span: str) -> int:
        found = self._prefix(span)
        return found.end() - found.start() if found else 0

    def _suffix_size(self, span: str) -> int:
        found = self._suffix(span)
        return found.end() - found.start() if found else 0

    def _is_whole(self, span: str) -> bool:
        return self._patterns["token_match"] is not None and self._token_match(span) is not None

    def _is_url(self, span: str) -> bool:
        return self._url_match(span) is not None

    @cached_property
    def _prefix(self) -> Callable[[str], re.Match[str] | None]:
        return re.compile(self._patterns["prefix_search"] or "").search

    @cached_property
    def _suffix(self) -> Callable[[str], re.Match[str] | None]:
        return re.compile(self._patterns["suffix_search"] or "").search

    @cached_property
    def _find_infixes(self) -> Any:
        return re.compile(self._patterns["infix_finditer"] or "").finditer

    @cached_property
    def _token_match(self) -> Callable[[str], re.Match[str] | None]:
        return re.compile(self._patterns["token_match"] or "").match

    @cached_property
    def _url_match(self) -> Callable[[str], re.Match[str] | None]:
        return re.compile(self._patterns["url_match"] or "").match


@lru_cache(maxsize=8)
def load_rules(language: str) -> Rules | None:
    """Return the rules of a language, or None where there is no file of them."""
    path = FOLDER / f"{language}.json"
    return Rules(json.loads(path.read_text(encoding="utf-8"))) if language in LANGUAGES else None


def export_rules(language: str) -> dict[str, Any]:
    """Return the rules of the installed spaCy for a language, as plain values.

    Raises:
        ValueError: they are of a form that `Rules` does not apply.
    """
    import spacy
    from spacy.symbols import ORTH
    from spacy.tokenizer import Tokenizer

    nlp: Any = spacy.blank(language)
    tokenizer = nlp.tokenizer
    compiled = {name: getattr(getattr(tokenizer, name), "__self__", None) for name in PATTERNS}
    if type(tokenizer) is not Tokenizer or any(
        not isinstance(one, re.Pattern) or one.flags & ~(re.UNICODE | re.IGNORECASE)
        for one in compiled.values()
        if one is not None
    ):
        raise ValueError(f'the tokenizer of "{language}" is no list of rules')
    patterns = {name: _whole_pattern(one) if one is not None else None for name, one in compiled.items()}
    special_cases = {text: [part[ORTH] for part in parts] for text, parts in sorted(tokenizer.rules.items())}
    values: dict[str, Any] = {
        "patterns": patterns,
        "special_cases": special_cases,
        "phrases": [],
        "sentence_ends": sorted(nlp.add_pipe("sentencizer").punct_chars),
    }
    rules = Rules(values)
    values["phrases"] = [  # what the affixes would make of special cases that they match
        rules._split_span(text, {})
        for text in special_cases
        if rules._prefix_size(text) or rules._suffix_size(text) or any(rules._find_infixes(text))
    ]
    return values


def _whole_pattern(compiled: re.Pattern[str]) -> str:
    """Return an expression with its flags inside."""
    return ("(?i)" if compiled.flags & re.IGNORECASE else "") + compiled.pattern


def _cut_at_spaces(text: str) -> Iterable[tuple[str, int]]:
    """Return the stretches without white space and those of white space alone, each with its place.

    One space belongs to what is before it, so that most have none.
    """
    spans = text.split(" ")
    if spans == text.split():  # nothing but single spaces
        return zip(spans, map(add, accumulate(map(len, spans), initial=0), count()), strict=False)
    cut = []
    for found in _SPANS.finditer(text):
        span, position = found.group(), found.start()
        if span[0] == " " and position:
            span, position = span[1:], position + 1
        if span:
            cut.append((span, position))
    return cut


def _is_punctuation(word: str) -> bool:
    return all(unicodedata.category(character)[0] == "P" for character in word)


if __name__ == "__main__":
    for code in LANGUAGES:
        text = json.dumps(export_rules(code), ensure_ascii=False, separators=(",", ":"))
        (FOLDER / f"{code}.json").write_text(text + "\n", encoding="utf-8", newline="\n")

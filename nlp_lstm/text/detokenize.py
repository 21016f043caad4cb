"""From tokens of the Penn Treebank's kind back to text as people type it.

Data sets of sentences often come as tokens with spaces between (``it 's n't bad , really .``), while the texts that
a model meets later are not. The words are put together so that spaCy splits most of them the same way again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "-lcb-": "{", "-rcb-": "}"}
_BARE_BRACKETS = {"lrb": "(", "rrb": ")"}  # where hyphens were dropped, as in one copy of SST-2; "LRB" is a journal
_CLITICS = {"'s", "n't", "'ve", "'re", "'ll", "'d", "'m", "'t"}
_TAKES_CLITIC = re.compile(r"[\w)\]%\"'.]$")
_CLOSING = re.compile(r"[,;:!?.…)\]}%]+|'")
_OPENING = {"(", "[", "{", "$", "#", "£", "€", "`"}
_DOTS = re.compile(r"\.+")


def detokenise(words: Sequence[str]) -> str:
    r"""Return the text that the words were split from, as far as it can be told from them.

    Clitics (``'s``, ``n't``) and closing punctuation go to the word on their left, opening brackets, ``$`` and ``#`` to
    the one on their right. Two backticks open a quotation and two apostrophes close it, both as ``"``; a ``"`` that
    is already there opens and closes in turn. The treebank's escapes (``-LRB-``, ``\/``) are undone. Hyphens and
    dashes keep what they have around them.

    Example:
        >>> detokenise("`` It is n't -LRB- all -RRB- bad , '' she said .".split())
        '"It isn\'t (all) bad," she said.'
    """
    return place_words(words)[0]


def place_words(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Return what ``detokenise`` does, and where each word stands in it: start and end in code points."""
    pieces: list[str] = []
    places: list[tuple[int, int]] = []
    end = 0  # of what is put together so far
    is_open = False  # inside a quotation
    glue = True  # the next word follows without a space
    for word in map(_unescape, words):
        is_quote = word in ("``", "''", '"')
        if is_quote:
            is_open = word == "``" or (word == '"' and not is_open)
        if not (glue or (is_quote and not is_open) or _goes_left(word, pieces[-1])):
            pieces.append(" ")
            end += 1
        glue = is_open if is_quote else word in _OPENING
        pieces.append('"' if is_quote else "'" if word == "`" else word)
        places.append((end, end + len(pieces[-1])))
        end += len(pieces[-1])
    return "".join(pieces), places


def _unescape(word: str) -> str:
    bracket = _BRACKETS.get(word.lower()) or _BARE_BRACKETS.get(word)
    return bracket or word.replace("\\/", "/").replace("\\*", "*")


def _goes_left(word: str, before: str) -> bool:
    """Whether ``word`` is written without a space after the piece ``before``."""
    if word.lower() in _CLITICS:
        return bool(_TAKES_CLITIC.search(before))
    if word.startswith(".") and before.endswith("."):  # an abbreviation keeps its full stop, ". . ." is one mark
        return bool(_DOTS.fullmatch(before))
    return bool(_CLOSING.fullmatch(word))

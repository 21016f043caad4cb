"""Placeholders in texts of user interfaces: what a translation has to keep as it is.

Example:
    >>> find_placeholders("Delete %(count)d files in <b>{folder}</b>?")
    ['%(count)d', '<b>', '{folder}', '</b>']
    >>> count_kept("Delete %(count)d files?", "%(zahl)d Dateien löschen?")
    KeptCount(kept=0, total=1)
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

_WHOLE_KINDS = (
    r"%\([^()%\s]+\)[#0\- +]*\d*(?:\.\d+)?[diouxXeEfFgGcrsa]",  # Python: %(name)s
    r"%(?:\d+\$)?[#0\-+]*\d*(?:\.\d+)?(?:hh|ll|[hlLqjzt])?[diouxXeEfFgGcrsa](?![^\W\d_])",  # C and Python: %s, %1$d
    r"%%",
    r"\$\{[^{}]*\}",  # templates: ${name}
    r"\{\{[^{}]*\}\}|\{%[^{}]*%\}",  # Django and Jinja: {{ name }}, {% tag %}
    r"\{[\w.\[\]]*(?:![rsa])?(?::[^{}]*)?\}",  # Python: {name}, {0}, {:.2f}
    r"</?[A-Za-z][^<>]*>",  # HTML tags
    r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});",  # HTML entities
)
_ACCELERATOR_KINDS = (
    r"(?<![\w&])[&_](?=[^\W\d_])",  # the mark before a word's accelerator key: &File, _Open
    r"(?<=[^\W\d_])&(?=[a-z])",  # the same inside a word: E&xit, but not AT&T
)
WHOLE_PLACEHOLDER = "|".join(f"(?:{kind})" for kind in _WHOLE_KINDS)
"""A pattern of placeholders that stand for themselves, all but the marks of accelerator keys."""
_PLACEHOLDER = re.compile("|".join([WHOLE_PLACEHOLDER, *(f"(?:{kind})" for kind in _ACCELERATOR_KINDS)]))


class KeptCount(NamedTuple):
    """How many of a source's placeholders a translation keeps.

    Args:
        kept: those that stand in both, each as often as in the one that has it less often.
        total: those of the source.
    """

    kept: int
    total: int


def find_placeholders(text: str) -> list[str]:
    """Return the placeholders of a text in their order, each as it is written.

    These are format strings of C and Python (``%s``, ``%(name)s``, ``{name}``), templates (``${name}``,
    ``{{ name }}``), HTML tags and entities, and the marks of accelerator keys (``&File``, ``_Open``). A percent sign
    behind a number that begins a word ("5 % discount") is none.
    """
    return _PLACEHOLDER.findall(text)


def count_kept(source: str, translation: str) -> KeptCount:
    """Return how many placeholders of the source a translation has as well, wherever they stand."""
    wanted = Counter(find_placeholders(source))
    return KeptCount(kept=(wanted & Counter(find_placeholders(translation))).total(), total=wanted.total())


def find_lost(source: str, translation: str) -> list[str]:
    """Return the placeholders of the source that a translation has not, or less often, in their order.

    Example:
        >>> find_lost("Delete %d of {all}", "{all} löschen")
        ['%d']
    """
    return list((Counter(find_placeholders(source)) - Counter(find_placeholders(translation))).elements())

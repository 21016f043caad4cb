"""HTML entities in texts from elsewhere."""

from __future__ import annotations

import html
import re

_ENDLESS = re.compile(r"&#(?:[0-9]{100,}|[xX][0-9a-fA-F]{100,});?")


def unescape(text: str) -> str:
    """Return a text whose HTML entities are undone, as the standard library does.

    A number of a hundred digits or more is no character and becomes U+FFFD; Python reads no longer ones than 4,300.
    """
    return html.unescape(_ENDLESS.sub("\ufffd", text))

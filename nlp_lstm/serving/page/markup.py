"""Pieces of HTML that all answers are made of. What comes from a text is escaped here."""

from __future__ import annotations

import html
import re

SMALLEST = 0.75  # of its size, what a drawing is shown at
NARROWEST = 320  # pixels that a phone has for a drawing
_OF_TEMPLATES = str.maketrans({"{": "&#123;", "}": "&#125;", "$": "&#36;", "`": "&#96;", "\\": "&#92;"})


def escape(text: str) -> str:
    """Return a text for HTML, and for the templates that Gradio's HTML goes through in the browser."""
    return html.escape(text).translate(_OF_TEMPLATES)


def box(*parts: str) -> str:
    """Return an answer of parts."""
    return f'<div class="nl">{"".join(parts)}</div>'


def note(text: str) -> str:
    """Return a remark."""
    return f'<p class="nl-note">{escape(text)}</p>'


def problem(reason: str) -> str:
    """Return why there is no answer."""
    return box(f'<p class="nl-problem" role="alert">{escape(sentence(reason))}</p>')


def sentence(text: str) -> str:
    """Return a message as a sentence: a capital at its beginning, a full stop at its end."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def picture(svg: str, caption: str = "") -> str:
    """Return a drawing that is made smaller to fit the page, by a quarter at most; beyond that it moves sideways."""
    found = re.search(r'<svg[^>]*? width="(\d+)"', svg)
    least = round(int(found[1]) * SMALLEST) if found else 0
    sized = svg.replace("<svg ", f'<svg style="min-width:{least}px" ', 1)
    hint = '<span class="nl-hint">Move it sideways to see all of it.</span>' if least > NARROWEST else ""
    below = f"<figcaption>{hint}{escape(caption)}</figcaption>" if hint or caption else ""
    return f'<figure class="nl-picture"><div class="nl-scroll" tabindex="0">{sized}</div>{below}</figure>'


def table(columns: list[str], rows: list[list[str]], title: str) -> str:
    """Return a table that is unfolded by a click."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<details class="nl-more"><summary>{escape(title)}</summary><div class="nl-scroll"><table><thead><tr>{head}'
        f"</tr></thead><tbody>{body}</tbody></table></div></details>"
    )


def share(value: float) -> str:
    """Return a share as people read it, never 100 % where it is less."""
    percent = min(99.9, 100 * value) if value < 1 else 100.0
    return f"{percent:.0f} %" if 1 <= percent < 99.5 else f"{percent:.1f} %"

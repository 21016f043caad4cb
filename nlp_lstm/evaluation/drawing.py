"""Small drawings of boxes, circles and arrows as one inline `<svg>` element, where matplotlib's plots do not fit.

As those of `plots`: no script, no outside reference, text stays text, the same bytes for the same content.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Sequence

INK, SOFT, PALE = "#333333", "#8A8A8A", "#DDDDDD"
FORWARD, BACKWARD = "#0072B2", "#D55E00"
"""Colours of what flows forward and of what flows back (Okabe and Ito 2008)."""

CHARACTER = 0.6
"""Width of a character in units of the font's size, about."""


class Drawing:
    """An SVG picture that is drawn piece by piece, later pieces over earlier ones.

    Args:
        title: what the picture shows.
        description: the same in words, for screen readers.
    """

    def __init__(self, title: str, description: str) -> None:
        self.title = title
        self.description = description
        self._pieces: list[str] = []
        self._heads: dict[str, str] = {}
        self._right, self._bottom = 0.0, 0.0

    def rectangle(
        self, x: float, y: float, width: float, height: float, *, fill: str = "none", stroke: str = "none"
    ) -> None:
        """Draw a rectangle from its upper left corner."""
        self._reach(x + width, y + height)
        place = f'x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}"'
        self._pieces.append(f'<rect {place} fill="{fill}" stroke="{stroke}"/>')

    def circle(self, x: float, y: float, radius: float, *, fill: str = "white", stroke: str = INK) -> None:
        """Draw a circle around a middle."""
        self._reach(x + radius, y + radius)
        place = f'cx="{_number(x)}" cy="{_number(y)}" r="{_number(radius)}"'
        self._pieces.append(f'<circle {place} fill="{fill}" stroke="{stroke}"/>')

    def line(
        self,
        points: Sequence[tuple[float, float]],
        *,
        colour: str = SOFT,
        width: float = 1,
        has_head: bool = False,
        is_dashed: bool = False,
    ) -> None:
        """Draw a line through points, with an arrow's head at its end where asked for."""
        for x, y in points:
            self._reach(x, y)
        path = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        extra = ' stroke-dasharray="4 3"' if is_dashed else ""
        if has_head:
            name = self._heads.setdefault(colour, f"head{len(self._heads)}")
            extra += f' marker-end="url(#{name})"'
        self._pieces.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{extra}/>')

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 11,
        colour: str = INK,
        anchor: str = "middle",
        turn: float = 0,
        has_halo: bool = False,
    ) -> None:
        """Write words whose line stands on ``y``; ``turn`` is in degrees, with the clock; a halo hides lines behind."""
        length = CHARACTER * size * len(words)
        self._reach(x + {"start": length, "middle": length / 2, "end": 0}[anchor] * (0 if turn else 1), y + 3)
        turned = f' transform="rotate({_number(turn)} {_number(x)} {_number(y)})"' if turn else ""
        place = f'x="{_number(x)}" y="{_number(y)}" font-size="{_number(size)}" fill="{colour}" text-anchor="{anchor}"'
        halo = ' stroke="white" stroke-width="3" paint-order="stroke"' if has_halo else ""
        self._pieces.append(f"<text {place}{turned}{halo}>{html.escape(words)}</text>")

    def svg(self) -> str:
        """Return the picture."""
        width, height = round(self._right + 8), round(self._bottom + 8)
        prefix = f"d{hashlib.sha256((self.title + ''.join(self._pieces)).encode()).hexdigest()[:8]}-"
        heads = "".join(
            f'<marker id="{prefix}{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path d="M0,1 L8,4 L0,7 z" fill="{colour}"/></marker>'
            for colour, name in self._heads.items()
        )
        body = "\n".join(self._pieces).replace("url(#", f"url(#{prefix}")
        return (
            f'<svg role="img" aria-label="{html.escape(self.description)}" xmlns="http://www.w3.org/2000/svg" '
            f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            f'font-family="DejaVu Sans, Verdana, sans-serif">\n'
            f"<title>{html.escape(self.title)}</title>\n"
            + (f"<defs>{heads}</defs>\n" if heads else "")
            + f'<rect width="{width}" height="{height}" fill="white"/>\n{body}\n</svg>'
        )

    def _reach(self, x: float, y: float) -> None:
        self._right, self._bottom = max(self._right, x), max(self._bottom, y)


def shade(share: float, colour: str = FORWARD) -> str:
    """Return white for 0, the colour for 1, and a mixture between."""
    share = min(1.0, max(0.0, share))
    parts = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
    return "#" + "".join(f"{round(255 + (part - 255) * share):02X}" for part in parts)


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"

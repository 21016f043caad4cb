"""Named parts: a task, a cell or a head is found by the short name that recipes use."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from nlp_lstm.errors import ConfigError, nearest_hint

Part = TypeVar("Part")


class Registry(Generic[Part]):
    """A table from name to part, with helpful errors.

    Args:
        kind: what the parts are, for messages ("cell", "task").
        homes: names of parts with the modules that register them, imported when a part is first asked for. So names
            can be checked without what the parts import.

    Example:
        >>> cells: Registry[type] = Registry("cell")
        >>> @cells.register("identity")
        ... class Identity: ...
        >>> cells.get("identity") is Identity
        True
    """

    def __init__(self, kind: str, homes: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self._homes = dict(homes or {})
        self._parts: dict[str, Part] = {}

    def register(self, name: str) -> Callable[[Part], Part]:
        """Return a decorator that files its target under ``name``."""

        def file_part(part: Part) -> Part:
            if name in self._parts:
                raise ConfigError(f'{self.kind} "{name}" is registered twice; choose another name')
            self._parts[name] = part
            return part

        return file_part

    def get(self, name: str) -> Part:
        """Return the part called ``name``.

        Raises:
            ConfigError: no part has that name; the message lists the known ones and the nearest.
        """
        if name not in self:
            raise ConfigError(self.unknown_message(name))
        if name not in self._parts:
            importlib.import_module(self._homes[name])
        return self._parts[name]

    def checked(self, name: str) -> str:
        """Return the name of a part as it is, for a check of settings.

        Raises:
            ValueError: no part has that name.
        """
        if name not in self:
            raise ValueError(self.unknown_message(name))
        return name

    def unknown_message(self, name: str) -> str:
        """Return the sentence that says ``name`` is unknown, which names exist and which is nearest."""
        known = list(self)
        return f'unknown {self.kind} "{name}"; known {self.kind}s: {", ".join(known)}.{nearest_hint(name, known)}'

    def __contains__(self, name: object) -> bool:
        return name in self._parts or name in self._homes

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._parts, *self._homes}))

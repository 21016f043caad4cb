"""Typed settings: frozen, unknown keys refused, all faults reported together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from nlp_lstm.errors import ConfigError, NlpLstmError, nearest_hint, shorten

SettingsType = TypeVar("SettingsType", bound="Settings")

MOST_FAULTS = 20  # that one message names
LARGEST_YAML = 1 << 20  # bytes
LONGEST_KEY = 200  # characters that a message shows


class Settings(BaseModel):
    """Base of all settings. Each field's description is its documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, strict=False)


def parse_settings(
    settings_type: type[SettingsType],
    values: Mapping[str, Any],
    where: str,
    error_type: type[NlpLstmError] = ConfigError,
) -> SettingsType:
    """Check ``values`` against ``settings_type``.

    Args:
        settings_type: the settings class to build.
        values: nested plain values, as YAML or JSON gives them.
        where: the file or option the values came from, for the message.
        error_type: what to raise.

    Returns:
        The frozen settings.

    Raises:
        ConfigError: one message that lists every fault, with the nearest known key for unknown ones.
    """
    try:
        return settings_type.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False)
        faults = [_describe_fault(settings_type, fault) for fault in found[:MOST_FAULTS]]
        if len(found) > MOST_FAULTS:
            faults.append(f"and {len(found) - MOST_FAULTS:,} more")
        raise error_type(f"{where}: " + "; ".join(faults)) from None
    except UnicodeEncodeError as error:  # pydantic takes texts over as UTF-8
        raise error_type(f"{where}: half a character in {shorten(error.object)}; write it anew") from None


def read_yaml(text: str, where: str) -> Any:
    """Return what YAML holds.

    Aliases and tags are refused: a few aliases can stand for more than the memory holds, and no file here needs tags.

    Raises:
        ConfigError: it is no YAML, or has an alias or a tag; says ``where``.
    """
    try:
        return yaml.load(text, Loader=_PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # such as a date in month 13, or deep nesting
        raise ConfigError(f"{where} is not valid YAML: {error}") from error


def read_yaml_file(path: Path) -> Any:
    """Return what a file of YAML holds.

    Raises:
        ConfigError: it cannot be read, is too large, or what `read_yaml` raises.
    """
    try:
        if path.stat().st_size > LARGEST_YAML:
            raise ConfigError(f"{path} has {path.stat().st_size:,} bytes; at most {LARGEST_YAML:,} are read")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    return read_yaml(text, str(path))


class _PlainLoader(yaml.SafeLoader):
    """Reads YAML without aliases and tags."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
            raise yaml.composer.ComposerError(
                None, None, "aliases (*name) and tags (!name) are not read", event.start_mark
            )
        return super().compose_node(parent, index)


def apply_overrides(values: Mapping[str, Any], overrides: Iterable[str] | Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of ``values`` with dotted overrides such as ``model.hidden=256`` applied.

    In a string the right-hand side is read as YAML, so ``null``, ``true``, ``0.3`` and ``[a, b]`` mean what they say.
    A mapping from dotted key to value is taken as it is.

    Raises:
        ConfigError: an override has no ``=`` or goes through a value that is not a mapping.
    """
    result = _copy_nested(values)
    pairs = overrides.items() if isinstance(overrides, Mapping) else map(_read_override, overrides)
    for path, value in pairs:
        keys = path.split(".")
        target = result
        for key in keys[:-1]:
            target = target.setdefault(key, {})
            if not isinstance(target, dict):
                raise ConfigError(f'override "{path}": "{key}" is a single value, not a section')
        target[keys[-1]] = value
    return result


def dotted(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested changes as dotted ones, which leave what they do not name: ``{a: {b: 1}}`` as ``{a.b: 1}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= dotted(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _read_override(override: str) -> tuple[str, Any]:
    path, equals, right = override.partition("=")
    path = path.strip()
    if not equals or not all(path.split(".")):
        raise ConfigError(f'override "{override}" is not of the form section.key=value, as in model.hidden=256')
    try:
        return path, read_yaml(right, path)
    except ConfigError as error:
        raise ConfigError(f'override "{override}": the value is not valid YAML; quote it') from error


def _copy_nested(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy_nested(value) if isinstance(value, Mapping) else value for key, value in values.items()}


def _describe_fault(settings_type: type[BaseModel], fault: Any) -> str:
    path = [str(part) for part in fault["loc"]]
    name = ".".join(path)
    if len(name) > LONGEST_KEY:
        name, path = f"{name[:LONGEST_KEY]}…", [*path[:-1], path[-1][:LONGEST_KEY]]
    if fault["type"] == "extra_forbidden":
        known = _fields_at(settings_type, path[:-1])
        return f'unknown key "{name}"; known keys: {", ".join(sorted(known))}.{nearest_hint(path[-1], known)}'
    if fault["type"] == "missing":
        return f'"{name}" is missing'
    return f"{name} is {shorten(fault['input'])}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _fields_at(settings_type: type[BaseModel], path: list[str]) -> list[str]:
    """The field names of the settings class that ``path`` leads to from ``settings_type``."""
    current = settings_type
    for key in path:
        field = current.model_fields.get(key)
        if field is None:
            return []
        choices = (field.annotation, *get_args(field.annotation))
        nested = [choice for choice in choices if isinstance(choice, type) and issubclass(choice, BaseModel)]
        if not nested:
            return []
        current = nested[0]
    return list(current.model_fields)

"""Typed settings: frozen, unknown keys refused, all faults reported together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from nlp_lstm.errors import ConfigError, NlpLstmError, nearest_hint, shorten

SettingsType = TypeVar("SettingsType", bound="Settings")


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
        faults = [_describe_fault(settings_type, fault) for fault in error.errors(include_url=False)]
        raise error_type(f"{where}: " + "; ".join(faults)) from None


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
        return path, yaml.safe_load(right)
    except yaml.YAMLError as error:
        raise ConfigError(f'override "{override}": the value is not valid YAML; quote it') from error


def _copy_nested(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy_nested(value) if isinstance(value, Mapping) else value for key, value in values.items()}


def _describe_fault(settings_type: type[BaseModel], fault: Any) -> str:
    path = [str(part) for part in fault["loc"]]
    name = ".".join(path)
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

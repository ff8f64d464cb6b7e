"""Changes of settings, as values or as KEY=VALUE text, and validation whose errors name the nearest setting."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from repdiag.config.training import TrainSettings
from repdiag.core.errors import ConfigError, UsageError, unknown_name


def set_values(settings: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of nested settings with each "section.key" set to its value, which is taken as it is.

    Another `method.name` starts from that method's defaults, since the settings of one mean nothing to another.
    Raises `ConfigError` with the nearest names for a key that does not exist.

    Example:
        >>> set_values({"data": {"workers": 2}}, {"data.dataset": "imagefolder:/photos #2"})
        {'data': {'workers': 2, 'dataset': 'imagefolder:/photos #2'}}
    """
    result = copy.deepcopy(dict(settings))
    for key, value in values.items():
        path = key.split(".")
        _annotation_at(path)
        _assign(result, path, value)
    return result


def apply_overrides(settings: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return a copy of nested settings with each "section.key=value" applied, as `set_values` does.

    The value of a setting that is text, such as a path, is the text itself, or what stands in quotes; null and nothing
    at all unset one that may be absent. All other values are read as YAML. Raises `ConfigError` for what is neither.

    Example:
        >>> apply_overrides({}, ["data.dataset=imagefolder:/photos #2", "optimizer.betas=[0.9, 0.95]"])
        {'data': {'dataset': 'imagefolder:/photos #2'}, 'optimizer': {'betas': [0.9, 0.95]}}
    """
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise ConfigError("an override must look like section.key=value", found=repr(override))
        name = key.strip()
        settings = set_values(settings, {name: read_value(text, _annotation_at(name.split(".")))})
    return copy.deepcopy(dict(settings))


def parse_settings(raw: Mapping[str, Any]) -> TrainSettings:
    """Return validated settings; every problem is named by its key, with the nearest key for a typo."""
    try:
        return TrainSettings.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = [str(part) for part in first["loc"]]
        if first["type"] == "extra_forbidden":
            _annotation_at([part for part in path if part not in _method_names()])
        if path == ["method"]:
            raise _method_problem(raw.get("method")) from error
        raise ConfigError(
            f"setting {'.'.join(path)} is not valid: {first['msg'].removeprefix('Value error, ')}",
            found=repr(first.get("input"))[:80],
        ) from error


def _method_problem(given: Any) -> UsageError:
    """Say what is wrong with a method that none of the classes of settings takes."""
    known = _method_names()
    if not isinstance(given, Mapping):
        near = given if given in known else "moco_v2"
        return ConfigError("setting method must be a mapping", found=repr(given)[:80], hint=f"method.name={near}")
    if given.get("name") is None:
        hint = f"one of {', '.join(sorted(known))}"
        return ConfigError("setting method.name is missing", found=repr(dict(given))[:80], hint=hint)
    return unknown_name("method", str(given["name"]), known)


def _assign(settings: dict[str, Any], path: list[str], value: Any) -> None:
    if path == ["method", "name"] and (settings.get("method") or {}).get("name") != value:
        settings["method"] = {}
    section = settings
    for depth, part in enumerate(path[:-1]):
        if section.get(part) is None:  # absent, or a heading with nothing below it
            section[part] = {}
        section = section[part]
        if not isinstance(section, dict):
            name = ".".join(path[: depth + 1])
            raise ConfigError(f"setting {name} must be a mapping of settings", found=repr(section)[:80])
    section[path[-1]] = value


def read_value(text: str, annotation: Any) -> Any:
    """Return what the text of an override says to a setting of this type; as YAML a path could lose its end."""
    kinds = set(get_args(annotation)) or {annotation}
    plain = text.strip()
    if kinds <= {str, NoneType} and plain[:1] not in ("'", '"'):
        return None if NoneType in kinds and plain in ("", "null", "~") else plain
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError("the value of an override must be YAML", found=repr(text)) from error


def _annotation_at(path: Sequence[str]) -> Any:
    """Return the type of the setting at `path`; a missing name raises with the nearest ones."""
    models: tuple[type[BaseModel], ...] = (TrainSettings,)
    annotation: Any = TrainSettings
    for depth, part in enumerate(path):
        fields = {name: field for model in models for name, field in model.model_fields.items()}
        if part not in fields:
            raise _unknown_setting(path, depth, fields)
        annotation = fields[part].annotation
        models = tuple(item for item in (annotation, *get_args(annotation)) if _is_model(item))
        if not models:
            if depth + 1 < len(path) and annotation != dict[str, Any]:
                raise ConfigError(f"setting {'.'.join(path[: depth + 1])} has no parts", found=".".join(path))
            return annotation if depth + 1 == len(path) else Any
    return annotation


def _unknown_setting(path: Sequence[str], depth: int, fields: Mapping[str, Any]) -> ConfigError:
    prefix = ".".join(path[:depth])
    choices = [f"{prefix}.{name}" if prefix else name for name in fields]
    if not difflib.get_close_matches(path[depth], fields, n=1, cutoff=0.6):
        everywhere = {
            f"{section}.{name}"
            for section, field in TrainSettings.model_fields.items()
            for model in (field.annotation, *get_args(field.annotation))
            if _is_model(model)
            for name in model.model_fields
        }
        choices = [name for name in everywhere if name.endswith(f".{path[-1]}")] or choices
    error = unknown_name("setting", ".".join(path[: depth + 1]), choices)
    return ConfigError(error.problem, hint=error.hint)


def _is_model(item: Any) -> bool:
    return isinstance(item, type) and issubclass(item, BaseModel)


def _method_names() -> set[str]:
    return {model.model_fields["name"].default for model in get_args(TrainSettings.model_fields["method"].annotation)}

"""Recipes: the training settings of the papers, one YAML file each in `config/recipes/`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from repdiag.config.overrides import apply_overrides, parse_settings
from repdiag.config.training import TrainSettings
from repdiag.core.errors import ConfigError, unknown_name

DEFAULT_RECIPE = "digits_moco_v2"


def list_recipes() -> dict[str, str]:
    """Return the shipped recipes: name -> description."""
    return {name: str(_read_recipe(name).get("description", "")) for name in _names()}


def load_recipe(name: str, overrides: list[str] | None = None) -> TrainSettings:
    """Return the settings of a shipped recipe, or of a YAML file of one's own, with overrides applied."""
    return parse_settings(apply_overrides(read_recipe(name), overrides or []))


def read_recipe(name: str) -> dict[str, Any]:
    """Return what a shipped recipe, or a YAML file of one's own, says; not yet checked."""
    raw = _read_file(Path(name)) if name.endswith((".yaml", ".yml")) else _read_recipe(name)
    raw.setdefault("recipe", Path(name).stem)
    return raw


def recipe_text(name: str) -> str:
    """Return a shipped recipe as it is written."""
    if name not in _names():
        raise unknown_name("recipe", name, _names(), hint="your own: path/to/recipe.yaml")
    return (resources.files("repdiag.config") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")


def _names() -> tuple[str, ...]:
    folder = resources.files("repdiag.config") / "recipes"
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def _read_recipe(name: str) -> dict[str, Any]:
    return _parse(recipe_text(name), where=name)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return _parse(path.read_text(encoding="utf-8"), where=str(path))
    except OSError as error:
        raise ConfigError("the recipe cannot be read", found=f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"recipe {path} is not UTF-8", found=str(error), hint="save it as UTF-8") from error


def _parse(text: str, *, where: str) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"recipe {where} is not YAML", found=_place_and_problem(error)) from error
    if not isinstance(raw, dict):
        found = "nothing" if raw is None else type(raw).__name__
        raise ConfigError(
            f"recipe {where} must be a mapping of settings", found=found, hint="repdiag train --show moco_v2 prints one"
        )
    return {name: value for name, value in raw.items() if value is not None}  # headings with nothing below them


def _place_and_problem(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error).splitlines()[0]
    mark = error.problem_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"

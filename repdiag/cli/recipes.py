"""`repdiag train --list` and `--show NAME`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from repdiag.cli.console import Console


def print_recipes(console: Console, name: str | None) -> None:
    """Print the list of recipes, or one recipe as YAML."""
    from repdiag.config.recipe_files import list_recipes, recipe_text

    if name is not None:
        text = recipe_text(name)
        console.say(text.rstrip())
        console.json({"name": name, "yaml": text})
        return
    recipes = list_recipes()
    for recipe, summary in recipes.items():
        console.say(f"{recipe:<18} {summary}")
    console.json(recipes)

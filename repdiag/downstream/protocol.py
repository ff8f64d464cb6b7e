"""`Protocol`: how an encoder is tried out, as typed settings with a name, a version and a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from repdiag.config.overrides import read_value
from repdiag.core.errors import ConfigError, unknown_name

Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
AboveZero = Annotated[float, Field(gt=0.0)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
RowScaling = Literal["raw", "unit", "standardised", "unit, standardised"]
Measure = Literal["auto", "top1", "mean_per_class", "map_11_point"]
Crop = Literal["encoder", "whole", "classic", "classic, whole if tiny", "squash"]


class Settings(BaseModel):
    """What a protocol may be told; frozen, and a name that does not exist is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: Measure = "auto"
    """What is reported; "auto" is the mean over classes for the sets that ask for it, else the share of images."""
    crop: Crop = "encoder"
    """Test images: as the encoder's file says; "whole" (shorter side to the input size, then the centre), "classic"
    (shorter side to 256 / 224 of the input size, then the centre; "whole if tiny": not for images of at most 64 px) or
    "squash" (both sides to the input size)."""
    interpolation: Literal["encoder", "bilinear", "bicubic"] = "encoder"
    seed: Natural = 0


class FeatureSettings(Settings):
    """A protocol on features that are extracted once, the backbone frozen in eval mode, without augmentation."""

    rows: RowScaling = "raw"
    """What is done to the features: nothing, rows of length 1, dimensions minus the train set's mean over its standard
    deviation, or the last two one after the other."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A named way to try an encoder out. `version` grows when the same settings give other numbers."""

    name: str
    what: str
    source: str
    settings: Settings
    version: int = 1
    changes: tuple[str, ...] = ()
    """The settings that differ from the preset of this name."""

    def changed(self, values: Mapping[str, Any]) -> Protocol:
        """Return the protocol with some settings replaced; a wrong name raises with the nearest ones."""
        known = type(self.settings).model_fields
        for name in values:
            if name not in known:
                raise unknown_name(f"setting of {self.name}", name, known)
        try:
            settings = type(self.settings).model_validate({**self.settings.model_dump(), **values})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            said = first["msg"].removeprefix("Value error, ")
            raise ConfigError(
                f"setting {where} of {self.name} is not valid: {said}", found=repr(first.get("input"))[:80]
            ) from error
        differ = [name for name in known if getattr(settings, name) != getattr(self.settings, name)]
        return replace(self, settings=settings, changes=tuple(dict.fromkeys((*self.changes, *differ))))

    def with_overrides(self, overrides: Sequence[str]) -> Protocol:
        """Return the protocol with each "name=value" applied."""
        known = type(self.settings).model_fields
        values: dict[str, Any] = {}
        for override in overrides:
            name, equals, text = override.partition("=")
            if not equals:
                raise ConfigError("a change of a setting must look like name=value", found=repr(override))
            if name.strip() not in known:
                raise unknown_name(f"setting of {self.name}", name.strip(), known)
            values[name.strip()] = read_value(text, known[name.strip()].annotation)
        return self.changed(values)

    def to_dict(self) -> dict[str, Any]:
        """Return name, version, source and settings as plain JSON values."""
        facts = {"name": self.name, "version": self.version, "what": self.what, "source": self.source}
        return {**facts, "changes": list(self.changes), "settings": self.settings.model_dump(mode="json")}

"""Settings of nodes: checked at birth, frozen, each with what it means and in which unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, cast, dataclass_transform, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pyacq_lab.errors import ConfigurationError


def setting(
    default: Any = PydanticUndefined,
    *,
    description: str = "",
    unit: str = "",
    live: bool = False,
    **constraints: Any,
) -> Any:
    """Declare a field of `Settings`: ``pydantic.Field`` with a unit, and whether it may change while running.

    Parameters
    ----------
    default : Any
        Its value where none is given; without one it must be given.
    description : str
        What it means, without its unit.
    unit : str
        In which unit it is, such as ``"Hz"``; ``"unit"`` in the JSON schema.
    live : bool
        Whether `change` may give it another value while the node runs; ``"live"`` in the JSON schema.
    **constraints
        What ``pydantic.Field`` takes besides: gt, ge, lt, le, min_length, default_factory, ...

    Examples
    --------
    >>> class LowPassSettings(Settings):
    ...     cutoff: float = setting(40.0, gt=0, unit="Hz", live=True, description="corner frequency")
    >>> LowPassSettings.model_json_schema()["properties"]["cutoff"]["unit"]
    'Hz'
    """
    extra: dict[str, Any] = {"unit": unit} if unit else {}
    if live:
        extra["live"] = True
    if extra:
        constraints["json_schema_extra"] = extra
    return Field(default, description=description or None, **constraints)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field, setting))
class Settings(BaseModel):
    """Settings of a node; subclass it and declare fields with `setting`.

    Examples
    --------
    >>> class LowPassSettings(Settings):
    ...     cutoff: float = setting(40.0, gt=0, unit="Hz", live=True, description="corner frequency")
    >>> LowPassSettings.checked(cutoff=-1)
    Traceback (most recent call last):
    ...
    pyacq_lab.errors.ConfigurationError: LowPassSettings: cutoff=-1: Input should be greater than 0 \
(cutoff: corner frequency [Hz])
    """

    # Where NaN or infinity means something, a field says `allow_inf_nan=True`.
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """Build settings from keywords.

        Raises
        ------
        ConfigurationError
            A value is missing, unknown or out of range; the message names each with what was wanted.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            faults = "; ".join(cls._fault(item) for item in error.errors())
            raise ConfigurationError(f"{cls.__name__}: {faults}") from None

    def changed(self, **values: Any) -> Self:
        """Make the same settings with other values of live ones.

        Raises
        ------
        ConfigurationError
            A value is unknown or out of range, or another one than before of a setting that is not live.
        """
        kept = {name: getattr(self, name) for name in self.model_fields_set}
        new = self.checked(**(kept | values))
        live = self.live_names()
        fixed = [n for n in values if n not in live and getattr(new, n) != getattr(self, n)]
        if fixed:
            raise ConfigurationError(
                f"{type(self).__name__}: {', '.join(fixed)} cannot change while the node lives on "
                f"(live are: {', '.join(live) or 'none'}): stop and configure it"
            )
        return new

    @classmethod
    def live_names(cls) -> tuple[str, ...]:
        """Names of the settings that may change while the node runs."""
        return tuple(name for name, field in cls.model_fields.items() if _extra(field).get("live"))

    @classmethod
    def unit_of(cls, name: str) -> str:
        """Unit of a setting; empty where it has none."""
        return str(_extra(cls.model_fields[name]).get("unit", ""))

    @classmethod
    def about(cls, name: str) -> str:
        """What a setting means, with its unit; empty where nothing is said of it."""
        field = cls.model_fields[name]
        unit = cls.unit_of(name)
        return " ".join(part for part in (field.description, f"[{unit}]" if unit else "") if part)

    @classmethod
    def _fault(cls, item: Any) -> str:
        place = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            return f"unknown setting {place!r} (known: {', '.join(_fields_at(cls, item['loc'])) or 'none'})"
        if item["type"] == "value_error" and not place:  # what a validator of all of them says
            return str(item["ctx"]["error"])
        has_value = item["loc"] and item["type"] != "missing"
        came = f"{place}={item['input']!r}" if has_value else place
        first = str(item["loc"][0]) if item["loc"] else ""
        about = cls.about(first) if first in cls.model_fields else ""
        said = item["msg"].removeprefix("Value error, ")
        return f"{came or 'settings'}: {said}{f' ({place}: {about})' if about else ''}"


def _fields_at(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """Names of what there is at the place of a setting, which may lie in settings within settings."""
    for part in place[:-1]:
        if part in model.model_fields:
            annotation = model.model_fields[str(part)].annotation
            inner = [t for t in (annotation, *get_args(annotation)) if isinstance(t, type)]
            model = next((t for t in inner if issubclass(t, BaseModel)), model)
    return list(model.model_fields)


def _extra(field: FieldInfo) -> Mapping[str, Any]:
    extra = field.json_schema_extra
    return cast("Mapping[str, Any]", extra) if isinstance(extra, dict) else {}

"""Base of all settings: frozen, checked at birth, every field with a description and its unit."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from pyacq_lab.errors import ConfigurationError


class Settings(BaseModel):
    """Settings of a node; subclass it and declare fields with ``pydantic.Field``.

    Examples
    --------
    >>> from pydantic import Field
    >>> class LowPassSettings(Settings):
    ...     cutoff: float = Field(40.0, gt=0, description="corner frequency, Hz")
    >>> LowPassSettings.checked(cutoff=-1)
    Traceback (most recent call last):
    ...
    pyacq_lab.errors.ConfigurationError: LowPassSettings: cutoff=-1: Input should be greater than 0 \
(cutoff: corner frequency, Hz)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

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

    @classmethod
    def _fault(cls, item: Any) -> str:
        place = ".".join(str(part) for part in item["loc"]) or "settings"
        if item["type"] == "extra_forbidden":
            return f"unknown setting {place!r} (known: {', '.join(cls.model_fields) or 'none'})"
        has_value = item["loc"] and item["type"] != "missing"
        came = f"{place}={item['input']!r}" if has_value else place
        field = cls.model_fields.get(str(item["loc"][0])) if item["loc"] else None
        about = f" ({place}: {field.description})" if field is not None and field.description else ""
        return f"{came}: {item['msg']}{about}"

"""Tables of settings, from their JSON schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from pyacq_lab.model.settings import Settings
from tests.docs.nodes.docstrings import code, table

Schema = Mapping[str, Any]

_TYPES = {
    "array": "array", "boolean": "bool", "integer": "int", "null": "None", "number": "float",
    "object": "dict", "string": "str",
}  # fmt: skip

_LIMITS = {
    "minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}",
    "minLength": "length ≥ {}", "maxLength": "length ≤ {}", "minItems": "length ≥ {}",
    "maxItems": "length ≤ {}", "pattern": "`{}`",
}  # fmt: skip


def settings_tables(settings: type[Settings]) -> Iterator[tuple[str, str]]:
    """Table of settings, under an empty title, and of those in them, each under its name."""
    schema = settings.model_json_schema()
    if not settings.model_fields:
        yield "", "It has no settings."
        return
    yield "", _table(schema, settings)
    for name, inner in schema.get("$defs", {}).items():
        if "properties" in inner:
            yield name, _table(inner, _inner_types(settings)[name])


def _table(schema: Schema, settings: type[Settings]) -> str:
    head = ("setting", "type", "default", "unit", "range", "live", "meaning")
    rows = [
        (
            code(name),
            kind(field),
            _default(settings.model_fields[name]),
            field.get("unit", ""),
            ", ".join(dict.fromkeys(_limits(field))),
            "yes" if field.get("live") else "",
            _meaning(name, field, settings),
        )
        for name, field in schema["properties"].items()
    ]
    said = [i for i in range(len(head)) if any(row[i] for row in rows)]
    return table([head[i] for i in said], [[row[i] for i in said] for row in rows])


def kind(schema: Schema) -> str:
    """Type of a value, in Python's words; choices where there are some."""
    if "enum" in schema or "const" in schema:
        return " or ".join(code(repr(choice)) for choice in schema.get("enum", [schema.get("const")]))
    if "$ref" in schema:
        return code(schema["$ref"].rpartition("/")[2])
    for together in ("anyOf", "oneOf", "allOf"):
        if together in schema:
            return " or ".join(map(kind, schema[together]))
    if "type" not in schema:
        return "anything"
    name = _TYPES[schema["type"]]
    if "prefixItems" in schema:
        return f"({', '.join(map(kind, schema['prefixItems']))})"
    if name == "array":
        return f"list of {_one(schema['items'])}" if schema.get("items") else "array"
    if name == "dict" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"dict of {_one(schema['additionalProperties'])}"
    return name


def _one(schema: Schema) -> str:
    words = kind(schema)
    return f"({words})" if " or " in words and not words.startswith("(") else words


def _limits(schema: Schema) -> Iterator[str]:
    if "prefixItems" in schema:  # its type says how many there are
        return
    limits = {key: _number(schema[key]) for key in _LIMITS if key in schema}
    if {"minimum", "maximum"} <= limits.keys():
        yield f"{limits.pop('minimum')} to {limits.pop('maximum')}"
    yield from (_LIMITS[key].format(limit) for key, limit in limits.items())
    for together in ("anyOf", "oneOf", "allOf"):
        for branch in schema.get(together, ()):
            yield from _limits(branch)
    inner = schema.get("items")
    if isinstance(inner, Mapping):
        yield from (f"each {limit}" for limit in _limits(inner))


def _number(limit: object) -> str:
    return f"{limit:.12g}" if isinstance(limit, float) else str(limit)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    return code(repr(field.get_default(call_default_factory=True)))


def _meaning(name: str, schema: Schema, settings: type[Settings]) -> str:
    try:
        return schema["description"]
    except KeyError:
        raise ValueError(f"{settings.__name__}.{name} has no description") from None


def _inner_types(settings: type[Settings]) -> dict[str, type[Settings]]:
    """Settings in settings, at any depth, by the name that the schema has for them."""
    found: dict[str, type[Settings]] = {}
    todo: list[Any] = [field.annotation for field in settings.model_fields.values()]
    while todo:
        annotation = todo.pop()
        if isinstance(annotation, type) and issubclass(annotation, Settings):
            found[annotation.__name__] = annotation
            todo += [field.annotation for field in annotation.model_fields.values()]
        else:
            todo += getattr(annotation, "__args__", ())
    return found

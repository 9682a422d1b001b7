"""The part of JSON Schema that tool lists use, checked without knowing any dialect.

A keyword that is not known constrains nothing here: a value is only refused where the schema surely refuses it.
"""

from __future__ import annotations

from typing import Any, Final

MOST_DEPTH: Final = 12

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def misfit(value: Any, schema: Any, *, where: str = "", depth: int = 0) -> str | None:
    """Return how a value breaks a schema, with the place as JSON Pointer; None where it fits or nothing is known."""
    if not isinstance(schema, dict) or depth > MOST_DEPTH:
        return None
    found = _of_type(value, schema.get("type")) or _of_enum(value, schema) or _bounds(value, schema)
    if found:
        return f"{where or 'the value'} {found}"
    if isinstance(value, dict):
        return _object(value, schema, where, depth)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        inner = (misfit(item, schema["items"], where=f"{where}/{at}", depth=depth + 1) for at, item in enumerate(value))
        return next((wrong for wrong in inner if wrong), None)
    return None


def _of_type(value: Any, named: Any) -> str | None:
    names = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    if not names or any(name not in _TYPES or _is_a(value, name) for name in names):
        return None
    return f"is {_type_of(value)}, not {' or '.join(names)}"


def _is_a(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def _type_of(value: Any) -> str:
    return next((name for name in ("integer", *_TYPES) if _is_a(value, name)), type(value).__name__)


def _of_enum(value: Any, schema: dict[str, Any]) -> str | None:
    allowed = schema.get("enum")
    if isinstance(allowed, list) and value not in allowed:
        return f"is {value!r:.40}, not one of {', '.join(map(repr, allowed[:6]))}"
    return None


def _bounds(value: Any, schema: dict[str, Any]) -> str | None:
    if isinstance(value, str):
        return _between(len(value), schema, "minLength", "maxLength", "characters long")
    if isinstance(value, list):
        return _between(len(value), schema, "minItems", "maxItems", "items long")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _between(value, schema, "minimum", "maximum", "")
    return None


def _between(value: float, schema: dict[str, Any], least: str, most: str, what: str) -> str | None:
    low, high = schema.get(least), schema.get(most)
    said = f"is {value} {what}".rstrip()
    if isinstance(low, int | float) and value < low:
        return f"{said}, below {least} {low}"
    if isinstance(high, int | float) and value > high:
        return f"{said}, above {most} {high}"
    return None


def _object(value: dict[str, Any], schema: dict[str, Any], where: str, depth: int) -> str | None:
    required, known = schema.get("required"), schema.get("properties")
    for name in required if isinstance(required, list) else ():
        if name not in value:
            return f"{where or 'the value'} lacks {name}"
    if not isinstance(known, dict):
        return None
    if schema.get("additionalProperties") is False:
        for name in value:
            if name not in known:
                return f"{where or 'the value'} has {name}, which the schema does not know"
    inner = (
        misfit(value[name], of, where=f"{where}/{name}", depth=depth + 1) for name, of in known.items() if name in value
    )
    return next((wrong for wrong in inner if wrong), None)

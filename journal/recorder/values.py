"""Values of the agent's code as JSON, and back: what a tool was given, and what it gave back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from inspect import Signature
from typing import Any, Final, cast, get_type_hints

import msgspec

from journal.domain import codec

_DEEPEST: Final = 60
_REPLACEMENT: Final = "�"


def _plainly(value: Any) -> Any:
    """Return what JSON can hold of an object; of one that has no such form its type alone.

    An object's own text often has its address in memory in it, which is another one in every process.
    """
    for name in ("model_dump", "to_dict", "_asdict"):
        method = getattr(value, name, None)
        if callable(method) and not isinstance(value, type):
            return method()
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "__iter__") and not isinstance(value, type):
        return list(value) if hasattr(value, "__len__") else f"<{type(value).__qualname__}>"
    return f"<{type(value).__qualname__}>"


_encode = msgspec.json.Encoder(enc_hook=_plainly).encode


def as_json(value: Any) -> bytes:
    """Return any value as JSON that the journal takes: no NUL, no lone surrogate, not too deep."""
    try:
        raw = _encode(value)
    except (TypeError, ValueError, RecursionError, UnicodeEncodeError):
        return _encode(_cleaned(value, 0))
    if rb"\u0000" in raw or not codec.is_shallow(raw):
        return _encode(_cleaned(msgspec.json.decode(raw), 0))
    return raw


def as_text(value: Any) -> str:
    """Return any value as JSON text."""
    return as_json(value).decode()


def _cleaned(value: Any, depth: int) -> Any:  # noqa: PLR0911 - a case a type
    if depth > _DEEPEST:
        return "[nested deeper]"
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\x00", _REPLACEMENT)
    if isinstance(value, Mapping):
        return {_cleaned(str(name), depth): _cleaned(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(inner, depth + 1) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 1 << 63 else str(value)
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, msgspec.Struct):
        fields = ((item, getattr(value, item.name)) for item in msgspec.structs.fields(value))
        return {item.encode_name: _cleaned(held, depth + 1) for item, held in fields if held != item.default}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _cleaned(getattr(value, item.name), depth + 1) for item in dataclasses.fields(value)}
    return _cleaned(_plainly(value), depth + 1)


def arguments(signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return what a function was called with as JSON text, by the names of its parameters."""
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:  # the call itself will say so
        return as_text({**kwargs, **({"args": list(args)} if args else {})})
    given: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        parameter = signature.parameters[name]
        if parameter.kind is parameter.VAR_KEYWORD:
            given |= value
        elif name not in ("self", "cls"):
            given[name] = value
    return as_text(given)


Rebuild = Callable[[Any], Any]
"""From decoded JSON to the value that a tool returned."""


def rebuilder(function: Callable[..., Any]) -> Rebuild:
    """Return how to make a function's result from its JSON: by its return annotation, where it has one that helps."""
    try:
        hint = get_type_hints(function).get("return", Any)
    except Exception:  # noqa: BLE001 - an annotation is code, and may name what is not there
        hint = Any
    validate = getattr(hint, "model_validate", None)
    if callable(validate):
        return cast(Rebuild, validate)
    if hint in (Any, None, type(None)):
        return lambda value: value

    def rebuild(value: Any) -> Any:
        try:
            return msgspec.convert(value, hint, str_keys=True)
        except (msgspec.ValidationError, TypeError, ValueError):
            return value

    return rebuild


def survives(value: Any, json_text: str, rebuild: Rebuild) -> bool:
    """Return whether a result can be made again from its JSON: equal, and of the same type."""
    try:
        again = rebuild(msgspec.json.decode(json_text))
        return bool(again == value) and _same_kinds(again, value)
    except Exception:  # noqa: BLE001 - comparing is the agent's code
        return False


def _same_kinds(left: Any, right: Any) -> bool:
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return all(_same_kinds(one, other) for one, other in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return all(_same_kinds(left[name], right[name]) for name in left)
    return type(left) is type(right) or isinstance(left, list | tuple)


def exception_named(name: str, message: str) -> BaseException | None:
    """Return an exception of a class the process knows by this name, made without running its code; or None."""
    waiting: list[type[BaseException]] = [Exception]
    seen: set[type[BaseException]] = set()
    while waiting:
        kind = waiting.pop(0)
        if kind.__name__ == name:
            try:
                error = kind.__new__(kind, message)
            except TypeError:
                return None
            error.args = (message,)
            return error
        for inner in kind.__subclasses__():
            if inner not in seen:
                seen.add(inner)
                waiting.append(inner)
    return None

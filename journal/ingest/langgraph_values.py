"""What a LangGraph serializer wrote, as plain data: nothing named in it is imported, called or built.

Checkpoints hold msgpack whose extension types name a Python class and its arguments (`langgraph.checkpoint.serde`). Its
own reader builds those objects by importing what the bytes name, so a foreign database could run code. Here an
extension becomes the arguments themselves: a message its fields, a date its text, anything else an object with the
class's name under `$type`. Pickled and encrypted values are not opened at all.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Final
from uuid import UUID

import msgspec

from journal.domain.codec import MAX_DEPTH
from journal.errors import ImportRefused
from journal.ingest.lenient import as_list
from journal.ingest.source import decode

_MESSAGES: Final = "langchain_core.messages"
_SNAPSHOT: Final = 7
_NUMPY: Final = 6
_PARTS: Final = 3
_TOO_DEEP: Final = f"a checkpoint's value nests deeper than {MAX_DEPTH} levels"
_SHOWN: Final[dict[tuple[str, str], Callable[[Any], Any]]] = {
    ("uuid", "UUID"): lambda digits: str(UUID(hex=digits)),
    ("pathlib", "PosixPath"): lambda parts: str(PurePosixPath(*parts)),
    ("pathlib", "PurePosixPath"): lambda parts: str(PurePosixPath(*parts)),
    ("datetime", "date"): lambda parts: "{:04}-{:02}-{:02}".format(*parts),
    ("re", "compile"): lambda parts: parts[0],
}
"""How single arguments read better than they were kept."""

_AS_KEPT: Final = frozenset(
    {
        ("builtins", "set"), ("builtins", "frozenset"), ("collections", "deque"), ("decimal", "Decimal"),
        ("datetime", "datetime"), ("zoneinfo", "ZoneInfo"), ("ipaddress", "IPv4Address"), ("ipaddress", "IPv6Address"),
    }
)  # fmt: skip
"""What reads as its argument: a list, or text."""


def plain_value(kind: str | None, raw: bytes | None) -> Any:
    """Return a serialized value as JSON can hold it. `kind` is the serializer's own word for how it is written.

    Raises:
        ImportRefused: the bytes are not what `kind` says, or nest deeper than JSON here may.
    """
    if kind in (None, "null", "empty") or raw is None:
        return None
    if kind == "json":
        return _plain(decode(raw))
    if kind == "msgpack":
        return _unpacked(raw)
    if kind in ("bytes", "bytearray"):
        return _plain(raw)
    return {"$serialized": kind, "$base64": b64encode(raw).decode()}


def _unpacked(raw: bytes) -> Any:
    try:
        return _plain(_unpack(raw))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ImportRefused(f"a checkpoint's value is no msgpack ({error})") from error
    except RecursionError as error:
        raise ImportRefused(_TOO_DEEP) from error


def _unpack(raw: bytes | memoryview) -> Any:
    return msgspec.msgpack.decode(raw, ext_hook=_extension)


def _extension(code: int, raw: memoryview) -> Any:
    """Return what an extension holds: (module, class, arguments, …) as its arguments, never as the object."""
    held = _unpack(raw)  # never a copy: one in another would copy the rest at every level
    if code == _SNAPSHOT:
        return held
    parts = as_list(held)
    if len(parts) < _PARTS:
        return {"$type": f"extension {code}", "value": held}
    if code == _NUMPY:
        return {"$type": "numpy.ndarray", "dtype": parts[0], "shape": parts[1], "value": parts[-1]}
    return _shown(str(parts[0]), str(parts[1]), parts[2])


def _shown(module: str, name: str, arguments: Any) -> Any:
    if (module, name) in _AS_KEPT:
        return arguments
    if (module, name) in _SHOWN:
        try:
            return _SHOWN[module, name](arguments)
        except (AttributeError, LookupError, TypeError, ValueError):
            return arguments
    if module.startswith(_MESSAGES) and isinstance(arguments, dict):
        return {"type": _kind_of_message(name), **arguments}
    return {"$type": f"{module}.{name}", "value": arguments}


def _kind_of_message(name: str) -> str:
    return name.removesuffix("Chunk").removesuffix("Message").lower()


def _plain(value: Any, depth: int = 0) -> Any:
    """Return the value with text for keys, for bytes and for what JSON cannot say."""
    if depth > MAX_DEPTH:
        raise ImportRefused(_TOO_DEEP)
    match value:
        case dict():
            inner = {str(name): _plain(item, depth + 1) for name, item in value.items()}
            return _revived(inner)
        case list() | tuple():
            return [_plain(item, depth + 1) for item in value]
        case bytes() | bytearray() | memoryview():
            return {"$base64": b64encode(value).decode()}
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime():
            return value.isoformat()
        case _:
            return value


def _revived(value: dict[str, Any]) -> Any:
    """Return the arguments where an object is a constructor as LangChain writes it in JSON."""
    path = as_list(value.get("id"))
    if value.get("type") != "constructor" or "lc" not in value or not path:
        return value
    name, arguments = str(path[-1]), value.get("kwargs", value.get("args"))
    if name.removesuffix("Chunk").endswith("Message") and isinstance(arguments, dict):
        return {"type": _kind_of_message(name), **arguments}
    return _shown(".".join(map(str, path[:-1])), name, arguments)

"""Event name and schema version to Struct, and upcasters from old data to new.

Stored bytes never change: an upcaster runs on read, dict to dict, one schema version at a time. A type nobody
registered, a schema newer than this code, or data that does not fit come back as `Unknown` and are shown raw.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from journal.domain.event import RecordedEvent
from journal.domain.withdrawn import BEGINNING, Mark, mark_of

S = TypeVar("S", bound=type[msgspec.Struct])
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """An event this code has no Struct for, and why."""

    type: str
    schema: int
    data: dict[str, Any]
    reason: str


class Withdrawn(Unknown, frozen=True, kw_only=True):
    """An event whose payload was purged or erased. Whatever takes no notice of these takes it for unknown."""

    mark: Mark


class Both(msgspec.Struct, frozen=True, kw_only=True):
    """An event's data as it is stored and as this code reads it, side by side.

    `upcast` is None where this code cannot read it, and `reason` says why; `is_changed` is whether the two differ.
    """

    type: str
    schema: int
    newest: int | None
    raw: dict[str, Any]
    upcast: dict[str, Any] | None
    is_changed: bool
    reason: str = ""


class Catalog:
    """The known event types. One instance per process, filled at import of the modules that define events."""

    def __init__(self) -> None:
        self._structs: dict[str, tuple[type[msgspec.Struct], int]] = {}
        self._names: dict[type[msgspec.Struct], str] = {}
        self._decoders: dict[str, msgspec.json.Decoder[Any]] = {}
        self._upcasters: dict[tuple[str, int], Upcaster] = {}

    def event(self, name: str, *, schema: int = 1) -> Callable[[S], S]:
        """Register the decorated Struct as the newest `schema` of event type `name`.

        Raises:
            ValueError: the name is taken by another Struct.
        """

        def register(struct: S) -> S:
            if name in self._structs:
                raise ValueError(f"event type {name!r} is already {self._structs[name][0].__qualname__}")
            self._structs[name] = (struct, schema)
            self._names[struct] = name
            self._decoders[name] = msgspec.json.Decoder(struct)
            return struct

        return register

    def upcaster(self, name: str, *, schema: int) -> Callable[[Upcaster], Upcaster]:
        """Register the decorated function as the step from `schema` to `schema + 1` of `name`."""

        def register(step: Upcaster) -> Upcaster:
            self._upcasters[name, schema] = step
            return step

        return register

    def name_of(self, struct: type[msgspec.Struct]) -> str:
        """Return the event type that a Struct is registered under."""
        return self._names[struct]

    def schema_of(self, name: str) -> int | None:
        """Return the newest schema version of an event type, or None where it is unknown."""
        known = self._structs.get(name)
        return known[1] if known else None

    def names(self) -> tuple[str, ...]:
        """Return every registered event type, in order of registration."""
        return tuple(self._structs)

    def decode(self, event: RecordedEvent) -> Any:
        """Return the event's Struct at the newest schema; `Unknown`, or `Withdrawn` where its payload is gone."""
        return self.read(event.type, event.schema, event.data)

    def read(self, name: str, schema: int, data: bytes) -> Any:
        """Return the Struct of an event that need not be recorded yet. See `decode`."""
        if data.startswith(BEGINNING) and (mark := mark_of(data)) is not None:
            return Withdrawn(type=name, schema=schema, data={}, reason=f"its payload was {mark.words}", mark=mark)
        known = self._structs.get(name)
        if known is None:
            return _unknown(name, schema, data, "this type is not in the catalog")
        struct, newest = known
        if schema > newest:
            reason = f"schema {schema} is newer than {newest}, the newest this version reads"
            return _unknown(name, schema, data, reason)
        try:
            if schema == newest:
                return self._decoders[name].decode(data)
            return msgspec.convert(self._upcast(name, schema, msgspec.json.decode(data)), struct)
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
            return _unknown(name, schema, data, f"the data does not fit {struct.__name__}: {error}")

    def reader(self, name: str) -> tuple[int, Callable[[bytes], Any]]:
        """Return the newest schema of a type and what decodes it, for loops; it raises where `read` gives `Unknown`.

        A type that is unknown has no schema: 0.
        """
        known = self._structs.get(name)
        return (known[1], self._decoders[name].decode) if known else (0, bytes)

    def upcast(self, event: RecordedEvent) -> dict[str, Any]:
        """Return the event's data at the newest schema.

        Raises:
            KeyError: no upcaster leads from a schema version on the way.
        """
        return self._upcast(event.type, event.schema, msgspec.json.decode(event.data))

    def both(self, event: RecordedEvent) -> Both:
        """Return the event's data as stored and as read, for showing what upcasters made of it. Never fails."""
        newest = self.schema_of(event.type)
        decoded = self.decode(event)
        if isinstance(decoded, Unknown):
            upcast, reason = None, decoded.reason
        else:
            upcast, reason = self.upcast(event), ""
        return Both(
            type=event.type,
            schema=event.schema,
            newest=newest,
            raw=event.payload,
            upcast=upcast,
            is_changed=upcast is not None and upcast != event.payload,
            reason=reason,
        )

    def _upcast(self, name: str, schema: int, data: dict[str, Any]) -> dict[str, Any]:
        for step in range(schema, self.schema_of(name) or schema):
            data = self._upcasters[name, step](data)
        return data


def _unknown(name: str, schema: int, data: bytes, reason: str) -> Unknown:
    return Unknown(type=name, schema=schema, data=msgspec.json.decode(data), reason=reason)


catalog = Catalog()
"""The process's catalog."""


def both(event: RecordedEvent) -> Both:
    """Return an event's data as stored and as read by the process's catalog. See `Catalog.both`."""
    return catalog.both(event)

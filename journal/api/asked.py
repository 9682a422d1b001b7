"""What a request says: parameters of the address and the body, each as a Struct, refused with the place of the fault.

Bodies are read by msgspec and not by a parser of DRF: payloads stay the bytes they were (`msgspec.Raw`).
"""

from __future__ import annotations

import json
import re
import zlib
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Final, TypeVar, cast

import msgspec
from django.http import HttpRequest

from journal.api.refusals import Invalid, Malformed, TooLarge, WrongMediaType
from journal.domain import codec
from journal.domain.moment import in_utc

S = TypeVar("S", bound=msgspec.Struct)

MAX_BODY: Final = 32 * 2**20
"""Bytes of a body, unpacked."""

MAX_RATIO: Final = 100
"""How many times as long a gzip body may get, once it is past `_SMALL`."""

MAX_LIMIT: Final = 1_000
_SMALL: Final = 2**20
_PIECE: Final = 64 * 1024
_PLACE: Final = re.compile(r"(?s)(.*) - at `(?:key in )?\$(.*)`")
_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")

Position = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT, description="At most so many items.")]
Time = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters that every address takes."""

    project: Annotated[
        str | None, msgspec.Meta(description="With a session: which project, where there are several.")
    ] = None


# --- The address ------------------------------------------------------------------------------------------------------


def parameters(request: HttpRequest, kind: type[S]) -> S:
    """Return the parameters of an address.

    Raises:
        Malformed: one is unknown, stands twice, or is not of its type; names it.
    """
    given: dict[str, str] = {}
    for name, values in request.GET.lists():
        shown = name[:80].replace("\x00", "")
        if len(values) > 1:
            raise Malformed("stands more than once", parameter=shown)
        if "\x00" in values[0]:
            raise Malformed("holds a NUL character", parameter=shown)
        given[name] = values[0]
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    for name in given:
        if name not in known:
            listed = ", ".join(sorted(known))
            raise Malformed(f"is unknown here; there are {listed}", parameter=name[:80].replace("\x00", ""))
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        reason, pointer = _told(str(error))
        raise Malformed(reason, parameter=pointer.strip("/") or None) from error


def moment(text: str | None, parameter: str) -> datetime | None:
    """Return an ISO 8601 time; UTC where it names no zone.

    Raises:
        Malformed: it is none.
    """
    if text is None:
        return None
    try:
        return in_utc(text)
    except ValueError as error:
        raise Malformed("is no ISO 8601 time, such as 2026-11-22T18:55:03Z", parameter=parameter) from error


# --- The body ---------------------------------------------------------------------------------------------------------


def body(request: HttpRequest, kind: type[S]) -> S:
    """Return a JSON body, unpacked where it came as gzip.

    Raises:
        WrongMediaType: it says that it is something else.
        TooLarge: it is longer than is taken.
        Malformed: it is no JSON in UTF-8.
        PayloadRefused: it holds a lone surrogate; with the place.
        Invalid: it is JSON, but not what `kind` is; with the place.
    """
    if request.content_type != "application/json":
        raise WrongMediaType(header="Content-Type", value=request.content_type or "", takes="application/json")
    return decoded(unpacked(request), kind)


def decoded(raw: bytes, kind: type[S]) -> S:
    """Return JSON as a Struct. See `body`."""
    try:
        return cast(S, _decoder(kind).decode(raw))
    except msgspec.ValidationError as error:
        reason, pointer = _told(str(error))
        raise Invalid(reason, pointer=pointer) from error
    except msgspec.DecodeError as error:
        _check_text(raw)
        raise Malformed(f"the body is not JSON: {error}") from error
    except UnicodeDecodeError as error:
        raise Malformed(f"the body is not UTF-8: byte {error.start} begins no character") from error
    except RecursionError as error:
        raise Malformed("the body nests deeper than can be read") from error


def _check_text(raw: bytes) -> None:
    """Tell of a lone surrogate where it stands: to msgspec it is only JSON that ends early.

    Raises:
        PayloadRefused: there is one; with the place.
    """
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return
    codec.check_value(value, what="the body")


@lru_cache(maxsize=64)
def _decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def unpacked(request: HttpRequest) -> bytes:
    """Return a request's body, never more than `MAX_BODY` of it in memory. See `body`."""
    packing = request.headers.get("Content-Encoding", "identity").strip().casefold()
    if packing not in ("identity", "gzip"):
        raise WrongMediaType(header="Content-Encoding", value=packing, takes="gzip, or none")
    announced = request.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced[:18]) > MAX_BODY:
        raise _too_large()
    took = _Gzip() if packing == "gzip" else _Plain()
    while piece := request.read(_PIECE):
        took.take(piece)
    return took.end()


class _Plain:
    """A body as it came."""

    def __init__(self) -> None:
        self._found = bytearray()

    def take(self, piece: bytes) -> None:
        self._found += piece
        if len(self._found) > MAX_BODY:
            raise _too_large()

    def end(self) -> bytes:
        return bytes(self._found)


class _Gzip:
    """A body that is unpacked on the way, so that no bomb gets further than the bound."""

    def __init__(self) -> None:
        self._found = bytearray()
        self._read = 0
        self._gzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def take(self, piece: bytes) -> None:
        self._read += len(piece)
        while piece:
            try:
                self._found += self._gzip.decompress(piece, _PIECE)
            except zlib.error as error:
                raise Malformed(f"the body is not gzip ({error})") from error
            if len(self._found) > MAX_BODY:
                raise _too_large()
            if len(self._found) > max(_SMALL, MAX_RATIO * self._read):
                raise TooLarge(limit=MAX_RATIO, reason=f"a gzip body may get {MAX_RATIO} times as long, and no longer")
            if self._gzip.eof and self._gzip.unused_data:
                raise Malformed("something stands behind the end of the gzip body")
            piece = self._gzip.unconsumed_tail

    def end(self) -> bytes:
        if not self._gzip.eof:
            raise Malformed("the gzip body ends early")
        return bytes(self._found)


def _too_large() -> TooLarge:
    return TooLarge(limit=MAX_BODY, reason=f"a body has {MAX_BODY:,} bytes at most, unpacked; send it in parts")


def _told(message: str) -> tuple[str, str]:
    """Return what msgspec has against a value, and the place as a JSON Pointer."""
    match = _PLACE.fullmatch(message)
    if match is None:
        return message, ""
    steps = [name or number for name, number in _STEP.findall(match[2])]
    return match[1], "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)

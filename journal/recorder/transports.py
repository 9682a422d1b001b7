"""Raw model traffic, recorded on its way through `httpx` or `httpx2`, and answered from the journal in a replay.

The client gets every byte when it comes; what passed is put together beside it. Which of the two libraries a client
uses, it decides: both have the same transports. Headers of requests are never recorded, and what stood in those that
carry keys is taken out of everything else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from journal.recorder import belonging
from journal.recorder.exchanges import Exchange, unpacked
from journal.recorder.replaying import Replay
from journal.recorder.requests import decoded, digest
from journal.recorder.script import ModelStep
from journal.recorder.sse import pieces
from journal.recorder.turns import Turn
from journal.recorder.warn import guarded
from journal.recorder.wire import Api, api_of, asked

LIBRARIES: Final = ("httpx2", "httpx")

_MARK: Final = "nagare"
_KEYS: Final = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie")
_SHORTEST_KEY: Final = 8


# --- Streams that watch


class _Watching:
    """A response's stream that tells an exchange what passes. Sync and async are two ways through the same."""

    def __init__(self, inner: Any, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._inner:
                self._exchange.passes(chunk)
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            self._exchange.over(f"{type(error).__name__}: {error}")
            raise
        self._exchange.over(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._inner:
                self._exchange.passes(chunk)
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            self._exchange.over(f"{type(error).__name__}: {error}")
            raise
        self._exchange.over(None)

    def close(self) -> None:
        self._exchange.over("the client closed it")
        self._inner.close()

    async def aclose(self) -> None:
        self._exchange.over("the client closed it")
        await self._inner.aclose()


class _Pieces:
    """A recorded body, in the pieces it came in."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk

    def close(self) -> None:
        """Nothing is held."""

    async def aclose(self) -> None:
        """Nothing is held."""


@cache
def _stream_classes(library: str) -> tuple[type[Any], type[Any]]:
    """Return the two streams as this library's clients ask for them: they check the class."""
    module: Any = import_module(library)
    bases = (module.SyncByteStream, module.AsyncByteStream)
    return type("WatchingStream", (_Watching, *bases), {}), type("RecordedStream", (_Pieces, *bases), {})


# --- Transports


class _Recording:
    """What sync and async transports share."""

    def __init__(self, inner: Any = None, *, library: str | None = None) -> None:
        self._library = library or _library_of(inner)
        self._module: Any = import_module(self._library)
        self._inner = inner

    def _watched(self, request: Any) -> bool:
        if request.extensions.get(_MARK) or api_of(request.method, request.url.path) is None:
            return False
        if belonging.is_muted():
            return False
        return belonging.current() is not None or belonging.current_replay() is not None

    def _begin(self, request: Any, raw: bytes) -> tuple[Exchange, Any]:
        """Record the request. Returns its exchange, and the response where a replay has it.

        Raises:
            Stopped: a strict replay expected something else.
        """
        request.extensions = {**request.extensions, _MARK: True}
        api = api_of(request.method, request.url.path) or "openai.chat"
        replay = belonging.current_replay()
        run = belonging.current() or (replay.implicit_run() if replay is not None else None)
        secrets = _secrets(request.headers)
        turn = self._asking(run, request, raw, api, secrets) if run is not None else None
        exchange = Exchange(self._module, api, turn, secrets)
        return exchange, self._recorded(replay, request, raw) if replay is not None else None

    @guarded("a request", None)
    def _asking(self, run: Any, request: Any, raw: bytes, api: Api, secrets: list[str]) -> Turn | None:
        text = raw.decode("utf-8", "replace")
        for secret in secrets:
            text = text.replace(secret, "[key]")
        body = decoded(text.encode())
        if body is None:
            return None
        url = request.url.copy_with(query=None, fragment=None, userinfo=b"")
        seen = {"api": api, "url": str(url), "sha256": digest(raw), "bytes": len(raw)}
        turn: Turn = run.asking(asked(api, body), body=body, seen=seen)
        return turn

    def _recorded(self, replay: Replay, request: Any, raw: bytes) -> Any:
        step = replay.model(raw)
        return None if step is None else self._response(step, request)

    def _response(self, step: ModelStep, request: Any) -> Any:
        """Return a recorded response as the client got it, or raise what it got in its place."""
        raw = step.raw
        if "error" in raw and "status" not in raw:
            told = raw["error"]
            raise self._error(str(told.get("type")), told.get("message") or "", request)
        body = raw.get("body")
        if "stream" in raw:
            chunks = [piece.encode() for piece in pieces(unpacked(str(raw["stream"])))]
        else:
            chunks = [body.encode() if isinstance(body, str) else msgspec.json.encode(body)]
        # Clients wait before they try again; nobody is spared anything by that in a replay.
        headers = {**raw.get("headers", {}), "retry-after-ms": "1"}
        stream = _stream_classes(self._library)[1](chunks)
        return self._module.Response(raw.get("status", 200), headers=headers, stream=stream)

    def _error(self, name: str, message: str, request: Any) -> Exception:
        kind = getattr(self._module, name, None)
        if not (isinstance(kind, type) and issubclass(kind, self._module.TransportError)):
            kind = self._module.ConnectError
        error: Exception = kind(message, request=request)
        return error

    def _watch(self, exchange: Exchange, response: Any) -> Any:
        exchange.begins(response)
        response.stream = _stream_classes(self._library)[0](response.stream, exchange)
        return response


class RecordingTransport(_Recording):
    """Passes requests to another transport, and records those to models. For sync clients."""

    def handle_request(self, request: Any) -> Any:
        """Send the request, or answer it from the journal."""
        if not self._watched(request):
            return self._sync().handle_request(request)
        exchange, response = self._begin(request, request.read())
        if response is None:
            try:
                response = self._sync().handle_request(request)
            except BaseException as error:
                exchange.failed(error)
                raise
        return self._watch(exchange, response)

    def _sync(self) -> Any:
        if self._inner is None:
            self._inner = self._module.HTTPTransport()
        return self._inner

    def close(self) -> None:
        """Close the transport behind this one."""
        if self._inner is not None:
            self._inner.close()

    def __enter__(self) -> Self:
        self._sync().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sync().__exit__(kind, error, trace)


class AsyncRecordingTransport(_Recording):
    """Passes requests to another transport, and records those to models. For async clients."""

    async def handle_async_request(self, request: Any) -> Any:
        """Send the request, or answer it from the journal."""
        if not self._watched(request):
            return await self._async().handle_async_request(request)
        exchange, response = self._begin(request, await request.aread())
        if response is None:
            try:
                response = await self._async().handle_async_request(request)
            except BaseException as error:
                exchange.failed(error)
                raise
        return self._watch(exchange, response)

    def _async(self) -> Any:
        if self._inner is None:
            self._inner = self._module.AsyncHTTPTransport()
        return self._inner

    async def aclose(self) -> None:
        """Close the transport behind this one."""
        if self._inner is not None:
            await self._inner.aclose()

    async def __aenter__(self) -> Self:
        await self._async().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._async().__aexit__(kind, error, trace)


def transport(inner: Any = None, *, library: str | None = None) -> Any:
    """Return a transport that records model traffic, for the `transport=` of a sync client.

    `inner` does the sending; without it that is the library's own. `library` is `httpx2` or `httpx`: the one that
    `inner` is of, else the first of them that is installed, which is what the newest clients use.
    """
    name = library or _library_of(inner)
    return _transport_classes(name)[0](inner, library=name)


def async_transport(inner: Any = None, *, library: str | None = None) -> Any:
    """Return a transport that records model traffic, for the `transport=` of an async client. See `transport`."""
    name = library or _library_of(inner)
    return _transport_classes(name)[1](inner, library=name)


@cache
def _transport_classes(library: str) -> tuple[type[Any], type[Any]]:
    module: Any = import_module(library)
    return (
        type("RecordingTransport", (RecordingTransport, module.BaseTransport), {}),
        type("AsyncRecordingTransport", (AsyncRecordingTransport, module.AsyncBaseTransport), {}),
    )


def _library_of(inner: Any) -> str:
    for kind in type(inner).__mro__:
        name = kind.__module__.partition(".")[0]
        if name in LIBRARIES:
            return name
    found = next((name for name in LIBRARIES if find_spec(name) is not None), None)
    if found is None:
        raise ImportError("neither httpx2 nor httpx is installed: there is no model traffic to record")
    return found


def _secrets(headers: Any) -> list[str]:
    """Return what the headers that carry keys say: it may come back in an error message."""
    found = []
    for name in _KEYS:
        value = headers.get(name, "")
        found += [part for part in value.replace(";", " ").split() if len(part) >= _SHORTEST_KEY]
    return found


# --- Without touching the clients

_Patched = tuple[type[Any], str, Any]
_patched: list[_Patched] = []


def instrument() -> None:
    """Record what every `httpx` and `httpx2` client of this process sends to models, clients that exist included.

    The transports of the two libraries are watched; clients with a transport of their own are not. Twice is once.
    """
    if _patched:
        return
    for library in LIBRARIES:
        if find_spec(library) is not None:
            module: Any = import_module(library)
            _patch(module.HTTPTransport, "handle_request", library)
            _patch(module.AsyncHTTPTransport, "handle_async_request", library)


def uninstrument() -> None:
    """Undo `instrument`."""
    while _patched:
        owner, name, original = _patched.pop()
        setattr(owner, name, original)


def _patch(owner: type[Any], name: str, library: str) -> None:
    original = getattr(owner, name)
    if name == "handle_request":

        def watched(self: Any, request: Any) -> Any:
            return RecordingTransport(_Original(original, self), library=library).handle_request(request)

        setattr(owner, name, watched)
    else:

        async def watched_async(self: Any, request: Any) -> Any:
            return await AsyncRecordingTransport(_Original(original, self), library=library).handle_async_request(
                request
            )

        setattr(owner, name, watched_async)
    _patched.append((owner, name, original))


class _Original:
    """A transport's own method, as it was before it was watched."""

    def __init__(self, method: Any, owner: Any) -> None:
        self._method = method
        self._owner = owner

    def handle_request(self, request: Any) -> Any:
        return self._method(self._owner, request)

    def handle_async_request(self, request: Any) -> Any:
        return self._method(self._owner, request)

"""One request and its response: what passes between a client and its provider, and what the run is told of it."""

from __future__ import annotations

import base64
import zlib
from typing import Any, Final

import msgspec

from journal.recorder.requests import decoded
from journal.recorder.sse import assembled
from journal.recorder.turns import Turn
from journal.recorder.warn import guarded
from journal.recorder.wire import Answer, Api, answer

_KEPT_HEADERS: Final = ("content-type", "x-request-id", "request-id", "retry-after", "retry-after-ms", "x-should-retry")
_MOST_BODY: Final = 32_000_000
_ENDS: Final = (b"[DONE]", b"message_stop", b"response.completed", b"response.incomplete", b"response.failed")
_TAIL: Final = 64
_ERROR: Final = 400
_STREAM: Final = "text/event-stream"


class Exchange:
    """One request and its response: collects what passes, and tells the run when it is over."""

    def __init__(self, library: Any, api: Api, turn: Turn | None, secrets: list[str]) -> None:
        self._library = library
        self._api = api
        self._turn = turn
        self._secrets = secrets
        self._chunks: list[bytes] = []
        self._size = 0
        self._tail = b""
        self._status = 0
        self._headers: Any = {}
        self._is_over = turn is None
        self._is_stream = False

    def begins(self, response: Any) -> None:
        """Take status and headers in."""
        self._status, self._headers = response.status_code, response.headers
        self._is_stream = _STREAM in self._headers.get("content-type", "")

    def passes(self, chunk: bytes) -> None:
        """Take a piece of the body in, before the client gets it.

        A stream is over with its provider's last event, which clients act on before they close the response.
        """
        if self._is_over:
            return
        self._size += len(chunk)
        if self._size <= _MOST_BODY:
            self._chunks.append(chunk)
        seen = self._tail + chunk
        self._tail = seen[-_TAIL:]
        if self._is_stream and any(end in seen for end in _ENDS):
            self.over(None, only_complete=True)

    @guarded("a response", None)
    def over(self, interrupted: str | None, *, only_complete: bool = False) -> None:
        """Tell the run what came of the request. `interrupted` says why nothing more will come."""
        if self._is_over or self._turn is None:
            return
        if self._size > _MOST_BODY:
            self._is_over = True
            self._turn.responded(Answer(finish_reason=interrupted), raw={"omitted": f"{self._size} bytes"})
            return
        text = self._text()
        if self._status >= _ERROR:
            self._is_over = True
            self._refused(text)
        elif self._is_stream:
            self._streamed(text, interrupted, only_complete=only_complete)
        else:
            self._is_over = True
            self._whole(text, interrupted)

    def failed(self, error: BaseException) -> None:
        """Tell the run that there is no response at all."""
        if not self._is_over and self._turn is not None:
            self._is_over = True
            message = self._clean(str(error)) or None
            kind = type(error).__name__
            self._turn.failed(message, code=kind, raw={"error": {"type": kind, "message": message}})

    def _text(self) -> str:
        """Return the body as text; compressed ones as their library takes them apart."""
        raw = b"".join(self._chunks)
        encoding = self._headers.get("content-encoding")
        if encoding and encoding != "identity":
            try:
                raw = self._library.Response(200, headers={"content-encoding": encoding}, content=raw).content
            except Exception:  # noqa: BLE001 - it broke off in the middle of what was compressed
                raw = _as_far_as_it_goes(raw, encoding)
        return self._clean(raw.decode("utf-8", "replace"))

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        return text

    def _seen(self) -> dict[str, Any]:
        headers = {name: self._clean(self._headers[name]) for name in _KEPT_HEADERS if name in self._headers}
        return {"status": self._status, "headers": headers}

    def _refused(self, text: str) -> None:
        assert self._turn is not None  # noqa: S101 - `over` has seen to it
        body = decoded(text.encode())
        error = body.get("error") if body else None
        told = error if isinstance(error, dict) else body or {}
        message = told.get("message")
        code = told.get("code") or told.get("type")
        self._turn.failed(
            str(message) if message else text[:500] or None,
            code=str(code) if code else None,
            status=self._status,
            raw={**self._seen(), "body": body if body is not None else text},
        )

    def _whole(self, text: str, interrupted: str | None) -> None:
        assert self._turn is not None  # noqa: S101 - `over` has seen to it
        body = decoded(text.encode())
        if body is None:
            self._turn.failed(
                interrupted or "the response is no JSON object",
                status=self._status,
                code="interrupted" if interrupted else None,
                raw={**self._seen(), "body": text, **({"interrupted": interrupted} if interrupted else {})},
            )
            return
        self._turn.responded(answer(self._api, body), raw={**self._seen(), "body": body})

    def _streamed(self, text: str, interrupted: str | None, *, only_complete: bool) -> None:
        assert self._turn is not None  # noqa: S101 - `over` has seen to it
        whole = assembled(self._api, text)
        if only_complete and not whole.is_complete:
            return
        self._is_over = True
        why = None if whole.is_complete else interrupted or "the stream ended early"
        raw: dict[str, Any] = {**self._seen(), "body": whole.body, "stream": packed(text)}
        if whole.error is not None or (why and not whole.has_content):
            told = whole.error if isinstance(whole.error, dict) else {}
            message = str(told.get("message") or whole.error or why)
            if why:
                raw["interrupted"] = why
            code = told.get("code") or told.get("type") or ("interrupted" if why else None)
            self._turn.failed(message, code=str(code) if code else None, status=self._status, raw=raw)
            return
        said = answer(self._api, whole.body)
        if why:
            raw["interrupted"] = why
            said = msgspec.structs.replace(said, finish_reason="interrupted", calls=())
        self._turn.responded(said, raw=raw)


def _as_far_as_it_goes(raw: bytes, encoding: str) -> bytes:
    if encoding != "gzip":
        return b""
    try:
        return zlib.decompressobj(wbits=31).decompress(raw)
    except zlib.error:
        return b""


def packed(text: str) -> str:
    """Return a stream's text in little room: its pieces repeat each other."""
    return base64.b64encode(zlib.compress(text.encode(), 6)).decode()


def unpacked(stream: str) -> str:
    """Return a stream's text again.

    Raises:
        ValueError: it is not what `packed` makes, or larger than anything it makes.
    """
    try:
        unzip = zlib.decompressobj()
        text = unzip.decompress(base64.b64decode(stream), _MOST_BODY)
    except zlib.error as error:
        raise ValueError("the recorded stream is damaged") from error
    if unzip.unconsumed_tail:
        raise ValueError("the recorded stream is too large")
    return text.decode()

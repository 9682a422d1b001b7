"""HTTP requests to addresses that people typed in, made so that they cannot reach what only this machine can.

The name is resolved once, every address it has is looked at, and the connection goes to one that was looked at: a name
that answers differently a moment later (DNS rebinding) gains nothing. Redirects are not followed, proxies from the
environment are not used, and a deadline ends an answer that trickles.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from journal.errors import JournalError

DEADLINE_S: Final = 10.0
"""For connecting, sending and the answer's head together."""

MAX_BODY_BYTES: Final = 256 * 1024
_CONNECT_S: Final = 5.0
_PORTS: Final = {"http": 80, "https": 443}
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefused(JournalError):
    """A URL that nothing is sent to, and why."""

    def __init__(self, *, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"{url[:200]}: {reason}")


def checked_url(url: str) -> SplitResult:
    """Return the parts of a URL that may be sent to, as far as can be told without resolving its name.

    Raises:
        AddressRefused: not http or https, without a host, with a user name in it, or with characters that end a line.
    """
    if any(ord(letter) <= ord(" ") or ord(letter) == 0x7F for letter in url):  # noqa: PLR2004 - DEL
        raise AddressRefused(url=url, reason="it has spaces or control characters; percent-encode them")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused(url=url, reason=str(error)) from error
    if parts.scheme not in _PORTS:
        raise AddressRefused(url=url, reason=f"its scheme is {parts.scheme or 'missing'}; http and https are sent to")
    if not parts.hostname or port == 0:
        raise AddressRefused(url=url, reason="it names no host and port to connect to")
    if "@" in parts.netloc:
        raise AddressRefused(url=url, reason="it has a user name in it; put a secret into the path or the query")
    return parts


def checked_addresses(parts: SplitResult, *, allow_private: bool) -> list[str]:
    """Resolve the host and return its addresses.

    Raises:
        AddressRefused: one of them is not an address of the public internet, and `allow_private` is not set. One is
            enough: a name with both kinds is how a guard is got around.
        OSError: the name cannot be resolved now.
    """
    host = parts.hostname or ""
    found = socket.getaddrinfo(host, _port(parts), type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    for address in addresses:
        if not allow_private and not is_public(address):
            raise AddressRefused(
                url=parts.geturl(),
                reason=f"{host if host == address else f'{host} is {address}, which'} is not on the public internet; "
                "NAGARE_ALLOW_PRIVATE_WEBHOOKS=1 lets webhooks into your own network",
            )
    return addresses


def is_public(text: str) -> bool:
    """Tell whether an address is of the public internet, also where IPv6 carries an IPv4 one inside."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    return all(
        one.is_global and not one.is_multicast and not one.is_reserved and not one.is_unspecified
        for one in (_embedded(address) or [address])
    )


def _embedded(address: Address) -> list[Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address.sixtofour:
        return [address.sixtofour]
    if address.teredo:
        return list(address.teredo)
    return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)] if address in _NAT64 else []


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, allow_private: bool, deadline_s: float = DEADLINE_S
) -> int:
    """POST and return the status of the answer, whose body is not read.

    Raises:
        AddressRefused: nothing was sent, and trying again sends nothing either.
        OSError, http.client.HTTPException: no answer came in time, or none that can be read.
    """
    return exchange(url, body, headers, allow_private=allow_private, deadline_s=deadline_s).status


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back: its status, and as much of its body as was asked for."""

    status: int
    body: bytes


def exchange(  # noqa: PLR0913 - a request and its limits
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allow_private: bool,
    deadline_s: float = DEADLINE_S,
    most_bytes: int = 0,
) -> Answer:
    """POST and return the answer with the first `most_bytes` of its body.

    Raises:
        AddressRefused: nothing was sent, and trying again sends nothing either.
        OSError, http.client.HTTPException: no answer came in time, or none that can be read.
    """
    parts = checked_url(url)
    if len(body) > MAX_BODY_BYTES:
        raise AddressRefused(url=url, reason=f"the body has {len(body):,} bytes, the limit is {MAX_BODY_BYTES:,}")
    addresses = checked_addresses(parts, allow_private=allow_private)
    connection = _Pinned(parts, addresses, timeout=min(_CONNECT_S, deadline_s))
    with _until(connection, deadline_s):
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body=body, headers={**headers, "Connection": "close"})
        with connection.getresponse() as answer:  # what is not read of it holds the socket open
            return Answer(status=answer.status, body=answer.read(most_bytes) if most_bytes else b"")


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was checked, under the name that was asked for."""

    def __init__(self, parts: SplitResult, addresses: list[str], *, timeout: float) -> None:
        super().__init__(parts.hostname or "", _port(parts), timeout=timeout)
        self._addresses = addresses
        self._is_tls = parts.scheme == "https"
        self.default_port = _PORTS[parts.scheme]  # so that the Host header names the port where it is another

    def connect(self) -> None:
        """Connect to the first address that answers; with TLS, check the certificate against the name."""
        for address in self._addresses:
            try:
                connected = socket.create_connection((address, self.port), timeout=self.timeout)
                break
            except OSError as error:
                failure = error
        else:
            raise failure
        if self._is_tls:
            connected = ssl.create_default_context().wrap_socket(connected, server_hostname=self.host)
        self.sock = connected


@contextmanager
def _until(connection: _Pinned, deadline_s: float) -> Iterator[None]:
    """Close the connection at the deadline. A socket's own timeout starts anew with each byte that trickles in."""
    is_late = threading.Event()

    def cut() -> None:
        is_late.set()
        with suppress(OSError, AttributeError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(deadline_s, cut)
    timer.daemon = True
    timer.start()
    late = TimeoutError(f"no answer within {deadline_s:g} seconds")
    try:
        yield
        if is_late.is_set():  # an answer that was cut off looks like one that ended
            raise late
    except (OSError, http.client.HTTPException) as error:
        if is_late.is_set() and error is not late:
            raise late from error
        raise
    finally:
        timer.cancel()
        connection.close()


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS[parts.scheme]

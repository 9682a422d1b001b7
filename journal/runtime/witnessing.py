"""Asking witnesses to sign the log's heads: the client of C2SP tlog-witness (`add-checkpoint`).

A witness keeps the last head it saw of a log and signs one only where it goes on from that. A log that shows two
histories to two people needs two heads with a witness's name on them, which no honest witness gives. What comes back is
checked with the key that the operator named, and kept as another signature line of the head's note.
"""

from __future__ import annotations

import base64
import http.client
from time import monotonic
from typing import Final

import structlog

from journal.domain.note import NoteRefused, Verifier, cosign, split_note
from journal.errors import JournalError
from journal.models import Log, LogHead
from journal.runtime import http_out, log_rows, witnesses
from journal.runtime.witnesses import Witness

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_OK, _CONFLICT = 200, 409
_MOST_ANSWER: Final = 16 * 1024
_TRIES: Final = 2
_DEADLINE_S: Final = 3.0
PACE_S: Final = 5.0
"""How often a log's newest head is shown to a witness: a head a second needs no signature each."""

REST_S: Final = 60.0
"""How long a witness that did not sign is left alone: with that log, or where it gave no answer, with every one.

They are sealed meanwhile, and not witnessed.
"""
_DIGITS: Final = 20


class WitnessRefused(JournalError):
    """A witness did not sign, and why."""

    def __init__(self, *, witness: str, reason: str) -> None:
        self.witness = witness
        super().__init__(f"{witness} did not sign: {reason}")


_next_at: dict[tuple[str, str], float] = {}
"""When a log's head may be shown to a witness again, by origin and address."""
_away_until: dict[str, float] = {}
"""Until when a witness that gave no answer is not asked at all, by address: one wait for it is enough."""


def ask_all() -> None:
    """Ask each witness to sign the newest head of each log that it has not signed. One that fails is asked again."""
    known = witnesses.in_use()
    for found in log_rows.all_newest() if known else ():
        for witness in () if found.broken else known:
            place = (found.origin, witness.url)
            if monotonic() >= max(_next_at.get(place, 0.0), _away_until.get(witness.url, 0.0)):
                _next_at[place] = monotonic() + (PACE_S if _asked(found, witness) else REST_S)


def _asked(found: Log, witness: Witness) -> bool:
    """Have the newest head signed. Returns whether there is nothing more to be done for now."""
    newest = log_rows.head_at(found)
    if newest is None or is_signed_by(newest.note, witness.key):
        return True
    try:
        line = ask(found, newest, witness)
    except (WitnessRefused, http_out.AddressRefused, OSError, http.client.HTTPException) as error:
        log.warning("not_witnessed", origin=found.origin, witness=witness.key.name, reason=str(error)[:300])
        if not isinstance(error, WitnessRefused):
            _away_until[witness.url] = monotonic() + REST_S
        return False
    LogHead.objects.filter(pk=newest.pk).update(note=cosign(newest.note, line))
    log.info("witnessed", origin=found.origin, size=newest.size, witness=witness.key.name)
    return True


def is_signed_by(note: str, key: Verifier) -> bool:
    """Whether a note has a good signature of a key."""
    text, signatures = split_note(note)
    return any((name, kid) == (key.name, key.id) and key.check(text, signed) for name, kid, signed in signatures)


def names_on(note: str) -> list[str]:
    """Return the names of the witnesses in use whose signature is on a note."""
    return [witness.key.name for witness in witnesses.in_use() if is_signed_by(note, witness.key)]


def ask(found: Log, newest: LogHead, witness: Witness) -> str:
    """Return a witness's signature line for a head.

    How much it has seen it says itself: asked from there on, it is shown that the log only grew.

    Raises:
        WitnessRefused: it saw another history, does not know the log, or answered what is no signature of its key.
        OSError, http.client.HTTPException: it did not answer in time.
    """
    tree, own = log_rows.tiles(found, size=newest.size), _own(newest.note)
    seen = 0
    for _ in range(_TRIES):
        proof = "".join(f"{base64.b64encode(step).decode()}\n" for step in tree.consistency(seen, newest.size))
        body = f"old {seen}\n{proof}\n{own}".encode()
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        answer = http_out.exchange(
            f"{witness.url}/add-checkpoint",
            body,
            headers,
            allow_private=True,
            deadline_s=_DEADLINE_S,
            most_bytes=_MOST_ANSWER,
        )
        if answer.status == _OK:
            return _signature(own, answer.body, witness)
        told = answer.body.decode(errors="replace").strip()
        if answer.status != _CONFLICT or not told.isdecimal() or len(told) > _DIGITS or int(told) == seen:
            raise WitnessRefused(witness=witness.key.name, reason=f"{answer.status} {told[:200]}")
        if int(told) > newest.size:
            reason = f"it has seen {int(told):,} events of a log that has {newest.size:,} now"
            raise WitnessRefused(witness=witness.key.name, reason=reason)
        seen = int(told)
    raise WitnessRefused(witness=witness.key.name, reason="it saw another head each time it was asked")


def _own(note: str) -> str:
    """Return a note with the log's own signature alone: others are no business of a witness."""
    head, blank, lines = note.rpartition("\n\n")
    return f"{head}{blank}{lines.split(chr(10))[0]}\n"


def _signature(own: str, body: bytes, witness: Witness) -> str:
    """Return the line of an answer that is the witness's, once it is checked."""
    for line in body.decode(errors="replace").splitlines(keepends=True):
        try:
            signed = cosign(own, line if line.endswith("\n") else line + "\n")
            if is_signed_by(signed, witness.key):
                return signed.removeprefix(own)
        except NoteRefused:
            continue
    raise WitnessRefused(witness=witness.key.name, reason="what came back is no signature of its key")

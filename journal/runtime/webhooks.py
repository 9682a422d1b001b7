"""Webhooks: where a project's alerts and events go, and how they are signed.

Requests follow the Standard Webhooks specification, so that a receiver can check them with a library it has:
`webhook-id` is the dispatch id, the same for every attempt; `webhook-timestamp` is the attempt's; `webhook-signature`
is HMAC-SHA256 over ``id.timestamp.body``. `traceparent` lets the receiver's trace begin where ours ends.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from uuid_utils.compat import uuid7

from journal.domain import codec
from journal.domain.alerts import KINDS, Raised
from journal.domain.catalog import catalog
from journal.domain.dispatch import NewDispatch
from journal.domain.event import RecordedEvent
from journal.domain.trace import parsed
from journal.errors import JournalError
from journal.models import Webhook
from journal.runtime import http_out
from journal.runtime.outbox import Delivery, Undeliverable, effect
from journal.store import every_project
from journal.store.tracing import current_traceparent

WEBHOOK: Final = "webhook"
EMAIL: Final = "email"
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every such secret begins with
_MAILTO: Final = "mailto:"
_TYPE: Final = re.compile(r"[a-z][a-z0-9_]*\.[a-z0-9_.]+")


class WebhookRefused(JournalError):
    """A webhook that cannot be made, or is not there."""


class BadAnswer(Exception):
    """The receiver answered, and not with success."""


def add(*, project: str, url: str, on: Sequence[str] = ()) -> Webhook:
    """Make a webhook for alerts, or for those kinds and event types in `on`. Its secret is in the row it returns.

    Raises:
        AddressRefused: the URL cannot be sent to; a private address is found out at the first delivery as well, since
            a name's addresses change.
        WebhookRefused: an e-mail address that is none, or for event types; a kind or type that is none.
    """
    wanted = list(dict.fromkeys(on)) or list(KINDS)
    _check_wanted(wanted, is_mail=url.startswith(_MAILTO))
    if url.startswith(_MAILTO):
        _check_mail(url)
    else:
        _check_url(url)
    return Webhook.objects.create(
        id=str(uuid7()),
        project_id=project,
        url=url,
        secret=SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode(),
        on=wanted,
        after_position=every_project().head(),
    )


def remove(webhook: str, *, project: str) -> None:
    """Remove a webhook; what still waits for it is parked.

    Raises:
        WebhookRefused: the project has none of that id.
    """
    if not Webhook.objects.filter(id=webhook, project_id=project).delete()[0]:
        raise WebhookRefused(f"project {project!r} has no webhook {webhook!r}; `nagare webhook list` lists them")


def wanted_by(webhooks: Iterable[Webhook], name: str) -> list[NewDispatch]:
    """Return the dispatches that bring an alert kind or an event type to those who asked for it."""
    return [_dispatch(webhook) for webhook in webhooks if name in webhook.on]


def is_mail(webhook: Webhook) -> bool:
    """Whether it sends mails rather than requests."""
    return webhook.url.startswith(_MAILTO)


def _dispatch(webhook: Webhook) -> NewDispatch:
    return NewDispatch(effect=EMAIL if is_mail(webhook) else WEBHOOK, target=webhook.id)


@effect(WEBHOOK)
def send(delivery: Delivery) -> None:
    """POST the event that asked for the dispatch, signed. Done where the answer is 2xx."""
    webhook = _receiver(delivery)
    body = body_of(delivery)
    headers = {"Content-Type": "application/json", "User-Agent": "nagare"}
    headers |= signature(webhook.secret, id=delivery.id, at=int(delivery.at.timestamp()), body=body)
    headers |= trace_header(delivery)
    try:
        status = http_out.post(webhook.url, body, headers, allow_private=settings.ALLOW_PRIVATE_WEBHOOKS)
    except http_out.AddressRefused as refusal:
        raise Undeliverable(str(refusal)) from refusal
    if status == HTTPStatus.GONE:
        raise Undeliverable("the receiver answered 410 Gone: it wants no more of these")
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        moved = "; redirects are not followed, give the address it moved to" if status < HTTPStatus.BAD_REQUEST else ""
        raise BadAnswer(f"the receiver answered {status}{moved}")


@effect(EMAIL)
def send_mail(delivery: Delivery) -> None:
    """Send the alert. Its Message-ID comes from the dispatch id, so that a second copy is known as one."""
    webhook = _receiver(delivery)
    alert = catalog.decode(delivery.event())
    if not isinstance(alert, Raised):
        raise Undeliverable(f"event {delivery.event_id} is no alert; only alerts go out by e-mail")
    EmailMessage(
        subject=_one_line(f"[nagare] {delivery.project}: {alert.title}"),
        body=mail_text(delivery.project, alert, link=settings.PUBLIC_URL),
        to=[webhook.url.removeprefix(_MAILTO)],
        headers={"Message-ID": f"<{delivery.id}@nagare>", "X-Nagare-Dispatch-Id": delivery.id},
    ).send()


def body_of(delivery: Delivery) -> bytes:
    """Return what is sent: the event on the wire; without its data where that would be too large."""
    event = delivery.event()
    wire = codec.on_the_wire(event)
    body = {"id": delivery.id, "type": _type_of(event), "project": delivery.project, "event": wire}
    encoded = codec.encode(body)
    if len(encoded) <= http_out.MAX_BODY_BYTES:
        return encoded
    thin = {name: value for name, value in wire.items() if name not in ("data", "metadata")}
    return codec.encode({**body, "event": thin, "truncated": True})


def signature(secret: str, *, id: str, at: int, body: bytes) -> dict[str, str]:  # noqa: A002 - the specification's word
    """Return the three headers of the Standard Webhooks specification."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(at),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def trace_header(delivery: Delivery) -> dict[str, str]:
    """Return the attempt's own span as a header; where nobody records spans, the one the event was appended in.

    What an event says is read first and written anew: it may have come from a file, and is nobody's to put in a header.
    """
    context = current_traceparent() or parsed(delivery.event().meta.traceparent)
    return {"traceparent": str(context)} if context else {}


def mail_text(project: str, alert: Raised, *, link: str) -> str:
    """Return an alert as a short mail."""
    address = f"{link}/runs/{alert.run}/?v={alert.version}&project={project}"
    return f"{alert.summary}\n\nRun: {alert.run}, event {alert.version}\nProject: {project}\n{address}\n"


def _receiver(delivery: Delivery) -> Webhook:
    webhook = Webhook.objects.filter(id=delivery.target, project_id=delivery.project).first()
    if webhook is None:
        raise Undeliverable("its webhook was removed")
    return webhook


def _type_of(event: RecordedEvent) -> str:
    decoded = catalog.decode(event)
    return decoded.kind if isinstance(decoded, Raised) else event.type


def _check_wanted(wanted: Sequence[str], *, is_mail: bool) -> None:
    for name in wanted:
        if name in KINDS:
            continue
        if not _TYPE.fullmatch(name):
            raise WebhookRefused(f"{name!r} is neither an alert kind ({', '.join(KINDS)}) nor an event type")
        if is_mail:
            raise WebhookRefused(f"e-mail is for alerts ({', '.join(KINDS)}); {name} would be a mail for each event")


def _check_mail(url: str) -> None:
    try:
        validate_email(url.removeprefix(_MAILTO))
    except ValidationError as error:
        raise WebhookRefused(f"{url!r}: {error.messages[0]}") from error


def _check_url(url: str) -> None:
    parts = http_out.checked_url(url)
    try:
        http_out.checked_addresses(parts, allow_private=settings.ALLOW_PRIVATE_WEBHOOKS)
    except OSError as error:
        raise http_out.AddressRefused(url=url, reason=f"its name cannot be resolved ({error.strerror})") from error


def _one_line(text: str) -> str:
    """Return text without what would end a mail header."""
    return " ".join(text.split())[:200]


def shown(webhook: Webhook) -> dict[str, Any]:
    """Return a webhook without its secret."""
    return {"id": webhook.id, "project": webhook.project_id, "url": webhook.url, "on": webhook.on}

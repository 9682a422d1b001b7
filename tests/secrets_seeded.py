"""Secrets that no system ever gave out, in the shapes of those that do; and what looks like one and is none.

They are put together at run time, from a seed: no scanner of this repository finds one, and no two are alike.
"""

from __future__ import annotations

import base64
import hashlib
import random
import string
import uuid
from collections.abc import Callable
from typing import Final

_ALNUM: Final = string.ascii_letters + string.digits


def seeded(count: int = 40, *, seed: int = 7) -> list[tuple[str, str, str]]:
    """Return kind, secret, and text around it, going round the kinds."""
    made = random.Random(seed)
    makers = list(_MAKERS.items())
    return [(kind, *make(made)) for kind, make in (makers[at % len(makers)] for at in range(count))]


def _some(made: random.Random, length: int, letters: str = _ALNUM) -> str:
    """Return random letters with a digit, a capital and a small one among them."""
    return "".join(made.choices(letters, k=length - 3)) + ("7Qk" if letters == _ALNUM else letters[:3])


def _bare(prefix: str, length: int, letters: str = _ALNUM) -> Callable[[random.Random], tuple[str, str]]:
    def make(made: random.Random) -> tuple[str, str]:
        secret = prefix + _some(made, length, letters)
        return secret, made.choice([f"the key is {secret}, keep it", f"KEY={secret}", f"\n{secret}\n", secret])

    return make


def _aws_secret(made: random.Random) -> tuple[str, str]:
    secret = _some(made, 40)
    return secret, f"aws_secret_access_key = {secret}"


def _azure(made: random.Random) -> tuple[str, str]:
    secret = base64.b64encode(made.randbytes(64)).decode()
    return secret, f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={secret};EndpointSuffix=core"


def _jwt(made: random.Random) -> tuple[str, str]:
    parts = [base64.urlsafe_b64encode(b'{"a":"%s"}' % made.randbytes(12).hex().encode()).decode().rstrip("=")] * 2
    secret = ".".join([*parts, _some(made, 43)])
    return secret, f"cookie: session={secret}"


def _block(made: random.Random) -> tuple[str, str]:
    body = "\n".join(base64.b64encode(made.randbytes(48)).decode() for _ in range(3))
    name = made.choice(["RSA ", "EC ", "OPENSSH ", ""])
    return body, f"-----BEGIN {name}PRIVATE KEY-----\n{body}\n-----END {name}PRIVATE KEY-----"


def _url(made: random.Random) -> tuple[str, str]:
    secret = _some(made, 14)
    return secret, f"DATABASE_URL=postgresql://svc:{secret}@db.internal:5432/app"


def _bearer(made: random.Random) -> tuple[str, str]:
    secret = _some(made, 32)
    return secret, f"curl -H 'Authorization: Bearer {secret}' https://api.example"


_MAKERS: Final[dict[str, Callable[[random.Random], tuple[str, str]]]] = {
    "aws_access_key": _bare("AKIA", 16, string.ascii_uppercase + "234567"),
    "aws_secret_key": _aws_secret,
    "gcp_api_key": _bare("AIza", 35),
    "azure_key": _azure,
    "github_token": _bare("ghp_", 36),
    "gitlab_token": _bare("glpat-", 20),
    "slack_token": _bare("xoxb-123456789012-", 24),
    "stripe_key": _bare("sk_live_", 24),
    "openai_key": _bare("sk-proj-", 60),
    "anthropic_key": _bare("sk-ant-api03-", 80),
    "jwt": _jwt,
    "private_key": _block,
    "url_password": _url,
    "authorization": _bearer,
}


def lookalikes(count: int = 100, *, seed: int = 11) -> list[str]:
    """Return what is no secret: digests, ids, pictures, addresses, words."""
    made = random.Random(seed)
    makers: list[Callable[[], str]] = [
        lambda: hashlib.sha1(made.randbytes(8)).hexdigest(),
        lambda: hashlib.sha256(made.randbytes(8)).hexdigest(),
        lambda: str(uuid.UUID(int=made.getrandbits(128), version=4)),
        lambda: "data:image/png;base64," + base64.b64encode(made.randbytes(3_000)).decode(),
        lambda: f"sha512-{base64.b64encode(made.randbytes(64)).decode()}",
        lambda: f"https://registry.example:8443/v2/app@sha256:{made.randbytes(32).hex()}",
        lambda: "class=sk-loading-spinner-container-wrapper-inner-and-more-of-it",
        lambda: f"task-{made.getrandbits(40)} in disk-ant-farm and risk-proj-{made.getrandbits(60)}",
        lambda: f"postgresql://svc:$DB_PASSWORD@db:5432/app and redis://u:***@cache/{made.getrandbits(8)}",
        lambda: f"the bearer of these presents, {made.getrandbits(90)}, is a basic human being",
        lambda: f"commit {made.randbytes(20).hex()}\nAuthor: A <a@b.example>",
        lambda: f"AKIA is a prefix, and so are ghp_ and eyJ{made.randbytes(4).hex()}",
        lambda: base64.b64encode(made.randbytes(600)).decode(),
        lambda: (
            f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(made.randbytes(90)).decode()}\n-----END CERTIFICATE-----"
        ),
    ]
    return [makers[at % len(makers)]() for at in range(count)]

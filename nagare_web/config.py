"""Config: every NAGARE_* variable, typed, read once, refused when unparsable.

Each variable may also come from a file named by `NAGARE_<NAME>_FILE`, which is how orchestrators hand over secrets.
Nothing else in the project reads the environment; `settings.py` turns a `Config` into Django's settings.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar, cast, get_args
from urllib.parse import quote, urlsplit

import dj_database_url
from environs import EnvError, FileAwareEnv

from journal.errors import ConfigurationRefused
from journal.runtime import log_keys, private_file, witnesses
from journal.runtime.witnesses import Witness

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
LogFormat = Literal["auto", "console", "json"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

PREFIX: Final = "NAGARE_"
LOOPBACK_HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")
DATABASE_SCHEMES: Final = ("sqlite", "postgresql", "postgres", "mysql", "mariadb", "mssql")
REDIS_SCHEMES: Final = ("redis", "rediss", "unix")
EMAIL_SCHEMES: Final = ("smtp", "smtp+tls", "smtp+ssl")
CONSOLE_EMAIL: Final = "consolemail://"
LOCAL_URL: Final = "http://127.0.0.1:8000"
LONGEST_SETTLE_S: Final = 3_600
SHORTEST_SECRET_KEY: Final = 50
"""Characters; what `check --deploy` asks for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """What the operator decided, or the embedded default where nothing was.

    The field `allowed_hosts` is set by the variable `NAGARE_ALLOWED_HOSTS`, and so on.
    """

    data_dir: Path
    database_url: str
    redis_url: str | None
    secret_key: str = dataclasses.field(repr=False)
    allowed_hosts: tuple[str, ...]
    tls: bool
    trusted_proxies: str
    debug: bool
    log_format: LogFormat
    log_level: LogLevel
    otlp_endpoint: str | None
    trace_url: str | None
    public_url: str
    email_url: str = dataclasses.field(repr=False)
    email_from: str
    allow_private_webhooks: bool
    api_rate: int
    signing_key: str | None = dataclasses.field(repr=False)
    witnesses: tuple[Witness, ...]
    otlp_settle_s: float
    given: frozenset[str]
    """Names of the variables that were set, without the prefix: the rest are defaults."""

    @property
    def is_embedded(self) -> bool:
        """Nothing but files below `data_dir` is needed to run: no broker, no cache server."""
        return self.redis_url is None

    @property
    def broker_url(self) -> str:
        """The address of Redis in Celery's words: others for a socket, and TLS only where it is told to look at it."""
        url = self.redis_url or ""
        if url.startswith("unix://"):
            return f"redis+socket://{url.removeprefix('unix://')}".replace("db=", "virtual_host=")
        if url.startswith("rediss://") and "ssl_cert_reqs=" not in url:
            return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"
        return url

    @property
    def is_loopback_only(self) -> bool:
        """No name but this machine's own is answered to."""
        return set(self.allowed_hosts) <= set(LOOPBACK_HOSTS)


@functools.cache
def load() -> Config:
    """Read the environment, once per process.

    Creates `data_dir` and, where no key is given, the secret key in it: a shipped default key would let anyone forge
    sessions.

    Raises:
        ConfigurationRefused: a variable cannot be parsed; it is named, with the reason.
    """
    return read()


def read() -> Config:
    """Read the environment afresh; `load` is what programs call."""
    env = FileAwareEnv(prefix=PREFIX, strip_whitespace=True)
    data_dir = _parsed(env.path, "DATA_DIR", default=Path("var")).absolute()
    _create(data_dir)
    return Config(
        data_dir=data_dir,
        database_url=_database_url(_text(env, "DATABASE_URL"), data_dir),
        redis_url=_url(_text(env, "REDIS_URL"), "REDIS_URL", schemes=REDIS_SCHEMES),
        secret_key=_secret_key(_text(env, "SECRET_KEY"), data_dir),
        allowed_hosts=_hosts(_text(env, "ALLOWED_HOSTS")),
        tls=_parsed(env.bool, "TLS", default=False),
        trusted_proxies=_text(env, "TRUSTED_PROXIES") or "127.0.0.1",
        debug=_parsed(env.bool, "DEBUG", default=False),
        log_format=cast("LogFormat", _choice(_text(env, "LOG_FORMAT"), "LOG_FORMAT", get_args(LogFormat), "auto")),
        log_level=cast("LogLevel", _choice(_text(env, "LOG_LEVEL"), "LOG_LEVEL", get_args(LogLevel), "INFO")),
        otlp_endpoint=_url(_text(env, "OTLP_ENDPOINT"), "OTLP_ENDPOINT", schemes=("http", "https")),
        trace_url=_trace_url(_text(env, "TRACE_URL")),
        public_url=(_url(_text(env, "PUBLIC_URL"), "PUBLIC_URL", schemes=("http", "https")) or LOCAL_URL).rstrip("/"),
        email_url=_email_url(_text(env, "EMAIL_URL")),
        email_from=_text(env, "EMAIL_FROM") or "nagare@localhost",
        allow_private_webhooks=_parsed(env.bool, "ALLOW_PRIVATE_WEBHOOKS", default=False),
        api_rate=_api_rate(),
        signing_key=_signing_key(_text(env, "SIGNING_KEY")),
        witnesses=witnesses.parse(_text(env, "WITNESSES") or ""),
        otlp_settle_s=_otlp_settle_s(),
        given=_given(),
    )


def _api_rate() -> int:
    """Return how many requests a minute each token may make, 0 where there is no limit."""
    rate = _parsed(FileAwareEnv(prefix=PREFIX, strip_whitespace=True).int, "API_RATE", default=6_000)
    if rate < 0:
        raise _refused("API_RATE", f"{rate} is no number of requests; write 0 for no limit")
    return rate


def _otlp_settle_s() -> float:
    """Return for how many seconds nothing may have come for a trace before it is told as a run."""
    seconds = _parsed(FileAwareEnv(prefix=PREFIX, strip_whitespace=True).float, "OTLP_SETTLE_S", default=6.0)
    if not 0 <= seconds <= LONGEST_SETTLE_S:
        raise _refused("OTLP_SETTLE_S", f"{seconds} is no number of seconds from 0 to {LONGEST_SETTLE_S:,}")
    return seconds


def _given() -> frozenset[str]:
    """Return which variables are set, `_FILE` ones under their plain name.

    Raises:
        ConfigurationRefused: a variable is set both ways, so that it is not clear which one holds.
    """
    names = {name.removeprefix(PREFIX) for name, value in os.environ.items() if name.startswith(PREFIX) and value}
    for name in sorted(names):
        if f"{name}_FILE" in names:
            raise _refused(name, f"is set, and so is {PREFIX}{name}_FILE; unset one of them")
    return frozenset(name.removesuffix("_FILE") for name in names)


def _refused(name: str, reason: str) -> ConfigurationRefused:
    return ConfigurationRefused(variable=PREFIX + name, reason=reason)


def _parsed(parse: Callable[..., T | None], name: str, *, default: T) -> T:
    """Let environs parse one variable; an empty one counts as absent, as compose files cannot leave a variable out."""
    if not (os.environ.get(PREFIX + name) or os.environ.get(f"{PREFIX}{name}_FILE")):
        return default
    try:
        value = parse(name, default=default)
    except (EnvError, ValueError) as error:
        raise _refused(name, _reason(error)) from error
    return default if value is None else value


def _reason(error: Exception) -> str:
    """Return what environs has against a value, without its own repetition of the variable's name."""
    messages = getattr(error, "error_messages", None)
    return " ".join(str(message) for message in messages) if isinstance(messages, list) else str(error)


def _text(env: FileAwareEnv, name: str) -> str | None:
    return _parsed(env.str, name, default="") or None


def _create(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _refused("DATA_DIR", f"cannot create {data_dir}: {error.strerror}") from error
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise _refused("DATA_DIR", f"{data_dir} is not writable by this user")


def _database_url(value: str | None, data_dir: Path) -> str:
    url = value or f"sqlite:///{quote(str(data_dir / 'nagare.sqlite3'))}"
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise _refused("DATABASE_URL", "is not a URL; write for example sqlite:////srv/nagare/nagare.sqlite3")
    if scheme not in DATABASE_SCHEMES:
        raise _refused("DATABASE_URL", f"no store speaks {scheme!r}; this version has {', '.join(DATABASE_SCHEMES)}")
    if scheme == "sqlite":
        _check_file(rest)
    elif not urlsplit(url).path.strip("/"):
        raise _refused("DATABASE_URL", f"names no database; write for example {scheme}://nagare@db.example/nagare")
    return _checked_by_django(f"mysql://{rest}" if scheme == "mariadb" else url)


def _check_file(rest: str) -> None:
    if not rest.strip("/") or rest.startswith(":memory:") or rest.endswith("/:memory:"):
        raise _refused("DATABASE_URL", "names no file; the journal is shared by several processes, so it must be one")


def _checked_by_django(url: str) -> str:
    try:
        dj_database_url.parse(url)
    except (ValueError, dj_database_url.ParseError) as error:
        raise _refused("DATABASE_URL", str(error)) from error
    return url


def _url(value: str | None, name: str, *, schemes: tuple[str, ...]) -> str | None:
    """Return a URL that has one of `schemes` and says where to go, or None where none is set."""
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 -- reading it is what makes urlsplit look at the number
    except ValueError as error:
        raise _refused(name, str(error)) from error
    if parts.scheme not in schemes:
        raise _refused(name, f"must start with one of {', '.join(f'{scheme}://' for scheme in schemes)}")
    if not (parts.hostname or parts.scheme == "unix"):
        raise _refused(name, "names no host")
    return value


def _trace_url(value: str | None) -> str | None:
    """Return the address template of an external trace page: it names the trace, and nothing we cannot fill in."""
    if value is None:
        return None
    shown = value.replace("{trace_id}", "0").replace("{span_id}", "0")
    if "{" in shown or "}" in shown:
        raise _refused("TRACE_URL", "may hold {trace_id} and {span_id} in braces, and nothing else")
    if "{trace_id}" not in value:
        raise _refused("TRACE_URL", "must hold {trace_id}, such as https://jaeger.example/trace/{trace_id}")
    _url(shown, "TRACE_URL", schemes=("http", "https"))
    return value


def _email_url(value: str | None) -> str:
    """Return where mail is handed over; the password in it is never part of a message."""
    url = _url(value, "EMAIL_URL", schemes=EMAIL_SCHEMES) if value and value != CONSOLE_EMAIL else CONSOLE_EMAIL
    return url or CONSOLE_EMAIL


def _hosts(value: str | None) -> tuple[str, ...]:
    if value is None:
        return LOOPBACK_HOSTS
    hosts = tuple(host.strip() for host in value.split(",") if host.strip())
    for host in hosts:
        if "/" in host or " " in host:
            raise _refused(
                "ALLOWED_HOSTS", f"{host!r} is not a host name; give names parted by commas, without scheme or path"
            )
    return hosts or LOOPBACK_HOSTS


def _choice(value: str | None, name: str, choices: tuple[str, ...], default: str) -> str:
    if value is None:
        return default
    for choice in choices:
        if value.casefold() == choice.casefold():
            return choice
    raise _refused(name, f"{value!r} is none of {', '.join(choices)}")


def _secret_key(value: str | None, data_dir: Path) -> str:
    if value is None:
        return _generated_secret_key(data_dir / "secret_key")
    if len(value) < SHORTEST_SECRET_KEY:
        raise _refused("SECRET_KEY", f"has {len(value)} characters; at least {SHORTEST_SECRET_KEY} are needed")
    return value


def _signing_key(value: str | None) -> str | None:
    """Return the private key of the log as it was given; where none is, one is made in `data_dir` on first use."""
    if value is not None:
        log_keys.parse_signer(value)
    return value


def _generated_secret_key(path: Path) -> str:
    """Return the key kept at `path`, made on the first call. Several processes may start at once: all read the same."""
    try:
        if not path.exists():
            private_file.place(path, secrets.token_urlsafe(64).encode())
        return path.read_text()
    except OSError as error:
        raise _refused("SECRET_KEY", f"is not set, and no key can be kept in {path}: {error.strerror}") from error

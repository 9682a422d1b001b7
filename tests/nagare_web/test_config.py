"""Configuration: defaults that need nothing, values that are refused by name."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from journal.errors import ConfigurationRefused
from nagare_web import config

ROOT = Path(__file__).resolve().parents[2]
LONG_KEY = "k" * 64
DEPLOYED_KEY = "correct-horse-battery-staple-" * 3


@pytest.fixture(autouse=True)
def data_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give each test an environment without any NAGARE_ variable but a data directory of its own."""
    for name in [name for name in os.environ if name.startswith("NAGARE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NAGARE_DATA_DIR", str(tmp_path / "var"))
    return tmp_path / "var"


def test_nothing_set_gives_an_embedded_loopback_configuration(data_dir: Path) -> None:
    """Without any variable, everything lies below the data directory and only this machine is answered."""
    read = config.read()
    assert read.is_embedded
    assert read.is_loopback_only
    assert read.database_url == f"sqlite:///{data_dir}/nagare.sqlite3"
    assert not read.debug
    assert read.given == {"DATA_DIR"}


@pytest.mark.parametrize(
    ("given", "broker"),
    [
        ("redis://cache/1", "redis://cache/1"),
        ("unix:///run/redis.sock?db=2", "redis+socket:///run/redis.sock?virtual_host=2"),
        ("rediss://cache", "rediss://cache?ssl_cert_reqs=required"),
        ("rediss://cache?ssl_ca_certs=/ca.pem", "rediss://cache?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required"),
        ("rediss://cache?ssl_cert_reqs=none", "rediss://cache?ssl_cert_reqs=none"),
    ],
)
def test_one_address_of_redis_is_said_in_celerys_words_too(
    monkeypatch: pytest.MonkeyPatch, given: str, broker: str
) -> None:
    """Celery has another word for a socket, and without its own word for TLS it would speak in the clear."""
    monkeypatch.setenv("NAGARE_REDIS_URL", given)
    assert config.read().broker_url == broker


def test_the_secret_key_is_made_once_and_kept_private(data_dir: Path) -> None:
    """The generated key is the same at the next start, long enough, and readable by the owner alone."""
    first = config.read().secret_key
    assert config.read().secret_key == first
    assert len(first) >= config.SHORTEST_SECRET_KEY
    assert stat.S_IMODE((data_dir / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in data_dir.iterdir()] == ["secret_key"]


def test_the_secret_key_is_not_in_the_representation() -> None:
    """A Config in a log line or a traceback gives no key away."""
    read = config.read()
    assert read.secret_key not in repr(read)


def test_a_value_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """NAGARE_SECRET_KEY_FILE gives the key without the line end that editors leave."""
    secret = tmp_path / "key"
    secret.write_text(LONG_KEY + "\n")
    monkeypatch.setenv("NAGARE_SECRET_KEY_FILE", str(secret))
    read = config.read()
    assert read.secret_key == LONG_KEY
    assert "SECRET_KEY" in read.given


def test_a_data_directory_with_a_space_is_a_fine_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The default database URL quotes what a path may hold and a URL may not."""
    monkeypatch.setenv("NAGARE_DATA_DIR", str(tmp_path / "my data"))
    assert config.read().database_url.endswith("/my%20data/nagare.sqlite3")


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("NAGARE_DATABASE_URL", "nagare.sqlite3", "not a URL"),
        ("NAGARE_DATABASE_URL", "mongodb://db/nagare", "no store speaks 'mongodb'"),
        ("NAGARE_DATABASE_URL", "sqlite://:memory:", "names no file"),
        ("NAGARE_DATABASE_URL", "sqlite:///", "names no file"),
        ("NAGARE_REDIS_URL", "http://cache:6379", "redis://"),
        ("NAGARE_REDIS_URL", "redis://cache:port", "port"),
        ("NAGARE_REDIS_URL", "redis://", "names no host"),
        ("NAGARE_SECRET_KEY", "short", "5 characters"),
        ("NAGARE_ALLOWED_HOSTS", "https://nagare.example", "without scheme"),
        ("NAGARE_OTLP_ENDPOINT", "collector:4318", "http://"),
        ("NAGARE_TRACE_URL", "https://traces.example/", "{trace_id}"),
        ("NAGARE_TRACE_URL", "https://traces.example/{trace_id}/{user}", "nothing else"),
        ("NAGARE_TRACE_URL", "javascript:{trace_id}", "https://"),
        ("NAGARE_DEBUG", "perhaps", "Not a valid boolean"),
        ("NAGARE_TLS", "2", "Not a valid boolean"),
        ("NAGARE_LOG_FORMAT", "xml", "auto, console, json"),
        ("NAGARE_LOG_LEVEL", "LOUD", "DEBUG, INFO"),
        ("NAGARE_DATA_DIR", "/dev/null/var", "cannot create"),
        ("NAGARE_SECRET_KEY_FILE", "/nowhere/key", "readable file"),
    ],
)
def test_an_unparsable_value_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    """The error names the variable, and says what is wrong with it."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationRefused) as caught:
        config.read()
    assert caught.value.variable == variable.removesuffix("_FILE")
    assert reason in str(caught.value)


def test_a_refusal_does_not_repeat_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is too short is still somebody's key."""
    monkeypatch.setenv("NAGARE_SECRET_KEY", "hunter2")
    with pytest.raises(ConfigurationRefused) as caught:
        config.read()
    assert "hunter2" not in str(caught.value)


def test_a_variable_set_both_ways_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whether the plain variable or the file holds would be anyone's guess."""
    monkeypatch.setenv("NAGARE_SECRET_KEY", LONG_KEY)
    monkeypatch.setenv("NAGARE_SECRET_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(ConfigurationRefused, match="NAGARE_SECRET_KEY_FILE"):
        config.read()


def test_an_empty_value_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compose file passes variables on that are not set; they arrive empty."""
    for name in ("DATABASE_URL", "REDIS_URL", "ALLOWED_HOSTS", "DEBUG", "LOG_LEVEL"):
        monkeypatch.setenv(f"NAGARE_{name}", "")
    read = config.read()
    assert read.is_embedded
    assert read.allowed_hosts == config.LOOPBACK_HOSTS


def test_host_names_are_parted_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blanks around the names do not matter."""
    monkeypatch.setenv("NAGARE_ALLOWED_HOSTS", "nagare.example, .internal.example")
    read = config.read()
    assert read.allowed_hosts == ("nagare.example", ".internal.example")
    assert not read.is_loopback_only


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py in a process of its own, since settings are read once in each."""
    environ = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env={**environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_command_refuses_in_one_line_with_exit_code_2() -> None:
    """An operator reads which variable and why, and no traceback."""
    done = run("check", NAGARE_REDIS_URL="ftp://cache")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "nagare: configuration refused: NAGARE_REDIS_URL: must start with one of redis://, rediss://, unix://"
    ]
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables",
    [{}, {"NAGARE_TLS": "1", "NAGARE_ALLOWED_HOSTS": "nagare.example", "NAGARE_SECRET_KEY": DEPLOYED_KEY}],
    ids=["embedded", "tls"],
)
def test_djangos_deployment_checks_pass(variables: dict[str, str]) -> None:
    """Neither the embedded default nor a deployment behind TLS is warned about."""
    done = run("check", "--deploy", "--fail-level", "WARNING", **variables)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_network_deployment_without_tls_is_warned_about() -> None:
    """The checks are silent on loopback only."""
    done = run("check", "--deploy", "--fail-level", "WARNING", NAGARE_ALLOWED_HOSTS="nagare.example")
    assert done.returncode == 1
    assert "security.W012" in done.stderr


@pytest.mark.parametrize(("value", "rate"), [("", 6_000), ("0", 0), ("120", 120)])
def test_the_rate_of_the_api_is_a_number_of_requests(value: str, rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute's; none is no limit."""
    monkeypatch.setenv("NAGARE_API_RATE", value)
    assert config.read().api_rate == rate


@pytest.mark.parametrize("value", ["-1", "many", "1.5"])
def test_a_rate_that_is_none_refuses_to_start(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the variable is named."""
    monkeypatch.setenv("NAGARE_API_RATE", value)
    with pytest.raises(ConfigurationRefused, match="NAGARE_API_RATE"):
        config.read()


@pytest.mark.parametrize(("value", "seconds"), [("", 6.0), ("0", 0.0), ("1.5", 1.5)])
def test_traces_settle_after_a_number_of_seconds(value: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is at the next look."""
    monkeypatch.setenv("NAGARE_OTLP_SETTLE_S", value)
    assert config.read().otlp_settle_s == seconds


@pytest.mark.parametrize("value", ["-1", "soon", "nan", "3601"])
def test_a_time_to_settle_that_is_none_refuses_to_start(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the variable is named."""
    monkeypatch.setenv("NAGARE_OTLP_SETTLE_S", value)
    with pytest.raises(ConfigurationRefused, match="NAGARE_OTLP_SETTLE_S"):
        config.read()

"""docker-compose.yml and Dockerfile: no engine is at hand, so what can be read is held to the Compose specification.

Names must be declared, conditions must be ones that can come true, commands and variables must be nagare's own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from nagare_web.config import PREFIX, Config
from nagare_web.management.commands import serve

ROOT: Final = Path(__file__).resolve().parents[2]
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = sorted(name for name, service in SERVICES.items() if service["image"].startswith("nagare-web:"))
FOREIGN: Final = sorted(SERVICES.keys() - OURS)
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text()
IMAGE: Final = re.compile(r"[a-z][a-z0-9-]*:\d[a-z0-9.-]*")
"""An official image by its short name, with a version."""

_BASES: Final = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
_TOP: Final = {"services", "networks", "volumes", "secrets"}
_SERVICE: Final = {
    "image", "build", "command", "init", "restart", "stop_grace_period", "read_only", "tmpfs", "cap_drop",
    "security_opt", "networks", "volumes", "secrets", "environment", "depends_on", "healthcheck", "ports", "shm_size",
}  # fmt: skip
_HEALTHCHECK: Final = {"test", "interval", "timeout", "retries", "start_period"}
_DURATION: Final = re.compile(r"\d+(us|ms|s|m|h)")
"""Keys of the Compose specification that this file may use: one that is misspelt is in none of the sets."""


def test_every_key_is_one_of_the_specification() -> None:
    """Extensions begin with x-; the rest is known here, so that a typing error is found."""
    assert {key for key in COMPOSE if not key.startswith("x-")} <= _TOP
    for name, service in SERVICES.items():
        assert service.keys() <= _SERVICE, name
        check = service.get("healthcheck", {})
        assert check.keys() <= _HEALTHCHECK, name
        durations = [check[key] for key in ("interval", "timeout", "start_period") if key in check]
        assert all(_DURATION.fullmatch(text) for text in durations), name
        assert service["restart"] in ("no", "unless-stopped"), name


@pytest.mark.parametrize("kind", ["networks", "volumes", "secrets"])
def test_what_a_service_uses_is_declared_and_what_is_declared_is_used(kind: str) -> None:
    """Named volumes, networks, secrets; `default` is there by itself."""
    used = {entry.split(":")[0] for service in SERVICES.values() for entry in service.get(kind, [])}
    assert used - {"default"} == set(COMPOSE[kind])


def test_who_waits_waits_for_what_can_come_true() -> None:
    """Healthy needs a health check; completed needs a service that ends. And nobody waits in a circle."""
    for name, service in SERVICES.items():
        for awaited, how in service.get("depends_on", {}).items():
            other = SERVICES[awaited]
            if how["condition"] == "service_healthy":
                assert "test" in other["healthcheck"], (name, awaited)
            else:
                assert (how["condition"], other["restart"]) == ("service_completed_successfully", "no"), (name, awaited)
    assert all(name not in _behind(name) for name in SERVICES)


def _behind(name: str) -> set[str]:
    found: set[str] = set()
    waiting = list(SERVICES[name].get("depends_on", ()))
    while waiting:
        awaited = waiting.pop()
        if awaited not in found:
            found.add(awaited)
            waiting += SERVICES[awaited].get("depends_on", ())
    return found


def test_every_part_of_an_installation_has_a_container() -> None:
    """The same parts that `nagare serve` runs in one tree, and one migration before them all."""
    commands = {name: SERVICES[name]["command"] for name in OURS}
    parts = {words[2]: name for name, words in commands.items() if words[:2] == ["serve", "--only"]}
    assert parts == {part: part for part in serve.PARTS}
    for part in serve.PARTS:
        assert "migrate" in SERVICES[part]["depends_on"]
        assert SERVICES[part]["healthcheck"]["test"] == ["CMD", "nagare", "alive", part]


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_of_nagares_and_takes_its_arguments(name: str) -> None:
    """Read by the command's own parser."""
    for words in (SERVICES[name]["command"], SERVICES[name].get("healthcheck", {}).get("test", [])[2:]):
        if words:
            command = load_command_class(get_commands()[words[0]], words[0])
            command.create_parser("nagare", words[0]).parse_args(words[1:])


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_one_that_the_configuration_reads(name: str) -> None:
    """Under its own name or as a file; whatever is a secret comes as a file from a declared secret."""
    known = {f"{PREFIX}{field.upper()}" for field in Config.__dataclass_fields__}
    service = SERVICES[name]
    for variable, value in service["environment"].items():
        assert variable.removesuffix("_FILE") in known, variable
        if variable.endswith("_FILE"):
            assert value.removeprefix("/run/secrets/") in service["secrets"]
    assert {"NAGARE_SECRET_KEY_FILE", "NAGARE_DATABASE_URL_FILE"} <= service["environment"].keys()


def test_no_secret_stands_in_the_file() -> None:
    """Neither in a variable nor in a URL; the secrets themselves are files that git does not take."""
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            assert "PASSWORD" not in variable or variable.endswith("_FILE"), name
            assert not re.search(r"://[^/]*:[^/]*@", str(value)), name
    assert "secrets/" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("image", [*(SERVICES[name]["image"] for name in FOREIGN), *_BASES])
def test_images_are_official_and_of_a_version(image: str) -> None:
    """By their short names: which registry they come from is the operator's."""
    assert IMAGE.fullmatch(image)


def test_only_this_machine_reaches_it() -> None:
    """The one published port is bound to loopback; database and broker have no way in or out."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"web": ["127.0.0.1:${PORT:-8000}:8000"]}
    assert COMPOSE["networks"]["data"]["internal"] is True
    assert all(SERVICES[name]["networks"] == ["data"] for name in FOREIGN)


def test_our_containers_may_do_little() -> None:
    """No root, no capability, nothing to write but the volume and a scratch folder."""
    assert re.search(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)
    for name in OURS:
        service = SERVICES[name]
        assert (service["read_only"], service["cap_drop"], service["tmpfs"]) == (True, ["ALL"], ["/tmp"])
        assert "no-new-privileges:true" in service["security_opt"]


def test_a_broker_under_pressure_refuses_rather_than_forgets() -> None:
    """A task that is evicted is lost without a word."""
    command = SERVICES["redis"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_the_image_is_made_of_what_is_there() -> None:
    """What is copied exists, and gets past .dockerignore."""
    allowed = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = re.findall(r"^COPY (?!--from)(\S+)", DOCKERFILE, re.MULTILINE)
    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert name in allowed, name

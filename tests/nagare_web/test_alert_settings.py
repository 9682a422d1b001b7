"""Where mails go, from one variable."""

from __future__ import annotations

import pytest

from journal.errors import ConfigurationRefused
from nagare_web import config


def read(monkeypatch: pytest.MonkeyPatch, tmp_path: object, **variables: str) -> config.Config:
    """Read a configuration with these variables."""
    monkeypatch.setenv("NAGARE_DATA_DIR", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(f"NAGARE_{name}", value)
    return config.read()


def test_mails_are_printed_until_a_server_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """The default sends nothing anywhere, and its own network is closed to webhooks."""
    found = read(monkeypatch, tmp_path)
    assert (found.email_url, found.allow_private_webhooks) == ("consolemail://", False)


def test_a_password_of_the_mail_server_is_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """A configuration that is printed keeps it."""
    found = read(monkeypatch, tmp_path, EMAIL_URL="smtp+tls://me:hunter2@mail.example.com")
    assert found.email_url.endswith("mail.example.com")
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [("EMAIL_URL", "mail.example.com"), ("EMAIL_URL", "smtp://"), ("PUBLIC_URL", "nagare.example.com")],
)
def test_what_is_no_address_refuses_to_start(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """And the variable is named."""
    with pytest.raises(ConfigurationRefused, match=f"NAGARE_{name}"):
        read(monkeypatch, tmp_path, **{name: value})

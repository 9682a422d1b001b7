"""Redaction: secrets of every kind go, what looks like one stays, and JSON stays JSON, byte for byte around them."""

from __future__ import annotations

import hmac
import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journal.domain import codec
from journal.domain.redaction import Redactor, Rules, counted, told
from journal.domain.redaction_kinds import SECRETS
from journal.domain.redaction_rules import OwnPattern
from journal.runtime.redacting import RedactionRefused, compiled
from tests.secrets_seeded import lookalikes, seeded

SECRETS_OF_A_RUN = seeded(42)


def redactor(**rules: Any) -> Redactor:
    """Return a redactor whose digests are keyed with what nobody else has."""
    return Redactor(Rules(**rules), lambda kind, raw: hmac.new(b"key", kind.encode() + raw, "sha256").hexdigest())


def redacted(value: Any, **rules: Any) -> Any:
    """Return a value after its JSON was looked at."""
    raw = json.dumps(value).encode()
    done = redactor(**rules).json(raw)
    return json.loads(done.raw if done else raw)


@pytest.mark.parametrize(("kind", "secret", "text"), SECRETS_OF_A_RUN)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_secret_is_replaced_wherever_it_stands(kind: str, secret: str, text: str, *, ascii_only: bool) -> None:
    """As a value, a key, in a string that holds JSON, in one that holds JSON of JSON; all else stays as it was."""
    inner = json.dumps({"cmd": [text, {"n": 1}]}, ensure_ascii=ascii_only)
    value = {"plain": f"…{text}", "argsJson": inner, "deep": json.dumps({"again": inner}), text: True, "n": 12}
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()
    done = redactor().json(raw)
    assert done is not None
    assert done.found == {kind: 4}
    after = json.loads(done.raw)
    lines = [line for line in secret.split("\n") if line]
    assert not any(line in str(after) for line in lines)
    assert json.loads(after["argsJson"])["cmd"][1] == {"n": 1}
    assert json.loads(json.loads(after["deep"])["again"])["cmd"][1] == {"n": 1}
    marks = set(re.findall(rb"\[redacted:[a-z_]+:[0-9a-f]{12}\]", done.raw))
    assert len(marks) == 1  # the same secret, whatever its escapes
    assert counted(done.raw) == {kind: 4}
    again = redactor().json(done.raw)
    assert again is None  # nothing is replaced twice


def test_what_looks_like_a_secret_is_left_alone() -> None:
    """A hundred digests, ids, pictures and words, one by one and together."""
    found = lookalikes(100)
    assert redacted(found) == found
    assert redactor().json(json.dumps({"all": " ".join(found)}).encode()) is None


def test_a_secret_that_hides_behind_escapes_is_found() -> None:
    """And only the secret is written otherwise: the escapes around it stay."""
    _, secret, _ = next(found for found in SECRETS_OF_A_RUN if found[0] == "github_token")
    hidden = "".join(f"\\u{ord(letter):04x}" if at % 2 else letter for at, letter in enumerate(secret))
    raw = (
        '{"a":"caf\\u00e9 \\u0041 ' + hidden + ' \\u003cb\\u003e","u":"https:\\/\\/me:hunter2x@h.example\\/x"}'
    ).encode()
    done = redactor().json(raw)
    assert done is not None
    assert done.found == {"github_token": 1, "url_password": 1}
    assert done.raw.startswith(b'{"a":"caf\\u00e9 \\u0041 [redacted:github_token:')
    assert done.raw.endswith(b'@h.example\\/x"}')
    assert json.loads(done.raw)["a"].endswith(" <b>")


def test_a_private_key_that_was_cut_off_goes_to_the_end_of_its_string() -> None:
    """And no further."""
    value = {"out": "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc", "next": "stays"}
    after = redacted({"inner": json.dumps(value)})
    assert json.loads(after["inner"])["next"] == "stays"
    assert "MIIEabc" not in str(after)


@pytest.mark.parametrize("tail", ['"b', "\\", "\\\\x", '\\"', "\x07", "é" * 9, "😀" * 4, "\u2028x", "\n"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_long_private_key_is_cut_between_characters(tail: str, *, ascii_only: bool) -> None:
    """So that JSON stays JSON, at each depth, wherever the longest block happens to end."""
    for length in range(19_994, 20_002):
        value = {"x": f"-----BEGIN PRIVATE KEY-----{'a' * length}{tail}", "next": "stays"}
        inner = json.dumps({"argsJson": json.dumps(value, ensure_ascii=ascii_only)}, ensure_ascii=ascii_only)
        done = redactor().json(json.dumps({**value, "inner": inner}, ensure_ascii=ascii_only).encode())
        assert done is not None
        assert done.found == {"private_key": 2}
        codec.check_object(done.raw, what="what is kept")
        after = msgspec.json.decode(done.raw)
        deep = json.loads(json.loads(after["inner"])["argsJson"])
        for kept in (after, deep):
            assert kept["next"] == "stays"
            assert value["x"].endswith(kept["x"].partition("]")[2])


def test_equal_secrets_are_recognised_and_other_keys_tell_nothing() -> None:
    """The digest is keyed: without the key nobody can try guesses on it."""
    one = redactor().json(b'{"a":"https://me:hunter2x@h.example","b":"ftp://you:hunter2x@i.example"}')
    other = Redactor(Rules(), lambda _kind, raw: hmac.new(b"other", raw, "sha256").hexdigest()).json(
        b'{"a":"https://me:hunter2x@h.example"}'
    )
    assert one is not None
    assert other is not None
    marks = re.findall(rb"\[redacted:url_password:[0-9a-f]{12}\]", one.raw)
    assert marks[0] == marks[1]
    assert marks[0] not in other.raw


@pytest.mark.parametrize(
    ("kind", "text", "kept"),
    [
        ("email", "write to ada.l@mail.example.org, or call", "write to M, or call"),
        ("iban", "IBAN DE89 3704 0044 0532 0130 00 please", "IBAN M please"),
        ("card", "paid with 4111 1111 1111 1111 today", "paid with M today"),
        ("phone", "call +49 (30) 901820-0 now", "call M now"),
    ],
)
def test_personal_data_is_replaced_where_a_project_says_so(kind: str, text: str, kept: str) -> None:
    """In strings, in JSON within them, and nowhere by default."""
    value = {"a": text, "args": json.dumps({"b": text})}
    assert redacted(value) == value
    after = redacted(value, on=frozenset({kind}))
    assert re.sub(r"\[redacted:[^\]]*\]", "M", after["a"]) == kept
    assert re.sub(r"\[redacted:[^\]]*\]", "M", json.loads(after["args"])["b"]) == kept


def test_a_number_becomes_a_string_where_it_is_personal() -> None:
    """A card number without quotation marks does not break its JSON; other numbers stay."""
    after = redacted({"card": 4111111111111111, "n": 4111111111111112, "big": 2**80}, on=frozenset({"card"}))
    assert after["card"].startswith("[redacted:card:")
    assert (after["n"], after["big"]) == (4111111111111112, 2**80)


def test_numbers_that_fail_their_check_are_left_alone() -> None:
    """Luhn for cards, the remainder for IBANs."""
    card, iban = ["4111 1111 1111 1112", "1234567890123456"], ["DE89 3704 0044 0532 0130 01"]
    for kind, text in [("card", card), ("iban", iban)]:
        assert redacted(text, on=frozenset({kind})) == text


def test_a_projects_own_patterns_are_asked_in_linear_time() -> None:
    """What would take another engine for ever is nothing here; what makes no sense is refused in words."""
    own = compiled([OwnPattern(name="ticket", pattern=r"TCK-\d{6}"), OwnPattern(name="slow", pattern="(a+)+b")])
    assert redacted({"x": "see TCK-123456", "y": "a" * 50_000}, own=own)["x"].startswith("see [redacted:ticket:")
    for name, pattern, why in [
        ("ticket", "(", "RE2"),
        ("ticket", "x*", "nothing stands"),
        ("jwt", "x", "already"),
        ("Not a name", "x", "no name"),
        ("ticket", "x" * 600, "more than"),
        ("ticket", r"(?=a)b", "RE2"),
    ]:
        with pytest.raises(RedactionRefused, match=why):
            compiled([OwnPattern(name=name, pattern=pattern)])


def test_a_kind_that_is_off_is_left_alone() -> None:
    """By a project's rules."""
    value = {"dsn": "https://me:hunter2x@h.example"}
    assert redacted(value, off=frozenset({"url_password"})) == value


def test_each_hint_matches_where_its_pattern_does() -> None:
    """What is let through at the first look holds nothing: each kind alone finds its own seeded secrets."""
    others = {kind.name for kind in SECRETS}
    for kind, _, text in SECRETS_OF_A_RUN:
        assert redactor(off=frozenset(others - {kind})).json(json.dumps(text).encode()) is not None, kind


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50)
@given(value=st.dictionaries(st.text(), JSONS, max_size=5), at=st.integers(0, 41), ascii_only=st.booleans())
def test_json_stays_json(value: dict[str, Any], at: int, *, ascii_only: bool) -> None:
    """Whatever stands beside a secret is the same value afterwards."""
    kind, _, text = SECRETS_OF_A_RUN[at]
    raw = json.dumps({**value, "here": f" {text} "}, ensure_ascii=ascii_only).encode(errors="replace")
    done = redactor().json(raw)
    assert done is not None
    assert done.found[kind] >= 1
    before, after = json.loads(raw), json.loads(done.raw)
    assert {key: inner for key, inner in after.items() if key != "here"} == {
        key: inner for key, inner in before.items() if key != "here"
    }


@pytest.mark.parametrize("inner", ["[" * 600 + '"a@b.example"' + "]" * 600, '{"a":"\\ud800","b":"a@b.example"}'])
def test_text_that_only_looks_like_json_is_looked_at_as_it_stands(inner: str) -> None:
    """Too deep to be walked through, or with half of a character: what stands in it is found all the same."""
    after = redacted({"args": inner, "n": 1}, on=frozenset({"email"}))
    start, end = inner.split("a@b.example")
    assert re.fullmatch(re.escape(start) + r"\[redacted:email:[0-9a-f]{12}\]" + re.escape(end), after["args"])
    assert redacted({"args": inner.replace("@", "-")}, on=frozenset({"email"})) == {"args": inner.replace("@", "-")}


@pytest.mark.parametrize(
    ("metadata", "kept"),
    [
        (b"{}", b'{"redacted":{"jwt":2}}'),
        (b'{"actor":"a" , "n":1e2 }', b'{"actor":"a" , "n":1e2,"redacted":{"jwt":2}}'),
        (b'{"redacted":{"jwt":2}}', b'{"redacted":{"jwt":2}}'),
        (b'{"redacted":{"jwt":1},"a":1}', b'{"redacted":{"jwt":2},"a":1}'),
    ],
)
def test_metadata_says_how_many(metadata: bytes, kept: bytes) -> None:
    """All else in it stays as it came."""
    assert told(metadata, {"jwt": 2}) == kept

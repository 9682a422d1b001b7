"""What an agent, a tool or a person wrote stays text, in every field and on every tab."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from journal.domain import agent_run as run
from journal.domain import codec
from tests import builders
from tests.run_pages import address, fresh_timelines, page, put, reader, words

if TYPE_CHECKING:
    from django.test import Client

__all__ = ["fresh_timelines", "reader"]

CORPUS = {
    "script": "<script>alert(1)</script>",
    "image": '"><img src=x onerror=alert(1)>',
    "svg": "</title></textarea></template><svg onload=alert(1)>",
    "htmx": '<div hx-post="/x" hx-trigger="load" hx-on::load="alert(1)">x</div>',
    "link": '<a href="javascript:alert(1)">javascript:alert(1)</a>',
    "entity": "&lt;script&gt;&#60;b&#62;",
    "template": "{{ 7|add:7 }}{% debug %}",
    "bidi": "safe\u202egnp.exe\u202c\u2066x\u2069",
    "terminal": "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "quotes": "\"'`><",
}
TABS = ("explain", "state", "diff", "payload", "context", "causes")
OURS = {"hx-get", "hx-trigger", "hx-swap", "hx-target", "hx-disable", "hx-swap-oob"}


def _everything(text: str) -> list[object]:
    arguments = codec.text({text: text, "path": text, "old_string": text, "new_string": f"{text}!"})
    return [
        run.Started(
            prompt=text, model=text, agent=text, source=text, tools=(text, {"name": text}), context={text: text}
        ),
        run.MessageReceived(role=text, name=text, content=[{"type": "text", "text": text}]),
        run.ModelCalled(model=text, params={text: text}, messages=(text,)),
        run.ModelResponded(content=text, reasoning=text, finish_reason=text, raw={text: text}),
        run.Reasoned(thought=text, tool_name=text, args_json=arguments, call_id=text),
        run.ToolReturned(tool_name=text, call_id=text, response_json=codec.text({text: text})),
        run.Reasoned(thought=text, tool_name=text, args_json=text, call_id="c2"),
        run.ToolFailed(tool_name=text, call_id="c2", error_code=text, message=text),
        run.HandedOff(to_agent=text, child_run=text, instruction=text),
        run.ContextCompacted(summary=text),
        run.MemoryWritten(key=text, value=text),
        run.Answered(response=text),
        run.Aborted(reason=text),
        run.Graded(rule=text, by=text, verdict=text, message=text),
        run.Annotated(by=text, text=text, label=text),
    ]


class _Watch(HTMLParser):
    """Collects what an attack would need: foreign elements, handlers, addresses that run, attributes of htmx."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        is_data = values.get("id") == "nagare-keys" and values.get("type") == "application/json"
        if tag in ("img", "iframe", "object", "embed", "base") or (
            tag == "script" and not values.get("nonce") and not is_data
        ):
            self.found.append(tag)
        for name, value in attrs:
            is_foreign = name.startswith(("on", "hx-on")) or (name.startswith("hx-") and name not in OURS)
            runs = name in ("href", "src", "action", "hx-get") and not (value or "").startswith(("/", "#", "?"))
            if is_foreign or runs or name == "style":
                self.found.append(f"{tag} {name}={value}")


@pytest.mark.parametrize("name", CORPUS)
def test_hostile_text_stays_text(reader: Client, name: str) -> None:
    """Every event with the text in every field adds no element, handler, address or htmx attribute to any tab."""
    text = CORPUS[name]
    events = _everything(text.replace("\x00", ""))
    stream = put("agent_run-evil", [builders.event(event, actor=text, subjects=(text,)) for event in events])  # type: ignore[arg-type]
    for version in range(1, len(events) + 1):
        for tab in TABS:
            html = page(reader, address(stream, version, tab=tab), is_move=version not in (1, 5))
            watch = _Watch()
            watch.feed(html)
            assert watch.found == [], (name, version, tab)
            assert "\u202e" not in html
            assert "\x1b" not in html


def test_foreign_text_is_outside_of_htmx(reader: Client) -> None:
    """Rows, titles and panels stand in containers that htmx leaves alone; what loads more stands outside of them."""
    html = page(reader, address(put("agent_run-evil", [builders.event(builders.started(prompt=CORPUS["htmx"]))])))
    for opening in ('<div class="run-name"', '<div class="wins"', '<header class="event-head"', '<div class="panel"'):
        assert "hx-disable" in html[html.index(opening) :].split(">", 1)[0]


def test_the_policy_allows_no_inline_code(reader: Client) -> None:
    """Scripts carry the nonce of the response, and the policy knows no unsafe word."""
    stream = put("agent_run-1", [builders.event(builders.started())])
    policy = reader.get(address(stream))["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "script-src 'nonce-" in policy


def test_what_a_reader_types_stays_text(reader: Client) -> None:
    """The query of an address comes back escaped, or not at all."""
    stream = put("agent_run-1", [builders.event(builders.started())])
    attack = "%22%3E%3Cimg src=x onerror=alert(1)%3E"
    for name in ("q", "tab", "scrub", "against", "v", "project"):
        response = reader.get(f"/runs/{stream}/?{name}={'tool:' if name == 'scrub' else ''}{attack}")
        assert b"<img" not in response.content


def test_odd_characters_are_named(reader: Client) -> None:
    """Characters that reorder text are shown by name, and terminal colours are said to be left out."""
    stream = put("agent_run-1", [builders.event(run.MessageReceived(content=CORPUS["bidi"] + CORPUS["terminal"]))])
    said = words(page(reader, address(stream, 1)))
    assert "safe RLO gnp.exe PDF" in said

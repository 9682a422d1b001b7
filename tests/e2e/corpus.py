"""What an attacker would have an agent write, and runs that say it wherever a run can say something."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from journal.domain import agent_run as run
from journal.domain import codec

BEACON: Final = "/nowhere/beacon"
"""Every payload that runs or loads something would ask for this address, or open a dialog."""

TYPIST: Final = "m.kato"
PASSWORD: Final = "a stream finds its way"
"""Of the one who signs in by typing."""

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
"""The trace that appended the events that say payloads wherever they can."""

LISTED: Final = 60
"""Runs in the project of the run list; they have no events."""

PAYLOADS: Final = {
    "script": f"<script>alert(1)</script><script src={BEACON}></script>",
    "closing": f"</script></title></textarea></template></bdi></svg><script>fetch('{BEACON}')</script>",
    "image": f'"><img src={BEACON} onerror=alert(1)>',
    "svg": f"<svg onload=alert(1)><image href={BEACON} /><use href={BEACON}#a /></svg>",
    "post": f'<div hx-post="{BEACON}" hx-trigger="load" hx-swap-oob="true" id="inspector">posted</div>',
    "handler": f"<div hx-get='{BEACON}' hx-trigger='load' hx-on::load='alert(1)' hx-vals='js:{{a:alert(1)}}'>x</div>",
    "data": f'<p data-hx-get="{BEACON}" data-hx-trigger="load">x</p>',
    "attribute": f"x' hx-get='{BEACON}' hx-trigger='load' onmouseover='alert(1)' autofocus onfocus='alert(1)",
    "link": f'<a href="javascript:alert(1)" ping="{BEACON}">open</a> javascript:alert(1) [x](javascript:alert(1))',
    "frame": f"<iframe srcdoc='<script>alert(1)</script>' src={BEACON}></iframe><base href=//evil.example/>",
    "refresh": f"<meta http-equiv=refresh content='0;url={BEACON}'><object data={BEACON}></object><embed src={BEACON}>",
    "style": f"<style>*{{background:url({BEACON})}}</style><p style='position:fixed;background:url({BEACON})'>x</p>",
    "template": "{{ 7|add:7 }}{% debug %}${7*7}<%= 7*7 %>",
    "bidi": "invoice\u202egnp.exe\u202c \u2066a\u2069 \u200bzero\u200fwidth\ufeff",
    "terminal": "\x1b[31mred\x1b[0m\x1b]0;title\x07 \x01\x08\x7f\x85 end",
}

BOXES: Final = ("RLO", "PDF", "LRI", "PDI", "ZWSP", "RLM", "BOM", "SOH", "BS", "DEL")
"""Names that stand on a page instead of characters that cannot be seen."""


def everywhere() -> list[tuple[msgspec.Struct, str]]:
    """Return a run with a payload in every field of every kind of event, and the payload of each."""
    return [pair for text in PAYLOADS.values() for pair in zip(_events(text), [text] * 15, strict=True)]


def _events(text: str) -> list[msgspec.Struct]:
    arguments = codec.text({text: text, "path": text, "old_string": text, "new_string": f"{text}!"})
    call, other = f"1 {text}", f"2 {text}"
    return [
        run.Started(
            prompt=text, model=text, agent=text, source=text, tools=(text, {"name": text}), context={text: text}
        ),
        run.MessageReceived(role=text, name=text, content=[{"type": "text", "text": text}]),
        run.ModelCalled(model=text, params={text: text}, messages=(text,)),
        run.ModelResponded(content=text, reasoning=text, finish_reason=text, raw={text: text}),
        run.Reasoned(thought=text, tool_name=text, args_json=arguments, call_id=call),
        run.ToolReturned(tool_name=text, call_id=call, response_json=codec.text({text: text})),
        run.Reasoned(thought=text, tool_name=text, args_json=text, call_id=other),
        run.ToolFailed(tool_name=text, call_id=other, error_code=text, message=text),
        run.HandedOff(to_agent=text, child_run=text, instruction=text),
        run.ContextCompacted(summary=text),
        run.MemoryWritten(key=text, value={text: [text]}),
        run.Answered(response=text),
        run.Aborted(reason=text),
        run.Graded(rule=text, by=text, verdict=text, message=text),
        run.Annotated(by=text, text=text, label=text),
    ]


def atif(name: str, text: str) -> bytes:
    """Return a trajectory file in which agent, model, prompt, tool, arguments and results are the text."""
    call = {"tool_call_id": text, "function_name": text, "arguments": {text: text, "path": text}}
    answer = {"source_call_id": text, "content": text}
    steps: list[dict[str, Any]] = [
        {"step_id": 1, "source": "user", "message": text, "timestamp": "2026-11-01T08:00:00Z"},
        {"step_id": 2, "source": "agent", "message": text, "tool_calls": [call], "observation": {"results": [answer]}},
        {"step_id": 3, "source": "agent", "message": text, "reasoning_content": text},
    ]
    agent = {"name": text, "version": text, "model_name": text}
    document = {"schema_version": "ATIF-v1.7", "session_id": f"{name} {text}", "agent": agent, "steps": steps}
    return json.dumps({**document, "notes": text}).encode()


def claude_code() -> bytes:
    """Return a session file whose record types, which become event types, are the payloads."""
    lines = [
        _record(at, "user", message={"role": "user", "content": text}) for at, text in enumerate(PAYLOADS.values())
    ]
    lines += [_record(100 + at, text, subtype=text, content=text) for at, text in enumerate(PAYLOADS.values())]
    return b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"


def _record(at: int, kind: str, **rest: Any) -> dict[str, Any]:
    envelope = {"type": kind, "uuid": f"u{at}", "parentUuid": f"u{at - 1}" if at else None, "isSidechain": False}
    session = {"sessionId": "5e5510f5-0000-4000-8000-00000000e2e0", "cwd": "/srv/shop", "version": "2.1.0"}
    return {**envelope, **session, "timestamp": "2026-11-02T08:00:00Z", **rest}

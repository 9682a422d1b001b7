"""The recorder and the project's own server: an agent in another process, its run as the command shows it."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from journal import recorder
from journal.access import Role, add_project, add_user, create_token
from journal.recorder.connection import connect
from journal.store import get_store
from tests.journal.recorder import model_server as provider
from tests.journal.recorder.looking import kinds
from tests.journal.recorder.model_server import model_server

ROOT = Path(__file__).resolve().parents[3]

AGENT = """
import json, sys
import openai
from journal import recorder

@recorder.tool
def add(a, b):
    return a + b

recorder.connect(sys.argv[1], sys.argv[2], spool=sys.argv[3])
client = openai.OpenAI(base_url=sys.argv[4], api_key="sk-test-0123456789",
                       http_client=openai.DefaultHttpxClient(transport=recorder.transport()))
messages = [{"role": "user", "content": "1 + 2?"}]
with recorder.run(prompt="1 + 2?", model="orion-3", agent="adder", stream="agent_run-real") as run:
    while (said := client.chat.completions.create(model="orion-3", messages=messages).choices[0].message).tool_calls:
        messages.append(said.model_dump(exclude_none=True))
        for call in said.tool_calls:
            result = str(add(**json.loads(call.function.arguments)))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
assert recorder.flush(20)
assert "django" not in sys.modules
"""


def token(*scopes: str) -> str:
    """Return a token of an engineer of the project `default`."""
    add_project("default")
    add_user("ada", role=Role.ENGINEER, project="default")
    return create_token(user="ada", project="default", scopes=scopes).secret


@pytest.mark.django_db(transaction=True)
def test_an_agent_in_another_process(live_server: Any, tmp_path: Path) -> None:
    """It is recorded over HTTP, explained by the command, and read back for a replay."""
    secret = token("ingest", "read")
    calls = provider.chat("Adding.", ("c1", "add", '{"a": 1, "b": 2}'))
    with model_server(provider.whole(calls), provider.whole(provider.chat("It is 3."))) as models:
        command = [sys.executable, "-c", AGENT, live_server.url, secret, str(tmp_path), f"{models.url}/v1"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
    events = list(get_store("default").read_stream("agent_run-real"))
    assert kinds(events) == [
        "started", "message_received", "model_called", "model_responded", "reasoned", "tool_returned", "model_called",
        "model_responded", "answered",
    ]  # fmt: skip
    told = StringIO()
    call_command("explain", "agent_run-real", project="default", stdout=told)
    lines = [line.strip() for line in told.getvalue().splitlines()]
    assert "1  Run started, adder on orion-3" in lines
    assert "4  “Adding.”" in lines
    assert "6  add returned 3" in lines
    assert "9  Answered: “It is 3.”" in lines
    with connect(live_server.url, secret, spool=tmp_path):
        replay = recorder.replay("agent_run-real")
    assert [step.told() for step in replay.scripts["agent_run-real"].steps] == [
        "a request to orion-3", 'a call of add {"a":1,"b":2}', "a request to orion-3",
    ]  # fmt: skip
    assert (replay.answer, replay.gaps) == ("It is 3.", [])

"""The page on OpenTelemetry says what works: its program, run as it stands with its variables, is a run here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer

from tests.api import secret
from tests.otlp import content, settle, types

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "connect-opentelemetry.md").read_text()


@pytest.mark.django_db(transaction=True)
def test_the_program_of_the_page_is_a_run(live_server: LiveServer) -> None:
    """In a process of its own, since it sets up tracing for all of it."""
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    token = secret("ingest")
    shell = re.findall(r'^export (OTEL_\w+)="?([^"\n]+)"?$', PAGE, re.MULTILINE)
    given = {name: value.replace("$NAGARE_TOKEN", token) for name, value in shell}
    given["OTEL_EXPORTER_OTLP_ENDPOINT"] = live_server.url
    assert len(given) == 3
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (written,) = settle().runs
    told = content(written.stream)
    assert [name for name in types(told) if not name.startswith("source.")] == [
        "started", "model_called", "model_responded", "reasoned", "tool_returned", "model_called", "model_responded",
        "answered",
    ]  # fmt: skip
    assert json.loads(told[-1][4])["response"] == "Take an umbrella."

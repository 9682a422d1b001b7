"""A worker makes an audit in a child, so that the memory of laying out pages goes with it."""

from __future__ import annotations

import pytest

from audits import child, jobs, tasks


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Return which audits were made, and where."""
    where: list[tuple[str, str]] = []
    monkeypatch.setattr(child, "run", lambda job_id: where.append(("child", job_id)))
    monkeypatch.setattr(jobs, "run", lambda job_id: where.append(("here", job_id)))
    return where


def test_a_worker_hands_an_audit_to_a_child(made: list[tuple[str, str]]) -> None:
    """It does no more than wait."""
    tasks.run_audit("a-1")
    assert made == [("child", "a-1")]


def test_without_a_worker_it_is_made_on_the_spot(made: list[tuple[str, str]]) -> None:
    """Where tasks run in the process that asks for them, its database may be one that no other process sees."""
    tasks.run_audit.apply(args=("a-1",))
    assert made == [("here", "a-1")]

"""What tests of the API share: people and their tokens, a client that speaks JSON, and what it was answered."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from journal.access import Role, add_project, add_user, create_token
from journal.access.projects import ensure_project

V1 = "/api/v1"


class Api:
    """A program with a token, or a person's browser; `answer` is what the last request was answered."""

    def __init__(self, *, token: str = "", client: Client | None = None) -> None:
        self.client = client or Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.status = 0
        self.raw = b""
        self.response: Any = None

    def get(self, path: str, **query: Any) -> Any:
        """Ask, and return the JSON of the answer; a path may be a whole address."""
        address = path if path.startswith("/api/") else V1 + path
        return self._told(self.client.get(address, query or None, headers=self.headers))

    def post(self, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str) -> Any:
        """Send JSON, or bytes as they are."""
        sent = raw if raw is not None else json.dumps(body).encode()
        kind = headers.pop("content_type", "application/json")
        given = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self._told(self.client.post(V1 + path, data=sent, content_type=kind, headers=given))

    def _told(self, response: Any) -> Any:
        self.response, self.status = response, response.status_code
        self.raw = response.getvalue()
        return json.loads(self.raw) if self.raw else None


def program(*scopes: str, project: str = "default", role: Role = Role.ADMIN, user: str = "") -> Api:
    """Return a program of a new member of a project, which is made where there is none."""
    return Api(token=secret(*scopes, project=project, role=role, user=user))


def secret(*scopes: str, project: str = "default", role: Role = Role.ADMIN, user: str = "") -> str:
    """Return the token of a new member of a project."""
    if project != "default":
        from journal.models import Project  # noqa: PLC0415

        if not Project.objects.filter(slug=project).exists():
            add_project(project)
    ensure_project(project)
    name = user or f"{role}-{project}-{'-'.join(scopes)}"
    add_user(name, role=role, project=project, password="a long password")
    return create_token(user=name, project=project, scopes=scopes or ("read", "ingest")).secret


def noted(data: str = "{}", **fields: Any) -> dict[str, Any]:
    """Return an event to append."""
    return {"type": "test.noted", "data": json.loads(data), **fields}

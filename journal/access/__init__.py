"""Projects, members, roles and tokens: the one place that decides who may see what.

A view declares what it needs with `requires(Permission.…)` or says with `public` that it needs nothing; a view that
does neither is refused. Whoever is no member of a project gets the answer of a project that does not exist.
"""

from __future__ import annotations

from journal.access.permissions import Permission, Role, administers, may, role_in
from journal.access.projects import add_project, add_user, chosen_project, projects_of
from journal.access.web import PUBLIC, ProjectRequest, public, requires

__all__ = [
    "PUBLIC",
    "Permission",
    "ProjectRequest",
    "Role",
    "add_project",
    "add_user",
    "administers",
    "chosen_project",
    "may",
    "projects_of",
    "public",
    "requires",
    "role_in",
]

"""Projects, members, roles and tokens: the one place that decides who may see what.

A view declares what it needs with `requires(Permission.…)` or says with `public` that it needs nothing; a view that
does neither is refused. Whoever is no member of a project gets the answer of a project that does not exist.
"""

from __future__ import annotations

from journal.access.members import Member, MemberRefused, members_of, remove_member, set_role
from journal.access.permissions import Permission, Role, administers, holders, may, role_in
from journal.access.projects import add_project, add_user, chosen_project, projects_of
from journal.access.recording import note_access, record_access
from journal.access.tokens import (
    Bearer,
    NewToken,
    TokenLine,
    TokenRefused,
    bearer_of,
    create_token,
    revoke_token,
    rotate_token,
    scopes_of,
    tokens_of,
)
from journal.access.web import PUBLIC, ProjectRequest, public, reader_id, requires

__all__ = [
    "PUBLIC",
    "Bearer",
    "Member",
    "MemberRefused",
    "NewToken",
    "Permission",
    "ProjectRequest",
    "Role",
    "TokenLine",
    "TokenRefused",
    "add_project",
    "add_user",
    "administers",
    "bearer_of",
    "chosen_project",
    "create_token",
    "holders",
    "may",
    "members_of",
    "note_access",
    "projects_of",
    "public",
    "reader_id",
    "record_access",
    "remove_member",
    "requires",
    "revoke_token",
    "role_in",
    "rotate_token",
    "scopes_of",
    "set_role",
    "tokens_of",
]

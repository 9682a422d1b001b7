"""What the palette offers besides the page's own actions: runs, by their title or stream."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from explorer.queries.palette import runs_called
from journal.access import Permission, ProjectRequest, requires


@requires(Permission.READ)
@require_GET
def palette(request: HttpRequest) -> JsonResponse:
    """Give the project's newest runs, those that are called something like what was typed."""
    project = cast(ProjectRequest, request).project.slug
    return JsonResponse({"runs": runs_called(project, request.GET.get("q", ""))})

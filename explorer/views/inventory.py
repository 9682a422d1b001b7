"""The log inventory: what the project records, how long, where, and who may read it; as a page and as files."""

from __future__ import annotations

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from explorer.queries import inventory as queries
from journal.access import Permission, ProjectRequest, requires


@never_cache
@require_safe
@requires(Permission.AUDIT)
def page(request: ProjectRequest) -> HttpResponse:
    """Show the inventory, and the entry of a register that can be made of it."""
    found = queries.inventory(request.project.slug, now=timezone.now())
    context = {"inventory": found, "register": queries.register(found), "blank": queries.BLANK}
    return render(request, "explorer/inventory/page.html", context)


@never_cache
@require_safe
@requires(Permission.AUDIT)
def export(request: ProjectRequest, what: str, form: str) -> HttpResponse:
    """Give the inventory, or the entry of the register, as JSON or CSV."""
    if (what, form) not in _FORMS:
        raise Http404("no such file")
    found = queries.inventory(request.project.slug, now=timezone.now())
    response: HttpResponse
    if form == "json":
        document = queries.as_json(found) if what == "inventory" else queries.register_json(found)
        response = JsonResponse(document, json_dumps_params={"indent": 2})
    else:
        lines = queries.as_csv(found) if what == "inventory" else queries.register_csv(found)
        response = HttpResponse(b"".join(lines), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{what}-of-{request.project.slug}.{form}"'
    return response


_FORMS = frozenset((what, form) for what in ("inventory", "register") for form in ("json", "csv"))

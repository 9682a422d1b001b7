"""That an event stands in its project's signed log."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse
from django.http.response import HttpResponseBase

from journal.access import Permission
from journal.api.asked import Asked
from journal.api.base import ApiRequest, ApiView, Media, operation
from journal.runtime import log_rows
from journal.runtime.log_rows import NotSealed
from journal.store import get_store

TAG: Final = "The signed log"
_TEXT: Final = "text/plain"


class Proof(ApiView):
    """An inclusion proof."""

    @operation(needs=Permission.READ, tag=TAG, answers={200: Media(_TEXT)}, refusals=(404, 409))
    def get(self, request: ApiRequest, event_id: str, *, asked: Asked) -> HttpResponseBase:
        """Prove that an event stands in the log, under its newest signed checkpoint.

        The answer is a `.tlog-proof` file: the event's place, the hashes up to the root, and the checkpoint.
        """
        event = get_store(request.project).event(event_id)
        log = log_rows.newest(request.project)
        proof = log_rows.proof_of(log, event.position) if log is not None else None
        if proof is None:
            raise NotSealed(project=request.project, event_id=event_id)
        return HttpResponse(proof.text, content_type=f"{_TEXT}; charset=utf-8")

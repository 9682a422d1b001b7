"""The explorer's pages. Addresses end in a slash; versions, tabs and filters stand in the query."""

from __future__ import annotations

from django.urls import path

from explorer.views import imports, ops, run, runs, traces

app_name = "explorer"
urlpatterns = [
    path("", runs.home, name="home"),
    path("runs/", runs.listing, name="runs"),
    path("runs/<str:stream>/", run.page, name="run"),
    path("runs/<str:stream>/events/<int:version>/", run.permalink, name="event"),
    path("by-trace/<str:trace_id>/<str:span_id>/", traces.by_trace, name="by_trace"),
    path("import/", imports.page, name="import"),
    path("import/sample/", imports.sample, name="sample"),
    path("import/<str:job_id>/", imports.progress, name="import_job"),
    path("ops/", ops.page, name="ops"),
    path("ops/outbox/", ops.outbox, name="ops_outbox"),
    path("ops/outbox/<str:dispatch>/requeue/", ops.requeue, name="ops_requeue"),
    path("ops/subscriptions/<str:name>/", ops.subscription, name="ops_subscription"),
    path("ops/parked/<int:parked_id>/", ops.parked, name="ops_parked"),
    path("ops/projections/<str:name>/", ops.projection, name="ops_projection"),
    path("ops/processes/", ops.processes, name="ops_processes"),
    path("ops/processes/<str:stream>/", ops.process, name="ops_process"),
]

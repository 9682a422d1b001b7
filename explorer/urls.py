"""The explorer's pages. Addresses end in a slash; versions, tabs and filters stand in the query."""

from __future__ import annotations

from django.urls import path

from explorer.views import find, imports, ops, palette, run, runs, saved, settings, share, traces

app_name = "explorer"
urlpatterns = [
    path("", runs.home, name="home"),
    path("runs/", runs.listing, name="runs"),
    path("runs/complete/", runs.complete, name="complete"),
    path("runs/views/", saved.new, name="view_new"),
    path("runs/views/<int:view_id>/", saved.change, name="view"),
    path("runs/<str:stream>/", run.page, name="run"),
    path("runs/<str:stream>/find/", find.find, name="find"),
    path("runs/<str:stream>/peek/", runs.peek, name="peek"),
    path("runs/<str:stream>/markdown/", share.as_markdown, name="markdown"),
    path("runs/<str:stream>/export/<str:form>/", share.download, name="download"),
    path("runs/<str:stream>/embed/", share.embed, name="embed"),
    path("runs/<str:stream>/embed/<str:link_id>/revoke/", share.embed_revoke, name="embed_revoke"),
    path("embed/<str:token>/", share.embedded, name="embedded"),
    path("runs/<str:stream>/events/<int:version>/", run.permalink, name="event"),
    path("palette/", palette.palette, name="palette"),
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
    path("settings/", settings.page, name="settings"),
    path("settings/look/", settings.look, name="settings_look"),
    path("settings/tokens/", settings.token_new, name="settings_tokens"),
    path("settings/tokens/<str:token_id>/revoke/", settings.token_revoke, name="settings_token"),
    path("settings/members/", settings.member, name="settings_member"),
    path("settings/embedding/", settings.embedding, name="settings_embedding"),
]

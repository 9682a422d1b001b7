"""The explorer's pages. Addresses end in a slash; versions, tabs and filters stand in the query."""

from __future__ import annotations

from django.urls import path

from explorer.views import imports, run, runs

app_name = "explorer"
urlpatterns = [
    path("", runs.home, name="home"),
    path("runs/", runs.listing, name="runs"),
    path("runs/<str:stream>/", run.page, name="run"),
    path("runs/<str:stream>/events/<int:version>/", run.permalink, name="event"),
    path("import/", imports.page, name="import"),
    path("import/sample/", imports.sample, name="sample"),
    path("import/<str:job_id>/", imports.progress, name="import_job"),
]

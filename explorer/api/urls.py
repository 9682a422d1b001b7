"""The explorer's part of `/api/v1/`. No address ends in a slash."""

from __future__ import annotations

from django.urls import path

from explorer.api import histories, runs

urlpatterns = [
    path("runs", runs.RunList.as_view(), name="runs"),
    path("runs/<str:stream>", runs.OneRun.as_view(), name="run"),
    path("runs/<str:stream>/state", runs.State.as_view(), name="state"),
    path("runs/<str:stream>/explain", runs.Explain.as_view(), name="explain"),
    path("runs/<str:stream>/diff", runs.Diff.as_view(), name="diff"),
    path("runs/<str:stream>/graph", runs.CauseGraph.as_view(), name="graph"),
    path("runs/<str:stream>/compare", histories.Compare.as_view(), name="compare"),
    path("runs/<str:stream>/whatif", histories.AskWhatIf.as_view(), name="whatif"),
]

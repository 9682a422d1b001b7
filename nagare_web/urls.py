"""Routes: the apps' own, and what belongs to none of them."""

from __future__ import annotations

from django.contrib.auth import views as auth
from django.urls import include, path

from audits import api as audits_api
from explorer.api import urls as explorer_api
from journal.access import public
from journal.api import otlp
from journal.api import urls as journal_api
from nagare_web import api_docs, health, metrics

urlpatterns = [
    path("", include("explorer.urls")),
    path("api/v1/", include(([*journal_api.urlpatterns, *explorer_api.urlpatterns, *audits_api.urlpatterns], "api"))),
    path("v1/traces", otlp.traces, name="otlp_traces"),
    path("v1/logs", otlp.logs, name="otlp_logs"),
    path("api/schema/", api_docs.schema, name="api_schema"),
    path("api/docs/", api_docs.page, name="api_docs"),
    path("metrics", metrics.metrics, name="metrics"),
    path("", include("audits.urls")),
    path(
        "accounts/login/",
        public(auth.LoginView.as_view(redirect_authenticated_user=True)),
        name="login",
    ),
    path("accounts/logout/", public(auth.LogoutView.as_view()), name="logout"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]

handler400 = "nagare_web.views.bad_request"
handler403 = "nagare_web.views.permission_denied"
handler404 = "nagare_web.views.not_found"
handler500 = "nagare_web.views.server_error"

"""The pages of audits."""

from __future__ import annotations

from django.urls import path

from audits import access_views, log_views, views

app_name = "audits"
urlpatterns = [
    path("audits/", views.listing, name="audits"),
    path("audits/preview/", views.preview, name="preview"),
    path("audits/<str:audit_id>/", views.audit, name="audit"),
    path("audits/<str:audit_id>/<str:name>", views.file, name="file"),
    path("access/", access_views.page, name="access"),
    path("access/export/<str:form>/", access_views.export, name="access_export"),
    path("log/<str:project>/checkpoint", log_views.checkpoint, name="log_checkpoint"),
    path("log/<str:project>/tile/<path:path>", log_views.tile, name="log_tile"),
]

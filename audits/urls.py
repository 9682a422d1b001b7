"""The pages of audits."""

from __future__ import annotations

from django.urls import path

from audits import access_views, checking_views, duty_views, incident_views, log_views, views

app_name = "audits"
urlpatterns = [
    path("audits/", views.listing, name="audits"),
    path("audits/preview/", views.preview, name="preview"),
    path("audits/verify/", checking_views.page, name="verify"),
    path("audits/witness.py", checking_views.witness, name="witness"),
    path("audits/verify.py", checking_views.program, name="program"),
    path("audits/<str:audit_id>/", views.audit, name="audit"),
    path("audits/<str:audit_id>/<str:name>", views.file, name="file"),
    path("access/", access_views.page, name="access"),
    path("access/export/<str:form>/", access_views.export, name="access_export"),
    path("duties/", duty_views.page, name="duties"),
    path("incidents/", incident_views.listing, name="incidents"),
    path("incidents/new/", incident_views.new, name="incident_new"),
    path("incidents/<str:incident_id>/", incident_views.incident, name="incident"),
    path("incidents/<str:incident_id>/<str:what>/", incident_views.change, name="incident_change"),
    path("log/<str:project>/checkpoint", log_views.checkpoint, name="log_checkpoint"),
    path("log/<str:project>/tile/<path:path>", log_views.tile, name="log_tile"),
]

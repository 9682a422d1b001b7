"""The pages of audits."""

from __future__ import annotations

from django.urls import path

from audits import views

app_name = "audits"
urlpatterns = [
    path("audits/", views.listing, name="audits"),
    path("audits/preview/", views.preview, name="preview"),
    path("audits/<str:audit_id>/", views.audit, name="audit"),
    path("audits/<str:audit_id>/<str:name>", views.file, name="file"),
]

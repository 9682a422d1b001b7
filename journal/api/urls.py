"""The journal's part of `/api/v1/`. No address ends in a slash."""

from __future__ import annotations

from django.urls import path

from journal.api import events, lineage, proofs, retention, rules, work

urlpatterns = [
    path("streams/<str:stream>/events", events.StreamEvents.as_view(), name="stream"),
    path("events", events.JournalEvents.as_view(), name="events"),
    path("events/<str:event_id>", events.OneEvent.as_view(), name="event"),
    path("events/<str:event_id>/causes", lineage.Causes.as_view(), name="causes"),
    path("events/<str:event_id>/effects", lineage.Effects.as_view(), name="effects"),
    path("events/<str:event_id>/proof", proofs.Proof.as_view(), name="proof"),
    path("rules", rules.Rules.as_view(), name="rules"),
    path("bisects", rules.Bisects.as_view(), name="bisects"),
    path("regrades", rules.Regrades.as_view(), name="regrades"),
    path("schedules", rules.Schedules.as_view(), name="schedules"),
    path("schedules/<str:schedule_id>", rules.OneSchedule.as_view(), name="schedule"),
    path("schedules/<str:schedule_id>/run", rules.RunSchedule.as_view(), name="schedule_run"),
    path("schedules/<str:schedule_id>/pause", rules.PauseSchedule.as_view(), name="schedule_pause"),
    path("schedules/<str:schedule_id>/continue", rules.ContinueSchedule.as_view(), name="schedule_continue"),
    path("schedules/<str:schedule_id>/delete", rules.DeleteSchedule.as_view(), name="schedule_delete"),
    path("jobs/<str:job_id>", work.OneJob.as_view(), name="job"),
    path("jobs/<str:job_id>/cancel", work.Cancel.as_view(), name="job_cancel"),
    path("projections", work.Projections.as_view(), name="projections"),
    path("projections/<str:name>/rebuild", work.Rebuild.as_view(), name="rebuild"),
    path("status", work.Status.as_view(), name="status"),
    path("retention", retention.Policy.as_view(), name="retention"),
    path("holds", retention.HoldList.as_view(), name="holds"),
    path("holds/<str:hold_id>/release", retention.ReleaseHold.as_view(), name="hold_release"),
    path("purges", retention.Purges.as_view(), name="purges"),
    path("erasures", retention.ErasureList.as_view(), name="erasures"),
    path("erasures/<str:erasure_id>/certificate", retention.Certificate.as_view(), name="certificate"),
    path("erasures/<str:erasure_id>/certificate.txt", retention.CertificateText.as_view(), name="certificate_text"),
]

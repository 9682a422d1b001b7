"""The journal's own projections."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import SimpleNamespace

from journal.domain import agent_run, saved_rule
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent
from journal.domain.grade import CATEGORY as GRADES
from journal.domain.lineage import links_of
from journal.domain.stream import category
from journal.models import CauseRow, GradeRow, NameRow, RuleRow
from journal.runtime import read_model
from journal.runtime.bulk import insert
from journal.runtime.naming import PROJECTION, names_of
from journal.runtime.projection import projects
from journal.store.sql import microseconds

_ID_LENGTH = 36


@projects
class Causes:
    """Fills `journal_cause`: a row for each link that an event names, so that causes can be walked both ways."""

    name = "causes"
    code_version = 2

    def handle(self, events: Sequence[RecordedEvent], *, generation: int) -> None:
        """Add the links of these events; one that is there stays.

        What is longer than an id is none of the journal's, and is cut to the column.
        """
        rows = [
            CauseRow(
                generation=generation,
                project=event.project,
                cause=link.cause[:_ID_LENGTH],
                effect=link.effect,
                kind=link.kind,
                certainty=link.certainty,
            )
            for event in events
            for link in links_of(event)
        ]
        insert(CauseRow, rows, ignore_conflicts=True)

    def discard(self, *, below: int, keep: Collection[int]) -> None:
        """Delete the links of old generations."""
        read_model.discard([CauseRow], below=below, keep=keep)

    def digest(self, *, generation: int) -> str:
        """Return a digest of all links."""
        columns = ("project", "effect", "cause", "kind", "certainty")
        rows = CauseRow.objects.filter(generation=generation).order_by(*columns)
        return read_model.digest([rows.values_list(*columns).iterator()])


@projects
class Names:
    """Fills `journal_name`: a row for each correlation id and subject that an event names."""

    name = PROJECTION
    code_version = 1

    def handle(self, events: Sequence[RecordedEvent], *, generation: int) -> None:
        """Add what these events name; what is there stays."""
        rows = [
            NameRow(
                generation=generation,
                project=event.project,
                kind=kind,
                value=value,
                position=event.position,
                event_id=event.id,
            )
            for event in events
            for kind, value in names_of(event)
        ]
        insert(NameRow, rows, ignore_conflicts=True)

    def discard(self, *, below: int, keep: Collection[int]) -> None:
        """Delete the names of old generations."""
        read_model.discard([NameRow], below=below, keep=keep)

    def digest(self, *, generation: int) -> str:
        """Return a digest of all names."""
        columns = ("project", "kind", "value", "position", "event_id")
        rows = NameRow.objects.filter(generation=generation).order_by(*columns)
        return read_model.digest([rows.values_list(*columns).iterator()])


@projects
class Rules:
    """Fills `journal_rule`: every version of every saved rule."""

    name = "rules"
    code_version = 1

    def handle(self, events: Sequence[RecordedEvent], *, generation: int) -> None:
        """Add the versions that were saved, and mark those that were retired."""
        for event in events:
            if category(event.stream) != saved_rule.CATEGORY:
                continue
            match catalog.decode(event):
                case saved_rule.Saved() as saved:
                    insert(RuleRow, [_rule_row(event, saved, generation)], ignore_conflicts=True)
                case saved_rule.Retired(version=version):
                    rows = RuleRow.objects.filter(generation=generation, project=event.project)
                    rows.filter(name=event.stream.partition("-")[2], version=version).update(is_retired=True)

    def discard(self, *, below: int, keep: Collection[int]) -> None:
        """Delete the rules of old generations."""
        read_model.discard([RuleRow], below=below, keep=keep)

    def digest(self, *, generation: int) -> str:
        """Return a digest of all rules."""
        columns = [field.attname for field in RuleRow._meta.concrete_fields if field.attname not in _OWN]
        rows = RuleRow.objects.filter(generation=generation).order_by("project", "name", "version")
        return read_model.digest([rows.values_list(*columns).iterator()])


@projects
class Grades:
    """Fills `journal_grade`: every verdict of a re-grade."""

    name = "grades"
    code_version = 1

    def handle(self, events: Sequence[RecordedEvent], *, generation: int) -> None:
        """Add the verdicts among these events; one that is there stays."""
        of_grades = [event for event in events if event.stream.startswith(_OF_GRADES)]
        decoded = [(event, catalog.decode(event)) for event in of_grades]
        rows = [
            _grade_row(event, grade, grade.run, generation)
            for event, grade in decoded
            if isinstance(grade, agent_run.Graded) and grade.run is not None
        ]
        insert(GradeRow, rows, ignore_conflicts=True)

    def discard(self, *, below: int, keep: Collection[int]) -> None:
        """Delete the verdicts of old generations."""
        read_model.discard([GradeRow], below=below, keep=keep)

    def digest(self, *, generation: int) -> str:
        """Return a digest of all verdicts."""
        columns = [field.attname for field in GradeRow._meta.concrete_fields if field.attname not in _OWN]
        rows = GradeRow.objects.filter(generation=generation).order_by("project", "grade")
        return read_model.digest([rows.values_list(*columns).iterator()])


_OF_GRADES = f"{GRADES}-"
_OWN = frozenset(("id", "generation"))


def _rule_row(event: RecordedEvent, saved: saved_rule.Saved, generation: int) -> RuleRow:
    return RuleRow(
        generation=generation,
        project=event.project,
        name=saved.name[: saved_rule.LONGEST_NAME],
        version=saved.version,
        description=saved.description,
        expression=saved.expression,
        monotone=saved.monotone,
        saved_by=(saved.by or "")[:200],
        saved_us=microseconds(event.recorded_at),
        is_retired=False,
    )


def _grade_row(
    event: RecordedEvent, grade: agent_run.Graded, run: agent_run.GradedRun, generation: int
) -> SimpleNamespace:
    """Return a row of `GradeRow`: making the model's own objects takes longer than writing them."""
    return SimpleNamespace(
        generation=generation,
        project=event.project,
        grade=event.id,
        job=(run.job or "")[:_ID_LENGTH],
        rule=(grade.rule or "")[:120],
        rule_version=run.rule_version,
        run=run.stream[:245],
        run_version=run.version,
        is_whole=run.since is None and run.until is None,
        verdict=(grade.verdict or "")[:8],
        previous=(run.previous or "")[:8],
        at_version=grade.at_version,
        at_position=run.position,
        event_id=(run.event_id or "")[:_ID_LENGTH],
        event_type=(run.event_type or "")[:200],
        message=grade.message or "",
        tool=(run.tool or "")[:200],
        model=(run.model or "")[:200],
        agent=(run.agent or "")[:200],
        started_us=microseconds(run.started_at) if run.started_at else None,
        occurred_us=microseconds(run.occurred_at) if run.occurred_at else None,
        flips=run.flips,
        position=event.position,
    )

"""A what-if on a page: the other history as a list, what rules say of both, and how the states differ at an event."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from threading import Lock
from typing import Any, Final, Literal
from urllib.parse import urlencode

import msgspec
from django.urls import reverse

from explorer import figures, whatifs
from explorer.drawings import minimap_of
from explorer.layout import Minimap, Tick, tick_of
from explorer.models import EventLine, RunSummary, WhatIf
from explorer.queries.run_steps import run_of
from explorer.state_changes import SHOWN, ChangeRow, change_rows, counted
from explorer.tree import leaves
from explorer.whatif_forms import Forms, forms_of
from journal.domain.event import EventData, RecordedEvent
from journal.domain.explain import explain
from journal.domain.text import amount
from journal.domain.whatif import Place, Verdicts
from journal.domain.whatif_edits import Edit
from journal.runtime.whatif import Answered, answer_what_if, rules_called
from journal.store import get_store

WINDOW: Final = 60
"""Recorded events in the list, with the asked one in its middle."""

_KEPT: Final = 64
_SHOWN_JSON: Final = 4_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """An event of the list. `how` is what became of it; `is_other` where it was recorded under another history."""

    label: str
    kind: str
    says: str
    how: Literal["recorded", "inserted", "replaced", "dropped"]
    is_cursor: bool
    is_other: bool
    href: str
    begins_other: bool = False
    was: str = ""
    lead: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictRow:
    """A rule on both histories. Its places are labels of events, empty where the rule holds."""

    rule: str
    title: str
    recorded: str
    recorded_at: str
    other: str
    other_at: str
    message: str
    is_changed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class EditRow:
    """An edit in words, with its event as JSON. `at` counts from 1."""

    at: int
    op: str
    version: int
    says: str
    kind: str
    json: str
    note: str
    edit_href: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WhatIfPage:
    """Everything a what-if's page shows."""

    run: RunSummary
    kept: WhatIf
    answered: Answered
    version: int
    notice: str
    rows: tuple[Row, ...]
    first: int
    last: int
    before: str
    after: str
    changed: tuple[VerdictRow, ...]
    failing: tuple[VerdictRow, ...]
    holding: tuple[str, ...]
    changes: tuple[ChangeRow, ...]
    counts: dict[str, int]
    same: int
    edits: tuple[EditRow, ...]
    path: str
    minimap: Minimap
    fork: Tick

    @property
    def inserted(self) -> str:
        """Return what the minimap says where the other history begins."""
        added = sum(edit.op == "insert" for edit in self.answered.found.edits)
        return f"+{added} inserted" if added else "edited from here"

    @property
    def title(self) -> str:
        """Return what comes of it."""
        return self.answered.found.words()

    @property
    def more(self) -> int:
        """Return how many changes of the state are not shown."""
        return len(self.answered.found.changes) - len(self.changes)

    @property
    def is_cut(self) -> bool:
        """Whether changes are left out."""
        return len(self.answered.found.changes) > SHOWN

    @property
    def checked(self) -> str:
        """Say how much was looked at."""
        ops: list[str] = [edit.op for edit in self.answered.found.edits]
        parts = [amount(self.answered.until, "recorded event")]
        for op, word in (("insert", "inserted"), ("replace", "replaced"), ("drop", "dropped")):
            if count := ops.count(op):
                parts.append(f"{count} {word}")
        asked = len(self.answered.found.verdicts)
        rules = f"{amount(asked, 'rule')} asked about" if asked else "No rule asked; state folded from"
        return f"{rules} {', '.join(parts)}."


@dataclass(frozen=True, kw_only=True, slots=True)
class AskPage:
    """Where a what-if begins or gets another edit: the forms of an event, and the what-ifs that are there."""

    run: RunSummary
    forms: Forms
    event: EventLine | None
    listed: tuple[WhatIf, ...]
    into: WhatIf | None
    edit: EditRow | None
    path: str


# --- A what-if --------------------------------------------------------------------------------------------------------


def page(project: str, run: RunSummary, kept: WhatIf, asked: int | None) -> WhatIfPage:
    """Return a what-if at an event of its run, the first that it changes where none is asked for.

    Raises:
        EditsRefused: its edits cannot be made to the run any more.
    """
    edits = whatifs.edits_of(kept)
    touched = min((edit.version for edit in edits), default=1)
    version = max(1, min(touched if asked is None else asked, run.events))
    answered = _answered(project, kept, edits, version)
    found = answered.found
    notice = ""
    if asked is not None and asked != version:
        notice = f"You asked for {asked:,}. The run has the events 1 to {run.events:,}, so here is {version:,}."
    if found.at != version:
        notice = f"The other history is followed up to {found.at:,}, so the states are compared there."
        version = found.at
    path = reverse("explorer:whatif", args=[run.stream, kept.pk])
    rows, first, last = _rows(run, answered, version, path)
    verdicts = [_verdict(one) for one in found.verdicts]
    return WhatIfPage(
        run=run,
        kept=kept,
        answered=answered,
        version=version,
        notice=notice,
        rows=rows,
        first=first,
        last=last,
        before=f"{path}?v={first - 1}" if first > 1 else "",
        after=f"{path}?v={last + 1}" if last < answered.until else "",
        changed=tuple(row for row in verdicts if row.is_changed),
        failing=tuple(row for row in verdicts if not row.is_changed and row.other != "holds"),
        holding=tuple(row.rule for row in verdicts if not row.is_changed and row.other == "holds"),
        changes=change_rows(found.changes, found.label),
        counts={str(mark): count for mark, count in counted(found.changes).items()},
        same=max(0, leaves(found.other) - len(found.changes)),
        edits=edit_rows(run, kept, edits),
        path=path,
        minimap=minimap_of(run, cursor=version, failures=(), words=""),
        fork=tick_of(touched, run.events),
    )


_verdicts: OrderedDict[tuple[Any, ...], tuple[tuple[Verdicts, ...], str]] = OrderedDict()
_guard = Lock()


def _answered(project: str, kept: WhatIf, edits: Sequence[Edit], version: int) -> Answered:
    """Ask once. Moving about in a what-if changes no verdict, so those are kept between requests."""
    store = get_store(project)
    with rules_called(project) as rules:
        asked = tuple((rule.name, rule.version) for rule in rules)
        digest = sha256(kept.edits.encode()).hexdigest()
        key = (project, kept.pk, digest, store.stream_version(kept.stream), asked)
        with _guard:
            known = _verdicts.get(key)
        answered = answer_what_if(store, kept.stream, edits, rules=() if known else rules, at=version)
    if known is not None:
        found = msgspec.structs.replace(answered.found, verdicts=known[0])
        return msgspec.structs.replace(answered, found=found, left_out=known[1])
    with _guard:
        _verdicts[key] = (answered.found.verdicts, answered.left_out)
        while len(_verdicts) > _KEPT:
            _verdicts.popitem(last=False)
    return answered


def _verdict(found: Verdicts) -> VerdictRow:
    failure = found.other.failure if found.other.verdict == "fails" else None
    return VerdictRow(
        rule=found.rule,
        title=found.title,
        recorded=found.recorded.verdict,
        recorded_at=found.recorded_at,
        other=found.other.verdict,
        other_at=found.at,
        message=failure.message if failure else found.other.error,
        is_changed=found.is_changed,
    )


# --- The list ---------------------------------------------------------------------------------------------------------


def _rows(run: RunSummary, answered: Answered, version: int, path: str) -> tuple[tuple[Row, ...], int, int]:
    """Return the rows around an event, recorded ones from the lists that the explorer keeps."""
    after = max(0, min(version - WINDOW // 2, answered.until - WINDOW))
    until = min(after + WINDOW, answered.until)
    recorded = EventLine.objects.filter(run=run, version__gt=after, version__lte=until)
    lines = {line.version: line for line in recorded.only("version", "kind", "summary", "tool", "folded_into")}
    found = answered.found
    changed = {edit.version for edit in found.edits if edit.op != "insert"}
    touched = min((edit.version + (edit.op == "insert") for edit in found.edits), default=run.events + 1)
    inserted = _by_place(found.places)
    replaced = {place.after: place for place in found.places if place.how == "replaced"}
    rows: list[Row] = [_placed(place, path) for place in inserted.get(0, ()) if after == 0]
    for number in range(after + 1, until + 1):
        line = lines.get(number)
        if line is not None and (line.folded_into is None or number in changed or number == version):
            row = _recorded(line, replaced.get(number), path, is_cursor=number == version, is_other=number > touched)
            if number in changed and number not in replaced:
                row = _dropped(row)
            rows.append(row)
        rows += [_placed(place, path) for place in inserted.get(number, ())]
    return _with_the_border(rows, touched), after + 1, until


def _by_place(places: Sequence[Place]) -> dict[int, list[Place]]:
    found: dict[int, list[Place]] = {}
    for place in places:
        if place.how == "inserted":
            found.setdefault(place.after, []).append(place)
    return found


def _recorded(line: EventLine, instead: Place | None, path: str, *, is_cursor: bool, is_other: bool) -> Row:
    if instead is None:
        lead, says = _led(line.kind, line.tool, line.summary)
        return Row(
            label=str(line.version), kind=line.kind, lead=lead, says=says, how="recorded", is_cursor=is_cursor,
            is_other=is_other, href=f"{path}?v={line.version}",
        )  # fmt: skip
    return replace(
        _placed(instead, path), how="replaced", is_cursor=is_cursor, href=f"{path}?v={line.version}", was=line.summary
    )


def _placed(place: Place, path: str) -> Row:
    kind = _kind(place.event.type)
    lead, says = _led(kind, str(place.event.payload.get("toolName") or ""), explain(place.event).summary)
    href = f"{path}?v={max(1, place.after)}"
    return Row(
        label=place.label, kind=kind, lead=lead, says=says, how="inserted", is_cursor=False, is_other=False, href=href
    )


def _led(kind: str, tool: str, summary: str) -> tuple[str, str]:
    """Split the tool of a call from what its sentence says behind it."""
    lead = f"Call {tool}"
    return (
        (tool, summary[len(lead) :].strip())
        if kind == "reasoned" and tool and summary.startswith(lead)
        else ("", summary)
    )


def _dropped(row: Row) -> Row:
    return replace(row, how="dropped", is_other=False)


def _with_the_border(rows: Sequence[Row], touched: int) -> tuple[Row, ...]:
    """Mark the first row that was recorded under another history."""
    shown: list[Row] = []
    is_before = True
    for row in rows:
        if is_before and row.how == "recorded" and int(row.label) >= touched:
            is_before = False
            shown.append(replace(row, is_other=True, begins_other=True))
        else:
            shown.append(row)
    return tuple(shown)


def _kind(event_type: str) -> str:
    family, _, name = event_type.rpartition(".")
    return name[:24] if family == "agent_run" else "event"


# --- Edits and forms --------------------------------------------------------------------------------------------------


def edit_rows(run: RunSummary, kept: WhatIf, edits: Sequence[Edit]) -> tuple[EditRow, ...]:
    """Return the edits in words."""
    return tuple(_edit_row(run, kept, at, edit) for at, edit in enumerate(edits, 1))


def _edit_row(run: RunSummary, kept: WhatIf, at: int, edit: Edit) -> EditRow:
    text, note, says, kind = "", "", "", ""
    if edit.event is not None:
        text = msgspec.json.format(edit.event.data, indent=2).decode()
        if len(text) > _SHOWN_JSON:
            text, note = f"{text[:_SHOWN_JSON]}…", f"{_SHOWN_JSON:,} of {amount(len(text), 'character')}"
        says, kind = explain(_as_recorded(run, edit.event)).summary, _kind(edit.event.type)
    return EditRow(
        at=at, op=edit.op, version=edit.version, says=says, kind=kind, json=text, note=note,
        edit_href=f"{reverse('explorer:whatifs', args=[run.stream])}?"
        + urlencode({"v": edit.version, "in": kept.pk, "edit": at}),
    )  # fmt: skip


def _as_recorded(run: RunSummary, event: EventData, version: int = 0) -> RecordedEvent:
    """Return a hypothetical event as explainers and forms read one."""
    at = figures.moment(run.started_us)
    return RecordedEvent(
        position=0, project=run.project, stream=run.stream, version=version, id="", type=event.type,
        schema=event.schema, data=event.data, metadata=event.metadata, occurred_at=at, recorded_at=at,
    )  # fmt: skip


def ask(  # noqa: PLR0913 - what an address says
    project: str, stream: str, *, version: int | None, into: WhatIf | None, edit: int | None, user_id: int
) -> AskPage | None:
    """Return the forms of an event; None where there is no such run.

    With `edit`, the number of an edit of `into`, they are those of that edit: its event stands in them.
    """
    run = run_of(project, stream)
    if run is None:
        return None
    at = max(0, min(1 if version is None else version, run.events))
    own = whatifs.edits_of(into) if into is not None else ()
    chosen = own[edit - 1] if edit is not None and 0 < edit <= len(own) else None
    recorded = event_at(project, stream, at)
    shown = recorded
    if chosen is not None and chosen.event is not None:
        shown = _as_recorded(run, chosen.event, at)
    line = EventLine.objects.filter(run=run, version=at).first()
    result_at = line.pair if line is not None and line.kind == "reasoned" else None
    return AskPage(
        run=run,
        forms=forms_of(shown, version=at, result_at=result_at),
        event=line,
        listed=tuple(whatifs.listed(project, stream, user_id)),
        into=into,
        edit=_edit_row(run, into, edit or 0, chosen) if chosen is not None and into is not None else None,
        path=reverse("explorer:whatifs", args=[stream]),
    )


def event_at(project: str, stream: str, version: int) -> RecordedEvent | None:
    """Return one event of a run; None for 0 and past its end."""
    if version < 1:
        return None
    return next(iter(get_store(project).read_stream(stream, after=version - 1, until=version)), None)

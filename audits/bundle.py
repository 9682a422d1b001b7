"""The evidence bundle: events, their proofs, the signed checkpoint they stand under, and the program that checks them.

The same query at the same checkpoint gives the same bytes. Nothing in it has to be believed: `verify.py` needs only
the log's public key, which comes from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from importlib import resources
from typing import Any, Final

import msgspec

from audits.selection import AuditRefused, Query, Selection, select
from journal.domain import codec
from journal.domain.event import RecordedEvent
from journal.domain.leaf import leaf_of
from journal.domain.merkle import Tiles
from journal.domain.note import Checkpoint, NoteRefused, open_checkpoint, parse_checkpoint, split_note
from journal.domain.withdrawn import mark_on
from journal.runtime import log_check, log_keys, log_rows, projection, sealer, verdicts
from journal.runtime.log_rows import NotSealed
from journal.runtime.verdicts import Regraded

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)
"""The time in every entry of the archive: the earliest there can be, since a time of making would differ."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """A selection with what proves it: the note it stands under, and each event's place in the log."""

    selection: Selection
    note: str
    sealed_at: datetime
    checkpoint: Checkpoint
    previous: str
    places: dict[str, int]
    """By event id, and by that of each verdict."""

    files: dict[str, bytes]
    regraded: tuple[Regraded, ...] = ()
    """What re-grades found of these runs: the newest verdict of each rule under the checkpoint."""

    wrong: tuple[str, ...] = ()
    """What a check of the whole journal against its log found wrong, when this was gathered."""

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest as it was written."""
        decoded: dict[str, Any] = msgspec.json.decode(self.files[MANIFEST])
        return decoded


def gather(query: Query, *, previous: str = "", on_progress: log_check.OnProgress | None = None) -> Evidence:
    """Select what a query covers, and prove it under the newest checkpoint.

    What waits for the sealer, the index of subjects or that of verdicts is caught up with first. `previous` is a note
    that the log is shown to go on from. The whole journal is checked too, since what was removed can be missed in no
    selection; what that finds wrong stands in the manifest. `on_progress` is told how far that is.

    Raises:
        NotSealed: the project has no log yet.
        AuditRefused: the query covers too much, or `previous` is of another log.
    """
    try:
        return _gathered(query, previous=previous, on_progress=on_progress or log_check.unwatched)
    except msgspec.DecodeError as error:
        raise AuditRefused("an event it would cover is no JSON any more; nagare verify says which") from error


def _gathered(query: Query, *, previous: str, on_progress: log_check.OnProgress) -> Evidence:
    sealer.catch_up()
    for name in ("subjects", "grades"):  # behind the sealer, so that they know all that is under its checkpoint
        projection.catch_up(projection.named(name))
    log = log_rows.newest(query.project)
    head = log_rows.head_at(log) if log is not None else None
    if log is None or head is None:
        raise NotSealed(project=query.project)
    selection = select(query, up_to=head.position)
    tree = log_rows.tiles(log, size=head.size)
    times = log_rows.tiles(log, size=head.size if head.occurred_note else 0, base=log_rows.OCCURRED)
    by_position = log_rows.indexes_of(log, [event.position for event in selection.events])
    places = {event.id: by_position[event.position] for event in selection.events if event.position in by_position}
    if missing := [event.id for event in selection.events if event.id not in places]:
        raise AuditRefused(f"event {missing[0]} has no place in the log; run nagare verify, something is wrong")
    files = {
        "events.jsonl": b"".join(_line(event, places[event.id]) for event in selection.events),
        "proofs.json": _proofs(
            tree,
            times,
            places,
            note=head.occurred_note,
            consistency=_consistency(tree, previous, log.origin, head.size),
        ),
        "checkpoint.txt": head.note.encode(),
        "previous-checkpoint.txt": previous.encode(),
        "keys.txt": "".join(f"{key.vkey}\n" for key in log_keys.in_use().keyring().verifiers).encode(),
        "verify.py": resources.files("audits.verifier").joinpath("verify.py").read_bytes(),
        "README.txt": resources.files("audits.verifier").joinpath("README.txt").read_bytes(),
    }
    checkpoint = parse_checkpoint(split_note(head.note)[0])
    found = log_check.check_log(log, on_progress=on_progress)
    wrong = tuple(check.words for check in found if check.is_good is False)
    regraded, told_at = _regraded(log, selection, up_to=head.position)
    manifest = _manifest(selection, checkpoint, files, wrong, [_verdict(one, told_at[one.grade]) for one in regraded])
    return Evidence(
        selection=selection,
        note=head.note,
        sealed_at=head.sealed_at,
        checkpoint=checkpoint,
        previous=previous,
        places=places | told_at,
        regraded=regraded,
        files={MANIFEST: manifest, **files},
        wrong=wrong,
    )


def archive(files: dict[str, bytes]) -> bytes:
    """Return files as a zip whose bytes depend on them alone."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as bundle:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, date_time=_LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            bundle.writestr(entry, content)
    return out.getvalue()


def _regraded(log: Any, selection: Selection, *, up_to: int) -> tuple[tuple[Regraded, ...], dict[str, int]]:
    """Return what re-grades found of the covered runs, and where in the log each verdict was told.

    None that was told later, so that the same checkpoint says the same.
    """
    runs = [part.stream for part in selection.parts]
    found = verdicts.recorded(selection.query.project, runs, up_to=up_to)
    indexes = log_rows.indexes_of(log, [one.position for one in found])
    places = {one.grade: indexes[one.position] for one in found if one.position in indexes}
    return tuple(one for one in found if one.grade in places), places


def _verdict(one: Regraded, index: int) -> dict[str, Any]:
    """Return a verdict as it stands in the manifest; its message stays in the journal."""
    return {
        "stream": one.run,
        "rule": one.rule,
        "rule_version": one.rule_version,
        "verdict": one.says,
        "run_version": one.run_version,
        "at_version": one.at_version,
        "event_id": one.grade,
        "log_index": index,
    }


def _manifest(
    selection: Selection,
    checkpoint: Checkpoint,
    files: dict[str, bytes],
    wrong: Sequence[str],
    regraded: list[dict[str, Any]],
) -> bytes:
    types = Counter(event.type for event in selection.events)
    document = {
        "v": FORMAT,
        "query": selection.query.to_json(),
        "counts": {
            "events": len(selection.events),
            "streams": len(selection.parts),
            "by_type": dict(sorted(types.items())),
        },
        "completeness": selection.completeness.to_json(),
        "streams": {part.stream: part.to_json() for part in selection.parts},
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "log": {"origin": checkpoint.origin, "size": checkpoint.size},
        "journal": {"checked": checkpoint.size, "wrong": list(wrong)},
        "regrades": regraded,
    }
    return msgspec.json.format(codec.encode(document), indent=2) + b"\n"


def _line(event: RecordedEvent, index: int) -> bytes:
    """An event on the wire, with its place in the log and the stored bytes that its leaf is of, as text."""
    wire = codec.on_the_wire(event)
    wire["log_index"] = index
    if (mark := mark_on(event)) is not None and mark.keys:
        wire["subject_keys"] = leaf_of(event).subject_keys  # the mark of a payload that is gone still names them
    for name, stored in (("data", event.data), ("metadata", event.metadata)):
        try:
            wire[f"{name}_raw"] = stored.decode()
        except UnicodeDecodeError:
            wire[f"{name}_raw_b64"] = base64.b64encode(stored).decode()
    return codec.encode(wire) + b"\n"


def _proofs(tree: Tiles, times: Tiles, places: dict[str, int], *, note: str, consistency: list[bytes]) -> bytes:
    """Of each event's place in the log, and of its time in the tree beside it, whose head is `note`."""
    paths = {
        event_id: {"index": index, "path": _path(tree, index), "occurred": _path(times, index)}
        for event_id, index in places.items()
    }
    document = {"proofs": paths, "consistency": [_base64(step) for step in consistency], "occurred_checkpoint": note}
    return codec.encode(document) + b"\n"


def _path(tree: Tiles, index: int) -> list[str]:
    """Return a proof; none where the log has no such entry or lacks rows, so that the event fails its check."""
    try:
        return [_base64(step) for step in tree.inclusion(index)]
    except (ValueError, IndexError):
        return []


def _consistency(tree: Tiles, previous: str, origin: str, size: int) -> list[bytes]:
    if not previous:
        return []
    try:
        before = open_checkpoint(previous, log_keys.in_use().keyring().verifiers).checkpoint
    except NoteRefused as error:
        raise AuditRefused(f"the previous checkpoint cannot be used: {error}") from error
    if before.origin != origin or before.size > size:
        raise AuditRefused(
            f"the previous checkpoint is of {before.origin} at {before.size:,} events; the log is {origin} at {size:,}"
        )
    return tree.consistency(before.size, size)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()

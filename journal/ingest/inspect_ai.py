"""Inspect logs: `.json`, and `.eval`, a zip with an entry per sample. Each sample is a run.

This module finds the samples and their set-up; `inspect_sample` turns one sample into events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from journal.domain.agent_run import MessageReceived, Started
from journal.errors import ImportRefused
from journal.ingest import Format, register
from journal.ingest.archive import Limits, entries
from journal.ingest.draft import EventDraft, Opaque, RunDraft
from journal.ingest.inspect_sample import Sample, Setting, graded, run_outcome
from journal.ingest.lenient import as_dict, as_text, dicts, fingerprint
from journal.ingest.source import Source, decode

_ZIP_LIMITS: Final = Limits(depth=0)


def detect(source: Source) -> bool:
    """Whether the file is a log of the framework, in either shape."""
    if source.is_zip:
        return source.path.suffix == ".eval" or b"_journal/start.json" in source.data
    if b'"eval"' not in source.data or b'"plan"' not in source.data:
        return False
    log = source.document
    return isinstance(log, dict) and "task" in as_dict(log.get("eval")) and "status" in log


def read(source: Source) -> Iterator[RunDraft]:
    """Yield a run per sample; of a log that is still being written, those that are there."""
    if source.is_zip:
        yield from _read_eval(source)
    else:
        log = as_dict(source.json())
        samples = dicts(log.get("samples"))
        if not samples:
            source.note("the log holds no samples; it was written without them, or none has finished")
        for sample in samples:
            yield _draft(sample, _setting(log))


@dataclass(slots=True)
class _Contents:
    """What a `.eval` holds besides its samples, and which entry holds which sample (a rewritten one stands twice)."""

    header: dict[str, Any] | None = None
    start: dict[str, Any] = field(default_factory=dict)
    samples: dict[str, int] = field(default_factory=dict)
    summaries: dict[str, dict[str, Any]] = field(default_factory=dict)


def _read_eval(source: Source) -> Iterator[RunDraft]:
    """Yield a run per sample, one in memory at a time: the header comes last, so the zip is gone through twice."""
    contents = _contents(source)
    log = contents.header if contents.header is not None else {**contents.start, "status": "started"}
    if not as_dict(log.get("eval")):
        raise ImportRefused("the zip has neither header.json nor _journal/start.json; it is no Inspect log")
    setting = _setting(log)
    wanted = set(contents.samples.values())
    for place, (name, content) in enumerate(entries(source.data, limits=_ZIP_LIMITS)):
        sample = _decoded(source, name, content) if place in wanted else None
        if isinstance(sample, dict):
            yield _draft(sample, setting)
    for name, summary in contents.summaries.items():
        if name not in contents.samples:
            yield _summarised(summary, setting)
    if not contents.samples and not contents.summaries:
        source.note("the evaluation has not finished a sample yet; import the log again when it has")


def _contents(source: Source) -> _Contents:
    found = _Contents()
    for place, (name, content) in enumerate(entries(source.data, limits=_ZIP_LIMITS)):
        if name == "header.json":
            found.header = as_dict(_decoded(source, name, content)) or None
        elif name == "_journal/start.json":
            found.start = as_dict(_decoded(source, name, content))
        elif name.startswith("samples/") and name.endswith(".json"):
            found.samples[name.removeprefix("samples/").removesuffix(".json")] = place
        elif name.startswith("_journal/summaries/"):
            found.summaries.update((_name(summary), summary) for summary in dicts(_decoded(source, name, content)))
    return found


def _decoded(source: Source, name: str, content: bytes) -> Any:
    """Return the entry's JSON; one that cannot be read is noted and costs only itself."""
    try:
        return decode(content)
    except ImportRefused as refusal:
        source.note(f"{name}: {refusal}")
        return None


def _name(sample: dict[str, Any]) -> str:
    """Return the sample's name as the log's own entries have it."""
    return f"{sample.get('id')}_epoch_{sample.get('epoch')}"


def _setting(log: dict[str, Any]) -> Setting:
    spec = as_dict(log.get("eval"))
    told = ("task", "task_id", "task_args", "run_id", "created", "dataset", "config", "sandbox", "revision", "packages")
    return Setting(
        run_id=as_text(spec.get("run_id")) or as_text(spec.get("eval_id")) or fingerprint(spec),
        model=as_text(spec.get("model")),
        status=as_text(log.get("status")),
        context={key: spec[key] for key in told if spec.get(key) not in (None, {}, [])} | {"plan": log.get("plan")},
    )


def _draft(record: dict[str, Any], setting: Setting) -> RunDraft:
    return Sample(record, setting, source_id=f"{setting.run_id}/{_name(record)}").draft()


def _summarised(summary: dict[str, Any], setting: Setting) -> RunDraft:
    """Return a run of what the journal of an unfinished log says of a sample whose own entry is not there.

    It is named apart, so that the whole sample, once there, is not taken for a changed copy of the same run.
    """
    source_id = f"{setting.run_id}/{_name(summary)}/summary"
    asked = summary.get("input")
    started = Started(
        prompt=as_text(asked), model=setting.model, source="inspect", source_id=source_id, context=setting.context
    )
    events = [EventDraft(key="start", event=started)]
    if asked:
        events.append(EventDraft(key="input", event=MessageReceived(role="user", content=asked)))
    events.append(EventDraft(key="summary", event=Opaque(name="inspect.summary", data=summary)))
    for name, score in as_dict(summary.get("scores")).items():
        events.append(EventDraft(key=f"grade.{name}", event=graded(name, score)))
    return RunDraft(source_id=source_id, events=events, recorded=frozenset(), outcome=run_outcome(summary, setting))


FORMAT = register(
    Format(
        name="inspect",
        title="Inspect logs (.json, .eval)",
        detect=detect,
        read=read,
        example='{"version": 2, "status": "success", "eval": {"task": …}, "plan": {…}, "samples": […]}',
    )
)

"""Links of causes in words: what a row of the graph says of its own, and why one that might be there is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from explorer.models import EventLine
from journal.domain.lineage import Around, CausalLink

_SAID: Final = 4
_VERBS: Final = {"read": "reads", "quoted": "quotes", "answers": "answers"}
_READINGS: Final = ("read", "quoted")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why a link is not drawn: `kind` is `none`, `missing` or `cut`. `sentence` is for below the graph."""

    kind: str
    words: str
    sentence: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """A cause to walk to, and what the event says of it."""

    line: EventLine
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """The links among the events drawn, and those that lead from elsewhere to them."""

    links: tuple[CausalLink, ...]
    outside: tuple[CausalLink, ...]
    by_id: Mapping[str, EventLine]

    def reason(self, known: EventLine, around: Around, *, is_begun: bool) -> Reason | None:
        """Return why the causes of an event are not all there, None where they are."""
        away = {link.cause for link in self.outside if link.effect == known.event_id}
        lost = away & around.missing
        if lost:
            return _lost(known, lost)
        if away:
            unread = len(away - self.by_id.keys())
            return _unread(unread) if unread == len(away) else Reason(kind="cut", words=_not_drawn(len(away), "cause"))
        if is_begun or any(link.effect == known.event_id for link in self.links):
            return None
        if known.position > around.read_until:
            return Reason(
                kind="none",
                words="its causes are not read yet",
                sentence=f"Causes are read up to position {around.read_until:,} of the journal, and are being read on.",
            )
        if around.is_cut:
            return Reason(kind="cut", words="its causes are not read", sentence="There are more links than are read.")
        return Reason(
            kind="none",
            words="no causation id recorded",
            sentence="Where a chain ends in a dashed stub, the source recorded no cause.",
        )

    def cut_below(self, ordered: Sequence[EventLine], links: Iterable[CausalLink]) -> dict[int, Reason]:
        """Return the rows with effects that are not drawn."""
        drawn = {known.event_id for known in ordered}
        away: dict[str, set[str]] = {}
        for link in links:
            if link.cause in drawn and link.effect not in drawn:
                away.setdefault(link.cause, set()).add(link.effect)
        counts = {at: len(away.get(known.event_id, ())) for at, known in enumerate(ordered)}
        return {at: Reason(kind="cut", words=_not_drawn(count, "effect")) for at, count in counts.items() if count}


def begins(known: EventLine) -> str:
    """Say what begins at an event; a run begins somewhere, and so does any other stream. Empty where nothing does."""
    if known.kind == "started":
        return "the run begins here"
    return "the stream begins here" if known.kind == "event" and known.version == 1 else ""


def link_words(known: EventLine, told: Told, reason: Reason | None) -> str:
    """Say in a row which links lead to it, in the order of their causes."""
    own = [link for link in told.links if link.effect == known.event_id]
    parts = list(
        dict.fromkeys(
            f"{_verb(link)} {_named(told.by_id[link.cause], known)}{_certainty(link)}"
            for link in sorted(own, key=lambda link: (told.by_id[link.cause].position, link.kind))
        )
    )
    said = ", ".join(parts[:_SAID]) + (f" and {len(parts) - _SAID} more" if len(parts) > _SAID else "")
    why = reason.words if reason else "" if said else begins(known)
    return "; ".join(filter(None, (said, why)))


def nearest(line: EventLine, links: Iterable[CausalLink], by_id: Mapping[str, EventLine]) -> list[Way]:
    """Return the direct causes, the one to walk to first: recorded before inferred, and a reading after the rest."""
    direct = [link for link in links if link.effect == line.event_id and link.cause in by_id]
    words: dict[str, list[str]] = {}
    for link in sorted(direct, key=lambda link: _distance(link, by_id)):
        if link.cause != line.event_id:
            words.setdefault(link.cause, []).append(f"{_verb(link)}{_certainty(link)}")
    return [Way(line=by_id[name], words=", ".join(dict.fromkeys(said))) for name, said in words.items()]


def briefly(line: EventLine) -> str:
    """Return an event in a word or two."""
    match line.kind:
        case "reasoned":
            return f"call {line.tool}"
        case "tool_returned":
            return f"{line.tool} result"
        case "tool_failed":
            return f"{line.tool} failed"
        case "model_called" | "model_responded":
            return "model"
        case "message_received":
            return "message"
        case _:
            return line.title


def _verb(link: CausalLink) -> str:
    return _VERBS.get(link.kind, f"{link.kind} by")


def _certainty(link: CausalLink) -> str:
    return " (inferred)" if link.certainty == "inferred" else ""


def _named(cause: EventLine, effect: EventLine) -> str:
    return str(cause.version) if cause.run_id == effect.run_id else f"{cause.version} of another run"


def _distance(link: CausalLink, by_id: Mapping[str, EventLine]) -> tuple[bool, bool, int]:
    return (link.kind in _READINGS, link.certainty == "inferred", -by_id[link.cause].position)


def _lost(known: EventLine, lost: set[str]) -> Reason:
    first = min(lost)
    if len(lost) == 1:
        words, names = "the event it names is not in this journal", f"an event {first}"
    else:
        words, names = f"{len(lost)} events it names are not in this journal", f"{len(lost)} events, {first} the first"
    return Reason(
        kind="missing",
        words=words,
        sentence=f"{known.version} names {names}: this journal does not hold what it names.",
    )


def _unread(count: int) -> Reason:
    return Reason(
        kind="cut",
        words=f"{'a cause is' if count == 1 else f'{count} causes are'} not in the lists yet",
        sentence="Some events are in the journal and not yet in the lists that pages read.",
    )


def _not_drawn(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' if count > 1 else ''} not drawn"

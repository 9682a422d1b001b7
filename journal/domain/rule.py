"""Saved rules: an expression in CEL over the state, the state before, the event and the version; true means it holds.

CEL has no side effects and cannot reach anything it is not given, but it can take for ever. So loops may stand in each
other only twice, and evaluation is left to an `Evaluate` that stops what is not done in time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final, Protocol

import msgspec

from journal.domain import codec, rule_text
from journal.domain.aggregate import State
from journal.domain.event import RecordedEvent
from journal.domain.invariant import HOLDS, Context, Fails, Holds, Invariant, Judgement, Verdict, raised
from journal.domain.rule_text import VARIABLES, Tree
from journal.domain.run_state import RunState

LONGEST: Final = 4_000
MOST_LOOPS: Final = 2
AT_ONCE: Final = 256
"""Events that are asked about together."""

_MOST_KNOWN: Final = 20_000
"""Answers that a rule remembers: many events differ in nothing that it names."""

FUNCTIONS: Final = (
    *(
        "json",
        "has",
        "size",
        "contains",
        "startsWith",
        "endsWith",
        "matches",
        "int",
        "uint",
        "double",
        "string",
        "bool",
    ),
    *("bytes", "type", "dyn", "duration", "timestamp", "min", "max", "getFullYear", "getMonth", "getDate", "getHours"),
    *("getMinutes", "getSeconds", "getMilliseconds", "getDayOfWeek", "getDayOfMonth", "getDayOfYear"),
)
_PLACE: Final = re.compile(r"<input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)")
_TYPE: Final = re.compile(r"agent_run\.\w+")
_NO_OVERLOAD: Final = "No such overload"


class RuleTimeout(Exception):
    """An expression that was not done in time."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What an evaluation came to: a value, a name that was not there, or an error."""

    value: bool | None = None
    missing: str | None = None
    error: str | None = None
    stopped: str | None = None
    """Why it was ended before it was done."""


class Evaluate(Protocol):
    """Evaluates expressions somewhere an expression can do no harm. Variables are JSON objects, or their bytes."""

    def __call__(self, text: str, variables: Any) -> Answer:
        """Return what an expression gives.

        Raises:
            RuleTimeout: it was not done in time.
        """

    def many(self, text: str, variables: Sequence[bytes]) -> Sequence[Answer]:
        """Return what an expression gives for each of several variables; one that was not done says so itself."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong with an expression: where, from 1, how long, what, and what may have been meant."""

    line: int
    column: int
    length: int
    message: str
    suggestion: str | None = None


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A way to go on: `text` takes the place of what stands between `start` and the cursor."""

    start: int
    text: str
    kind: str


def check(text: str) -> list[Problem]:
    """Return what is wrong with an expression, in the order of places; nothing where it can be saved."""
    if not text.strip():
        return [_problem(text, 0, 0, "write an expression that is true where the rule holds")]
    if len(text) > LONGEST:
        return [_problem(text, LONGEST, len(text) - LONGEST, f"the expression is longer than {LONGEST:,} characters")]
    import cel  # noqa: PLC0415 - its own command line comes along, and takes longer to load than all of ours

    try:
        program = cel.compile(text)
    except Exception as error:  # noqa: BLE001 - the parser raises more than it documents, for text that anybody wrote
        return [_syntax(text, str(error))]
    found = [*_unknown_names(text, program), *_unknown_fields(text), *_unknown_types(text), *_loops(text)]
    return sorted(found, key=lambda problem: (problem.line, problem.column))


def _syntax(text: str, message: str) -> Problem:
    found = _PLACE.search(message)
    if found is None:
        return _problem(text, 0, len(text), message.partition("\n")[0][:200])
    said = found[3].partition(" expecting ")[0].replace("'<EOF>'", "the end of the expression")
    return Problem(line=int(found[1]), column=int(found[2]), length=1, message=said)


def _problem(text: str, at: int, length: int, message: str, suggestion: str | None = None) -> Problem:
    before = text[:at]
    column = at - (before.rfind("\n") + 1) + 1
    return Problem(line=before.count("\n") + 1, column=column, length=length, message=message, suggestion=suggestion)


def _unknown_names(text: str, program: Any) -> list[Problem]:
    used = program.references()
    bound = rule_text.bound(text)
    found = []
    for kind, names, known in (
        ("variable", set(used["variables"]) - bound, VARIABLES),
        ("function", {name for name in used["functions"] if name.isidentifier()}, FUNCTIONS),
    ):
        for name in sorted(names - set(known)):
            at = re.search(rf"(?<![\w]){re.escape(name)}\b", rule_text.masked(text))
            place = at.start() if at else 0
            said = f"there is no {kind} {name}"
            if kind == "variable":
                said += f"; there are {', '.join(VARIABLES)}"
            found.append(_problem(text, place, len(name), said, _near(name, known)))
    return found


def _unknown_fields(text: str) -> list[Problem]:
    found = []
    for path in rule_text.paths(text):
        tree: Tree = rule_text.schema()
        for name, place in zip(path.names, path.places, strict=True):
            if tree and name not in tree:
                at = path.names.index(name)
                whose = ".".join(path.names[:at])
                found.append(_problem(text, place, len(name), f"{whose} has no field {name}", _near(name, tree)))
                break
            tree = tree.get(name, {})
    return found


def _unknown_types(text: str) -> list[Problem]:
    known = rule_text.event_types()
    return [
        _problem(text, at, len(value) + 2, f"no event has the type {value}", _near(value, known))
        for at, value in rule_text.strings(text)
        if _TYPE.fullmatch(value) and value not in known
    ]


def _loops(text: str) -> list[Problem]:
    deep = rule_text.loops(text)
    if deep <= MOST_LOOPS:
        return []
    return [_problem(text, 0, len(text), f"{deep} loops stand in each other; {MOST_LOOPS} may: more take too long")]


def _near(name: str, known: Any) -> str | None:
    return next(iter(get_close_matches(name, list(known), n=1)), None)


_UNFINISHED: Final = re.compile(r"(?<![\w.])([A-Za-z_][\w.]*)$")
_OPEN_STRING: Final = re.compile(r"[\"']([\w.]*)$")


def complete(text: str, offset: int) -> list[Completion]:
    """Return how the text may go on at `offset`: event types in quotes, else variables, fields and functions."""
    before = text[:offset]
    quote = _OPEN_STRING.search(before)
    if quote and (rule_text.masked(before[: quote.start()]).count('"') % 2 == 0):
        begun = quote[1]
        return [
            Completion(start=offset - len(begun), text=name, kind="event type")
            for name in rule_text.event_types()
            if name.startswith(begun)
        ]
    found = _UNFINISHED.search(before)
    *above, begun = found[1].split(".") if found else [""]
    tree = rule_text.schema()
    for name in above:
        tree = tree.get(name, {})
    kind = "field" if above else "variable"
    options = [Completion(start=offset - len(begun), text=name, kind=kind) for name in tree if name.startswith(begun)]
    if not above and begun:
        options += [
            Completion(start=offset - len(begun), text=name, kind="function")
            for name in FUNCTIONS
            if name.startswith(begun)
        ]
    return options


class SavedRule(Invariant):
    """A rule that is an expression. `evaluate_with` evaluates it; it is given only what the expression names."""

    theme = "saved"

    def __init__(  # noqa: PLR0913 - a rule is what it is
        self,
        *,
        name: str,
        expression: str,
        evaluate_with: Evaluate,
        title: str = "",
        description: str = "",
        monotone: bool = False,
        version: int = 1,
    ) -> None:
        self._needs = rule_text.needs(expression)
        self._paths = rule_text.paths(expression)
        self._event = _EventPart(self._needs.get("event"), rule_text.fields_of(expression, "event", "data"))
        self._totals = {name: rule_text.fields_of(expression, name, "totals") for name in ("state", "previous")}
        self._names_version = rule_text.names_version(expression)
        self._evaluate = evaluate_with
        self._known: dict[bytes, Answer] = {}
        self.expression = expression
        own: dict[str, Any] = {
            "name": name,
            "title": title or name,
            "description": description,
            "monotone": monotone,
            "version": version,
            "uses_state": "state" in self._needs,
            "uses_previous": "previous" in self._needs,
        }
        vars(self).update(own)

    def evaluate(self, ctx: Context) -> Verdict:
        """Return the verdict. A name that is not there means that the rule says nothing of this event: it holds."""
        asked = self.asked(ctx)
        answer = self._known.get(asked)
        if answer is None:
            answer = self._known[asked] = self._evaluate(self.expression, msgspec.Raw(asked))
            self._forget()
        return self._verdict(answer, asked, ctx.version)

    def asked(self, ctx: Context) -> bytes:
        """Return all that the verdict on an event depends on, as JSON: equal bytes have equal answers."""
        found: dict[str, Any] = {"version": ctx.version} if self._names_version else {}
        if "event" in self._needs:
            found["event"] = self._event.of(ctx.event)
        if "state" in self._needs:
            found["state"] = _of_state(ctx.state, self._needs["state"], self._totals["state"])
        if "previous" in self._needs:
            found["previous"] = _of_state(ctx.previous, self._needs["previous"], self._totals["previous"])
        return codec.encode(found)

    def judged(self, asked: Sequence[bytes], versions: Sequence[int]) -> Iterable[Judgement]:
        """Return the judgements on several events, from what `asked` gave for each, in one question for all of them."""
        fresh = list(dict.fromkeys(each for each in asked if each not in self._known))
        self._known.update(zip(fresh, self._evaluate.many(self.expression, fresh), strict=True) if fresh else ())
        for each, version in zip(asked, versions, strict=True):
            try:
                yield self._verdict(self._known[each], each, version)
            except (RuleTimeout, RuleWentWrong) as error:
                yield raised(error)
        self._forget()

    def prepare(self, contexts: Iterable[Context]) -> None:
        """Ask about the events of a run together, so that `evaluate` knows the answers."""
        fresh = list(islice(dict.fromkeys(map(self.asked, contexts)), _MOST_KNOWN))
        for start in range(0, len(fresh), AT_ONCE):
            page = fresh[start : start + AT_ONCE]
            self._known.update(zip(page, self._evaluate.many(self.expression, page), strict=True))

    def _forget(self) -> None:
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()

    def _verdict(self, answer: Answer, asked: bytes, version: int) -> Verdict:
        if answer.stopped is not None:
            raise RuleTimeout(answer.stopped)
        if answer.missing is not None:
            return Holds(f"says nothing of this event: it has no {answer.missing}")
        if answer.error is not None:
            return self._wrong(answer.error, msgspec.json.decode(asked))
        return HOLDS if answer.value else Fails(f"not true here: {self.expression}", (version,))

    def _wrong(self, error: str, variables: dict[str, Any]) -> Verdict:
        unrecorded = next((path for path in self._paths if _is_null(path.names, variables)), None)
        if _NO_OVERLOAD in error and unrecorded is not None:
            return Holds(f"says nothing of this event: {'.'.join(unrecorded.names)} is not recorded")
        raise RuleWentWrong(error)


class RuleWentWrong(Exception):
    """An expression that cannot be evaluated on an event."""


def _is_null(names: tuple[str, ...], variables: dict[str, Any]) -> bool:
    value: Any = variables
    for name in names:
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return value is None


def _of_state(state: State, names: frozenset[str] | None, totals: frozenset[str] | None) -> dict[str, Any]:
    """Return what is named. Of the totals each by itself: one of them changes with nearly every event."""
    if names is None:
        return state.to_json()
    if isinstance(state, RunState):
        found = state.some(names)
        if totals is not None and "totals" in found:
            found["totals"] = {name: value for name, value in found["totals"].items() if name in totals}
        return found
    document = state.to_json()
    return {name: document[name] for name in names if name in document}


class _EventPart:
    """What an expression names of an event on the wire, taken from the stored bytes without reading the rest."""

    def __init__(self, names: frozenset[str] | None, data: frozenset[str] | None) -> None:
        self._names = names
        self._simple = tuple(sorted(_SIMPLE & (names or frozenset())))
        self._has_data = names is not None and "data" in names
        self._is_taken_from_bytes = names is not None and data is not None and names <= _SIMPLE | {"data"}
        self._fields = tuple(sorted(data or ()))
        struct = msgspec.defstruct(
            "Data",
            [(f"f{at}", msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for at in range(len(self._fields))],
            rename=dict(zip((f"f{at}" for at in range(len(self._fields))), self._fields, strict=True)),
        )
        self._decode = msgspec.json.Decoder(struct).decode

    def of(self, event: RecordedEvent) -> Any:
        """Return it. An integer past 2^53 is written as text on the wire, so data with one is read whole."""
        names = self._names
        if names is None:
            return codec.on_the_wire(event)
        if not self._is_taken_from_bytes:
            return self._read_whole(event, names)
        found: dict[str, Any] = {name: getattr(event, name) for name in self._simple}
        if self._has_data:
            found["data"] = data = self._decode(event.data)
            for name in data.__struct_fields__:
                raw = getattr(data, name)
                if raw is not msgspec.UNSET and len(raw) >= _LONG and _LONG_NUMBER.search(raw):
                    return self._read_whole(event, names)
        return found

    @staticmethod
    def _read_whole(event: RecordedEvent, names: frozenset[str]) -> dict[str, Any]:
        document = codec.on_the_wire(event)
        return {name: document[name] for name in names if name in document}


_SIMPLE: Final = frozenset(("position", "project", "stream", "version", "id", "type", "schema"))
_LONG: Final = 16
_LONG_NUMBER: Final = re.compile(rb"\d{16}")

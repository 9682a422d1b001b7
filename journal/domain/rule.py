"""Saved rules: an expression in CEL over the state, the state before, the event and the version; true means it holds.

CEL has no side effects and cannot reach anything it is not given, but it can take for ever. So loops may stand in each
other only twice, and evaluation is left to an `Evaluate` that stops what is not done in time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final, Protocol

import msgspec

from journal.domain import codec, rule_text
from journal.domain.aggregate import State
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent
from journal.domain.invariant import HOLDS, Context, Fails, Holds, Invariant, Judgement, Verdict, raised
from journal.domain.rule_text import VARIABLES, Tree
from journal.domain.run_parts import changed_by
from journal.domain.run_state import RunState
from journal.domain.sieve import Sieve, Types, of_state

LONGEST: Final = 4_000
MOST_LOOPS: Final = 2
AT_ONCE: Final = 256
"""Events that are asked about together."""

_MOST_BYTES: Final = 1 << 20
"""What is asked about together."""

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
        self.known: dict[Key, Answer] = {}
        """Answers by `key`, for whoever asks about many events."""
        self._sieve: Sieve | msgspec.UnsetType | None = msgspec.UNSET
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
            self.forget()
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

    def sieve(self) -> Sieve | None:
        """Return which events the expression has to be asked about; None where it names what changes with each."""
        if self._sieve is msgspec.UNSET:
            self._sieve = self._sifted()
        return self._sieve

    def _sifted(self) -> Sieve | None:
        event, parts = self._needs.get("event", frozenset()), self._parts()
        folds = changed_by(parts) if parts is not None else None
        if event is None or parts is None or folds is None or "previous" in self._needs:
            return None
        if event and not self._event.is_taken_from_data:
            return None
        if not event and not self._names_version:
            return of_state(parts, folds)
        return Sieve(judged=Types(self._settled(event), are_left_out=True), between="holds", folds=folds, parts=parts)

    def _parts(self) -> frozenset[str] | None:
        """Return the parts of the state that the text names; None where it may be any."""
        names, totals = self._needs.get("state", frozenset()), self._totals["state"]
        if names is None or (totals is None and "totals" in names):
            return None
        return (names - {"totals"}) | {f"totals/{name}" for name in totals or ()}

    def _settled(self, event: frozenset[str]) -> frozenset[str]:
        """Return the types of events on which the rule holds whatever else is in them.

        It is asked about an event that has a type and nothing else. What is missing is an error to CEL, and an answer
        that comes in spite of it does not depend on it: all that may follow an error is another one, or what is true
        (false) whatever the other side of `||` (`&&`) is. Only `has` and `?` turn what is missing into a value.
        """
        if "type" not in event or rule_text.asks_what_is_there(self.expression):
            return frozenset()
        kinds = catalog.names()
        asked = [codec.encode({"event": {"type": kind}}) for kind in kinds]
        answers = self._evaluate.many(self.expression, asked)
        return frozenset(kind for kind, answer in zip(kinds, answers, strict=True) if answer.value is True)

    def state_part(self, state: State) -> bytes:
        """Return what the expression names of a state, as JSON; nothing where it names none."""
        if "state" not in self._needs:
            return b""
        return codec.encode(_of_state(state, self._needs["state"], self._totals["state"]))

    def key(self, kind: str, schema: int, data: bytes, version: int, state: bytes) -> Key:
        """Return all that the verdict on an event depends on, for a rule that has a sieve: equal keys, equal answers.

        `state` is what `state_part` gives.
        """
        told = version if self._names_version or self._event.names_version else 0
        return kind, schema, told, state, self._event.key(data)

    def asked_for(self, key: Key, data: bytes) -> bytes:
        """Return what `asked` gives for an event with this key and data."""
        kind, schema, version, state, _ = key
        found: dict[str, Any] = {"version": version} if self._names_version else {}
        if "event" in self._needs:
            found["event"] = self._event.of(_Told(kind, schema, version, data))
        if "state" in self._needs:
            found["state"] = msgspec.Raw(state)
        return codec.encode(found)

    def answers(self, asked: Sequence[bytes]) -> list[Answer]:
        """Return the answers on several events, from what `asked` gave for each, in as few questions as may be."""
        fresh = list(dict.fromkeys(each for each in asked if each not in self._known))
        for page in _pages(fresh):
            self._known.update(zip(page, self._evaluate.many(self.expression, page), strict=True))
        found = [self._known[each] for each in asked]
        self.forget()
        return found

    def judgement(self, answer: Answer, asked: bytes, version: int) -> Judgement:
        """Return what an answer amounts to; that the expression went wrong is told as such."""
        try:
            return self._verdict(answer, asked, version)
        except (RuleTimeout, RuleWentWrong) as error:
            return raised(error)

    def judged(self, asked: Sequence[bytes], versions: Sequence[int]) -> Iterable[Judgement]:
        """Return the judgements on several events, from what `asked` gave for each, in one question for all of them."""
        for answer, each, version in zip(self.answers(asked), asked, versions, strict=True):
            yield self.judgement(answer, each, version)

    def prepare(self, contexts: Iterable[Context]) -> None:
        """Ask about the events of a run together, so that `evaluate` knows the answers."""
        fresh = list(islice(dict.fromkeys(map(self.asked, contexts)), _MOST_KNOWN))
        for start in range(0, len(fresh), AT_ONCE):
            page = fresh[start : start + AT_ONCE]
            self._known.update(zip(page, self._evaluate.many(self.expression, page), strict=True))

    def forget(self) -> None:
        """Forget answers, where there are a great many."""
        if len(self._known) > _MOST_KNOWN or len(self.known) > _MOST_KNOWN:
            self._known.clear()
            self.known.clear()

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


def _pages(asked: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Yield what is asked at once: so many, or so many bytes."""
    start = size = 0
    for at, each in enumerate(asked):
        if at > start and (at - start >= AT_ONCE or size + len(each) > _MOST_BYTES):
            yield asked[start:at]
            start, size = at, 0
        size += len(each)
    if start < len(asked):
        yield asked[start:]


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
        if totals is None or "totals" not in names:
            return state.some(names)
        found = state.some(names - {"totals"}) if len(names) > 1 else {}
        return {**found, "totals": {name: state.total(name) for name in sorted(totals)}}
    document = state.to_json()
    return {name: document[name] for name in names if name in document}


class _EventPart:
    """What an expression names of an event on the wire, taken from the stored bytes without reading the rest."""

    def __init__(self, names: frozenset[str] | None, data: frozenset[str] | None) -> None:
        self._names = names
        self._simple = tuple(sorted(_SIMPLE & (names or frozenset())))
        self._has_data = names is not None and "data" in names
        self._is_taken_from_bytes = names is not None and data is not None and names <= _SIMPLE | {"data"}
        self.is_taken_from_data = self._is_taken_from_bytes and (names or frozenset()) <= _TOLD
        self.names_version = "version" in (names or ())
        self._fields = tuple(sorted(data or ()))
        struct = msgspec.defstruct(
            "Data",
            [(f"f{at}", msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for at in range(len(self._fields))],
            rename=dict(zip((f"f{at}" for at in range(len(self._fields))), self._fields, strict=True)),
        )
        self._decode = msgspec.json.Decoder(struct).decode

    def key(self, data: bytes) -> tuple[bytes | None, ...]:
        """Return the bytes of what is named of an event's data."""
        if not self._has_data:
            return ()
        found = self._decode(data)
        return tuple([None if raw is msgspec.UNSET else bytes(raw) for raw in msgspec.structs.astuple(found)])

    def of(self, event: RecordedEvent | _Told) -> Any:
        """Return it. An integer past 2^53 is written as text on the wire, so data with one is read whole."""
        names = self._names
        if not self._is_taken_from_bytes:
            assert isinstance(event, RecordedEvent)  # only what is named can be told otherwise  # noqa: S101
            return codec.on_the_wire(event) if names is None else self._read_whole(event, names)
        found: dict[str, Any] = {name: getattr(event, name) for name in self._simple}
        if self._has_data:
            found["data"] = data = self._decode(event.data)
            for name in data.__struct_fields__:
                raw = getattr(data, name)
                if raw is not msgspec.UNSET and len(raw) >= _LONG and _LONG_NUMBER.search(raw):
                    return {**found, "data": codec.exact(msgspec.json.decode(event.data))}
        return found

    @staticmethod
    def _read_whole(event: RecordedEvent, names: frozenset[str]) -> dict[str, Any]:
        document = codec.on_the_wire(event)
        return {name: document[name] for name in names if name in document}


class _Told(msgspec.Struct, frozen=True):
    """What a rule is told of an event that is not read whole."""

    type: str
    schema: int
    version: int
    data: bytes


Key = tuple[str, int, int, bytes, tuple[bytes | None, ...]]
_TOLD: Final = frozenset(("type", "schema", "version", "data"))
_SIMPLE: Final = frozenset(("position", "project", "stream", "version", "id", "type", "schema"))
_LONG: Final = 16
_LONG_NUMBER: Final = re.compile(rb"\d{16}")

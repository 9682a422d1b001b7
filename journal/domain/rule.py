"""Saved rules: an expression in CEL over the state, the state before, the event and the version; true means it holds.

CEL has no side effects and cannot reach anything it is not given, but it can take for ever. So loops may stand in each
other only twice, and evaluation is left to an `Evaluate` that stops what is not done in time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Final

import cel
import msgspec

from journal.domain import codec, rule_text
from journal.domain.invariant import HOLDS, Context, Fails, Holds, Invariant, Verdict
from journal.domain.rule_text import VARIABLES, Tree

LONGEST: Final = 4_000
MOST_LOOPS: Final = 2
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


Evaluate = Callable[[str, dict[str, Any]], Answer]


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
        self._evaluate = evaluate_with
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
        variables = self._variables(ctx)
        answer = self._evaluate(self.expression, variables)
        if answer.missing is not None:
            return Holds(f"says nothing of this event: it has no {answer.missing}")
        if answer.error is not None:
            return self._wrong(answer.error, variables)
        return HOLDS if answer.value else Fails(f"not true here: {self.expression}", (ctx.version,))

    def _wrong(self, error: str, variables: dict[str, Any]) -> Verdict:
        unrecorded = next((path for path in self._paths if _is_null(path.names, variables)), None)
        if _NO_OVERLOAD in error and unrecorded is not None:
            return Holds(f"says nothing of this event: {'.'.join(unrecorded.names)} is not recorded")
        raise RuleWentWrong(error)

    def _variables(self, ctx: Context) -> dict[str, Any]:
        found: dict[str, Any] = {"version": ctx.version}
        if "event" in self._needs:
            found["event"] = _chosen(codec.on_the_wire(ctx.event), self._needs["event"])
        if "state" in self._needs:
            found["state"] = _chosen(ctx.state.to_json(), self._needs["state"])
        if "previous" in self._needs:
            found["previous"] = _chosen(ctx.previous.to_json(), self._needs["previous"])
        return found


class RuleWentWrong(Exception):
    """An expression that cannot be evaluated on an event."""


def _is_null(names: tuple[str, ...], variables: dict[str, Any]) -> bool:
    value: Any = variables
    for name in names:
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return value is None


def _chosen(document: dict[str, Any], names: frozenset[str] | None) -> dict[str, Any]:
    return document if names is None else {name: document[name] for name in names if name in document}

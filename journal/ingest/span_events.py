"""The spans of one run, told as events, in one pass from the first span to the last."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from journal.domain import agent_run as run
from journal.ingest.draft import EventDraft, Link, Opaque, Ref
from journal.ingest.lenient import as_float, as_list, as_text
from journal.ingest.source import moment
from journal.ingest.span_calls import OpenCall, OpenCalls
from journal.ingest.span_facts import (
    AROUND,
    count_of,
    dollars,
    fingerprint,
    finish_reason,
    first_of,
    has_failed,
    outcome_of,
    outermost,
    reason_of,
    tool_name,
    tools_in,
)
from journal.ingest.span_messages import Message, MessageReader, arguments, as_json, canonical, read_messages, said
from journal.ingest.span_reading import READ, Reading, captured, decoded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from journal.ingest.dialects import Meaning
    from journal.ingest.span_runs import ModelCall, Trail

_ENDS_TURN = frozenset(("end_turn", "stop_sequence"))
"""Finish reasons that no producer gives for a response with calls; `stop` is given for those, too."""

_EVALUATION = "event:gen_ai.evaluation.result"


class RunTeller:
    """Tells one run. Holds what was said and called so far; nothing it tells depends on a later span."""

    def __init__(self, trail: Trail) -> None:
        self._trail = trail
        self._told: list[EventDraft] = []
        self._heard: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._calls = OpenCalls()
        self._reader = MessageReader()
        self._asked: dict[str, list[OpenCall]] = {}
        self._latest_asked: list[OpenCall] = []
        self._responses: dict[str, str] = {}
        self._last_inside: dict[str, str] = {}
        self._decider: dict[str, tuple[str | None, int]] = {}
        self._answered: dict[str, str] = {}
        self._first: dict[str, Any] = {}
        self._outermost = outermost(trail)
        self._last_of_trace = {reading.span.trace_id: reading.span.place for reading in trail.readings}

    def events(self) -> list[EventDraft]:
        """Return the run's events."""
        for reading in self._trail.readings:
            self._span(reading)
            if self._last_of_trace[reading.span.trace_id] == reading.span.place:
                self._close(reading.span.trace_id)
        return [self._started(), *self._told]

    def _span(self, reading: Reading) -> None:
        place, before = reading.span.place, len(self._told)
        if place in self._trail.calls:
            self._decision(self._trail.calls[place])
        elif reading.role == "tool":
            self._tool(reading)
        elif reading.role in AROUND:
            self._agent(reading)
        self._evaluations(reading)
        if len(self._told) == before and place not in self._trail.wrapped:
            self._tell(reading, "span", Opaque(name=f"{self._trail.format}.span", data=reading.span.recorded()))
        else:
            self._unread(reading)

    def _unread(self, reading: Reading) -> None:
        """Keep the span events and log records that say something else than the events told."""
        spoken = [("event", event) for event in reading.span.events] + [("log", log) for log in reading.span.logs]
        for number, (kind, record) in enumerate(spoken):
            if record.name not in READ:
                event = Opaque(name=f"{self._trail.format}.{kind}", data=msgspec.to_builtins(record))
                self._tell(reading, f"{kind}:{number}", event)

    def _tell(  # noqa: PLR0913 - what an event has beside its data
        self,
        reading: Reading,
        part: str,
        event: run.AgentRunEvent | Opaque,
        *,
        at_end: bool = False,
        causes: tuple[Link, ...] = (),
        place: str | None = None,
        actor: str | None = None,
    ) -> str:
        span = reading.span
        key = f"{place or span.place}:{part}"
        at = moment(span.end_ns or span.start_ns) if at_end else moment(span.start_ns)
        self._told.append(
            EventDraft(
                key=key, event=event, at=at, causes=causes, actor=f"agent:{actor}" if actor else None,
                traceparent=span.traceparent, line=span.line,
            )
        )  # fmt: skip
        return key

    # --- what starts and ends a run

    def _started(self) -> EventDraft:
        first = next(reading for reading in self._trail.readings if reading.role != "other")
        told = self._first
        context = {"resource": first.span.resource, "user": told.get("user"), "conversation": told.get("conversation")}
        return EventDraft(
            key="started",
            event=run.Started(
                prompt=told.get("prompt"), model=told.get("model"), agent=told.get("agent"), source=self._trail.format,
                source_id=self._trail.run_id, tools=tuple(as_list(told.get("tools"))),
                context={name: value for name, value in context.items() if value},
            ),
            at=moment(self._trail.readings[0].span.start_ns),
            traceparent=self._trail.readings[0].span.traceparent,
            line=first.span.line,
        )  # fmt: skip

    def _learn(self, reading: Reading) -> None:
        """Keep what describes the run, from its beginning to its first response."""
        if self._responses:
            return
        wanted: tuple[Meaning, ...] = ("model", "user", "conversation")
        for meaning in wanted if reading.role == "turn" else (*wanted, "agent"):
            if found := reading.text(meaning):
                self._first.setdefault(meaning, found)
        if tools := tools_in(reading.get("tools")):
            self._first.setdefault("tools", tools)

    def _close(self, trace: str) -> None:
        """End a trace whose outermost agent failed and gave no answer."""
        failed = self._outermost.get(trace)
        if failed is not None and failed.span.status == "error" and trace not in self._answered:
            self._tell(failed, "aborted", run.Aborted(reason=reason_of(failed)), at_end=True)

    # --- model calls

    def _decision(self, call: ModelCall) -> None:
        inner, outer = call.readings[0], call.readings[-1]
        for reading in reversed(call.readings):
            self._learn(reading)
        agent = self._agent_of(call)
        called = self._request(call)
        output = said(read_messages(first_of(call, "output"), role="assistant"))
        responded = self._tell(
            inner, "responded", self._response(call, output), at_end=True, place=call.key, actor=agent,
            causes=(Link(called),) if called else (),
        )  # fmt: skip
        self._responses[call.key] = responded
        self._last_inside[f"{inner.span.trace_id}/{outer.span.parent_id}"] = responded
        self._last_inside[f"{inner.span.trace_id}/None"] = responded
        self._decider[inner.span.trace_id] = (agent, inner.span.end_ns)
        self._latest_asked = []
        if output is not None:
            self._hear(fingerprint(output), responded, inner.span.trace_id)
            self._ask(call, output, responded, agent)
        self._answer(call, output, responded, agent)

    def _request(self, call: ModelCall) -> str | None:
        given = first_of(call, "input")
        messages = self._reader.read(given)
        if not any(message.role == "system" for message in messages):
            system = read_messages(first_of(call, "system"), role="system")
            messages = [*(msgspec.structs.replace(one, role="system") for one in system), *messages]
        sent = self._sent(call, messages)
        if given is not None and all(message.role == "system" for message in messages):
            sent.append(decoded(given))
        model = next((found for found in (reading.text("model") for reading in call.readings) if found), None)
        parameters = next((found for found in (reading.parameters for reading in call.readings) if found), {})
        if not (sent or model or parameters):
            return None
        event = run.ModelCalled(model=model, params=parameters, messages=tuple(sent))
        return self._tell(call.readings[-1], "called", event, place=call.key)

    def _sent(self, call: ModelCall, messages: list[Message]) -> list[Any]:
        """Tell what is new in a request's messages, and return them all, those told before as references."""
        trace = call.readings[0].span.trace_id
        has_history = any(message.role == "assistant" for message in messages)
        counted: Counter[str] = Counter()
        asked: list[OpenCall] = []
        sent: list[Any] = []
        for number, message in enumerate(messages):
            if message.results:
                sent.extend(self._results(call, message, asked, number))
                if not message.content:
                    continue
            mark = fingerprint(message)
            everywhere = has_history or message.role == "system"
            known = [key for key, spoken_in in self._heard[mark] if everywhere or spoken_in == trace]
            counted[mark] += 1
            if counted[mark] <= len(known):
                key = known[counted[mark] - 1]
                asked = list(self._asked.get(key, ())) or asked
                sent.append(Ref(key))
            elif message.role in ("assistant", "tool"):
                asked = []
                sent.append(message.recorded)
            else:
                sent.append(Ref(self._receive(call.readings[-1], message, f"message:{number}", place=call.key)))
        return sent

    def _results(self, call: ModelCall, message: Message, asked: list[OpenCall], number: int) -> Iterator[Any]:
        """Return what a message says of results: those of calls told here as references, the others as recorded."""
        for at, result in enumerate(message.results):
            open_call, certainty = self._calls.of_result(result, asked)
            if open_call is None:
                yield {"role": "tool", "call_id": result.call_id, "name": result.name, "content": result.value}
                continue
            if open_call in asked:
                asked.remove(open_call)
            if open_call.result is None:
                event = run.ToolReturned(
                    tool_name=open_call.name, call_id=open_call.call_id, response_json=as_json(result.value)
                )
                told = self._tell(
                    call.readings[-1], f"result:{number}.{at}", event, place=call.key,
                    causes=(Link(open_call.key, "triggered", certainty),),
                )  # fmt: skip
                self._calls.answer(open_call, told)
            yield Ref(open_call.result or "")

    def _receive(self, reading: Reading, message: Message, part: str, *, place: str | None = None) -> str:
        event = run.MessageReceived(role=message.role, content=message.content, name=message.name)
        if message.role == "user" and message.text and not self._responses:
            self._first.setdefault("prompt", message.text)
        key = self._tell(reading, part, event, place=place)
        self._hear(fingerprint(message), key, reading.span.trace_id)
        return key

    def _hear(self, fingerprint: str, key: str, trace: str) -> None:
        self._heard[fingerprint].append((key, trace))

    def _response(self, call: ModelCall, output: Message | None) -> run.ModelResponded:
        failed = next((reading for reading in call.readings if reading.span.status == "error"), None)
        finish = (output.finish if output else None) or finish_reason(first_of(call, "finish"))
        raw = {name: value for reading in reversed(call.readings) for name, value in reading.leftover.items()}
        if failed is not None:
            raw["error"] = reason_of(failed)
        given = first_of(call, "output")
        return run.ModelResponded(
            content=output.content if output else decoded(given),
            reasoning=output.reasoning if output else None,
            finish_reason=finish or ("error" if failed else None),
            input_tokens=count_of(call, "input_tokens"),
            output_tokens=count_of(call, "output_tokens"),
            cached_tokens=count_of(call, "cached_tokens"),
            cost_usd=dollars(first_of(call, "cost")),
            latency_ms=call.readings[0].span.latency_ms,
            raw=raw or None,
        )

    def _ask(self, call: ModelCall, output: Message, responded: str, agent: str | None) -> None:
        asked = []
        trace = call.readings[0].span.trace_id
        for number, wanted in enumerate(output.calls):
            if (again := self._calls.told_before(wanted, trace)) is not None:
                asked.append(again)
                continue
            identity = self._calls.unique(wanted.call_id or f"{call.key.partition('/')[2]}:{number}")
            key = self._tell(
                call.readings[0],
                f"call:{number}",
                run.Reasoned(
                    thought=output.text or output.reasoning, tool_name=wanted.name, args_json=wanted.args_json,
                    call_id=identity,
                ),
                at_end=True, place=call.key, actor=agent, causes=(Link(responded),),
            )  # fmt: skip
            known = OpenCall(
                key=key, call_id=identity, source_id=wanted.call_id, name=wanted.name,
                args=canonical(wanted.args_json), trace=trace,
            )  # fmt: skip
            self._calls.add(known)
            asked.append(known)
        self._asked[responded] = self._latest_asked = asked

    def _answer(self, call: ModelCall, output: Message | None, responded: str, agent: str | None) -> None:
        """Tell the answer, where a response asks for no call and is not given to the tool that started its agent."""
        around = list(self._trail.ancestors(call.readings[-1]))
        if any(outer.role == "tool" for outer in around):
            return
        if output is not None:
            ends, response = not output.calls and captured(output.content), output.content
        else:
            ends = finish_reason(first_of(call, "finish")) in _ENDS_TURN
            response = next((found for found in map(outcome_of, around) if found is not None), None)
        if not ends or any(reading.span.status == "error" for reading in call.readings):
            return
        trace = call.readings[0].span.trace_id
        self._answered[trace] = self._tell(
            call.readings[0], "answered", run.Answered(response=response), at_end=True, place=call.key, actor=agent,
            causes=(Link(responded),),
        )  # fmt: skip

    def _agent_of(self, call: ModelCall) -> str | None:
        around = [reading for reading in self._trail.ancestors(call.readings[-1]) if reading.role == "agent"]
        return next((name for name in (one.text("agent") for one in (*call.readings, *around)) if name), None)

    # --- tools and agents

    def _tool(self, reading: Reading) -> None:
        name, around = tool_name(reading), self._trail.same_tool_around(reading)
        if around is not None and around.span.place not in self._trail.shadowed:
            return
        if reading.span.place in self._trail.shadowed:
            return
        known, certainty = self._calls.of_tool(reading, name)
        if known is None:
            known = self._call_without_response(reading, name)
        event: run.ToolReturned | run.ToolFailed
        if has_failed(reading):
            event = run.ToolFailed(
                tool_name=name, call_id=known.call_id, error_code=as_text(reading.flat.get("error.type")),
                message=reason_of(reading, with_result=True), latency_ms=reading.span.latency_ms,
            )  # fmt: skip
        else:
            event = run.ToolReturned(
                tool_name=name, call_id=known.call_id, response_json=as_json(reading.get("result")),
                latency_ms=reading.span.latency_ms,
            )  # fmt: skip
        link = Link(known.key, "triggered", certainty)
        self._calls.answer(known, self._tell(reading, "result", event, at_end=True, causes=(link,)))

    def _call_without_response(self, reading: Reading, name: str) -> OpenCall:
        """Tell a call that no response shows, since its content was not captured or it was made by code."""
        args = arguments(reading.get("arguments"))
        recorded = reading.text("call_id")
        identity = self._calls.unique(recorded or reading.span.span_id)
        response = self._response_before(reading)
        causes = (Link(response, "triggered", "inferred"),) if response else ()
        event = run.Reasoned(tool_name=name, args_json=args, call_id=identity)
        key = self._tell(reading, "call", event, causes=causes)
        known = OpenCall(
            key=key, call_id=identity, source_id=recorded, name=name, args=canonical(args), trace=reading.span.trace_id
        )
        self._calls.add(known)
        return known

    def _response_before(self, reading: Reading) -> str | None:
        """Return the response that most likely asked for a tool: of the span around it, else the last beside it."""
        for outer in self._trail.ancestors(reading):
            if outer.span.place in self._responses:
                return self._responses[outer.span.place]
            if outer.span.place in self._last_inside:
                return self._last_inside[outer.span.place]
        return self._last_inside.get(f"{reading.span.trace_id}/None")

    def _agent(self, reading: Reading) -> None:
        self._learn(reading)
        self._hand_off(reading)
        trace = reading.span.trace_id
        counted: Counter[str] = Counter()
        for number, message in enumerate(read_messages(reading.get("input"))):
            if message.role not in ("user", "system") or message.results:
                continue
            mark = fingerprint(message)
            counted[mark] += 1
            known = [key for key, spoken_in in self._heard[mark] if message.role == "system" or spoken_in == trace]
            if counted[mark] > len(known):
                self._receive(reading, message, f"message:{number}")

    def _hand_off(self, reading: Reading) -> None:
        """Tell that another agent goes on: one that began inside, or after, the agent that decided last."""
        name = reading.text("agent")
        decider, ended_ns = self._decider.get(reading.span.trace_id, (None, 0))
        if reading.role != "agent" or name is None or decider in (None, name):
            return
        inside = any(outer.text("agent") == decider for outer in self._trail.ancestors(reading))
        if not inside and ended_ns > reading.span.start_ns:
            return
        naming = next((known for known in reversed(self._latest_asked) if name in f"{known.name} {known.args}"), None)
        causes = (Link(naming.key, "triggered", "inferred"),) if naming else ()
        self._tell(reading, "handed_off", run.HandedOff(to_agent=name), causes=causes, actor=decider)

    def _evaluations(self, reading: Reading) -> None:
        for number, given in enumerate(as_list(reading.flat.get(_EVALUATION))):
            named = {name.removeprefix("gen_ai.evaluation."): value for name, value in given.items()}
            event = run.Graded(
                rule=as_text(named.get("name")), verdict=as_text(named.get("score.label")),
                score=as_float(named.get("score.value")), message=as_text(named.get("explanation")), raw=given,
            )  # fmt: skip
            self._tell(reading, f"graded:{number}", event, at_end=True)

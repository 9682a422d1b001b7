"""`@tool` and `@agent`: functions whose calls are recorded, and answered from the journal when they are replayed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, ParamSpec, TypeVar, cast, overload

from journal.recorder import belonging
from journal.recorder.calls import ToolCall
from journal.recorder.connection import run
from journal.recorder.running import Run
from journal.recorder.values import Rebuild, arguments, as_text, rebuilder, survives
from journal.recorder.warn import guarded

P = ParamSpec("P")
T = TypeVar("T")

_NOTHING: Final = object()


class _Watched:
    """How the calls of one function are recorded."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str | None,
        summary: Callable[[Any], Any] | None,
        rebuild: Rebuild | None,
    ) -> None:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is a generator: a tool gives one result; return a list of them")
        self.name = name or function.__name__
        self._signature = inspect.signature(function)
        self._summary = summary
        self._rebuild = rebuild or rebuilder(function)

    @guarded("a tool's arguments", "{}")
    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        return arguments(self._signature, args, kwargs)

    @guarded("a tool call", None)
    def begin(self, run: Run, args_json: str) -> ToolCall | None:
        return run.begin_tool(self.name, args_json)

    @guarded("a tool's result", None)
    def end(self, call: ToolCall, value: Any) -> None:
        if self._summary is not None:
            call.returned(self._summary(value), is_partial=True)
            return
        json_text = as_text(value)
        call.returned_json(json_text, is_partial=not survives(value, json_text, self._rebuild))

    def replayed(self, args_json: str) -> Any:
        """Return what the journal has for this call, or `_NOTHING` where the function is to be called."""
        replay = belonging.current_replay()
        return _NOTHING if replay is None else replay.tool(self.name, args_json, self._rebuild, nothing=_NOTHING)


@overload
def tool(function: Callable[P, T], /) -> Callable[P, T]: ...
@overload
def tool(
    *,
    name: str | None = None,
    summary: Callable[[Any], Any] | None = None,
    rebuild: Rebuild | None = None,
) -> Callable[[Callable[P, T]], Callable[P, T]]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    summary: Callable[[Any], Any] | None = None,
    rebuild: Rebuild | None = None,
) -> Any:
    """Record every call of a function, also of an async one: what it was given, what it gave back, how it failed.

    Outside a run the function is called as it is. `name` is what the model calls it, where that is not the function's
    name. `summary` records less than the result, which then cannot be replayed; `rebuild` makes the result again from
    its JSON where the return annotation does not say how.
    """
    if function is None:
        return functools.partial(_watch, name=name, summary=summary, rebuild=rebuild)
    return _watch(function, name=name, summary=summary, rebuild=rebuild)


def _watch(function: Callable[P, T], **options: Any) -> Callable[P, T]:
    watched = _Watched(function, **options)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def called_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            run, given = _run(), watched.arguments(args, kwargs)
            call = watched.begin(run, given) if run is not None else None
            if call is None:
                found = watched.replayed(given)
                return await function(*args, **kwargs) if found is _NOTHING else found
            async with call:
                found = watched.replayed(given)
                value = await function(*args, **kwargs) if found is _NOTHING else found
                watched.end(call, value)
                return value

        return cast(Callable[P, T], called_async)

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        run, given = _run(), watched.arguments(args, kwargs)
        call = watched.begin(run, given) if run is not None else None
        if call is None:
            found = watched.replayed(given)
            return function(*args, **kwargs) if found is _NOTHING else cast(T, found)
        with call:
            found = watched.replayed(given)
            value = function(*args, **kwargs) if found is _NOTHING else cast(T, found)
            watched.end(call, value)
            return value

    return called


def _run() -> Run | None:
    replay = belonging.current_replay()
    return belonging.current() or (replay.implicit_run() if replay is not None else None)


def agent(
    *, name: str | None = None, model: str | None = None, **options: Any
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make each call of a function a run: its first argument is the prompt, what it returns the answer.

    Called inside another run it is that run's child. Takes what `run` takes.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        title = name or function.__name__

        def prompt_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
            given = args[0] if args else next(iter(kwargs.values()), None)
            return given if given is None or isinstance(given, str) else as_text(given)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def ran_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                async with run(prompt=prompt_of(args, kwargs), agent=title, model=model, **options) as one:
                    answer = await cast(Callable[P, Awaitable[Any]], function)(*args, **kwargs)
                    one.answer(answer)
                    return answer

            return cast(Callable[P, T], ran_async)

        @functools.wraps(function)
        def ran(*args: P.args, **kwargs: P.kwargs) -> T:
            with run(prompt=prompt_of(args, kwargs), agent=title, model=model, **options) as one:
                answer = function(*args, **kwargs)
                one.answer(answer)
                return answer

        return ran

    return decorate

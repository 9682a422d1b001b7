"""What a tool is to the agent: a name, a function that really does something, and how long it tends to take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from nagare_web.demo.clock import Clock
from nagare_web.demo.sandbox import Sandbox
from nagare_web.demo.shop import Shop, iso


class ToolError(Exception):
    """A tool call that ended in an error: a code for programs, and a message for the model."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A result on which a person then says something."""

    value: Any
    name: str
    says: str


@dataclass(kw_only=True)
class World:
    """What a run's tools work on: the shop all runs share, and a folder of the run's own, made on first use."""

    shop: Shop
    folder: Path
    clock: Clock
    agent: str
    has_newest_test: bool = False
    _sandbox: Sandbox | None = field(default=None, init=False)

    @property
    def sandbox(self) -> Sandbox:
        """The run's copy of the billing project."""
        if self._sandbox is None:
            self._sandbox = Sandbox(self.folder, has_newest_test=self.has_newest_test)
        return self._sandbox

    @property
    def now(self) -> str:
        """The present, as the shop's tables hold it."""
        return iso(self.clock.now)


ToolFunction = Callable[..., Any]
F = TypeVar("F", bound=ToolFunction)


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A registered tool; `slowest_ms` is about ten times its quickest."""

    name: str
    run: ToolFunction
    slowest_ms: float


TOOLS: Final[dict[str, Tool]] = {}


def tool(*, slowest_ms: float) -> Callable[[F], F]:
    """Register the decorated function as a tool under its own name; its first argument is the world."""

    def register(function: F) -> F:
        TOOLS[function.__name__] = Tool(name=function.__name__, run=function, slowest_ms=slowest_ms)
        return function

    return register


def use(name: str, world: World, arguments: dict[str, Any]) -> Any:
    """Return what the tool returns.

    Raises:
        ToolError: there is no such tool, it does not take these arguments, or it fails.
    """
    found = TOOLS.get(name)
    if found is None:
        raise ToolError("unknown_tool", f"there is no tool {name}")
    try:
        return found.run(world, **arguments)
    except TypeError as error:
        raise ToolError("bad_arguments", f"{name} does not take these arguments: {error}") from error

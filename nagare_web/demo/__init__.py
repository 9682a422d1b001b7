"""Demo data: a small real agent with real tools, a scripted stand-in for its model, and a journal full of its runs."""

from __future__ import annotations

from nagare_web.demo.fill import Filled, fill
from nagare_web.demo.stories import STORIES, Story

__all__ = ["STORIES", "Filled", "Story", "fill"]

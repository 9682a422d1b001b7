"""Scripted stand-ins for a model, by agent: pure functions that say the next turn from what they see."""

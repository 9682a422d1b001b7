"""Nagare's commands."""

"""The explorer's commands."""

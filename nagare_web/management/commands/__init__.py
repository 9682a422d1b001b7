"""Commands that start the project's own processes."""

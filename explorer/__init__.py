"""The debugger a person uses."""

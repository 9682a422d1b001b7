"""Request to query to template."""

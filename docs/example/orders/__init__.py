"""An app with aggregates of its own: orders of a shop, from placed to shipped."""

"""Long-lived work on top of a store."""

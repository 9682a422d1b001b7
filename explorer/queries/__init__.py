"""What each page shows, as frozen dataclasses: they ask the store and the explorer's read models."""

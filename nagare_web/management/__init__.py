"""Management package: what `nagare` offers of the project itself."""

"""Tags and filters of the explorer's templates."""

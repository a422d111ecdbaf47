import feast_start  # noqa: F401  (before Feast)

"""The statistics behind the checks: pure functions of numbers."""

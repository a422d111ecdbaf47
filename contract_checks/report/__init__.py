"""A report, as a person reads it: one module per format."""

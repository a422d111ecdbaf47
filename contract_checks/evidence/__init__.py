"""What checks look at: registry, tables, join and probes, gathered once and frozen."""

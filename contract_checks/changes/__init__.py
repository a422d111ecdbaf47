"""What changed between two editions of a contract, and what each change asks of its version."""

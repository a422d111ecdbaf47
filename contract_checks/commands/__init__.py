"""The commands of `contract-checks`, one module each."""

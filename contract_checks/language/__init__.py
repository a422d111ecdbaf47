"""The contract language: a document in, a typed contract out, or every problem located."""

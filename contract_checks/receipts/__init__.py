"""Receipts: what a kept contract was judged on, byte by byte, so that anyone can verify it."""

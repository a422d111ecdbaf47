"""The operations log: what ran, when, on what, and with which figures."""

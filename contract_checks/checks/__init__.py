"""The checks, a module per kind of promise. Importing this package binds them all."""

from contract_checks.checks import behaviour, data_quality, declarations, freshness, joins, schema

__all__ = ["behaviour", "data_quality", "declarations", "freshness", "joins", "schema"]

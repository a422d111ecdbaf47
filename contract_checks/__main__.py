"""`python -m contract_checks`."""

from contract_checks.cli import main

main()

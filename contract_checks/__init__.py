from contract_checks.stopping import heed_while_starting

heed_while_starting()

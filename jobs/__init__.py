"""What each job does, as a function: arguments in, a result out, a record left."""

import contract_checks  # noqa: F401  (it heeds Ctrl-C from here on)

"""`dmp audit`: the audit at a terminal, for an auditor or a patient."""

"""Generated from `proto/audit/v1`: the contract of the audit."""

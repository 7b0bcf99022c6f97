"""Generated from `proto/authz/v1`: the contract of the decision point."""

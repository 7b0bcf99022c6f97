"""Generated from `proto/clients/archive/v1`: the contract of the sample archive."""

"""Generated from `proto/dossier/v1`: the contract of the dossier."""

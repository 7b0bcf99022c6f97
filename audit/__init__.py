"""The decision log: written before each answer, sealed after it, read by those who check.

`entry` makes the bytes (pure), `tables` names the tables, `log` writes, `reader` reads, `verify` verifies
the chain. `sealing` publishes a tree over the entries (`merkle`, `tiles`, `checkpoint`, `note`, `proof`:
pure), which `witness` cosigns and `inspection` holds the log against. `commands` is `dmp log` and
`dmp audit`. `purging` erases what is old, as `retention` says, and `erased` sees that this was logged. The
room knows no rule of the health record.
"""

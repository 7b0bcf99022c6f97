"""The decision log: written before each answer, read afterwards by those who check.

`entry` makes the bytes (pure), `tables` names the tables, `log` writes, `reader` reads and
verifies, `commands` is `dmp log`. The room imports nothing of the other rooms.
"""

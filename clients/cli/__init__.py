"""The command `dmp`: one module a group of commands, put together in `__main__`."""

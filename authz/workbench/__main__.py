"""Lets `python -m authz.workbench` run `dmp policy`."""

from authz.workbench.commands import app

app()

"""Tests of the compliance officer's workbench."""

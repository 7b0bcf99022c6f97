"""Tests of clinical documents."""

"""Casbin as an oracle: single-threaded, on the policy files or on a text."""

from pathlib import Path

import casbin
from casbin.persist.adapters.string_adapter import StringAdapter

from tests.shared import ROOT


def text_of(*parts: str) -> str:
    """The text of a file under `policies`."""
    return Path(ROOT, "policies", *parts).read_text(encoding="utf-8")


def enforcer_of(model: str, policy: str) -> casbin.Enforcer:
    """An enforcer over two texts; it must be switched on, else it would say yes to everything."""
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=model), StringAdapter(policy))
    assert enforcer.enabled
    return enforcer

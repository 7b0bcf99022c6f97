"""The two policy engines whose formats we use, asked whether they can read what we read.

Neither decides anything here: both keep the state of a request in shared objects and are unsafe under
threads. They validate at load, and judge as oracles in the tests.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import casbin
from py_abac import Policy
from py_abac.exceptions import PolicyCreateError


def abac_objects_to(documents: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """What py-abac has against the rule documents, by uid; empty when it reads them all."""
    objections: dict[str, str] = {}
    for uid, document in documents.items():
        try:
            Policy.from_json(dict(document))
        except PolicyCreateError as exc:
            objections[uid] = str(exc)
    return objections


def casbin_reads(model: str, policy: str) -> int:
    """How many policy lines (`p`) casbin reads from a model and its CSV.

    Raises:
        ValueError: casbin cannot read them.
    """
    with tempfile.TemporaryDirectory() as folder:
        model_file, policy_file = Path(folder, "model.conf"), Path(folder, "policy.csv")
        model_file.write_text(model, encoding="utf-8")
        policy_file.write_text(policy, encoding="utf-8")
        try:
            enforcer = casbin.Enforcer(str(model_file), str(policy_file))
        except Exception as exc:
            raise ValueError(str(exc)) from exc
        return len(enforcer.get_policy())

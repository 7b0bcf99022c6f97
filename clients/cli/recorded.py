"""Decisions as the log holds them, with the sentences of the rules that carried them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from audit import database, reader
from audit.errors import Error as LogError
from authz.source import Node, parse
from authz.v1 import authz_pb2 as pb
from clients.cli.show import Said

Sentences = Mapping[str, tuple[str, Said]]
"""By a rule's uid: its reason code and what it tells."""


def decision(engine: Engine, wanted: str, sentences: Sentences) -> pb.Decision:
    """What was decided, read back from the log.

    Raises:
        LogError: it is not there, or the log can't be read.
    """
    with database.snapshot(engine) as conn:
        stored = reader.find(conn, wanted)
    if stored is None:
        raise LogError(f"no entry `{wanted}` in the log")
    return as_decision(stored.entry, sentences)


def as_decision(entry: Mapping[str, Any], sentences: Sentences) -> pb.Decision:
    """An entry as the decision that it records."""
    reason, rules = str(entry["reason_code"]), list(entry["rules"])
    told = (sentences[uid][1] for uid in rules if uid in sentences and sentences[uid][0] == reason)
    said = next(told, Said("", ""))
    made = pb.Decision(
        id=entry["id"],
        effect=pb.EFFECT_ALLOW if entry["effect"] == "allow" else pb.EFFECT_DENY,
        reason_code=reason,
        told_fr=said.fr,
        told_en=said.en,
        rules=rules,
        obligations=entry.get("obligations", ()),
        bundle=entry["bundle"],
        revision=entry["revision"],
    )
    made.at.FromDatetime(datetime.fromisoformat(entry["at"]))
    return made


def sentences(policies: Path) -> Sentences:
    """What the rules of a policy folder tell; a file that can't be read tells nothing."""
    return {
        uid: told for path in sorted(policies.glob("rules/*.yaml")) for uid, told in _of_file(path)
    }


def _of_file(path: Path) -> Iterable[tuple[str, tuple[str, Said]]]:
    root, mistakes = parse(path.read_bytes(), path=path.name)
    if root is None or mistakes:
        return
    for rule in root.items["rules"].sequence:
        items = rule.items
        told = items["told"].items
        yield (
            _text(items["uid"]),
            (
                _text(items["reason"]),
                Said(_text(told["fr"]), _text(told["en"])),
            ),
        )


def _text(node: Node) -> str:
    return str(node.value)

"""Whom to believe: logs, witnesses, and how many of these it takes (C2SP tlog-policy). Pure.

A file of lines, `#` beginning a comment:

    log KEY [URL]
    witness NAME KEY [URL]
    group NAME all|any|COUNT NAME...
    quorum NAME|none

A checkpoint is believed that one of the logs has signed and the quorum of witnesses has cosigned.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from audit.checkpoint import Opened, opened
from audit.encoding import decimal
from audit.errors import FormatError, ProofError
from audit.keys import KeyType, Verifier

NONE: Final = "none"
"""The quorum that asks for no witness."""

_MAX_LINES: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A witness: its name in this file, its key, and where it is met, "" if that does not matter."""

    name: str
    key: Verifier
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """So many of these witnesses and groups."""

    least: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom to believe."""

    logs: tuple[Verifier, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    groups: dict[str, Group] = field(default_factory=dict)
    quorum: str = NONE

    @classmethod
    def parse(cls, text: str) -> "Trust":
        """Reads such a file.

        Raises:
            FormatError: it is none; the message names the line.
        """
        found = _Lines()
        lines = text.split("\n")
        if len(lines) > _MAX_LINES:
            raise FormatError(f"trust: {len(lines)} lines, {_MAX_LINES} at most")
        for number, line in enumerate(lines, 1):
            words = line.replace("\t", " ").split()
            if not words or words[0].startswith("#"):
                continue
            try:
                found.take(*words)
            except FormatError as exc:
                raise FormatError(f"trust: line {number}: {exc}") from exc
        return found.trust()

    def opened(self, data: bytes) -> Opened:
        """Reads a checkpoint that can be believed.

        Raises:
            FormatError: it is no checkpoint.
            ProofError: it can't be believed.
        """
        found = opened(data, self.logs, [one.key for one in self.witnesses])
        if not self.holds(found.witnesses):
            who = ", ".join(f"`{one.name}`" for one in found.witnesses) or "no known witness"
            raise ProofError(f"checkpoint: cosigned by {who}: not the quorum `{self.quorum}`")
        return found

    def holds(self, signers: Iterable[Verifier]) -> bool:
        """Whether these witnesses are the quorum."""
        present = {NONE} | {one.name for one in self.witnesses if one.key in set(signers)}
        for name, group in self.groups.items():  # each only names those before it
            if sum(member in present for member in group.members) >= group.least:
                present.add(name)
        return self.quorum in present


class _Lines:
    """What the lines that were read so far say."""

    def __init__(self) -> None:
        self._logs: list[Verifier] = []
        self._witnesses: list[Witness] = []
        self._groups: dict[str, Group] = {}
        self._members: set[str] = set()
        self._quorum = ""

    def take(self, kind: str, *words: str) -> None:
        """Reads one line."""
        match kind, words:
            case "log", (key, *url) if len(url) <= 1:
                self._logs.append(_key(key, KeyType.ED25519, self._logs))
            case "witness", (name, key, *url) if len(url) <= 1:
                self._new(name)
                known = [one.key for one in self._witnesses]
                verifier = _key(key, KeyType.COSIGNATURE, known)
                self._witnesses.append(Witness(name=name, key=verifier, url="".join(url)))
            case "group", (name, count, *members) if members:
                self._new(name)
                self._groups[name] = self._group(count, members)
            case "quorum", (name,) if not self._quorum:
                if name != NONE:
                    self._known(name)
                self._quorum = name
            case "quorum", (_,):
                raise FormatError("a second quorum")
            case _:
                raise FormatError(f"`{kind}` with {len(words)} words is none of the four kinds")

    def trust(self) -> Trust:
        """All of it."""
        if not self._quorum:
            raise FormatError("trust: no quorum: end with `quorum none`, or name one")
        return Trust(
            logs=tuple(self._logs),
            witnesses=tuple(self._witnesses),
            groups=self._groups,
            quorum=self._quorum,
        )

    def _group(self, count: str, members: Sequence[str]) -> Group:
        for member in members:
            self._known(member)
            if member in self._members:
                raise FormatError(f"`{member}` is a member twice")
            self._members.add(member)
        of = {"all": len(members), "any": 1}
        least = of[count] if count in of else decimal(count, "count", len(members))
        if not least:
            raise FormatError("count: at least 1")
        return Group(least=least, members=tuple(members))

    def _new(self, name: str) -> None:
        if name == NONE or name in self._names():
            raise FormatError(f"`{name}` is taken")

    def _known(self, name: str) -> None:
        if name not in self._names():
            raise FormatError(f"`{name}` is no witness or group named before")

    def _names(self) -> set[str]:
        return {one.name for one in self._witnesses} | self._groups.keys()


def _key(text: str, kind: KeyType, known: Iterable[Verifier]) -> Verifier:
    found = Verifier.parse(text)
    if found.type is not kind:
        raise FormatError(f"key `{found.name}`: of type {found.type}, {kind} expected here")
    if any(one.key == found.key for one in known):
        raise FormatError(f"key `{found.name}`: the same key stands on another line")
    return found

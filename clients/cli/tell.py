"""Tells the story of `dmp demo` as it is played: to people on a screen, or to programs line by line."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from authz.v1 import authz_pb2 as pb
from clients.cli import show
from clients.cli.link import RefusedError
from clients.cli.scenes.lines import Line, Scene
from clients.cli.show import EFFECTS, Language, Said
from clients.cli.stage import Played
from clients.cli.story import OBLIGATIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a line of the story."""

    line: Line
    decision: pb.Decision
    played: Played
    explained: pb.ExplainResponse | None = None

    @property
    def effect(self) -> str:
        """ALLOW or DENY."""
        return EFFECTS.get(self.decision.effect, "?")

    @property
    def as_told(self) -> bool:
        """Whether it is what the story says."""
        return (self.effect, self.decision.reason_code) == (self.line.then, self.line.because)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What the log holds at the end.

    Attributes:
        entries: the last entries, oldest first.
        count: of all entries.
        damage: what is wrong with the log; "" when it is verified.
        missing: how many decisions of the story are not in it.
        hash: the last link of the chain, hexadecimal.
        acts: what the record says was done, or refused.
        faults: where the record and the log disagree.
        messages: that would have gone to mobile phones, as (to, text).
    """

    entries: Sequence[Mapping[str, Any]]
    count: int
    damage: str
    missing: int
    hash: str
    acts: int = 0
    faults: int = 0
    messages: Sequence[tuple[str, str]] = ()

    @property
    def whole(self) -> bool:
        """Whether the log is whole."""
        return not self.damage and not self.missing

    @property
    def holds(self) -> bool:
        """Whether the log is whole, and the record agrees with it."""
        return self.whole and not self.faults


class Voice(Protocol):
    """How the story is told."""

    def opening(self, addresses: Sequence[str], bundle: pb.Bundle) -> None:
        """Says what answers: the decision point, the record, the audit."""

    def scene(self, number: int, scene: Scene) -> None:
        """Begins a scene."""

    def line(self, outcome: Outcome) -> None:
        """Tells one line."""

    def table(self, outcomes: Sequence[Outcome]) -> None:
        """Tells lines that were asked together."""

    def ending(self, outcomes: Sequence[Outcome], ending: Ending) -> None:
        """Sums up, and shows the log."""

    def onward(self, commands: Sequence[tuple[str, Said]], lead: Said) -> None:
        """Says what to try next."""


class Lines:
    """One JSON object a line: each decision, then the end."""

    def __init__(self) -> None:
        self._scene = 0

    def opening(self, addresses: Sequence[str], bundle: pb.Bundle) -> None:
        """The addresses and the policies."""
        authz, dossier, audit = addresses
        found = {"bundle": bundle.digest, "rules": bundle.rules}
        _print({"address": authz, "dossier": dossier, "audit": audit, **found})

    def scene(self, number: int, scene: Scene) -> None:  # noqa: ARG002 - the number is enough
        """Nothing by itself: its number is in each line."""
        self._scene = number

    def line(self, outcome: Outcome) -> None:
        """One decision, with what the story wanted."""
        line = outcome.line
        _print(
            {
                "scene": self._scene,
                "who": line.who.subject.name,
                "does": line.does._asdict(),
                "wanted": {"effect": line.then.lower(), "reason_code": line.because},
                "as_told": outcome.as_told,
                "decision": show.as_data(outcome.decision),
                "told": _refusal(outcome.played),
            }
        )

    def table(self, outcomes: Sequence[Outcome]) -> None:
        """A line each."""
        for outcome in outcomes:
            self.line(outcome)

    def ending(self, outcomes: Sequence[Outcome], ending: Ending) -> None:
        """The log in figures."""
        _print(
            {
                "decisions": len(outcomes),
                "not_as_told": sum(not outcome.as_told for outcome in outcomes),
                "log": {
                    "entries": ending.count,
                    "missing": ending.missing,
                    "verified": not ending.damage,
                    "damage": ending.damage,
                    "hash": ending.hash,
                },
                "record": {"acts": ending.acts, "faults": ending.faults},
                "messages": len(ending.messages),
            }
        )

    def onward(self, commands: Sequence[tuple[str, Said]], lead: Said) -> None:
        """Nothing: programs know."""


_INDENT: Final = (0, 0, 0, 2)
_BELOW: Final = (0, 0, 0, 9)
_WIDE: Final = 90  # columns that the log needs to show times, too

_SUBTITLE: Final = Said(
    "Les diapositives de 2011, jouées sur de vrais documents : chaque réponse est une décision"
    " déjà consignée.",
    "The slides of 2011, played on real documents: each answer is a decision already on record.",
)
_SERVED: Final = Said(
    "{rules} règles, empreinte {digest} ; le point de décision sur {authz}, le dossier sur {dossier},"
    " l'audit sur {audit}",
    "{rules} rules, digest {digest}; the decision point at {authz}, the record at {dossier},"
    " the audit at {audit}",
)
_WANTED: Final = Said("l'histoire voulait", "the story wanted")
_LOG: Final = Said("Le journal", "The log")
_EARLIER: Final = Said("… {n} entrées avant celles-ci", "… {n} entries before these")
_TIME: Final = Said("heure", "time")
_WHO: Final = Said("qui", "who")
_WHAT: Final = Said("quoi", "what")
_EFFECT: Final = Said("effet", "effect")
_REASON: Final = Said("motif", "reason")
_AS_TOLD: Final = Said(
    "{n} décisions, {yes} oui et {no} non, toutes comme l'histoire le veut.",
    "{n} decisions, {yes} yes and {no} no, all as the story says.",
)
_NOT_AS_TOLD: Final = Said(
    "{wrong} des {n} décisions ne sont pas ce que l'histoire veut.",
    "{wrong} of {n} decisions are not those of the story.",
)
_VERIFIED: Final = Said(
    "{count} entrées, aucune décision n'y manque ; chaîne vérifiée, dernier maillon {hash}.",
    "{count} entries, no decision is missing; chain verified, last link {hash}.",
)
_MISSING: Final = Said(
    "{missing} décisions manquent au journal.", "{missing} decisions are not in the log."
)
_COMPLETE: Final = Said(
    "{acts} actes au dossier, chacun avec sa décision, chaque refus dans la trace.",
    "{acts} acts in the record, each with its one decision, each refusal in the trace.",
)
_INCOMPLETE: Final = Said(
    "{faults} désaccords entre le dossier et le journal.",
    "{faults} times the record and the log disagree.",
)
_MESSAGES: Final = Said(
    "{n} SMS dans le fichier d'envoi, par exemple :", "{n} SMS in the outbox file, for example:"
)
_HEARD: Final = Said("entend seulement :", "is told only:")
_ONWARD: Final = Said("Pour continuer", "How to go on")


class Screen:
    """A tour that people read."""

    def __init__(self, console: Console, language: Language) -> None:
        self._console = console
        self._language = language

    def opening(self, addresses: Sequence[str], bundle: pb.Bundle) -> None:
        """A headline, and what answers."""
        where = dict(zip(("authz", "dossier", "audit"), addresses, strict=True))
        served = self._say(_SERVED).format(rules=bundle.rules, digest=bundle.digest[:12], **where)
        self._console.print()
        self._console.print(Text("dmp demo", style="bold"))
        self._console.print(Text(self._say(_SUBTITLE)))
        self._console.print(Text(served, style="dim"))

    def scene(self, number: int, scene: Scene) -> None:
        """A title, what to look at, and what to know before."""
        self._title(f"{number}. {self._say(scene.title)}")
        self._console.print(Text(self._say(scene.lead), style="italic"))
        if scene.rows:
            rows = [(self._say(name), self._say(value)) for name, value in scene.rows]
            self._console.print()
            self._console.print(Padding(show.listed(rows), _INDENT))
        if scene.lines:
            self._console.print()

    def line(self, outcome: Outcome) -> None:
        """Who does what; the decision; why; and what must be done then."""
        line, decision = outcome.line, outcome.decision
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        does = Text.assemble((self._say(line.who.called), "bold"), " ", self._say(line.does))
        grid.add_row(show.badge(outcome.effect), does)
        why = Text.assemble((decision.reason_code, "cyan"), "  ")
        why.append(show.told(decision, self._language))
        grid.add_row("", why)
        if decision.obligations:
            grid.add_row("", Text("→ " + self._obligations(decision), style="dim"))
        refused = outcome.played.refused
        if refused is not None and refused.reason_code != decision.reason_code:
            grid.add_row("", self._heard(refused))
        if not outcome.as_told:
            grid.add_row("", self._wanted(outcome))
        self._console.print(Padding(grid, _INDENT))
        if outcome.played.shown is not None:
            self._console.print(Padding(outcome.played.shown(self._language), _BELOW))
        if outcome.explained is not None:
            reasons = show.reasons(outcome.explained, self._language)
            self._console.print(Padding(reasons, (1, 0, 0, 9)))

    def table(self, outcomes: Sequence[Outcome]) -> None:
        """Who, the decision, and why, in columns."""
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(overflow="fold")
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, style="cyan")
        table.add_column(overflow="fold")
        for outcome in outcomes:
            why = Text(show.told(outcome.decision, self._language))
            if not outcome.as_told:
                why = Text("\n").join([why, self._wanted(outcome)])
            who = Text(self._say(outcome.line.does), style="bold")
            table.add_row(who, show.badge(outcome.effect), outcome.decision.reason_code, why)
        self._console.print(Padding(table, _INDENT))

    def ending(self, outcomes: Sequence[Outcome], ending: Ending) -> None:
        """The last entries, and whether all went as told and all is there."""
        self._title(self._say(_LOG))
        before = ending.count - len(ending.entries)
        if before > 0:
            self._console.print(Text(self._say(_EARLIER).format(n=before), style="dim"))
        self._console.print(self._entries(ending))
        self._console.print()
        n, wrong = len(outcomes), sum(not outcome.as_told for outcome in outcomes)
        yes = sum(outcome.effect == "ALLOW" for outcome in outcomes)
        summed = _NOT_AS_TOLD if wrong else _AS_TOLD
        text = self._say(summed).format(n=n, yes=yes, no=n - yes, wrong=wrong)
        self._verdict(text, good=not wrong)
        if ending.whole:
            text = self._say(_VERIFIED).format(count=ending.count, hash=ending.hash[:12])
        else:
            text = ending.damage or self._say(_MISSING).format(missing=ending.missing)
        self._verdict(text, good=ending.whole)
        said = self._say(_INCOMPLETE if ending.faults else _COMPLETE)
        text = said.format(acts=ending.acts, faults=ending.faults)
        self._verdict(text, good=not ending.faults)
        if ending.messages:
            self._console.print(Text(self._say(_MESSAGES).format(n=len(ending.messages))))
            told = Text(" ".join(ending.messages[-1][1].split()))
            self._console.print(Padding(told, (0, 0, 0, 2)))

    def onward(self, commands: Sequence[tuple[str, Said]], lead: Said) -> None:
        """Commands to copy, and what each is for."""
        self._title(self._say(_ONWARD))
        self._console.print(Text(self._say(lead)))
        for command, why in commands:
            self._console.print()
            if self._say(why):
                self._console.print(Text(f"  # {self._say(why)}", style="dim"))
            self._console.print(Text(f"  {command}", style="bold"), soft_wrap=True)
        self._console.print()

    def _entries(self, ending: Ending) -> Table:
        timed = self._console.width >= _WIDE
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("#", style="dim", no_wrap=True)
        if timed:
            table.add_column(self._say(_TIME), style="dim", no_wrap=True)
        table.add_column(self._say(_WHO), overflow="fold")
        table.add_column(self._say(_WHAT), overflow="fold")
        table.add_column(self._say(_EFFECT), no_wrap=True)
        table.add_column(self._say(_REASON), style="cyan", overflow="fold")
        for entry in ending.entries:
            subject, mode = entry.get("subject", {}), entry.get("mode", "")
            what = str(entry.get("action", ""))
            cells = (
                Text(str(entry.get("index", ""))),
                Text(str(entry.get("at", ""))[11:19]),
                Text(str(subject.get("name") or subject.get("id", ""))),
                Text(what if mode in ("", "normal") else f"{what}, {mode}"),
                show.badge(str(entry.get("effect", "")).upper()),
                Text(str(entry.get("reason_code", ""))),
            )
            table.add_row(*(cells if timed else cells[:1] + cells[2:]))
        return table

    def _verdict(self, text: str, *, good: bool) -> None:
        mark, style = ("✓", "green") if good else ("✗", "bold red")
        self._console.print(show.hanging(mark, text, style=style))

    def _wanted(self, outcome: Outcome) -> Text:
        wanted = f"{outcome.line.then} {outcome.line.because}"
        return Text(f"✗ {self._say(_WANTED)} {wanted}", style="bold yellow")

    def _heard(self, refused: RefusedError) -> Text:
        said = f"{self._say(_HEARD)} {refused.reason_code}, {self._say(refused.told)}"
        return Text(said, style="italic dim")

    def _obligations(self, decision: pb.Decision) -> str:
        said = (OBLIGATIONS.get(name, Said(name, name)) for name in decision.obligations)
        return ", ".join(map(self._say, said))

    def _title(self, text: str) -> None:
        self._console.print()
        self._console.print(Rule(Text(text, style="bold"), align="left", style="dim"))

    def _say(self, said: Said) -> str:
        return said.text(self._language)


def _refusal(played: Played) -> dict[str, Any] | None:
    """What the person was told, when it was a refusal."""
    refused = played.refused
    return (
        None if refused is None else {"reason_code": refused.reason_code, **refused.told._asdict()}
    )


def _print(data: Mapping[str, Any]) -> None:
    print(json.dumps(data, ensure_ascii=False), flush=True)

"""The patient's view as a page to keep: one file without script or anything from elsewhere, also to print.

French first, English beside it. Whatever stands in the log is text here, never markup.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from html import escape
from itertools import groupby
from typing import Final

from audit.v1 import audit_pb2 as pb
from clients.cli.audit import patientwords as words
from clients.cli.cast import same
from clients.cli.record import words as record
from clients.cli.record.text import visible
from clients.cli.show import Said
from serving.days import FRANCE

_MONTHS: Final = (
    *("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août"),
    *("septembre", "octobre", "novembre", "décembre"),
)
_WEEK: Final = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")

STYLE: Final = """
:root { color-scheme: light; --ink: #1d2433; --soft: #5b6478; --line: #dfe3ea; --paper: #fff; --back: #f4f5f8;
  --yes: #17683f; --no: #a01f2d; --alarm: #8a4b00; --alarm-back: #fff4e0; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 54rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 1.05rem; margin: 2.2rem 0 .6rem; padding-bottom: .35rem;
  border-bottom: 2px solid var(--ink); }
[lang=en] { color: var(--soft); font-style: italic; }
header > [lang=en] { font-size: 1.15rem; margin: .2rem 0 1.2rem; }
.sum { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.4rem 0; padding: 0; list-style: none; }
.sum li { flex: 1 1 10rem; background: var(--paper); border: 1px solid var(--line); border-radius: .6rem;
  padding: .8rem 1rem; line-height: 1.3; }
.sum b { display: block; font-size: 1.7rem; line-height: 1.1; }
.note { background: var(--paper); border-left: .3rem solid var(--line);
  padding: .7rem 1rem; margin: 0 0 .8rem; }
.note p { margin: 0; }
article { background: var(--paper); border: 1px solid var(--line); border-left: .35rem solid var(--yes);
  border-radius: .5rem; padding: .9rem 1.1rem; margin: 0 0 .7rem; break-inside: avoid; }
article.deny { border-left-color: var(--no); }
article.alarm { border-left-color: var(--alarm); background: var(--alarm-back); }
.top { display: flex; flex-wrap: wrap; gap: .2rem .9rem; align-items: baseline; }
.top time { font-variant-numeric: tabular-nums; font-weight: 600; min-width: 3.2rem; }
.who { font-weight: 600; }
.badge { margin-left: auto; font-weight: 700; color: var(--yes); white-space: nowrap; }
.deny .badge { color: var(--no); }
.badge [lang=en], dt [lang=en] { font-weight: 400; }
.what { margin: .25rem 0 .45rem; }
.why { margin: 0 0 .5rem; padding-left: .8rem; border-left: 2px solid var(--line); }
.why p { margin: 0; }
dl { display: grid; grid-template-columns: 17rem 1fr; gap: .1rem .9rem; margin: 0;
  font-size: .875rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .8125rem; }
.tag { display: inline-block; background: var(--alarm); color: #fff; border-radius: .3rem; padding: 0 .45rem;
  font-size: .8125rem; font-weight: 700; letter-spacing: .03em; }
footer { margin-top: 2.5rem; padding-top: 1rem; border-top: 1px solid var(--line); font-size: .875rem;
  color: var(--soft); }
@media (max-width: 32rem) {
  dl { grid-template-columns: 1fr; } dd { margin-bottom: .35rem; } .badge { margin: 0; } }
@media print {
  body { background: #fff; font-size: 10pt; } main { max-width: none; padding: 0; }
  article, .sum li { border-color: #999; } article.alarm { background: #fff; }
  h2 { break-after: avoid; } .tag { color: #000; background: none; border: 1px solid #000; }
  @page { size: A4; margin: 16mm 15mm; }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What the page is about.

    Attributes:
        patient: INS.
        asked: what was narrowed, in words; none for everything.
        made_at: when it was asked for.
        complete_until: everything up to here is on it; None where that is not known.
        decision: under which it was shown.
    """

    patient: str
    asked: Sequence[Said]
    made_at: datetime
    complete_until: datetime | None
    decision: str


def write(frame: Frame, accesses: Sequence[pb.Access]) -> str:
    """The page."""
    head = (
        '<!doctype html>\n<html lang="fr">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="referrer" content="no-referrer">\n'
        "<title>Qui a consulté mon dossier médical</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
    )
    body = (*_head(frame, accesses), *_days(accesses), *_foot(frame))
    return "".join((head, *body, "</main>\n</body>\n</html>\n"))


def _head(frame: Frame, accesses: Sequence[pb.Access]) -> Iterator[str]:
    yield "<header>\n<h1>Qui a consulté mon dossier médical</h1>\n"
    yield '<p lang="en">Who looked into my medical record</p>\n</header>\n'
    refused = sum(one.effect == "deny" for one in accesses)
    alarms = sum(bool(words.mode(one).fr) for one in accesses)
    people = len({(one.who.kind, one.who.id, one.who.name) for one in accesses})
    yield '<ul class="sum">\n'
    for number, said in (
        (len(accesses), Said("lignes", "lines")),
        (people, Said("personnes et services", "people and services")),
        (refused, Said("tentatives refusées", "refused attempts")),
        (alarms, Said("en urgence", "in an emergency")),
    ):
        yield f"<li><b>{number}</b>{_both(said, between='<br>')}</li>\n"
    yield "</ul>\n"
    yield '<div class="note">\n'
    yield f"<p>{_pair(Said('Dossier', 'Record'))} <code>{_text(frame.patient)}</code></p>\n"
    for said in frame.asked:
        yield f"<p>{_both(said)}</p>\n"
    until = _moment(frame.complete_until or frame.made_at)
    yield f"<p>{_both(Said(f'Complet au {until}', f'Complete until {until}'))}</p>\n"
    yield "</div>\n"
    if not accesses:
        yield f"<p>{_both(Said('Aucun accès à montrer.', 'Nothing to show.'))}</p>\n"


def _days(accesses: Iterable[pb.Access]) -> Iterator[str]:
    for day, lines in groupby(accesses, key=lambda one: _local(one).date()):
        french = f"{_WEEK[day.weekday()]} {_ordinal(day)} {_MONTHS[day.month - 1]} {day.year}"
        yield f'<section>\n<h2>{french.capitalize()} <span lang="en">{day.isoformat()}</span></h2>\n'
        for one in lines:
            yield from _line(one)
        yield "</section>\n"


def _line(one: pb.Access) -> Iterator[str]:
    alarm = words.mode(one)
    kinds = " ".join(
        filter(None, (one.effect if one.effect == "deny" else "", "alarm" if alarm.fr else ""))
    )
    yield f'<article class="{kinds}">\n<div class="top">'
    yield f'<time datetime="{one.at.ToDatetime(tzinfo=UTC).isoformat()}">{_local(one):%H:%M}</time>'
    yield f'<span class="who">{_both(words.person(one))}</span>'
    yield f'<span class="badge">{_both(record.word(words.EFFECTS, one.effect))}</span></div>\n'
    act, data = record.word(words.ACTIONS, one.action), words.data(one)
    tag = f'<span class="tag">{_text(alarm.fr)}</span> ' if alarm.fr else ""
    yield f'<p class="what">{tag}{_text(_sentence(act.fr))} — {_text(data.fr)}'
    yield f'<br><span lang="en">{_text(_sentence(act.en))} — {_text(data.en)}</span></p>\n'
    yield f'<div class="why"><p>{_text(one.fr)}</p><p lang="en">{_text(one.en)}</p></div>\n<dl>\n'
    for name, value in _details(one):
        if value.fr:
            yield f"<dt>{_pair(name)}</dt><dd>{_both(value)}</dd>\n"
    document = f"<dt>{_pair(Said('Document', 'document'))}</dt><dd><code>{_text(one.document)}</code></dd>\n"
    yield document if one.document else ""
    yield f"<dt>{_pair(Said('Décision', 'decision'))}</dt><dd><code>{_text(one.decision_id)}</code></dd>\n"
    yield "</dl>\n</article>\n"


def _details(one: pb.Access) -> Iterator[tuple[Said, Said]]:
    """What else is known, one thing a line."""
    number = f" ({visible(one.who.id)})" if one.who.id and one.who.name else ""
    profession = words.profession(one)
    yield (
        Said("Profession", "profession"),
        Said(profession.fr + number, profession.en + number) if profession.fr else same(""),
    )
    house = words.structure(one)
    more = one.who.structure if one.who.structure_name and one.who.structure else ""
    yield (
        Said("Établissement", "organisation"),
        same(house + (f" ({visible(more)})" if more else "")),
    )
    yield Said("Origine des données", "origin of the data"), same(visible(one.origin))
    yield Said("Raison donnée", "reason given"), words.reason(one)
    yield (
        Said("Contrôle", "review"),
        record.word(words.REVIEWS, one.review) if one.review else same(""),
    )
    yield Said("Service utilisé", "through the service"), same(visible(one.service))
    yield Said("Demandé en outre", "asked besides"), words.further(one)
    yield Said("À propos de", "about"), same(visible(one.about))


def _foot(frame: Frame) -> Iterator[str]:
    fr = (
        f"Établi le {_moment(frame.made_at)}, heure de Paris. Chaque ligne est une décision inscrite dans le "
        "journal avant toute réponse ; son numéro permet d'en demander la preuve. Code de la santé publique, "
        "art. R. 1111-43 et L. 1111-19 ; règlement (UE) 2025/327, art. 9."
    )
    en = (
        f"Made on {_moment(frame.made_at)}, Paris time. Each line is a decision that stood in the log before "
        "anybody was answered; with its number you can ask for the proof. Public health code, art. R.1111-43 "
        "and L.1111-19; Regulation (EU) 2025/327, art. 9."
    )
    yield f'<footer>\n<p>{_text(fr)}</p>\n<p lang="en">{_text(en)}</p>\n'
    yield f"<p><code>{_text(frame.decision)}</code></p>\n</footer>\n"


def _both(said: Said, *, between: str = " ") -> str:
    """French, and English beside it where it is not the same."""
    if said.fr == said.en:
        return _text(said.fr)
    return f'{_text(said.fr)}{between}<span lang="en">{_text(said.en)}</span>'


def _pair(said: Said) -> str:
    return _text(said.fr) if said.fr.lower() == said.en.lower() else _both(said)


def _text(text: str) -> str:
    return escape(visible(text).replace("\n", " "))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ordinal(day: date) -> str:
    return "1er" if day.day == 1 else str(day.day)


def _local(one: pb.Access) -> datetime:
    return one.at.ToDatetime(tzinfo=UTC).astimezone(FRANCE)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(FRANCE):%Y-%m-%d %H:%M}"

"""A dossier of 100,000 documents of which 20 are visible: what the condition of the policies costs in a list.

Three who ask about three such dossiers, in each of which another rule keeps them from all but 20. Beside the
query with the condition of the shipped policies stands the same one with that single rule, said by hand; and
the one without any, which is over after the first 21 rows.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from uuid import uuid4

from sqlalchemy import Engine, insert, text

from authz.bundle import Bundle
from authz.facts import FactComputer
from authz.query import Context, Query, Subject
from authz.registry.state import Authorisation, Consents, DossierStatus, GranteeKind, PatientState
from authz.v1 import authz_pb2 as pb
from authz.wire import condition as written
from bench import processes, samples
from bench.report import DisagreementError, Figure, Section, Tell
from bench.scale import Scale
from clients.sdk.condition import Clause, Condition, LabelField, Test
from clients.sdk.filterwire import filter_answer
from clients.sdk.values import NORMAL
from clients.sdk.values import Subject as Asking
from dossier import listing, rows, tables
from dossier.database import MIGRATIONS
from dossier.keys.keyring import Keyring
from dossier.keys.masters import Masters
from dossier.keys.sealing import Key, Purpose
from dossier.mint import Mint
from dossier.model import Label, Particulars, Person, Search, Status, Visibility
from dossier.permit import Turnstile
from dossier.store import Store
from storage.database import connect

ME: Final = "00B1038575"
STRUCTURE: Final = "10B0193488"
VISIBLE: Final = 20
PAGE: Final = 20
OPEN: Final = "11488-4"
CLOSED: Final = (
    *("34842-5", "68599-0", "75496-0", "83901-9", "86531-1"),
    *("89601-9", "68817-6", "ATTEST-HEBGT", "ATTEST-RESID", "EXPPAT_3"),
)
"""The types of documents that the matrix closes to pharmacists."""

TARGET: Final = 1.5
NOW: Final = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)

_PORTION: Final = 1_000
_SECRET: Final = b"of the bench"
_OTHER: Final = "899700301015"

_numbers: Final = count()
_EVERYTHING: Final = Condition(allow=(Clause(),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks about whom, what keeps all but 20 documents from them, and how that is said by hand."""

    name: str
    patient: str
    profession: str
    authorised: bool
    by_hand: Test
    masked: bool = False
    types: tuple[str, ...] = (OPEN,)


ASKERS: Final = (
    Asker(
        name="a physician, all others masked",
        patient="1113109067725142806651",
        masked=True,
        profession="10",
        authorised=True,
        by_hand=Test(field=LabelField.VISIBILITY, values=("MASQUE_PS",), negated=True),
    ),
    Asker(
        name="a pharmacist, all others of a closed type",
        patient="1541187387477485562488",
        types=CLOSED,
        profession="21",
        authorised=True,
        by_hand=Test(field=LabelField.TYPE, values=CLOSED, negated=True),
    ),
    Asker(
        name="an author without authorisation",
        patient="0833910461279517589858",
        profession="10",
        authorised=False,
        by_hand=Test(field=LabelField.AUTHORS, values=(ME,)),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record, and what makes permits for it."""

    store: Store
    mint: Mint
    reader: Engine


def run(scale: Scale, tell: Tell) -> list[Section]:
    """Measures both databases."""
    documents = scale.entries // 10
    bundle = samples.shipped()
    sections = []
    for kind, database in (("SQLite", _sqlite), ("PostgreSQL", _postgresql)):
        with TemporaryDirectory() as name, database() as url:
            tell(f"listing: {kind}, {documents} documents")
            with _record(url, Path(name), documents) as record:
                figures = [
                    figure for asker in ASKERS for figure in _measure(record, asker, bundle, scale)
                ]
        sections.append(
            Section(
                title=f"A page of {PAGE} out of {documents:,} documents, {kind}",
                note=f"{VISIBLE} are visible; the ratio is to the same query with the rule by hand",
                figures=tuple(figures),
            )
        )
    return sections


@contextmanager
def _sqlite() -> Iterator[str]:
    with TemporaryDirectory() as folder:
        yield processes.sqlite(Path(folder))


@contextmanager
def _postgresql() -> Iterator[str]:
    with processes.postgresql() as (_, url):
        yield url


@contextmanager
def _record(url: str, folder: Path, documents: int) -> Iterator[Record]:
    """A record with that many documents of one patient."""
    writer, reader = connect(url), connect(url, read_only=True)
    keys = connect(f"sqlite:///{folder}/keys.db")
    MIGRATIONS.migrate(writer)
    masters = Masters(folder / "masters")
    masters.create()
    keyring = Keyring.open(keys, masters)
    for asker in ASKERS:
        _fill(writer, keyring.make(asker.patient), asker, documents)
    if writer.dialect.name == "postgresql":  # as its own housekeeping does sooner or later
        with writer.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("VACUUM ANALYZE"))
    turnstile = Turnstile(_SECRET, clock=time.monotonic)
    yield Record(
        store=Store(writer, reader, keyring, turnstile, clock=lambda: NOW),
        mint=Mint(_SECRET, clock=time.monotonic),
        reader=reader,
    )
    for engine in (writer, reader, keys):
        engine.dispose()


def _fill(writer: Engine, key: Key, asker: Asker, documents: int) -> None:
    every = max(2, documents // VISIBLE)
    for start in range(0, documents, _PORTION):
        numbers = range(start, min(start + _PORTION, documents))
        labels = [_label(asker, number, seen=number % every == every // 2) for number in numbers]
        with writer.begin() as conn:
            conn.execute(insert(tables.documents), [_row(key, label) for label in labels])
            conn.execute(insert(tables.authors), [_author(label) for label in labels])


def _label(asker: Asker, number: int, *, seen: bool) -> Label:
    made = NOW - timedelta(hours=number * 7 % 100_000)
    mine = seen and not asker.authorised
    return Label(
        id=str(uuid4()),
        entry=str(uuid4()),
        patient=asker.patient,
        unique_id=f"1.2.250.1.213.9.{uuid4().int}",
        type=OPEN if seen else asker.types[number % len(asker.types)],
        class_code="10",
        space="3",
        status=Status.APPROVED,
        visibility=Visibility(masked=asker.masked and not seen),
        confidentiality="N",
        authors=(ME if mine else _OTHER,),
        structure=STRUCTURE,
        system="bench",
        made_at=made,
        act_from=made,
        act_to=None,
        deposited_at=NOW,
        by_patient=False,
        version=1,
        replaces="",
        replaced_by="",
        media_type="",
        size=0,
        secret=False,
    )


def _row(key: Key, label: Label) -> dict[str, object]:
    told = Particulars(
        title="Compte rendu de consultation",
        authors=(Person(id=label.authors[0], name="Dr MEDECIN3857", profession="10"),),
        structure_name="Centre de santé",
    )
    sealed = key.seal(rows.pack(told), rows.place(Purpose.PARTICULARS, label))
    return {**rows.columns(label), "particulars": sealed}


def _author(label: Label) -> dict[str, object]:
    (author,) = label.authors
    return {"document": label.id, "author": author, "patient": label.patient, "place": 0}


def _decided(bundle: Bundle, asker: Asker) -> Condition:
    """The condition of the shipped policies, as it comes over the wire."""
    until = NOW + timedelta(days=1)
    given = Authorisation(
        grantee=ME, kind=GranteeKind.PROFESSIONAL, granted_at=NOW, expires_at=until
    )
    state = PatientState(
        patient=asker.patient,
        status=DossierStatus.OPEN,
        opened_at=NOW,
        consents=Consents(),
        authorisations=(given,) if asker.authorised else (),
    )
    who = Subject(
        kind="professional",
        id=ME,
        profession=asker.profession,
        structure=STRUCTURE,
        authentication="individual_card",
        capacity="care",
    )
    query = Query(
        caller="dossier",
        rpc="authz.v1.AuthzService/Filter",
        subject=who,
        action="document.list",
        patient=asker.patient,
        context=Context(mode="normal"),
        any_document=True,
    )
    vector = FactComputer(bundle).compute(query, state, NOW).vector
    judgement = bundle.judge(vector)
    if judgement.condition is None:
        raise DisagreementError(f"{asker.name}: denied, {judgement.verdict.reason}")
    answer = pb.FilterResponse(
        decision=pb.Decision(id="bench", effect=pb.EFFECT_ALLOW),
        condition=written(judgement.condition),
    )
    return filter_answer(answer).condition


def _measure(record: Record, asker: Asker, bundle: Bundle, scale: Scale) -> Iterator[Figure]:
    conditions = {
        "the condition of the policies": _decided(bundle, asker),
        "the rule by hand": Condition(allow=(Clause(tests=(asker.by_hand,)),)),
        "none, over after 21 rows": _EVERYTHING,
    }
    decided, by_hand, _ = conditions.values()
    found = [_ids(record.reader, asker.patient, one) for one in (decided, by_hand)]
    if found[0] != found[1] or len(found[0]) > VISIBLE:
        raise DisagreementError(f"{asker.name}: `{len(found[0])}` and `{len(found[1])}` documents")
    queries: dict[str, Callable[[], object]] = {
        f"SQL, {name}": _query(record.reader, asker.patient, one)
        for name, one in conditions.items()
    }
    lists = {
        f"whole list, {name}": _list(record, asker.patient, one) for name, one in conditions.items()
    }
    for calls in (queries, lists):
        times = _times(calls, scale)
        base = times[next(name for name in times if "by hand" in name)]
        for name, took in times.items():
            judged = "condition" in name
            ratio = took / base
            yield Figure(
                what=f"{asker.name}: {name}",
                value=took * 1e3,
                unit="ms",
                ratio=ratio,
                target=f"<= {TARGET} x" if judged else "",
                met=ratio <= TARGET if judged else None,
            )


def _times(calls: Mapping[str, Callable[[], object]], scale: Scale) -> dict[str, float]:
    """The median of each, in seconds; in turns, so that what else the machine does hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(scale.rounds * 3):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in taken.items()}


def _ids(reader: Engine, patient: str, condition: Condition) -> list[str]:
    query = listing.page(patient, condition, Search(), size=VISIBLE + 1)
    with reader.connect() as conn:
        return [row.id for row in conn.execute(query)]


def _query(reader: Engine, patient: str, condition: Condition) -> Callable[[], object]:
    return lambda: _ids(reader, patient, condition)


def _list(record: Record, patient: str, condition: Condition) -> Callable[[], object]:
    """The whole of a list but for its decision: searched, unsealed, looked at again, recorded."""
    made = record.mint.issue(
        subject=Asking(kind="professional", id=ME),
        action="document.list",
        context=NORMAL,
        decision="",
        reason_code="AUTHORISED",
        obligations=(),
        patient=patient,
        condition=condition,
    )

    def call() -> object:
        names = [name for name in made.__dataclass_fields__ if name not in ("until", "seal")]
        fields = {name: getattr(made, name) for name in names}
        permit = record.mint.issue(**{**fields, "decision": str(next(_numbers))})
        return record.store.list(permit, patient, Search(), size=PAGE)

    return call

"""The patient's view of the log: all that the law asks for, and nothing that is kept from who looks."""

import asyncio
import base64
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, update

from audit.database import reader
from audit.office.accesses import Accesses
from audit.office.asking import WITHHOLD_SECRET, Look
from audit.office.database import opened
from audit.office.handles import Handles
from audit.office.office import Office, Standing
from audit.office.tables import entries
from audit.v1 import audit_pb2 as pb
from authz.v1 import authz_pb2 as authz
from clients.sdk import Denied
from dossier.v1 import dossier_pb2 as dossier
from serving.errors import RequestError
from tests.audit.office.story import (
    ANNOUNCED,
    BREAK_GLASS,
    GUARDIAN,
    HIDDEN,
    KEPT,
    MOTHER,
    SECRETLY,
    story,
    tried,
)
from tests.audit.office.world import KEY
from tests.service import ANASTA, NOW, doctor, holder, patient, stranger

OTHER = patient(7)
DAY = "2026-05-04"
PARENTS = {MOTHER.name: MOTHER.id}
SECRET_TEXT = "cherche le document caché"
DOCUMENTS = ("open", "kept", "secret", "hidden", "never")


class Leave:
    """Stands for a decision point that lets everybody look, with the obligations that policy has."""

    async def look(self, asker, action, **asked):
        assert (action, asked["what"]) == ("trace.read", "accesses")
        withheld = (WITHHOLD_SECRET,) if asker.subject.kind == "representative" else ()
        return Look(decision=str(uuid4()), reason_code="HOLDER", obligations=withheld)


@dataclass(frozen=True)
class Told:
    """A log with a story in it, its index, and a desk over both.

    Attributes:
        desk: the patient's view.
        index: the index.
        ids: the documents of the story, by what they are.
    """

    desk: Accesses
    index: Engine
    ids: dict[str, str]

    def pages(self, subject=None, /, patient=ANASTA, **asked):
        """The pages that somebody is shown."""
        fields = {"from" if name == "since" else name: value for name, value in asked.items()}
        request = pb.ListAccessesRequest(
            subject=subject or holder(),
            context=authz.Context(mode="normal"),
            patient=patient,
            **fields,
        )
        how = {"timeout_s": 20.0, "token": "", "traceparent": ""}

        async def all_() -> list[pb.ListAccessesResponse]:
            return [page async for page in self.desk.list_accesses(request, how)]

        return asyncio.run(all_())

    def view(self, subject=None, /, patient=ANASTA, **asked):
        """All lines."""
        (page,) = self.pages(subject, patient, page_size=1_000, **asked)
        return list(page.accesses)

    def acts(self, action, subject=None, /, **asked):
        """The lines of one action."""
        return [line for line in self.view(subject, **asked) if line.action == action]


async def tell(folder):
    """A minor's record, with all that may be kept from somebody; and that of somebody else."""
    async with story(folder) as tale:
        record = tale.record
        await record.create(born="2015-01-01", guardians=(GUARDIAN,), treating_doctor=True)
        ids = {
            "open": await record.deposit(),
            "kept": await record.deposit(visibility=KEPT),
            "secret": await record.deposit(visibility=KEPT, context=SECRETLY),
            "hidden": await record.deposit(visibility=HIDDEN),
            "never": "0f9b9d5e-0000-4000-8000-000000000000",
        }
        for name in DOCUMENTS:
            for who in (doctor(), stranger(), holder(), MOTHER):
                await tried(record.read(ids[name], who))
            await tried(record.read(ids[name], context=SECRETLY))
            await tried(record.read(ids[name], stranger(), context=BREAK_GLASS))
        await tried(record.read(ids["secret"], stranger(), context=_with_secret(BREAK_GLASS)))
        await record.list()
        await record.list(context=SECRETLY)
        await record.list(MOTHER)
        await record.dossiers.FindDossier(
            dossier.FindDossierRequest(
                subject=stranger(), context=authz.Context(mode="normal"), patient=ANASTA
            )
        )
        await tried(record.read(ids["open"], holder(OTHER)))
        given = authz.Reason(code="query", text='{"documents":["' + ids["hidden"] + '"]}')
        await tale.look_in("log.identify", reason=given)
        cases = [one for one in await tale.view() if one.review == "open"]
        for one in cases[-1:]:
            verdict = authz.Reason(code="justified", text=SECRET_TEXT)
            aimed = authz.Target(id=stranger().id, kind="professional")
            about = one.decision_id
            await tale.look_in("emergency.review", about=about, reason=verdict, target=aimed)
        secret = [one for one in await tale.view(doctor()) if one.document == ids["secret"]]
        told = authz.Reason(code="notify_treating_doctor", text="inbox")
        for about in (secret[0].decision_id, cases[-1].decision_id):
            await tale.report(about, told)
        await tale.pages()
    return ids


def _with_secret(context):
    made = authz.Context()
    made.CopyFrom(context)
    made.secret_connection = True
    return made


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The story, told once for all tests here."""
    folder = tmp_path_factory.mktemp("told")
    ids = asyncio.run(tell(folder))
    engine = opened(f"sqlite:///{folder}/audit.db")
    office = Office(
        index=engine,
        log=reader(f"sqlite:///{folder}/authz.db"),
        evidence=folder / "evidence",
        handles=Handles(KEY),
        asking=Leave(),
        clock=lambda: NOW,
        standing=Standing,
    )
    yield Told(Accesses(office), engine, ids)
    engine.dispose()


def reading(told, name, who=None, *, by=None, mode="normal", effect="allow"):
    """The lines of one way to read one document, as the treating doctor sees them."""
    lines = [
        line.decision_id
        for line in told.acts("document.read", doctor())
        if line.document == told.ids[name]
        and (by or doctor()).id in (line.who.id, PARENTS.get(line.who.name))
        and line.mode == mode
        and line.effect == effect
    ]
    return [line for line in told.view(who) if line.decision_id in lines]


# What the law asks for


def test_a_provider_or_organisation(told):
    """EHDS annex II 3.2 (a): the organisation of who acted."""
    assert "10B0193488" == reading(told, "open")[0].who.structure


def test_b_natural_person(told):
    """EHDS annex II 3.2 (b): the person, by name, number, profession and means of authentication."""
    who = reading(told, "open")[0].who
    assert ("Dr MEDECIN3857", "00B1038575", "10", "individual_card") == (
        who.name,
        who.id,
        who.profession,
        who.authentication,
    )


def test_c_categories_of_data(told):
    """EHDS annex II 3.2 (c): every line says of which category the data are, and a document's type."""
    line = reading(told, "open")[0]
    assert ("document", "11488-4", "10", "3") == (
        line.category,
        line.type,
        getattr(line, "class"),
        line.space,
    )
    lines = told.view()
    assert all(one.category not in ("", "other") for one in lines)
    assert {"list_of_documents"} == {one.category for one in told.acts("document.list")}
    assert {"existence"} == {one.category for one in told.acts("dossier.find")}
    assert {"trace"} == {one.category for one in told.acts("log.identify")}
    assert {"dossier"} == {one.category for one in told.acts("dossier.create")}


def test_d_date_and_time(told):
    """EHDS annex II 3.2 (d): the instant; the latest line stands first."""
    instants = [line.at.ToNanoseconds() for line in told.view()]
    assert sorted(instants, reverse=True) == instants
    assert NOW.year == told.view()[0].at.ToDatetime().year


def test_e_origin_of_the_data(told):
    """EHDS annex II 3.2 (e): the structure that the document comes from, not that of the reader."""
    (line,) = reading(told, "open", by=stranger(), mode="bris_de_glace")
    assert ("10B0193488", "10B0252419") == (line.origin, line.who.structure)


def test_all_actions(told):
    """CSP R.1111-43: all actions stand there, on documents, lists and the record; and the looks at it."""
    assert {
        "dossier.create",
        "dossier.find",
        "document.deposit",
        "document.read",
        "document.list",
        "log.identify",
        "emergency.review",
        "obligation.report",
        "trace.read",
    } <= {line.action for line in told.view()}


def test_digital_service(told):
    """CSP R.1111-43: the service through which it was done."""
    assert {"dossier"} == {line.service for line in told.acts("document.read")}
    assert {"audit"} == {line.service for line in told.acts("log.identify")}


def test_refused_attempts(told):
    """EHDS art. 9: refused attempts are lines like all others, and can be asked for alone."""
    (line,) = reading(told, "open", by=stranger(), effect="deny")
    assert ("deny", "NOT_AUTHORISED") == (line.effect, line.reason_code)
    assert {"deny"} == {one.effect for one in told.view(refused=True)}
    assert line.decision_id in {one.decision_id for one in told.view(refused=True)}


def test_why_it_was_allowed(told):
    """Every line has the sentence of its rule in both languages, as the policies of that time had it."""
    (line,) = reading(told, "open", by=stranger(), effect="deny")
    assert "The patient has not authorised this professional or structure." == line.en
    assert "Le patient n'a pas autorisé ce professionnel ni sa structure." == line.fr
    assert all(one.fr and one.en for one in told.view())


def test_emergency_with_its_reason_and_review(told):
    """CSP L.1111-17: an emergency access tells its mode, its reason, and what became of its review."""
    lines = told.view(emergency=True)
    assert {"bris_de_glace"} == {line.mode for line in lines}
    assert {("risque_vital", "coma")} == {(line.reason.code, line.reason.text) for line in lines}
    assert "justified" in {line.review for line in lines if line.effect == "allow"}
    assert {""} == {line.review for line in lines if line.effect == "deny"}


def test_looks_of_auditors(told):
    """Who of the audit looked into the log about this patient is told, too."""
    marked = [line for line in told.view() if line.audit]
    assert ["emergency.review", "log.identify"] == [line.action for line in marked]
    assert {"AUD-0001"} == {line.who.id for line in marked}


# What may be asked


@pytest.mark.parametrize(
    ("asked", "some"),
    [
        ({"who": stranger().id}, True),
        ({"who": stranger().structure}, True),
        ({"who": "nobody"}, False),
        ({"since": DAY, "until": DAY}, True),
        ({"until": "2026-05-03"}, False),
        ({"since": "2026-05-05"}, False),
        ({"since": "0001-01-01", "until": "9999-12-31"}, True),
    ],
)
def test_narrowing(told, asked, some):
    """By person or structure and by days of France; bounds beyond all time bound nothing."""
    lines = told.view(**asked)
    assert some == bool(lines)
    if who := asked.get("who"):
        assert all(who in (line.who.id, line.who.structure) for line in lines)


@pytest.mark.parametrize("who", [holder(), MOTHER, doctor()], ids=["minor", "mother", "doctor"])
@pytest.mark.parametrize("size", [1, 2, 7])
def test_pages_hold_everything_once(told, who, size):
    """Pages one after the other, or streamed, show every line once and in order."""
    whole = [line.decision_id for line in told.view(who)]
    seen, cursor = [], ""
    while True:
        (page,) = told.pages(who, page_size=size, cursor=cursor)
        seen += [line.decision_id for line in page.accesses]
        cursor = page.cursor
        if not cursor:
            break
    assert whole == seen
    streamed = told.pages(who, page_size=size, pages=1_000)
    assert whole == [line.decision_id for page in streamed for line in page.accesses]
    assert all(len(page.accesses) == size for page in streamed[:-1])


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"patient": ""}, "patient"),
        ({"since": "4.5.2026"}, "from"),
        ({"since": "20260504"}, "from"),
        ({"until": "2026-13-01"}, "until"),
        ({"since": "2026-05-05", "until": DAY}, "from"),
        ({"who": "a\0"}, "who"),
        ({"who": "x" * 256}, "who"),
        ({"page_size": -1}, "page_size"),
        ({"page_size": 1_001}, "page_size"),
        ({"pages": -1}, "pages"),
        ({"cursor": "A"}, "cursor"),
        ({"cursor": "é" * 40}, "cursor"),
        ({"cursor": "A" * 5_000}, "cursor"),
    ],
)
def test_malformed_requests(told, asked, field):
    """What is malformed is refused by its field, before anybody is asked."""
    with pytest.raises(RequestError) as caught:
        told.pages(**asked)
    assert [field] == [name for name, _, _ in caught.value.violations]


def test_cursor_is_of_one_question(told):
    """A cursor of another question or reader is refused, and so is one to a line that is not there."""
    cursor = told.pages(page_size=1)[0].cursor
    for other in ({"who": "x"}, {"refused": True}, {"since": DAY}, {"emergency": True}):
        with pytest.raises(RequestError, match="another question"):
            told.pages(cursor=cursor, **other)
    with pytest.raises(RequestError, match="another question"):
        told.pages(MOTHER, cursor=cursor)
    with pytest.raises(RequestError, match="another question"):
        told.pages(patient=OTHER, cursor=cursor)
    with pytest.raises(RequestError, match="not one that a page gave"):
        told.pages(cursor="B" + cursor[1:])
    with pytest.raises(RequestError, match="no more"):
        told.pages(cursor=cursor[:-8] + "AAAAAAA=")


# What is kept from whom


def ids(lines):
    """The ids of lines."""
    return {line.decision_id for line in lines}


def everything(lines):
    """All that lines hold, as one text."""
    return "\n".join(str(line) for line in lines)


@pytest.mark.parametrize(
    ("who", "unnamed"),
    [
        (holder(), ("hidden", "never")),
        (MOTHER, ("kept", "secret", "hidden", "never")),
        (doctor(), ()),
    ],
    ids=["minor", "mother", "doctor"],
)
def test_documents_that_are_kept_are_not_named(told, who, unnamed):
    """In no field of any line stands a document that is kept from the reader, or never was."""
    text = everything(told.view(who))
    for name in DOCUMENTS:
        assert (told.ids[name] in text) == (name not in unnamed)


def test_kept_document_looks_like_one_that_never_was(told):
    """A refused attempt at a hidden document and at none have the same line, but for instant and ids."""
    pairs = [
        [reading(told, name, who, by=who, effect="deny") for name in ("hidden", "never")]
        for who in (holder(), MOTHER)
    ]
    for hidden, never in pairs:
        (one,), (other,) = hidden, never
        for line in (one, other):
            line.ClearField("at")
            line.decision_id = ""
            assert 3 == len(line.further)
            for more in line.further:
                more.decision_id = ""
        assert one == other
        assert ("DOCUMENT_UNAVAILABLE", "", "", "") == (
            one.reason_code,
            one.document,
            one.type,
            one.origin,
        )


def test_sentence_tells_nothing_of_a_hidden_document(told):
    """No sentence and no reason before the holder says that a document is hidden from anybody."""
    for line in told.acts("document.read") + told.acts("document.deposit"):
        if not line.document:
            assert "see yet" not in line.en
            assert "announce" not in line.en
            assert "hidden" not in line.en
            assert not line.reason_code.startswith(("HIDDEN_", "NOT_YET_", "VISIBILITY_"))


def test_treating_doctor_is_told_why(told):
    """To the treating doctor the same lines name the document and the true reason."""
    (line,) = reading(told, "hidden", doctor(), by=holder(), effect="deny")
    assert (told.ids["hidden"], "HIDDEN_FROM_PATIENT") == (line.document, line.reason_code)


def test_representative_learns_nothing_of_secrets(told):
    """What was done in secret, or to what is kept from representatives, has no line and leaves no trace."""
    mine = {line.decision_id for line in told.view(MOTHER)}
    all_ = {line.decision_id: line for line in told.view(doctor())}
    gone = [line for id_, line in all_.items() if id_ not in mine]
    assert gone
    text = everything(told.view(MOTHER))
    for line in gone:
        assert line.decision_id not in text
        for more in line.further:
            assert more.decision_id not in text
    # Left out are the deeds of others in secret, and nothing that is the mother's to know.
    left = [told.ids[name] for name in ("kept", "secret")]
    secretly = [line for line in gone if line.document not in left and not line.about]
    assert {line.who.id for line in secretly} == {doctor().id}
    assert {"document.list", "document.read"} == {line.action for line in secretly}


def test_report_about_a_secret_access_is_secret(told):
    """Neither review nor notice tells representatives of an access that they don't see."""
    reports, mine = (told.acts("obligation.report", who) for who in (doctor(), MOTHER))
    assert 0 < len(mine) < len(reports)
    assert {line.about for line in mine} <= ids(told.view(MOTHER))
    assert not {line.about for line in reports} <= ids(told.view(MOTHER))


def test_gaps_tell_representatives_nothing(told):
    """Pages are full although lines are left out, and a cursor holds but the id of a line."""
    pages = told.pages(MOTHER, page_size=3, pages=1_000)
    assert all(3 == len(page.accesses) for page in pages[:-1])
    cursors = [page.cursor for page in pages if page.cursor]
    assert 1 == len({len(cursor) for cursor in cursors})
    for one, other in pairwise(cursors):
        assert one[:16] == other[:16]  # version and question are all that comes before the id


def test_cursor_to_a_secret_line_is_one_to_nothing(told):
    """Who makes a cursor to a line that is withheld learns no more than of one that is nowhere."""
    mine = ids(told.view(MOTHER))
    secret = next(id_ for id_ in ids(told.view(doctor())) if id_ not in mine)
    cursor = base64.urlsafe_b64decode(told.pages(MOTHER, page_size=1)[0].cursor)
    errors = []
    for id_ in (secret, str(uuid4())):
        forged = base64.urlsafe_b64encode(cursor[:13] + UUID(id_).bytes).decode()
        with pytest.raises(RequestError) as caught:
            told.pages(MOTHER, cursor=forged)
        errors.append(str(caught.value))
    assert 1 == len(set(errors))


def test_representative_is_withheld_from_without_the_obligation(told, monkeypatch):
    """Even if policy forgot to say so, secrets are kept from representatives."""

    async def lenient(*_args, **_more):
        return Look(decision=str(uuid4()), reason_code="REPRESENTATIVE", obligations=())

    before = len(told.view(MOTHER))
    monkeypatch.setattr(Leave, "look", lenient)
    assert before == len(told.view(MOTHER))


def test_words_of_auditors_are_not_shown(told):
    """What an auditor looked for, and wrote of a review, may name what is hidden: only the code is told."""
    for who in (holder(), MOTHER, doctor()):
        text = everything(line for line in told.view(who) if line.audit)
        assert SECRET_TEXT not in text
        assert told.ids["hidden"] not in text
    assert {"justified", "query"} == {line.reason.code for line in told.view() if line.audit}


def test_numbers_of_other_patients_are_not_shown(told):
    """Another patient who tried is told of, but not by the number that opens that patient's own record."""
    for who in (holder(), MOTHER, doctor()):
        assert OTHER not in everything(told.view(who))
    attempts = [line for line in told.view() if line.who.kind == "patient" and not line.who.id]
    assert {"deny"} == {line.effect for line in attempts}
    assert [] == told.view(who=OTHER)


def test_nothing_of_other_patients(told):
    """Another patient's trail has none of these lines."""
    assert [] == told.view(holder(OTHER), patient=OTHER)


def test_line_of_another_is_not_shown_where_the_index_is_wrong(told):
    """Two patients of one number in the index are told apart by the log itself."""
    handle = Handles(KEY).person(ANASTA)
    wrong = Handles(KEY).person(OTHER)
    with told.index.begin() as conn:
        conn.execute(update(entries).where(entries.c.patient == handle).values(patient=wrong))
    try:
        assert [] == told.view(holder(OTHER), patient=OTHER)
    finally:
        with told.index.begin() as conn:
            conn.execute(update(entries).where(entries.c.patient == wrong).values(patient=handle))
    assert told.view()


def test_page_fits_into_a_message(told, monkeypatch):
    """A page ends where a message would become larger than clients take, and the next one goes on there."""
    everything = [one.decision_id for one in told.view()]
    monkeypatch.setattr("audit.office.wire.MOST_BYTES", 2_000)
    found = told.pages(page_size=1_000, pages=1_000)
    assert [one.decision_id for page in found for one in page.accesses][
        -len(everything) :
    ] == everything
    assert 5 < len(found)
    assert all(sum(one.ByteSize() for one in page.accesses) <= 2_000 for page in found)


def test_what_a_service_asks_besides_is_no_attempt(told):
    """A refused reading is one line; what the service asked to know what it may say stands in that line."""
    lines = reading(told, "open", by=stranger(), effect="deny")
    assert [2] == [len(line.further) for line in lines]
    assert not [line for line in told.view(doctor()) if line.document == "unknown"]
    own = told.acts("document.list")
    assert 3 == len(own)


async def test_who_may_not_look_sees_nothing(tmp_path):
    """Strangers, other patients and representatives, and auditors are refused, on record."""
    async with story(tmp_path) as tale:
        await tale.record.create()
        auditor = authz.Subject(kind="auditor", id="A", authentication="individual_card")
        for who in (stranger(), doctor(), holder(OTHER), MOTHER, auditor):
            with pytest.raises(Denied):
                await tale.pages(who)
        assert 3 <= len([one for one in await tale.view() if one.action == "trace.read"])


async def test_hidden_again_is_not_named_any_more(tmp_path):
    """What is hidden after it was open is named by no line, however old."""
    async with story(tmp_path) as tale:
        await tale.record.create()
        document = await tale.record.deposit(visibility=HIDDEN)
        await tale.record.act(dossier.ACT_SHOW_TO_PATIENT, document, context=ANNOUNCED)
        assert document in everything(await tale.view())
        await tried(tale.record.act(dossier.ACT_HIDE_FROM_PATIENT, document))
        acts = [one for one in await tale.view() if one.action == "document.hide_from_patient"]
        hidden = acts[0].effect == "allow"
        assert hidden == (document not in everything(await tale.view()))

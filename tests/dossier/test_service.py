"""The dossier as its callers meet it: two real services, real sockets, real documents."""

from datetime import timedelta

import grpc
import pytest

from authz.v1 import authz_pb2 as authz
from dossier.v1 import dossier_pb2 as pb
from tests.dossier.served import AGREED, NORMAL, cda, person, running
from tests.service import ANASTA, NOW, doctor, failure, holder, reason, stranger

EMERGENCY = authz.Context(
    mode="bris_de_glace",
    reason=authz.Reason(code="conscience_alteree", text="trouvée inconsciente"),
)
MASKED = pb.Visibility(masked=True)
HIDDEN = pb.Visibility(hidden_from_patient=True)


def pharmacist(**changes):
    return doctor(**{"id": "899700300215", "profession": "21", "structure": "10B0245672"} | changes)


@pytest.fixture
async def both(tmp_path):
    """Both services; what is done in a test is complete in the end."""
    async with running(tmp_path) as both:
        yield both
        assert both.completeness().faults == ()


@pytest.fixture
async def record(both):
    """A record with an open dossier, whose doctor is authorised."""
    await both.record.create()
    return both.record


async def ids(record, who, **how):
    return [label.document for label in (await record.list(who, **how)).documents]


# Creating


async def test_created_dossier_is_found_open(record):
    """Who created a dossier finds it open, and is authorised on it."""
    found = await record.dossiers.FindDossier(
        pb.FindDossierRequest(subject=doctor(), context=NORMAL, patient=ANASTA)
    )
    assert (found.dossier, found.authorisation, found.treating_doctor) == ("open", "valid", False)


async def test_no_dossier_is_told(both):
    """Before it is created, the screen says so ("DMP non créé")."""
    found = await both.record.dossiers.FindDossier(
        pb.FindDossierRequest(subject=doctor(), context=NORMAL, patient=ANASTA)
    )
    assert found.dossier == "none"


async def test_creation_without_consent_is_refused(both):
    """Question 1 answered with no creates nothing, here and in the registry."""
    error = await failure(both.record.create(create=False))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "answers.create" in error.details()
    assert both.count("dossiers") == 0


async def test_answers_are_recorded_as_given(both):
    """Each of the five answers is in force at once."""
    await both.record.create(authorise=True, treating_doctor=True, samu=False, break_glass=False)
    read = await both.record.dossiers.ReadDossier(
        pb.ReadDossierRequest(subject=doctor(), context=NORMAL, patient=ANASTA)
    )
    assert list(read.rights.treating_doctors) == [doctor().id]
    assert (read.rights.samu, read.rights.break_glass) == (False, False)
    assert read.administrative == person()


async def test_creation_without_authorisation_leaves_the_creator_outside(both):
    """Question 2 answered with no: the dossier is there, and its creator may not look into it."""
    await both.record.create(authorise=False)
    assert "NOT_AUTHORISED" in (await both.record.list()).limits


async def test_repeated_creation_is_answered_once(both):
    """A creation whose answer was lost is asked for again, and done once; the password is told once."""
    first = await both.record.create()
    again = await both.record.create()
    assert first.account.login
    assert len(first.account.temporary_password) >= 12
    assert again.ruling.decision_id == first.ruling.decision_id
    assert not again.HasField("account")
    assert both.count("accounts") == 1


async def test_second_creation_is_denied(record):
    """Who creates what exists is told that it does."""
    error = await failure(record.create(request_id="another"))
    assert reason(error) == "DOSSIER_EXISTS"


async def test_representative_of_a_minor_is_registered(both):
    """A guardian is recorded with the child's dossier, and may look into it."""
    guardian = pb.Guardian(id="0833910461279517589858", relation="MTH", family_name="PASQUIER")
    await both.record.create(born="2015-01-01", guardians=(guardian,))
    mother = authz.Subject(kind="representative", id=guardian.id, authentication="patient_code")
    await both.record.deposit()
    assert len(await ids(both.record, mother)) == 1


# Documents


async def test_document_comes_back_byte_for_byte(record):
    """What is read is what was deposited."""
    content = cda()
    document = await record.deposit(content)
    got = await record.read(document)
    assert got.content == content
    assert (got.label.type, got.label.space, got.label.class_code) == ("11488-4", "3", "10")
    assert got.label.title == "Compte rendu de consultation"


async def test_list_shows_what_may_be_read(record):
    """An authorised doctor finds the document; one whom nobody authorised finds none, and is told why."""
    document = await record.deposit()
    assert await ids(record, doctor()) == [document]
    other = await record.list(stranger())
    assert (list(other.documents), "NOT_AUTHORISED" in other.limits) == ([], True)


async def test_several_documents_are_deposited_together_or_not_at_all(both, record):
    """One bad document among good ones: nothing is deposited, and its place and element are named."""
    bad = cda(patient="1541187387477485562488")
    error = await failure(record.submit(cda(), bad))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "deposits[1].content/cda:ClinicalDocument/cda:recordTarget" in error.details()
    assert both.count("documents") == 0


async def test_type_outside_the_profession_is_denied(both, record):
    """A pharmacist does not deposit what only others may; nothing of the submission is kept."""
    who = pharmacist()
    error = await failure(record.submit(cda(who), cda(who, type_code="34112-3"), who=who))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert reason(error).startswith("HABILITATION")
    assert both.count("documents") == 0


async def test_same_unique_id_twice_is_refused(both, record):
    """A producer's id stands for one document."""
    content = cda()
    await record.deposit(content)
    error = await failure(record.submit(cda(), content))
    assert error.code() is grpc.StatusCode.ALREADY_EXISTS
    assert both.count("documents") == 1


async def test_foreign_author_is_refused(record):
    """A professional deposits what he has made."""
    error = await failure(record.submit(cda(stranger())))
    assert "none of its authors" in error.details()


async def test_replaced_document_gives_way(record):
    """A new version takes the place of the old one, which stays to be seen on request."""
    number = 77
    old = await record.deposit(cda(number=number))
    content = cda(replaces=f"1.2.250.1.213.9.{number}", version=2)
    new = (await record.submit(content, replaces=old)).deposited[0].document
    assert await ids(record, doctor()) == [new]
    asked = pb.Search(statuses=["approved", "deprecated"])
    labels = {label.document: label for label in (await record.list(search=asked)).documents}
    assert (labels[old].status, labels[old].replaced_by) == ("deprecated", new)
    assert "mark_obsolete" in (await record.read(old)).ruling.banners
    assert (labels[new].replaces, labels[new].version) == (old, 2)


async def test_new_version_of_a_masked_document_stays_masked(record):
    """The patient's will outlasts a version: whoever replaces a masked document does not unmask it."""
    old = await record.deposit(cda(number=76))
    await record.act(pb.ACT_MASK, old, holder(), context=AGREED)
    content = cda(replaces="1.2.250.1.213.9.76", version=2)
    await record.submit(content, replaces=old)
    (label,) = (await record.list()).documents
    assert label.visibility.masked


async def test_masking_a_document_masks_its_earlier_versions(record):
    """What the patient masks can't be read in the version before."""
    old = await record.deposit(cda(number=75))
    content = cda(replaces="1.2.250.1.213.9.75", version=2)
    new = (await record.submit(content, replaces=old)).deposited[0].document
    await record.act(pb.ACT_MASK, new, holder(), context=AGREED)
    asked = pb.Search(statuses=["approved", "deprecated"])
    labels = (await record.list(holder(), search=asked)).documents
    assert {label.document: label.visibility.masked for label in labels} == {old: True, new: True}


async def test_replacement_by_someone_else_is_denied(both, record):
    """Only its author replaces a document."""
    old = await record.deposit(cda(number=78))
    await record.rights(grant_authorisation=authz.GrantAuthorisation(grantee=grantee(stranger())))
    content = cda(stranger(), replaces="1.2.250.1.213.9.78", version=2)
    error = await failure(record.submit(content, who=stranger(), replaces=old))
    assert reason(error) == "NOT_THE_AUTHOR"
    assert both.count("documents") == 1


async def test_replacement_must_name_what_it_replaces(record):
    """The document itself must say which one it replaces."""
    old = await record.deposit(cda(number=79))
    content = cda(replaces="1.2.250.1.213.9.1234", version=2)
    error = await failure(record.submit(content, replaces=old))
    assert "replaces another document" in error.details()


async def test_predecessor_that_was_never_here_is_no_matter(record):
    """A document may name one that it replaces elsewhere; here it is new."""
    content = cda(replaces="1.2.250.1.213.9.4711", version=2)
    assert len(await ids(record, doctor())) == 0
    await record.deposit(content)
    assert len(await ids(record, doctor())) == 1


async def test_masked_document_is_for_its_author_the_holder_and_treating_doctors(record):
    """What is masked is not found by another authorised doctor, until he is a treating doctor."""
    other = stranger()
    await record.rights(grant_authorisation=authz.GrantAuthorisation(grantee=grantee(other)))
    document = await record.deposit(visibility=MASKED)
    assert await ids(record, other) == []
    assert await ids(record, doctor()) == await ids(record, holder()) == [document]
    await record.rights(set_treating_doctor=authz.SetTreatingDoctor(professional=grantee(other)))
    assert await ids(record, other) == [document]


async def test_hidden_document_waits_for_its_announcement(record):
    """The holder does not see it before it is shown; who reads it is warned."""
    document = await record.deposit(visibility=HIDDEN)
    assert await ids(record, holder()) == []
    read = await record.read(document)
    assert "warn_hidden_from_patient" in read.ruling.banners
    announced = authz.Context(mode="normal", announced=True)
    await record.act(pb.ACT_SHOW_TO_PATIENT, document, context=announced)
    assert await ids(record, holder()) == [document]


async def test_holder_masks_and_unmasks(record):
    """The holder's will counts at once, and changes the metadata only."""
    content = cda()
    document = await record.deposit(content)
    other = stranger()
    await record.rights(grant_authorisation=authz.GrantAuthorisation(grantee=grantee(other)))
    entry = (await record.list()).documents[0].entry
    masked = await record.act(pb.ACT_MASK, document, holder(), context=AGREED)
    assert masked.entry != entry
    assert await ids(record, other) == []
    await record.act(pb.ACT_UNMASK, document, holder(), context=AGREED)
    assert await ids(record, other) == [document]
    assert (await record.read(document)).content == content


async def test_deleted_document_is_gone_for_all(record):
    """Its author deletes it; then nobody finds it, and reading it is as reading what never was."""
    document = await record.deposit()
    await record.act(pb.ACT_DELETE, document)
    for who in (doctor(), holder()):
        assert await ids(record, who, search=pb.Search(statuses=["approved", "archived"])) == []
        assert reason(await failure(record.read(document, who))) == "DOCUMENT_UNAVAILABLE"


async def test_others_may_not_delete(record):
    """Who may see a document is told why he may not delete it."""
    document = await record.deposit()
    other = stranger()
    await record.rights(grant_authorisation=authz.GrantAuthorisation(grantee=grantee(other)))
    error = await failure(record.act(pb.ACT_DELETE, document, other))
    assert reason(error) == "NOT_THE_AUTHOR"


async def test_archived_document_is_left_out_unless_asked_for(record):
    """An archived document stays, out of the way."""
    document = await record.deposit()
    await record.act(pb.ACT_ARCHIVE, document)
    assert await ids(record, doctor()) == []
    assert await ids(record, doctor(), search=pb.Search(statuses=["archived"])) == [document]
    await record.act(pb.ACT_UNARCHIVE, document)
    assert await ids(record, doctor()) == [document]


@pytest.mark.parametrize("context", [NORMAL, EMERGENCY], ids=["normal", "emergency"])
async def test_unknown_and_forbidden_document_answer_alike(record, context):
    """A stranger learns nothing: not even whether there is a document."""
    masked = await record.deposit(visibility=MASKED)
    other = stranger()
    if context is NORMAL:
        await record.rights(grant_authorisation=authz.GrantAuthorisation(grantee=grantee(other)))
    told = []
    for document in (masked, "d0c00000-0000-4000-8000-000000000000"):
        error = await failure(record.read(document, other, context=context))
        told.append((error.code(), error.details(), reason(error)))
    assert told[0] == told[1]
    assert told[0][2] == "DOCUMENT_UNAVAILABLE"


@pytest.mark.parametrize(
    ("who", "context", "expected"),
    [
        (stranger(), NORMAL, "NOT_AUTHORISED"),
        (stranger(), authz.Context(mode="bris_de_glace"), "BREAK_GLASS_REASON_MISSING"),
        (stranger(authentication="password"), NORMAL, "AUTHENTICATION_TOO_WEAK"),
    ],
)
async def test_what_would_be_said_of_any_document_is_told(both, record, who, context, expected):
    """A reason that has nothing to do with the document is no secret, and helps; one denial is one act."""
    document = await record.deposit()
    before = both.count("acts")
    for which in (document, "d0c00000-0000-4000-8000-000000000000"):
        assert reason(await failure(record.read(which, who, context=context))) == expected
    assert both.count("acts") == before + 2


async def test_document_of_another_patient_is_unknown(record):
    """A document is found in its own dossier only."""
    document = await record.deposit()
    other = "0833910461279517589858"
    await record.create(patient=other, email="p@example.org")
    error = await failure(record.read(document, patient=other))
    assert reason(error) == "DOCUMENT_UNAVAILABLE"


async def test_own_document_is_located(record):
    """Who fed a document finds its technical id by the producer's."""
    document = await record.deposit(cda(number=80))
    found = await record.documents.Locate(
        pb.LocateRequest(
            subject=doctor(), context=NORMAL, patient=ANASTA, unique_id="1.2.250.1.213.9.80"
        )
    )
    assert found.document == document


async def test_pages_follow_each_other(record):
    """A list is read page by page, each document once; a cursor of another list is refused."""
    expected = {await record.deposit() for _ in range(5)}
    got, cursor = [], ""
    while True:
        page = await record.list(page_size=2, cursor=cursor)
        got += [label.document for label in page.documents]
        cursor = page.cursor
        if not cursor:
            break
    assert len(got) == 5
    assert set(got) == expected
    first = await record.list(page_size=2)
    error = await failure(record.list(holder(), page_size=2, cursor=first.cursor))
    assert "cursor" in error.details()


async def test_pathway_goes_by_month(record):
    """The care pathway holds what a list holds, by month of act."""
    document = await record.deposit()
    pathway = await record.documents.ReadPathway(
        pb.ReadPathwayRequest(subject=doctor(), context=NORMAL, patient=ANASTA)
    )
    assert [(m.month, [d.document for d in m.documents]) for m in pathway.months] == [
        ("2026-05", [document])
    ]


# Emergencies


async def test_break_glass_reads_and_tells(record):
    """A stranger reads in an emergency; the mode is shown, holder and treating doctor are told."""
    document = await record.deposit()
    await record.rights(set_treating_doctor=authz.SetTreatingDoctor(professional=grantee(doctor())))
    read = await record.read(document, stranger(), context=EMERGENCY)
    assert "show_mode" in read.ruling.banners
    told = await record.dossiers.ListNotices(
        pb.ListNoticesRequest(subject=holder(), context=NORMAL, patient=ANASTA)
    )
    assert "emergency_access" in [notice.kind for notice in told.notices]
    told = await record.dossiers.ListNotices(
        pb.ListNoticesRequest(subject=doctor(), context=NORMAL)
    )
    assert [notice.kind for notice in told.notices] == ["emergency_access"]


async def test_break_glass_against_the_patients_will_is_denied(both):
    """Who answered question 5 with no is not read, and the attempt stands in the trace."""
    await both.record.create(break_glass=False)
    document = await both.record.deposit()
    error = await failure(both.record.list(stranger(), context=EMERGENCY))
    assert reason(error) == "BREAK_GLASS_OPPOSED"
    error = await failure(both.record.read(document, stranger(), context=EMERGENCY))
    assert reason(error) == "BREAK_GLASS_OPPOSED"
    refused = (await both.record.trace(refused=True)).traces
    assert {trace.reason_code for trace in refused} == {"BREAK_GLASS_OPPOSED"}
    assert refused[0].reason == "conscience_alteree: trouvée inconsciente"


# Rights, dashboard, trace, closing


async def test_blocked_professional_reads_no_more(record):
    """A block counts from the next request on."""
    document = await record.deposit()
    await record.rights(set_block=authz.SetBlock(grantee=grantee(doctor())))
    assert reason(await failure(record.list())) == "BLOCKED"
    assert reason(await failure(record.read(document))) == "BLOCKED"


async def test_dashboard_shows_my_patients(both):
    """A doctor finds the patients who have authorised him, and no others."""
    await both.record.create(treating_doctor=True)
    await both.record.create(stranger(), patient="0833910461279517589858", email="p@example.org")
    await both.record.list()
    board = await both.record.dossiers.ListPatients(
        pb.ListPatientsRequest(subject=doctor(), context=NORMAL, name="pasq")
    )
    (line,) = board.patients
    assert (line.patient, line.family_name, line.treating_doctor) == (ANASTA, "PASQUIER", True)
    assert line.last_access.ToDatetime() == NOW.replace(tzinfo=None)
    assert (board.found, board.total) == (1, 1)


async def test_trace_tells_all(record):
    """The holder sees who did what, and who was refused."""
    document = await record.deposit()
    await record.read(document)
    await failure(record.trace(stranger()))
    traces = (await record.trace()).traces
    said = [(t.action, t.effect, t.actor.id) for t in traces]
    assert ("document.deposit", "allow", doctor().id) in said
    assert ("document.read", "allow", doctor().id) in said
    assert ("trace.read", "deny", stranger().id) in said


async def test_trace_gives_no_hidden_document_away(record):
    """The holder who asks for a hidden document finds in the trace what he was told, and no more."""
    document = await record.deposit(visibility=HIDDEN)
    await failure(record.read(document, holder()))
    (refused,) = (await record.trace(refused=True)).traces
    assert (refused.reason_code, refused.document) == ("DOCUMENT_UNAVAILABLE", "")


async def test_empty_list_is_no_first_access(record):
    """Who is shown nothing has not accessed anything: nobody is told of a first access."""
    await record.deposit()
    await record.list(stranger())
    told = await record.dossiers.ListNotices(
        pb.ListNoticesRequest(subject=holder(), context=NORMAL, patient=ANASTA)
    )
    assert [one.actor.id for one in told.notices if one.kind == "first_access"] == []


async def test_closed_dossier_answers_nobody(record):
    """A closed dossier is neither read nor fed; re-activated with consent, it is as before."""
    document = await record.deposit()
    closing = pb.CloseDossierRequest(
        subject=doctor(),
        context=authz.Context(mode="normal", agreement=True, closure="patient_request"),
        request_id="close",
        patient=ANASTA,
        reason="FERMETURE_DEMANDE_PATIENT",
        text="à sa demande",
    )
    await record.dossiers.CloseDossier(closing)
    for call in (record.list(), record.list(holder()), record.submit(cda())):
        assert reason(await failure(call)) == "DOSSIER_CLOSED"
    found = await record.dossiers.FindDossier(
        pb.FindDossierRequest(subject=doctor(), context=NORMAL, patient=ANASTA)
    )
    assert (found.dossier, found.closure_reason) == ("closed", "FERMETURE_DEMANDE_PATIENT")
    reopening = pb.ReopenDossierRequest(
        subject=doctor(),
        context=AGREED,
        request_id="reopen",
        patient=ANASTA,
        answers=pb.Answers(create=True, authorise=True),
    )
    await record.dossiers.ReopenDossier(reopening)
    assert await ids(record, doctor()) == [document]


async def test_emergency_notices_cannot_be_switched_off(record):
    """The holder chooses which notices to get; that of an emergency always comes."""
    wanted = pb.NotificationSettings(first_access=False, new_document=False, channels=["email"])
    await record.dossiers.ChangeNotificationSettings(
        pb.ChangeNotificationSettingsRequest(
            subject=holder(), context=NORMAL, patient=ANASTA, settings=wanted
        )
    )
    got = await record.dossiers.ReadNotificationSettings(
        pb.ReadNotificationSettingsRequest(subject=holder(), context=NORMAL, patient=ANASTA)
    )
    assert got.settings == wanted
    await record.list(stranger(), context=EMERGENCY)
    told = await record.dossiers.ListNotices(
        pb.ListNoticesRequest(subject=holder(), context=NORMAL, patient=ANASTA)
    )
    assert "emergency_access" in [notice.kind for notice in told.notices]


# What goes wrong


async def test_without_decision_point_nothing_is_read(both, record):
    """When the decision point is gone, nobody reads or writes."""
    document = await record.deposit()
    await both.point.service.__aexit__(None, None, None)
    before = both.count("acts")
    for call in (record.read(document), record.list(), record.submit(cda())):
        assert (await failure(call)).code() is grpc.StatusCode.UNAVAILABLE
    assert (both.count("acts"), both.count("documents")) == (before, 1)


async def test_malformed_number_is_told_by_its_field(both):
    """A number that is none is refused before anyone is asked; it is not repeated."""
    error = await failure(both.record.list(patient="3418935386100576927851"))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details().startswith("patient: not an INS")
    assert "3418935386100576927851" not in error.details()


@pytest.mark.parametrize(
    ("search", "field"),
    [
        (pb.Search(spaces=["9"]), "search.spaces"),
        (pb.Search(statuses=["deleted"]), "search.statuses"),
        (pb.Search(until="31/05/2011"), "search.until"),
        (pb.Search(**{"from": "2026-02-02", "until": "2026-01-01"}), "search.from"),
    ],
)
async def test_malformed_search_is_told_by_its_field(record, search, field):
    """A search that means nothing is refused, and says what to write."""
    error = await failure(record.list(search=search))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details().startswith(field)


async def test_call_without_deadline_is_refused(both):
    """Who does not say how long he waits is told to."""
    stub = both.record.channel.unary_unary("/dossier.v1.DocumentService/List")
    call = stub(b"", timeout=None)
    async with grpc.aio.insecure_channel(both.service.addresses[0]) as channel:
        call = channel.unary_unary("/dossier.v1.DocumentService/List")(b"")
        error = await failure(call)
    assert "deadline: missing" in error.details()


@pytest.mark.parametrize("data", [b"\xff" * 1000, b"\x0a\xff\xff\xff\xff\x0f"])
async def test_garbage_is_no_request(both, data):
    """Bytes that are no message are refused; the service stays."""
    call = both.record.channel.unary_unary("/dossier.v1.DocumentService/Submit")(data, timeout=5)
    error = await failure(call)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "not a request of" in error.details()


async def test_message_that_is_too_large_is_refused(record):
    """A file of 100 MB does not come in, and the service stays."""
    error = await failure(record.submit(b" " * (100 << 20)))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await ids(record, doctor()) == []


async def test_date_in_the_future_is_refused(record):
    """A document that was made tomorrow is not deposited."""
    error = await failure(record.submit(cda(made_at=NOW + timedelta(days=2))))
    assert "effectiveTime" in error.details()


def grantee(who):
    return authz.Grantee(id=who.id, kind=who.kind, profession=who.profession)

"""The courier: what is due is sent, once, whatever fails; and what is not to be sent is not."""

import asyncio
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import event, update
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from dossier import courier as couriers
from dossier import tables
from dossier.courier import FIRST_WAIT, GIVEN_UP, LEASE, LONGEST_WAIT, Courier
from dossier.errors import SendError
from dossier.model import Contact
from dossier.records import record
from dossier.senders import FileOutbox, Mail, Message
from tests.dossier.mailserver import HOST, Mailbox, running
from tests.dossier.town import BREAK_GLASS, EMAIL, MOBILE, OTHER_DOCTOR, contact, person
from tests.dossier.world import DOCTOR, JEAN, PHILIPPE
from tests.shared import ROOT

SOON = 10.0


class Sent:
    """A sender that keeps what it is given, and fails as often as it is told to."""

    def __init__(self, *errors: BaseException) -> None:
        self.messages: list[Message] = []
        self.errors = list(errors)

    def send(self, message: Message) -> None:
        """Keeps a message, or fails."""
        if self.errors:
            raise self.errors.pop(0)
        self.messages.append(message)


@pytest.fixture
def email(town):
    """A holder with an e-mail address, who has been accessed in an emergency; a sender."""
    town.create(contact=contact(phone=""))
    access(town)
    return Sent()


def access(town, subject=DOCTOR, patient=JEAN):
    """An emergency access."""
    permit = town.permit("document.read", patient, subject=subject, context=BREAK_GLASS)
    with town.writer.begin() as conn:
        record(conn, permit, at=town.clock.now())


def made(town, **how):
    """A courier of this town; by `senders`, or by e-mail alone."""
    senders = how.pop("senders", None) or {"email": how.pop("sender")}
    return Courier(town.writer, senders, town.clock.now, **how)


def drained(courier, channel="email", most=50):
    """Sends until nothing is due; how long it would wait then."""
    for _ in range(most):
        if wait_s := courier.send_next(channel):
            return wait_s
    raise AssertionError("never done")


def state(town, channel="email"):
    """Attempts, when it is due, when it was sent: of the holder's notice of a channel."""
    rows = [row for row in town.rows("notices") if row["recipient"] == "holder"]
    (row,) = [row for row in rows if row["channel"] == channel]
    return row["attempts"], row["due_at"], row["sent_at"]


def test_due_notice_is_sent(town, email):
    """A notice is sent to where the holder is reached, and crossed out."""
    courier = made(town, sender=email, portal="https://dmp.example.org")

    wait_s = drained(courier)

    (message,) = email.messages
    assert EMAIL == message.to
    assert "bris de glace" in message.text
    assert "https://dmp.example.org" in message.text
    assert couriers.POLL_S == wait_s
    assert (1, None, town.clock.now()) == state(town)


def test_nothing_is_sent_twice(town, email):
    """What was sent is not due any more, not even much later."""
    courier = made(town, sender=email)
    drained(courier)

    town.clock.seconds += 86_400
    drained(courier)

    assert 1 == len(email.messages)


def test_text_of_a_channel(town):
    """Each channel has its own text: an SMS is short, and has no subject's worth of words."""
    town.create()
    access(town)
    mails, texts = Sent(), Sent()
    courier = made(town, senders={"email": mails, "sms": texts})

    drained(courier)
    drained(courier, "sms")

    assert [EMAIL] == [message.to for message in mails.messages]
    assert [MOBILE] == [message.to for message in texts.messages]
    assert len(texts.messages[0].text) < 306 < len(mails.messages[0].text)


def test_no_message_says_more_than_it_may(town):
    """No message names the professional, the patient, the document or the reason."""
    town.create()
    access(town, subject=OTHER_DOCTOR)
    sent = Sent()

    drained(made(town, sender=sent))

    (message,) = sent.messages
    said = f"{message.subject} {message.text} {message.id}"
    for secret in (JEAN, OTHER_DOCTOR.id, OTHER_DOCTOR.name, "PAT-TROIS", "DOMINIQUE", "coma"):
        assert secret not in said


def test_address_is_that_of_the_time_of_sending(town, email):
    """Who has another address by then is reached at the new one."""
    moved = person(contact=Contact(email="new@example.org"))
    town.people.update(town.permit("dossier.update"), JEAN, moved)

    drained(made(town, sender=email))

    assert ["new@example.org"] == [message.to for message in email.messages]


def test_nobody_is_reached_any_more(town, email):
    """Who has no address by then finds the notice in the inbox."""
    moved = person(contact=contact(email="", phone=""))
    town.people.update(town.permit("dossier.update"), JEAN, moved)

    drained(made(town, sender=email))

    assert [] == email.messages
    assert (1, None, None) == state(town, "inbox")


@pytest.mark.parametrize(
    "error", [SendError("no server"), SendError("450", about_recipient=True), RuntimeError("odd")]
)
def test_failure_is_tried_again(town, email, error):
    """A notice that could not be sent is sent later, under the same id."""
    email.errors = [error]
    courier = made(town, sender=email)
    courier._guarded(lambda: courier.send_next("email"))
    before = len(email.messages)

    town.clock.seconds += LEASE.total_seconds() + 1
    drained(courier)

    assert (0, 1) == (before, len(email.messages))
    assert (2, None, town.clock.now()) == state(town)


def test_waits_grow(town, email):
    """Each failure doubles the wait, up to an hour."""
    email.errors = [SendError("no server")] * 9
    courier, waits = made(town, sender=email), []
    for _ in range(9):
        courier.send_next("email")
        _, due, _ = state(town)
        waits.append(due - town.clock.now())
        town.clock.seconds += waits[-1].total_seconds()

    expected = [min(FIRST_WAIT * 2**place, LONGEST_WAIT) for place in range(9)]
    assert expected == waits


def test_trouble_with_a_server_is_not_hammered(town, email):
    """When the server is in trouble, the other notices wait, undiminished in their turn."""
    access(town, subject=OTHER_DOCTOR)
    email.errors = [SendError("no server")]

    wait_s = made(town, sender=email).send_next("email")

    assert couriers.PAUSE_S == wait_s
    assert [0, 1] == sorted(
        row["attempts"] for row in town.rows("notices") if row["channel"] == "email"
    )


def test_one_bad_address_holds_up_nobody(town, email):
    """When one recipient is refused, the next is sent to at once."""
    access(town, subject=OTHER_DOCTOR)
    email.errors = [SendError("450", about_recipient=True)]

    drained(made(town, sender=email))

    assert 1 == len(email.messages)


def test_no_such_mailbox(town, email):
    """A recipient who does not exist is not tried again; the notice stands in the inbox."""
    email.errors = [SendError("550", about_recipient=True, final=True)]
    courier = made(town, sender=email)

    drained(courier)
    town.clock.seconds += 86_400
    drained(courier)

    assert [] == email.messages
    assert (1, None, None) == state(town, "inbox")


def test_given_up_after_days(town, email):
    """After five days of failures a notice stands in the inbox alone."""
    email.errors = [SendError("no server")]
    courier = made(town, sender=email)
    courier.send_next("email")

    town.clock.seconds += GIVEN_UP.total_seconds() + 1
    courier.tidy()
    drained(courier)

    assert [] == email.messages
    assert (1, None, None) == state(town, "inbox")


def test_channel_without_sender_waits(town):
    """A notice of a channel that nobody serves yet waits, and is sent once somebody does."""
    town.create()
    access(town)
    texts, mails = Sent(), Sent()

    drained(made(town, senders={"sms": texts}), "sms")
    between = state(town)
    drained(made(town, sender=mails))

    assert (0, town.clock.now(), None) == between
    assert (1, 1) == (len(texts.messages), len(mails.messages))


def test_two_couriers_send_once(town):
    """Of several processes each notice is sent by one."""
    town.create(contact=contact(phone=""))
    for number in range(12):
        access(town, subject=DOCTOR.__class__(kind="professional", id=f"8{number}"))
    senders = [Sent() for _ in range(3)]
    many = [made(town, sender=sender) for sender in senders]

    async def race():
        await asyncio.gather(*(asyncio.to_thread(drained, one) for one in many))

    asyncio.run(race())

    ids = [message.id for sender in senders for message in sender.messages]
    assert (12, 12) == (len(ids), len(set(ids)))


def test_what_is_being_sent_is_not_due(town, email):
    """While one process sends a notice, no other finds it, until long after."""
    seen = []

    class Slow(Sent):
        def send(self, message):
            seen.append(made(town, sender=email).send_next("email"))
            super().send(message)

    slow = Slow()
    drained(made(town, sender=slow))

    assert [couriers.POLL_S] == seen
    assert (1, 0) == (len(slow.messages), len(email.messages))


def test_killed_while_sending(town, email):
    """Who is killed between sending and crossing out is followed by another, with the same message."""
    sent = []

    class Killed(Sent):
        def send(self, message):
            sent.append(message)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(town, sender=Killed()).send_next("email")
    drained(made(town, sender=email))
    at_once = len(email.messages)
    town.clock.seconds += LEASE.total_seconds() + 1
    drained(made(town, sender=email))

    assert 0 == at_once
    assert [message.id for message in sent] == [message.id for message in email.messages]


def test_record_that_fails_after_sending(town, email):
    """What was sent and could not be crossed out is crossed out later, and not sent again."""
    courier = made(town, sender=email)
    failing = []

    def fail(conn, cursor, statement, parameters, context, executemany):  # noqa: ARG001, PLR0917 - SQLAlchemy's
        if statement.startswith("UPDATE notices SET due_at=") and "sent_at" in statement:
            failing.append(statement)
            raise OperationalError(statement, {}, Exception("disk full"))

    event.listen(town.writer, "before_cursor_execute", fail)
    with pytest.raises(OperationalError):
        courier.send_next("email")
    event.remove(town.writer, "before_cursor_execute", fail)
    town.clock.seconds += LEASE.total_seconds() + 1
    drained(courier)

    assert failing
    assert 1 == len(email.messages)
    assert state(town)[2] == town.clock.now() - LEASE - timedelta(seconds=1)


def test_it_counts(town, email):
    """It counts what was sent, what failed and what waits, and names nobody."""
    registry = CollectorRegistry()
    access(town, subject=OTHER_DOCTOR)
    email.errors = [SendError("no server")]
    courier = made(town, sender=email, registry=registry)

    courier.send_next("email")
    drained(courier)
    courier.tidy()

    def value(name):
        return registry.get_sample_value(name, {"channel": "email"})

    assert 1 == value("dossier_notices_sent_total")
    assert 1 == value("dossier_notices_failed_total")
    assert 1 == value("dossier_notices_waiting")
    labels = {
        name for metric in registry.collect() for one in metric.samples for name in one.labels
    }
    assert {"channel"} == labels


def test_its_log_names_nobody(town, email):
    """What it logs of failures, expected or not, names no address, patient or notice."""
    email.errors = [SendError("recipient: 450"), RuntimeError(EMAIL)]
    courier = made(town, sender=email)

    with capture_logs() as lines:
        for _ in range(2):
            courier._guarded(lambda: courier.send_next("email"))
            town.clock.seconds += 600

    told = [{key: line[key] for key in line if key != "exc_info"} for line in lines]
    assert ["notice not sent", "a notice can't be sent"] == [line["event"] for line in told]
    assert not any(word in json.dumps(told) for word in (EMAIL, JEAN, "PAT-TROIS"))


async def until(condition):
    """Waits until something is so."""
    async with asyncio.timeout(SOON):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - a database tells nobody
            await asyncio.sleep(0.01)


async def test_it_runs(town, tmp_path):
    """Running, it sends by all channels what comes, over a real mail server and into the outbox."""
    box, outbox = Mailbox(), tmp_path / "sms.jsonl"
    town.create()
    with running(box) as port:
        mail = Mail(host=HOST, port=port, sender="dmp@example.org", security="none")
        courier = made(town, senders={"email": mail, "sms": FileOutbox(outbox)}, poll_s=0.02)
        task = asyncio.create_task(courier.run())
        try:
            await asyncio.to_thread(access, town)
            await until(lambda: box.mails and outbox.exists())
            await until(lambda: state(town)[2] and state(town, "sms")[2])
        finally:
            task.cancel()
            await asyncio.wait({task})

    assert [EMAIL] == [mail["To"] for mail in box.mails]
    assert [MOBILE] == [json.loads(line)["to"] for line in outbox.read_text().splitlines()]


async def test_it_survives_a_mail_server_that_is_down(town):
    """It goes on while the mail server is down, and sends when there is one again."""
    town.create(contact=contact(phone=""))
    await asyncio.to_thread(access, town)
    with running(Mailbox()) as port:
        pass
    mail = Mail(host=HOST, port=port, sender="dmp@example.org", security="none")
    courier = made(town, sender=mail, poll_s=0.02, pause_s=0.02)
    task = asyncio.create_task(courier.run())
    try:
        await until(lambda: state(town)[0] == 1 and state(town)[1] > town.clock.now())
        box = Mailbox()
        with running(box, port=port):
            town.clock.seconds += LEASE.total_seconds() + 60
            await until(lambda: state(town)[2])
    finally:
        task.cancel()
        await asyncio.wait({task})

    assert 1 == len(box.mails)


async def test_it_survives_a_record_that_is_gone(town):
    """It goes on while the record can't be read, and sends when it can."""
    town.create(contact=contact(phone=""))
    await asyncio.to_thread(access, town)
    sent = Sent()
    with town.writer.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE notices RENAME TO gone")
    task = asyncio.create_task(made(town, sender=sent, poll_s=0.02, pause_s=0.02).run())
    try:
        await asyncio.sleep(0.2)
        with town.writer.begin() as conn:
            conn.exec_driver_sql("ALTER TABLE gone RENAME TO notices")
        await until(lambda: sent.messages)
    finally:
        task.cancel()
        await asyncio.wait({task})

    assert 1 == len(sent.messages)


@pytest.mark.usefixtures("email")
async def test_it_finishes_what_it_is_sending(town):
    """Stopped while it sends, it crosses out what it has sent."""
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Slow(Sent):
        def send(self, message):
            loop.call_soon_threadsafe(begun.set)
            time.sleep(0.3)
            super().send(message)

    slow = Slow()
    task = asyncio.create_task(made(town, sender=slow).run())
    await asyncio.wait_for(begun.wait(), SOON)
    task.cancel()
    await asyncio.wait({task})

    assert task.cancelled()
    assert 1 == len(slow.messages)
    assert state(town)[2] is not None


@pytest.mark.usefixtures("email")
async def test_it_does_not_wait_for_ever(town, monkeypatch):
    """Stopped while a sender hangs, it leaves it behind."""
    monkeypatch.setattr(couriers, "PATIENCE_S", 0.1)
    begun, loop = asyncio.Event(), asyncio.get_running_loop()
    over = threading.Event()

    class Hanging(Sent):
        def send(self, _):
            loop.call_soon_threadsafe(begun.set)
            over.wait(60)

    courier = made(town, sender=Hanging())
    task = asyncio.create_task(courier.run())
    await asyncio.wait_for(begun.wait(), SOON)
    began = loop.time()
    task.cancel()
    await asyncio.wait({task})
    waited = loop.time() - began
    over.set()
    await asyncio.to_thread(courier._threads.shutdown)  # the town outlives it

    assert waited < 30


KILLED = """
    import os, sys
    from datetime import UTC, datetime
    from pathlib import Path
    from dossier.courier import Courier
    from dossier.senders import FileOutbox
    from storage.database import connect

    class Outbox(FileOutbox):
        def send(self, message):
            super().send(message)
            print(message.id, flush=True)

    writer = connect(sys.argv[1])
    courier = Courier(writer, {"sms": Outbox(Path(sys.argv[2]))}, lambda: datetime(2026, 6, 1, tzinfo=UTC))
    while True:
        courier.send_next("sms")
"""


@pytest.mark.parametrize("after", [1, 3, 7])
def test_killed_courier_loses_nothing(town, database, tmp_path, after):
    """A courier that is killed loses no notice, and leaves at most one that comes twice."""
    town.create(contact=contact(email=""))
    for number in range(10):
        access(town, subject=DOCTOR.__class__(kind="professional", id=f"8{number}"))
    outbox = tmp_path / "sms.jsonl"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", textwrap.dedent(KILLED), database.url, str(outbox)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        for _ in range(after):
            assert process.stdout.readline()
        process.kill()

    with town.writer.begin() as conn:  # as after the lease
        due = tables.notices.c.due_at
        past = town.clock.now() - timedelta(minutes=1)
        conn.execute(update(tables.notices).where(due.is_not(None)).values(due_at=past))
    drained(made(town, senders={"sms": FileOutbox(outbox)}), "sms")

    ids = [json.loads(line)["id"] for line in outbox.read_text().splitlines()]
    assert 10 == len(set(ids))
    assert len(ids) <= 11


def test_notices_of_others_are_not_mixed_up(town):
    """Each patient is told of their own dossier, at their own address."""
    town.create(contact=contact(phone=""))
    town.create(PHILIPPE, contact=Contact(email="philippe@example.org"))
    access(town)
    access(town, patient=PHILIPPE)
    sent = Sent()

    drained(made(town, sender=sent))

    assert {EMAIL, "philippe@example.org"} == {message.to for message in sent.messages}

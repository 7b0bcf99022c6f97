"""Guarded functions: no line of them runs without a permit."""

import pytest

from clients.sdk import Denied, Permit, SettingsError, UnfulfilledError, guarded
from clients.sdk.testing import Pdp, allow, deny
from tests.clients.sdk.samples import NOTE, reading


def asked(name):
    """What is to be asked about a document of this name."""
    return reading(document=type(NOTE)(id=name, type=NOTE.type, status="approved"))


def test_allowed():
    """A function that is guarded gets its permit, and its arguments as they were."""
    pdp = Pdp(allow())

    @guarded(pdp.client(), asked)
    def read(permit: Permit, name: str) -> str:
        """Reads."""
        return f"{permit.query.document.id} {name}"

    assert read("a") == "a a"
    assert read(name="b") == "b b"
    assert [q.document.id for q in pdp.asked] == ["a", "b"]
    assert (read.__name__, read.__doc__) == ("read", "Reads.")


def test_denied():
    """Nothing of it runs when it is denied."""
    ran = []

    @guarded(Pdp(deny("BLOCKED")).client(), asked)
    def read(permit, name):
        ran.append((permit, name))

    with pytest.raises(Denied, match="BLOCKED"):
        read("a")
    assert ran == []


def test_undone_obligation():
    """A result without its obligations does not come out."""

    @guarded(Pdp(allow("show_mode")).client(), asked, supports={"show_mode"})
    def read(permit, name):
        if name == "done":
            permit.fulfil("show_mode")
        return name

    assert read("done") == "done"
    with pytest.raises(UnfulfilledError):
        read("undone")


async def test_coroutine():
    """A coroutine function is guarded by the asynchronous client."""
    pdp = Pdp(lambda query: allow() if query.document.id == "a" else deny())

    @guarded(pdp.aio_client(), asked)
    async def read(permit, name):
        return f"{permit.query.document.id} {name}"

    assert await read("a") == "a a"
    with pytest.raises(Denied):
        await read("b")


def test_question_that_can_not_be_asked():
    """When the question itself fails, nothing runs."""
    ran = []

    @guarded(Pdp(allow()).client(), lambda name: {}[name])
    def read(permit, name):
        ran.append((permit, name))

    with pytest.raises(KeyError):
        read("a")
    assert ran == []


def test_what_can_not_be_guarded():
    """What would do its work after the permit, or does not go with the client, is refused at once."""
    pdp = Pdp(allow())

    def plain(_permit, _name): ...

    async def coroutine(_permit, _name): ...

    def generator(_permit, _name):
        yield

    async def stream(_permit, _name):
        yield

    for client, function in [
        (pdp.client(), coroutine),
        (pdp.client(), generator),
        (pdp.client(), stream),
        (pdp.aio_client(), plain),
        (pdp.aio_client(), generator),
        (pdp.aio_client(), stream),
    ]:
        with pytest.raises(SettingsError, match=function.__name__):
            guarded(client, asked)(function)

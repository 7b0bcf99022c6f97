"""What `docs/sdk.md` shows works."""

import re
from datetime import UTC, date, datetime

import clients.sdk
from clients.sdk import (
    Authorisation,
    Clause,
    Condition,
    DossierStatus,
    LabelField,
    Patient,
    aio,
    condition,
)
from clients.sdk.changes import Grantee
from clients.sdk.testing import Pdp, allow, deny
from tests.clients.sdk.samples import INS
from tests.shared import ROOT

AT = datetime(2026, 9, 1, tzinfo=UTC)
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


OBSOLETE = Clause(
    tests=(condition.Test(field=LabelField.STATUS, values=("deprecated",)),),
    obligations=("mark_obsolete",),
)
MASKED = Clause(tests=(condition.Test(field=LabelField.VISIBILITY, values=("MASQUE_PS",)),))
LISTED = Condition(allow=(Clause(), OBSOLETE), deny=(MASKED,))


def registry():
    """A decision point as the page supposes it."""
    reads = [allow(), allow("notify_holder", "show_mode"), allow()]
    others = {
        "document.list": allow(condition=LISTED),
        "dossier.read": allow(),
        "authorisation.list": deny("NOT_LISTED"),
        "patient.list": allow(),
        "registry.watch": allow(),
    }
    pdp = Pdp(lambda query: others.get(query.action) or reads.pop(0))
    mine = Authorisation(
        grantee=Grantee(id="00B1038575", kind="professional"), granted_at=AT, expires_at=AT
    )
    pdp.patients[INS] = Patient(
        id=INS,
        dossier=DossierStatus.OPEN,
        birth_date=date(1979, 3, 28),
        authorisations=(mine,),
    )
    pdp.happens("policy.activate")
    pdp.happens("block.set", INS)
    return pdp


async def test_code_of_the_page(monkeypatch, capsys):
    """The code of the page runs from top to bottom as it stands."""
    pdp = registry()
    monkeypatch.setattr(clients.sdk, "connect", lambda _, __, **how: pdp.client(**how))
    monkeypatch.setattr(aio, "connect", lambda _, __, **how: pdp.aio_client(**how))
    blocks = BLOCK.findall((ROOT / "docs" / "sdk.md").read_text(encoding="utf-8"))
    space = {}

    for block in blocks:
        exec(compile(block, "docs/sdk.md", "exec"), space)

    printed = capsys.readouterr().out
    assert "here the image is read" in printed
    assert space["page"] == {"image": "scan-1", "banner": True}
    assert [obligation.name for obligation in space["outbox"]] == ["notify_holder"]
    assert space["pixels"] == b"pixels"
    assert space["shown"] == {"scan-1": (), "scan-0": ("mark_obsolete",)}
    assert "open 1979-03-28 False ()" in printed
    assert "who is authorised is not told: Test: NOT_LISTED." in printed
    assert space["birth_dates"] == {INS: date(1979, 3, 28)}
    assert (space["kept"], space["known"]) == ({}, 2)
    assert len(blocks) == 9

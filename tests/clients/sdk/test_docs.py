"""What `docs/sdk.md` shows works."""

import re

import clients.sdk
from clients.sdk import aio
from clients.sdk.testing import Pdp, allow
from tests.shared import ROOT

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


async def test_code_of_the_page(monkeypatch, capsys):
    """The code of the page runs from top to bottom as it stands."""
    answers = [allow(), allow("notify_holder", "show_mode"), allow()]
    pdp = Pdp(lambda _: answers.pop(0))
    monkeypatch.setattr(clients.sdk, "connect", lambda _, __, **how: pdp.client(**how))
    monkeypatch.setattr(aio, "connect", lambda _, __, **how: pdp.aio_client(**how))
    blocks = BLOCK.findall((ROOT / "docs" / "sdk.md").read_text(encoding="utf-8"))
    space = {}

    for block in blocks:
        exec(compile(block, "docs/sdk.md", "exec"), space)

    assert "here the image is read" in capsys.readouterr().out
    assert space["page"] == {"image": "scan-1", "banner": True}
    assert [obligation.name for obligation in space["outbox"]] == ["notify_holder"]
    assert space["pixels"] == b"pixels"
    assert len(blocks) == 6

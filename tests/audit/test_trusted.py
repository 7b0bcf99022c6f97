"""Whom to believe: logs, witnesses, groups and quorums."""

import pytest

from audit.checkpoint import Checkpoint
from audit.errors import FormatError, ProofError
from audit.merkle import EMPTY_ROOT
from audit.note import signed
from audit.trusted import Trust
from tests.audit.keys import log_key, witness_key

LOG = log_key("example.org/log")
X1, X2, X3, Y1, Y2 = (witness_key(f"{name}.example/w") for name in ("x1", "x2", "x3", "y1", "y2"))
FILE = f"""
# whom we believe
log {LOG.verifier}
witness X1 {X1.verifier} https://x1.example/
witness X2 {X2.verifier}
\twitness  X3\t{X3.verifier}
group X 2 X1 X2 X3
witness Y1 {Y1.verifier}
witness Y2 {Y2.verifier}
group Y any Y1 Y2
group both all X Y
quorum both
"""


def cosigned(*witnesses):
    """A checkpoint that these have cosigned."""
    text = str(Checkpoint(origin=LOG.name, size=0, root=EMPTY_ROOT))
    return bytes(signed(text, LOG).signed_also([one.cosign(text, 5) for one in witnesses]))


def test_a_file_is_read():
    """Logs, witnesses with their urls, groups and the quorum are read."""
    trust = Trust.parse(FILE)

    assert (LOG.verifier,) == trust.logs
    assert ["X1", "X2", "X3", "Y1", "Y2"] == [one.name for one in trust.witnesses]
    assert "https://x1.example/" == trust.witnesses[0].url
    assert (2, ("X1", "X2", "X3")) == (trust.groups["X"].least, trust.groups["X"].members)


@pytest.mark.parametrize(
    ("witnesses", "believed"),
    [
        ((X1, X2, Y1), True),
        ((X1, X2, X3, Y1, Y2), True),
        ((X2, X3, Y2), True),
        ((X1, X2), False),
        ((X1, Y1, Y2), False),
        ((Y1, Y2), False),
        ((), False),
    ],
)
def test_a_quorum_is_needed(witnesses, believed):
    """A checkpoint is believed when the groups of the quorum have enough members that cosigned."""
    trust = Trust.parse(FILE)

    if believed:
        assert len(witnesses) == len(trust.opened(cosigned(*witnesses)).witnesses)
    else:
        with pytest.raises(ProofError, match="not the quorum `both`"):
            trust.opened(cosigned(*witnesses))


def test_one_witness_can_be_the_quorum():
    """A quorum may be one witness."""
    trust = Trust.parse(f"log {LOG.verifier}\nwitness a {X1.verifier}\nquorum a\n")

    assert LOG.verifier == trust.opened(cosigned(X1)).log
    with pytest.raises(ProofError, match="cosigned by no known witness"):
        trust.opened(cosigned(X2))


def test_no_quorum_asks_for_nobody():
    """With `quorum none` the log alone is believed."""
    assert () == Trust.parse(f"log {LOG.verifier}\nquorum none").opened(cosigned(X1)).witnesses


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "no quorum"),
        ("quorum", "none of the four kinds"),
        ("quorum none\nquorum none", "line 4: a second quorum"),
        ("quorum w w", "none of the four kinds"),
        ("quorum v", "`v` is no witness or group"),
        (f"log {LOG.verifier}\nquorum none", "line 3: key `example.org/log`: the same key"),
        (f"log {X1.verifier}\nquorum none", "of type 4, 1 expected"),
        (f"witness v {LOG.verifier}\nquorum none", "of type 1, 4 expected"),
        (f"witness w {X2.verifier}\nquorum none", "`w` is taken"),
        (f"witness none {X2.verifier}\nquorum none", "`none` is taken"),
        (f"witness v {X1.verifier}\nquorum none", "the same key"),
        ("witness v\nquorum none", "none of the four kinds"),
        ("log nonsense\nquorum none", "line 3: key"),
        ("group g 2 w\nquorum g", "count"),
        ("group g 0 w\nquorum g", "at least 1"),
        ("group g all\nquorum g", "none of the four kinds"),
        ("group g any v\nquorum g", "`v` is no witness or group"),
        ("group g any w w\nquorum g", "`w` is a member twice"),
        ("group g any w\ngroup h any w\nquorum h", "`w` is a member twice"),
        ("group w any w\nquorum w", "`w` is taken"),
        ("group g any none\nquorum g", "`none` is no witness or group"),
        ("trust w\nquorum none", "`trust` with 1 words is none"),
        ("#\n" * 2000, "1000 at most"),
    ],
)
def test_a_file_with_a_mistake_is_refused(line, message):
    """A mistake is told with its line, and nobody is believed."""
    text = f"log {LOG.verifier}\nwitness w {X1.verifier}\n"

    with pytest.raises(FormatError, match=message):
        Trust.parse(text + line)

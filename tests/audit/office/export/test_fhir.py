"""FHIR: each decision is an AuditEvent in the shape of IHE BALP."""

import orjson
import pytest

from audit.office.export import fhir
from tests.audit.office.export.world import AT, INS, NIR, entry, erased, seen, written
from tests.shared import shared_data

EXAMPLES = {
    "allow": "AuditEvent-ex-auditAuthZconsent.json",
    "deny": "AuditEvent-ex-auditAuthZconsent-deny.json",
}


def agents(event):
    """The agents by the code of their slice."""
    return {one["type"]["coding"][0]["code"]: one for one in event["agent"]}


def event(**fields):
    return fhir.event(seen(entry(**fields)))


def compared(theirs, ours, path=""):
    """Every path at which an example says something that ours does not say alike."""
    if isinstance(theirs, dict):
        if "reference" in theirs:  # theirs point at resources of a server, ours name by identifier
            kind = theirs["reference"].partition("/")[0]
            if not ours.get("identifier", {}).get("value") or ours.get("type") != kind:
                yield path
            return
        for name, value in theirs.items():
            if name not in ours:
                yield f"{path}.{name}"
            else:
                yield from compared(value, ours[name], f"{path}.{name}")
    elif isinstance(theirs, list):
        for place, value in enumerate(theirs):
            yield from compared(value, ours[place] if place < len(ours) else {}, f"{path}[{place}]")
    elif theirs != ours:
        yield path


@pytest.mark.parametrize("effect", EXAMPLES)
def test_same_as_the_examples_of_ihe(effect):
    """Field by field ours says what the examples of IHE say, but for what is of the example alone."""
    example = orjson.loads(shared_data("balp", EXAMPLES[effect]).read_bytes())
    reason = {"allow": "AUTHORISED", "deny": "REFUSED"}[effect]
    mine = event(effect=effect, reason_code=reason)
    assert {
        ".id",
        ".meta.security",
        ".recorded",
        *([".outcomeDesc"] if effect == "deny" else []),
        ".agent[0].network.address",
        ".agent[0].network.type",
        ".agent[1].purposeOfUse[0].coding[0].code",
        ".source.site",
        *([".source.type[0].display"] if effect == "deny" else []),
    } == set(compared(example, mine))


def test_slices_of_the_profile():
    """Client, user, organisation and authorizer are there once, with what the profile wants of each."""
    made = event(voucher={"issuer": "portal", "id": "jti-1"})
    assert [fhir.PROFILE] == made["meta"]["profile"]
    assert ("E", AT, "0") == (made["action"], made["recorded"], made["outcome"])
    assert "110113" == made["type"]["code"]
    assert ["AuthZ-Consent"] == [one["code"] for one in made["subtype"]]
    by_code = agents(made)
    assert {"110150", "IRCP", "PROV", "authserver"} == set(by_code)
    assert [one["requestor"] for one in by_code.values()] == [False, True, False, False]
    client, user = by_code["110150"], by_code["IRCP"]
    assert {"address": "dossier", "type": "1"} == client["network"]
    assert ["jti-1"] == client["policy"]
    assert "Hélène MEDECIN3857" == user["name"]
    assert "899700218896" == user["who"]["identifier"]["value"]
    assert "10" == user["role"][0]["coding"][0]["code"]
    assert "TREAT" == user["purposeOfUse"][0]["coding"][0]["code"]
    assert "10B0152872" == by_code["PROV"]["who"]["identifier"]["value"]
    assert made["source"]["observer"] == by_code["authserver"]["who"]
    for name in ("role", "altId", "name", "location", "media", "purposeOfUse"):
        assert name not in client
        assert name not in by_code["authserver"]
    patient, consent, token = made["entity"]
    assert ("1", "1") == (patient["type"]["code"], patient["role"]["code"])
    assert INS == patient["what"]["identifier"]["value"]
    assert "Consent" == consent["type"]["code"]
    assert "urn:ietf:params:oauth:jti:jti-1" == token["what"]["identifier"]["value"]


def test_no_consent_no_profile():
    """Where roles alone decided, the subtype says so, there is no consent, and no profile is claimed."""
    made = event(effect="deny", reason_code="MATRIX", rules=["by-role"])
    assert "meta" not in made
    assert ["AuthZ-Role"] == [one["code"] for one in made["subtype"]]
    assert ["1"] == [one["type"]["code"] for one in made["entity"]]
    assert ("8", "MATRIX: The matrix forbids it.") == (made["outcome"], made["outcomeDesc"])


def test_unknown_policies_claim_nothing():
    """Where the policies are not known, nobody says that a consent took part."""
    made = fhir.event(seen(policies=None))
    assert "meta" not in made
    assert "AuthZ-Role" == made["subtype"][0]["code"]
    assert "AUTHORISED" == made["outcomeDesc"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"mode": "bris_de_glace"}, "BTG"),
        ({"mode": "centre_15"}, "ETREAT"),
        ({"subject": {"kind": "patient", "id": NIR}, "patient": NIR}, "PATRQT"),
        ({"subject": {"kind": "auditor", "id": "A"}, "patient": ""}, "HCOMPL"),
    ],
)
def test_purpose(fields, code):
    """Emergencies, patients and auditors have purposes of their own."""
    made = event(**fields)
    assert code == made["purposeOfEvent"][0]["coding"][0]["code"]


def test_patients_are_named_by_the_kind_of_their_number():
    """An INS-C, an INS-NIR and a pseudonym are told apart by their system."""
    for number, system in ((INS, "1.2.250.1.213.1.4.2"), (NIR, "1.2.250.1.213.1.4.8")):
        named = event(patient=number)["entity"][0]["what"]["identifier"]
        assert (f"urn:oid:{system}", number) == (named["system"], named["value"])
    hidden = fhir.event(seen(hidden=True))["entity"][0]["what"]["identifier"]
    assert ("urn:dmp:pseudonym", "~") == (hidden["system"], hidden["value"][0])


def test_file_holds_decisions_alone():
    """Starts, activations and erased entries are no decisions; each other is one line."""
    start = entry(kind="start", effect=None, subject=None, patient="")
    data = written(fhir.write, seen(start), seen(), erased(), seen(entry(1)))
    assert ["AuditEvent"] * 2 == [orjson.loads(line)["resourceType"] for line in data.splitlines()]

"""What became of scenarios and properties, for build servers: a JUnit report."""

from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

from authz.workbench.report import clean
from authz.workbench.results import Tested, against, why


def junit_of(tested: Tested) -> bytes:
    """A JUnit report: a suite a file, a case a scenario, property or mistake."""
    bundle = tested.checked.bundle
    rows: list[tuple[str, str, list[str]]] = [
        (mistake.path, f"{mistake.where}: {mistake.message}", [str(mistake)])
        for mistake in tested.checked.mistakes
    ]
    if bundle is not None:
        for outcome in tested.outcomes:
            told = [] if outcome.passed else list(why(bundle, outcome))
            rows.append((outcome.scenario.file, outcome.scenario.it, told))
        for finding in tested.findings:
            stated = finding.stated
            told = [] if finding.holds else list(against(bundle, finding, "en"))
            rows.append(
                (stated.place.rpartition(":")[0], f"{stated.id}: {stated.wording.en}", told)
            )
    root = ET.Element("testsuites", _totals(rows))
    for file, group in groupby(rows, key=lambda row: row[0]):
        cases = list(group)
        suite = ET.SubElement(root, "testsuite", {"name": file, **_totals(cases)})
        for _, name, told in cases:
            case = ET.SubElement(suite, "testcase", {"classname": file, "name": clean(name)})
            if told:
                failure = ET.SubElement(
                    case, "failure", {"message": clean(told[0]), "type": "failed"}
                )
                failure.text = "\n".join(map(clean, told))
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _totals(rows: Sequence[tuple[str, str, list[str]]]) -> dict[str, str]:
    failures = sum(bool(told) for _, _, told in rows)
    return {"tests": str(len(rows)), "failures": str(failures), "errors": "0", "skipped": "0"}

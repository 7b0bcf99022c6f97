"""The figures of a long run can be added up."""

import json

from tests.faults.figures import FOLDER, Figures, add_up


def test_figures_are_kept_and_added_up(tmp_path, monkeypatch):
    """What two tests counted and timed stands in one table."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    for seconds in (1.0, 3.0):
        figures = Figures("kills")
        figures.faults["door"] += 600
        figures.answers += 700
        figures.refusals["UNAVAILABLE"] += 5
        figures.restarted("kill", seconds)
        figures.other["MiB"] = seconds
        figures.tell("half of it")
        figures.save()

    found = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    text = add_up(found)

    assert "| kills | door 1,200 | 1,400 | 0 |" in text
    assert "| kill | 2 | 3.00 | 3.00 | 3.00 |" in text
    assert "| MiB | 3.00 |" in text
    assert "| calls refused: UNAVAILABLE | 10 |" in text
    assert (tmp_path / "progress").read_text().count("half of it") == 2

"""Files that are watched: what becomes of a look that fails."""

from serving import watch
from serving.watch import Watched


async def test_a_look_that_fails_is_not_the_last(tmp_path, monkeypatch):
    """When not even the folder can be looked at, that is the trouble, and the next look reads again."""
    path = tmp_path / "a.pem"
    path.write_text("1")
    watched = Watched(lambda _: path.read_text(), tmp_path)

    def fail(_places: object) -> None:
        raise OSError("too many open files")

    with monkeypatch.context() as without:
        without.setattr(watch, "_signature", fail)
        assert not await watched.look()
        assert "too many open files" == watched.trouble
    path.write_text("2")

    assert await watched.look()
    assert ("2", "") == (watched.content, watched.trouble)

"""Which bundle decides: activation at start, on file change, by signal and by call, and under load."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from authz import activation
from authz.activation import signature
from authz.batch import Batcher
from authz.errors import UnavailableError
from authz.service import Service, Settings
from authz.v1 import authz_pb2 as pb
from tests.service import (
    ANASTA,
    POLICIES,
    Running,
    auditor,
    bundle_of,
    copied,
    doctor,
    entries,
    forget_themes,
    officer,
    running,
    stranger,
    until,
)

FIRST = "rules/20-dossier.yaml"
PAIR = """\
theme: {{fr: "Essai", en: "Trial"}}

rules:
  - uid: pair-one-{name}
    description: "La première de deux règles."
    effect: allow
    priority: 90
    targets: {{action_id: [dossier.find]}}
    rules:
      subject:
        $.kind: {{condition: Equals, value: professional}}
      resource:
        $.minor: {{condition: Equals, value: "{minor}"}}
    reason: PAIR_{upper}
    told: {{fr: "Essai {name}.", en: "Trial {name}."}}
    source: "test"
    obligations: [{obligation}]

  - uid: pair-two-{name}
    description: "La seconde de deux règles."
    effect: allow
    priority: 89
    targets: {{action_id: [dossier.find]}}
    rules:
      subject:
        $.kind: {{condition: Equals, value: professional}}
    reason: PAIR_{upper}
    told: {{fr: "Essai {name}.", en: "Trial {name}."}}
    source: "test"
"""


def pair(folder: Path, name: str, *, minor: str, age: int, obligation: str) -> None:
    """Puts a pair of rules into the folder, with the age at which facts take one for an adult.

    Of a patient of 20 years, both rules of the pair hold, and none of a mixture with another pair would.
    """
    text = PAIR.format(name=name, upper=name.upper(), minor=minor, obligation=obligation)
    swap(folder / "rules" / "99-pair.yaml", text)
    path = folder / "parameters.yaml"
    before, key, after = path.read_text("utf-8").partition("  - name: minor.majority_age\n")
    kind, value, rest = after.partition("    value: ")
    swap(path, f"{before}{key}{kind}{value}{age}\n{rest.partition(chr(10))[2]}")


def swap(path: Path, text: str) -> None:
    """Replaces a file at once, as editors and `git` do."""
    new = path.with_suffix(".new")
    new.write_text(text, "utf-8")
    new.replace(path)


def edited(folder: Path, old: str, new: str, name: str = FIRST) -> None:
    """Edits a file in place."""
    path = folder / name
    text = path.read_text("utf-8")
    assert old in text
    swap(path, text.replace(old, new, 1))


def spoiled(folder: Path) -> None:
    """Makes two mistakes in one file."""
    edited(folder, "effect: deny", "effect: denied")
    edited(folder, "$.dossier:", "$.dosier:")


def repaired(folder: Path) -> None:
    """Takes the file as it is in the project again."""
    swap(folder / FIRST, (POLICIES / FIRST).read_text("utf-8"))


@pytest.fixture
def folder(tmp_path) -> Path:
    """A small copy of the policies, quick to build."""
    return copied(tmp_path, "10", "20", "30", "90")


@pytest.fixture(autouse=True)
def unwatched(monkeypatch) -> None:
    """The folder is read when a test says so; a test that wants it watched says how often."""
    monkeypatch.setattr(activation, "WATCH_S", 3_600)


async def activate(service: Running, who: pb.Subject | None = None) -> pb.ActivateBundleResponse:
    request = pb.ActivateBundleRequest(subject=who or officer())
    return await service.door.policy.ActivateBundle(request)


async def shown(service: Running) -> pb.Bundle:
    answer = await service.door.policy.GetBundle(pb.GetBundleRequest(subject=officer()))
    return answer.bundle


def kinds(service: Running) -> list[tuple[str, str]]:
    """Starts and activations of the log, with their causes."""
    return [
        (entry["kind"], str(entry["change"]["cause"]))
        for entry in service.entries()
        if entry["kind"] in ("start", "activation")
    ]


async def test_an_officer_activates(tmp_path, folder):
    """The call reads the folder, answers with the new bundle, and is on record twice: decision and act."""
    async with running(tmp_path, policies=folder) as service:
        before = await shown(service)
        edited(folder, "priority: 80", "priority: 81")

        answer = await activate(service)

        after = await shown(service)
        decision, act = service.entries()[2:4]
    assert answer.bundle == after
    assert after.digest != before.digest
    assert (decision["id"], decision["bundle"]) == (answer.decision.id, before.digest)
    assert act["kind"] == "activation"
    assert act["change"] == {
        "cause": f"decision {answer.decision.id}",
        "before": before.digest,
        "after": after.digest,
    }
    assert after.activated_at.ToNanoseconds() > before.activated_at.ToNanoseconds()


async def test_only_an_officer_activates(tmp_path, folder):
    """Anybody else is denied on record, and nothing is activated though the folder has changed."""
    async with running(tmp_path, policies=folder) as service:
        edited(folder, "priority: 80", "priority: 81")

        answers = [await activate(service, who) for who in (auditor(), doctor())]

        entries = service.entries()[1:3]
    assert [a.decision.reason_code for a in answers] == ["OFFICERS_ONLY"] * 2
    assert not any(answer.HasField("bundle") for answer in answers)
    assert [(e["action"], e["effect"]) for e in entries] == [("policy.activate", "deny")] * 2


async def test_what_has_not_changed_is_not_activated_again(tmp_path, folder):
    """The same content is the same bundle, even from other bytes: no entry, no new revision."""
    async with running(tmp_path, policies=folder) as service:
        edited(folder, "theme:", "# a comment\ntheme:")

        answer = await activate(service)

        assert kinds(service) == [("start", "start")]
    assert answer.bundle.digest == answer.decision.bundle
    assert answer.decision.revision == 1


async def test_a_file_change_activates(tmp_path, folder, monkeypatch):
    """Whoever saves a file need not tell the service."""
    monkeypatch.setattr(activation, "WATCH_S", 0.02)
    async with running(tmp_path, policies=folder) as service:
        before = service.service.loop.bundle.digest

        edited(folder, "priority: 80", "priority: 81")

        async def changed() -> bool:
            return service.service.activator.standing.bundle.digest != before

        await until(changed)
        assert kinds(service) == [("start", "start"), ("activation", "file change")]


async def test_a_signal_activates(tmp_path, folder):
    """SIGHUP reads the folder, and the entry of the activation says that it was the cause."""
    async with running(tmp_path, policies=folder) as service:
        before = service.service.loop.bundle.digest
        service.service.on_signals()
        edited(folder, "priority: 80", "priority: 81")

        os.kill(os.getpid(), signal.SIGHUP)

        async def changed() -> bool:
            return service.service.activator.standing.bundle.digest != before

        await until(changed)
        assert kinds(service) == [("start", "start"), ("activation", "SIGHUP")]
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)


async def test_a_signal_during_the_start_or_the_end_is_harmless(tmp_path, folder):
    """While nothing is served yet, or nothing any more, SIGHUP does nothing at all."""
    settings = Settings(listeners=(), database=f"sqlite:///{tmp_path}/authz.db", policies=folder)
    service = Service(settings)

    await service._reload()
    async with service:
        pass
    await service._reload()

    assert len(entries(settings.database)) == 1


async def test_a_bad_bundle_leaves_the_old_one(tmp_path, folder, capsys):
    """Decisions go on; health, metric, GetBundle and the service log say what is wrong, and where."""
    async with running(tmp_path, policies=folder) as service:
        before = await shown(service)
        assert await service.door.healthy("dmp.bundle")
        spoiled(folder)

        answer = await activate(service)

        assert not await service.door.healthy("dmp.bundle")
        assert await service.door.healthy()
        assert service.metric("dmp_bundle_candidate_refused") == 1
        assert service.metric("dmp_bundle_mistakes") == len(answer.bundle.refused) >= 2
        assert (await shown(service)) == answer.bundle
        assert kinds(service) == [("start", "start")]
    assert answer.bundle.digest == before.digest
    first = answer.bundle.refused[0]
    assert first.path == FIRST
    assert first.line > 1
    assert any("denied" in mistake.message for mistake in answer.bundle.refused)
    assert any("dosier" in mistake.message for mistake in answer.bundle.refused)
    assert any("did you mean `$.dossier`?" in mistake.hint for mistake in answer.bundle.refused)
    assert "bundle_refused" in capsys.readouterr().out


async def test_a_repaired_bundle_heals(tmp_path, folder):
    """When the files are sound again, nothing reminds of the mistakes."""
    async with running(tmp_path, policies=folder) as service:
        spoiled(folder)
        await activate(service)
        repaired(folder)

        answer = await activate(service)

        assert await service.door.healthy("dmp.bundle")
        assert service.metric("dmp_bundle_candidate_refused") == 0
        assert service.metric("dmp_bundle_mistakes") == 0
    assert not answer.bundle.refused


async def test_a_folder_that_vanishes_and_comes_back(tmp_path, folder, monkeypatch):
    """Without its folder the service goes on under the old bundle, and sees when the folder is back."""
    monkeypatch.setattr(activation, "WATCH_S", 0.02)
    async with running(tmp_path, policies=folder) as service:
        digest = service.service.loop.bundle.digest
        away = folder.rename(tmp_path / "away")

        async def unhealthy() -> bool:
            return not await service.door.healthy("dmp.bundle")

        await until(unhealthy)
        refused = [mistake.path for mistake in (await shown(service)).refused]
        away.rename(folder)

        async def healthy() -> bool:
            return await service.door.healthy("dmp.bundle")

        await until(healthy)
        assert service.service.loop.bundle.digest == digest
    assert {"vocabulary.yaml", "parameters.yaml", "matrix/matrix.csv"} <= set(refused)


async def test_an_activation_that_can_not_be_recorded_is_tried_again(tmp_path, folder, monkeypatch):
    """The old bundle decides until the log can be written; then the new one is activated by itself."""
    monkeypatch.setattr(activation, "WATCH_S", 0.05)
    run = Batcher.run

    def refuse(self, items):
        if any(isinstance(item, activation.Activation) for item in items):
            raise UnavailableError("disk full")
        return run(self, items)

    async with running(tmp_path, policies=folder) as service:
        before = service.service.loop.bundle.digest
        with monkeypatch.context() as patched:
            patched.setattr(Batcher, "run", refuse)
            edited(folder, "priority: 80", "priority: 81")
            with pytest.raises(UnavailableError):
                await service.service.activator.activate("test")
            standing = service.service.activator.standing.bundle.digest

        async def changed() -> bool:
            return service.service.activator.standing.bundle.digest != before

        await until(changed)
    assert standing == before


async def test_who_hangs_up_stops_no_activation(tmp_path, folder):
    """When the officer's call is cancelled, what is served and what is shown stay one and the same."""
    async with running(tmp_path, policies=folder) as service:
        before = service.service.loop.bundle.digest
        edited(folder, "priority: 80", "priority: 81")
        call = service.door.policy.ActivateBundle(pb.ActivateBundleRequest(subject=officer()))

        async def begun() -> bool:
            return bool(service.service.activator._running)

        await until(begun)
        call.cancel()

        async def changed() -> bool:
            return service.service.loop.bundle.digest != before

        await until(changed)
        assert (await shown(service)).digest == service.service.loop.bundle.digest


async def test_the_bundle_of_another_process_is_shown(tmp_path, folder):
    """What a replica activated decides here too, and GetBundle and metrics name it."""
    async with running(tmp_path, policies=folder, origin="authz-1") as service:
        other = bundle_of(copied(tmp_path / "other", "20", "90"))
        second = tmp_path / "other" / "policies"
        async with running(tmp_path, policies=second, origin="authz-2"):
            found = await shown(service)

            assert service.service.metrics.registry.get_sample_value(
                "dmp_bundle_info", {"digest": other.digest}
            )
    assert found.digest == other.digest


async def test_a_service_starts_with_the_folder_as_it_is(tmp_path, folder):
    """A start activates what stands in the folder, whatever was active before."""
    async with running(tmp_path, policies=folder) as service:
        before = service.service.loop.bundle.digest
    edited(folder, "priority: 80", "priority: 81")

    async with running(tmp_path, policies=folder) as service:
        (_, start) = service.entries()
        assert start["change"]["after"] == service.service.loop.bundle.digest != before


def test_the_signature_follows_every_edit(folder):
    """A new, changed, moved or removed file is seen; scenarios, which decide nothing, are not."""
    seen = [signature(folder)]
    path = folder / FIRST
    text = path.read_bytes()

    path.write_bytes(text + b"\n")
    seen.append(signature(folder))
    path.unlink()
    seen.append(signature(folder))
    path.write_bytes(text)
    seen.append(signature(folder))
    twin = folder / "twin"
    twin.write_bytes(text.replace(b"priority: 80", b"priority: 81", 1))
    twin.rename(path)
    seen.append(signature(folder))

    assert len(set(seen)) == len(seen)
    (folder / "scenarios").mkdir()
    (folder / "scenarios" / "x.yaml").write_bytes(b"x")
    assert signature(folder) == seen[-1]


def test_the_signature_of_a_folder_below_scenarios(tmp_path):
    """Only what is called so inside the folder is left out, not what the folder itself lies in."""
    folder = copied(tmp_path / "scenarios")

    assert signature(folder)


# Under load


@asynccontextmanager
async def load(service: Running, callers: int) -> AsyncIterator[list[pb.Decision]]:
    """So many callers ask without pause; any error of theirs is raised at the end."""
    asked = pb.CheckRequest(
        subject=stranger(),
        action="dossier.find",
        resource=pb.Resource(patient=ANASTA),
        context=pb.Context(mode="normal"),
    )
    decisions: list[pb.Decision] = []
    over = asyncio.Event()

    async def ask() -> None:
        while not over.is_set():
            decisions.append(await service.door.check(asked))

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(ask())
        yield decisions
        over.set()


@pytest.mark.parametrize("rounds", [4, pytest.param(40, marks=pytest.mark.slow)])
async def test_no_decision_is_a_mixture(tmp_path, folder, rounds):
    """While two bundles alternate under 200 callers nothing fails, and each answer is wholly of one."""
    at_20 = pb.OpenDossier(birth_date="2006-01-01", samu=True)
    pairs = [
        {"name": "a", "minor": "no", "age": 18, "obligation": "notify_holder"},
        {"name": "b", "minor": "yes", "age": 30, "obligation": "confirm"},
    ]
    for theme in ("10-who-never", "30-consultation"):
        (folder / "rules" / f"{theme}.yaml").unlink()
    forget_themes(folder)
    pair(folder, **pairs[0])
    async with running(tmp_path, policies=folder) as service:
        opened = pb.ChangeRequest(
            subject=doctor(),
            patient=ANASTA,
            context=pb.Context(mode="normal", agreement=True),
            open_dossier=at_20,
        )
        assert (await service.door.change(opened)).effect == pb.EFFECT_ALLOW
        names = {service.service.loop.bundle.digest: "a"}
        async with load(service, 200) as decisions:
            for turn in range(rounds):
                pair(folder, **pairs[1 - turn % 2])
                answer = await activate(service)
                names.setdefault(answer.bundle.digest, pairs[1 - turn % 2]["name"])

        entries = {e["id"]: e for e in service.entries() if e.get("action") == "dossier.find"}
        bundles = [e for e in service.entries() if e["kind"] == "activation"]
    assert len(bundles) == rounds
    assert sorted(names.values()) == ["a", "b"]
    obligations = {one["name"]: one["obligation"] for one in pairs}
    found = {"a": 0, "b": 0}
    for decision in decisions:
        name = names[decision.bundle]
        found[name] += 1
        assert decision.reason_code == f"PAIR_{name.upper()}"
        assert list(decision.rules)[:2] == [f"pair-one-{name}", f"pair-two-{name}"]
        assert obligations[name] in decision.obligations
        assert entries[decision.id]["bundle"] == decision.bundle
    assert min(found.values()) > 20
    assert entries.keys() == {decision.id for decision in decisions}


async def test_the_whole_policies_are_activated_under_load(tmp_path):
    """The default policies are read, checked, compiled and activated while callers are asking."""
    folder = copied(tmp_path)
    async with running(tmp_path, policies=folder) as service:
        async with load(service, 4):
            edited(folder, "priority: 80", "priority: 81")
            before = await activate(service)

        after = await shown(service)
    assert after.digest == before.bundle.digest != before.decision.bundle

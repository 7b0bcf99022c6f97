"""The project's own policies, and copies of them that someone spoilt."""

from collections.abc import Mapping
from functools import cache

from authz.bundle import REQUIRED, VOCABULARY, Bundle, build
from authz.errors import BundleError
from authz.mistake import Mistake
from authz.model import Vocabulary
from authz.parameters import Parameters, read_parameters
from authz.product import DMP
from authz.rules import RuleReader
from authz.source import Mistakes, parse
from authz.vocabulary import read_vocabulary
from authz.workbench import folder
from tests.shared import ROOT

POLICIES = ROOT / "policies"
TRY = "rules/99-try.yaml"
THEME = 'theme: {fr: "Essai", en: "Try"}\nrules:\n'


@cache
def files() -> Mapping[str, bytes]:
    """The contents of the project's policy folder."""
    return folder.read(POLICIES).contents


@cache
def small() -> Mapping[str, bytes]:
    """The contents without rules, and without what checks them: quick to read, and still a bundle."""
    less = {name: files()[name] for name in REQUIRED}
    vocabulary, _, _ = less["vocabulary.yaml"].partition(b"\nthemes:")
    return {**less, "vocabulary.yaml": vocabulary + b"\n"}


@cache
def bundle() -> Bundle:
    """The project's bundle."""
    return build(files(), DMP)


@cache
def words() -> tuple[Vocabulary, Parameters]:
    """The project's vocabulary and parameters, without the rest of the bundle."""
    noted = Mistakes()
    trees = [parse(files()[name], path=name)[0] for name in (VOCABULARY, "parameters.yaml")]
    vocabulary = read_vocabulary(trees[0], noted)
    parameters = read_parameters(trees[1], noted)
    assert vocabulary is not None
    assert noted.found == []
    return vocabulary, parameters


def edited(path: str, old: str, new: str) -> dict[str, bytes]:
    """The contents with the first `old` in one file replaced, which must be there.

    Rules come along only where one of them is edited.
    """
    base = files() if path.startswith("rules/") else small()
    text = base[path].decode()
    assert old in text
    return {**base, path: text.replace(old, new, 1).encode()}


def added(path: str, content: str | bytes) -> dict[str, bytes]:
    """The contents, less the rules, with one file more, or with another content of one."""
    data = content.encode() if isinstance(content, str) else content
    return {**small(), path: data}


def mistakes(contents: Mapping[str, bytes]) -> tuple[Mistake, ...]:
    """What is wrong with a bundle of these contents."""
    try:
        build(contents, DMP)
    except BundleError as exc:
        return exc.mistakes
    return ()


def rule_mistakes(text: str | bytes) -> list[Mistake]:
    """What is wrong with one file of rules, read under the project's vocabulary and parameters."""
    noted = Mistakes()
    root, noted.found = parse(text.encode() if isinstance(text, str) else text, path=TRY)
    if root is not None:
        RuleReader(*words(), noted).read(root)
    return sorted(set(noted.found))


def rule(
    conditions: str, *, uid: str = "try", targets: str = "{action_id: [document.read]}"
) -> str:
    """The text of a rule file with one deny rule; `conditions` is a flow mapping, in line 11."""
    return THEME + (
        f"  - uid: {uid}\n"
        '    description: "Essai."\n'
        "    effect: deny\n"
        "    priority: 1\n"
        f"    targets: {targets}\n"
        "    reason: TRY\n"
        '    told: {fr: "Essai.", en: "Try."}\n'
        '    source: "test"\n'
        f"    rules: {conditions}\n"
    )

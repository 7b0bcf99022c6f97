"""How labels of documents look: in lists by space, in rows, and one alone."""

from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from clients.cli import show
from clients.cli.record import look, words
from clients.cli.record.text import visible
from clients.cli.show import Language, Said
from dossier.v1 import dossier_pb2 as pb


def by_space(documents: Iterable[pb.Label], language: Language) -> Iterator[RenderableType]:
    """A table for each space that has documents, in the order of the spaces."""
    spaces: dict[str, list[pb.Label]] = {}
    for one in documents:
        spaces.setdefault(one.space, []).append(one)
    for space in sorted(spaces):
        title = f"{space}  {words.word(words.SPACES, space).text(language)} ({len(spaces[space])})"
        yield Text(title, style="bold underline")
        yield rows(spaces[space], language)
        yield Text()


def rows(documents: Iterable[pb.Label], language: Language, *, ids: bool = True) -> Table:
    """Documents, two lines each: what they are, and by which id they are read; or one, without ids."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold", min_width=36)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for one in documents:
        what = Text(visible(one.title) or one.type, style="bold cyan" if one.by_patient else "bold")
        who = Text(visible(look.author(one)))
        if ids:
            what.append(f"\n{one.document}", style="dim not bold")
            who.append(f"\n{one.type}", style="dim")
        table.add_row(look.day(one.act_from), what, who, look.marks(one, language))
    return table


def label(of: pb.Label, language: Language) -> Table:
    """The label of a document, one thing a line."""
    space = words.word(words.SPACES, of.space).text(language)
    told = (
        (Said("titre", "title"), visible(of.title)),
        (Said("type", "type"), of.type),
        (Said("espace", "space"), f"{of.space} {space}"),
        (Said("auteur", "author"), ", ".join(visible(one.name or one.id) for one in of.authors)),
        (Said("structure", "structure"), visible(of.structure_name or of.structure)),
        (Said("acte du", "act of"), look.minute(of.act_from)),
        (Said("déposé le", "deposited"), look.minute(of.deposited_at)),
        (Said("état", "status"), words.word(words.STATUSES, of.status).text(language)),
        (Said("visibilité", "visibility"), look.marks(of, language).plain),
        (Said("remplace", "replaces"), of.replaces),
        (Said("remplacé par", "replaced by"), of.replaced_by),
        (Said("taille", "size"), f"{of.size} B {of.media_type}".strip()),
    )
    return show.listed((name.text(language), value) for name, value in told if value)

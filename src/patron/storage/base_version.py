"""Of two who change the same version of something, the second is refused: what the first one saved is not undone."""

from patron.schema.errors import EditConflict
from patron.schema.sentences import Sentence

SAVED_SINCE = Sentence("saved_since", "{author} saved version {newest} of {name!r} since you began with version {base}")
DELETED_SINCE = Sentence("deleted_since", "{name!r} was deleted since you began")
CHANGE_NEWEST = Sentence(
    "change_newest", "Open the newest version, make your change there, and save that. Nothing of yours was saved."
)


def require_base(name: str, base: int | None, newest: int, author: str, where: str) -> None:
    """Raise EditConflict where another version than the newest one was changed; None: whichever it was."""
    if base is not None and base != newest:
        what = SAVED_SINCE(author=author, newest=newest, name=name, base=base) if newest else DELETED_SINCE(name=name)
        raise EditConflict(what, where=where, todo=CHANGE_NEWEST)

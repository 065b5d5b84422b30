"""Of two who change the same version of something, the second is refused: what the first one saved is not undone."""

from patron.schema.errors import EditConflict
from patron.schema.sentences import Sentence

SAVED_SINCE = Sentence("saved_since", "{author} saved version {newest} of {name!r} since you began with version {base}")
CREATED_MEANWHILE = Sentence("created_meanwhile", "{author} created {name!r} meanwhile")
OPEN_OR_RENAME = Sentence(
    "open_or_rename", "Choose another name, or open that one and make your change there. Nothing of yours was saved."
)
DELETED_SINCE = Sentence("deleted_since", "{name!r} was deleted since you began")
SAVE_AS_NEW = Sentence("save_as_new", "Save it as a new one. Nothing of yours was saved.")
CHANGE_NEWEST = Sentence(
    "change_newest", "Open the newest version, make your change there, and save that. Nothing of yours was saved."
)


def require_base(name: str, base: int | None, newest: int, author: str, where: str) -> None:
    """Raise EditConflict where another version than the newest one was changed; None: whichever it was."""
    if base is None or base == newest:
        return
    if not newest:
        raise EditConflict(DELETED_SINCE(name=name), where=where, todo=SAVE_AS_NEW)
    if not base:
        raise EditConflict(CREATED_MEANWHILE(author=author, name=name), where=where, todo=OPEN_OR_RENAME)
    what = SAVED_SINCE(author=author, newest=newest, name=name, base=base)
    raise EditConflict(what, where=where, todo=CHANGE_NEWEST)

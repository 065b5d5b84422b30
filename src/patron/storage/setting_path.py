"""A path that a setting names: within the workspace, or absolute."""

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator

from patron.schema.sentences import Sentence

LEADS_OUT = Sentence("leads_out", "leads out of the workspace; write the whole path instead")


def require_path(value: str) -> str:
    """The path itself, if it stays within the workspace or is absolute. Raises ValueError."""
    if ".." in PurePosixPath(value).parts:
        raise ValueError(LEADS_OUT)
    return value


SettingPath = Annotated[str, AfterValidator(require_path)]

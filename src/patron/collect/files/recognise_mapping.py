"""Which columns each built-in mapping needs, and which of the mappings fits some files."""

from collections.abc import Sequence
from fnmatch import fnmatch

from patron.collect.files.file_reader import NAME_FILES, NO_FILES_NAMED, InputFile, find_files, inspect_file, is_json
from patron.collect.files.import_job import require_delimiter, require_raw_events, shortened
from patron.collect.files.mapping import BUILT_IN, Mapping, load_mapping
from patron.collect.mapping_columns import columns_by_file
from patron.schema.errors import BadFile
from patron.schema.sentences import Sentence

AUTO = "auto"
MESSAGE_IDS = ("messageId", "userId", "anonymousId")
SEE = Sentence(
    "see_mappings",
    "`patron mappings` lists the built-in ones; docs/how-to/import-your-data.md shows how to write your own.",
)
NO_MAPPING = Sentence("no_mapping", "no built-in mapping fits its columns ({names})")
NO_MAPPING_CLOSE = Sentence(
    "no_mapping_close",
    "no built-in mapping fits its columns ({names}); the closest is {closest}, which also needs {needed}",
)


def recognise_mapping(paths: Sequence[str], *, delimiter: str | None, encoding: str | None) -> str:
    """Name of the built-in mapping whose columns all these files have; of several, the one that needs most.

    Raises BadFile when the files are unreadable, or when none fits: it names the closest and what that one lacks.
    """
    if not paths:
        raise BadFile(NO_FILES_NAMED, where="--mapping auto", todo=NAME_FILES)
    sources = [
        inspect_file(file, delimiter=delimiter, encoding=encoding or "utf-8") for file in find_files(list(paths))
    ]
    needed = {name: [_needed_of(load_mapping(name), source) for source in sources] for name in BUILT_IN}
    missing = {
        name: set().union(*(set(columns) - set(source.columns) for columns, source in zip(of, sources, strict=True)))
        for name, of in needed.items()
        if all(of)
    }
    sizes = {name: sum(len(columns) for columns in needed[name]) for name in missing}
    fitting = [name for name in missing if not missing[name] and _has_form(load_mapping(name), sources)]
    if fitting:
        return max(fitting, key=lambda name: sizes[name])
    for source in sources:
        require_delimiter(source)
    closest = min(missing, key=lambda name: len(missing[name]) / sizes[name])
    is_close = 0 < len(missing[closest]) <= sizes[closest] / 2
    listed = shortened(", ".join(sources[0].columns), 200)
    what = NO_MAPPING(names=listed)
    if is_close:
        what = NO_MAPPING_CLOSE(names=listed, closest=closest, needed=", ".join(sorted(missing[closest])))
    raise BadFile(what, where=str(sources[0].path), todo=SEE)


def _needed_of(mapping: Mapping, source: InputFile) -> frozenset[str]:
    """Columns that a mapping needs of this file; none when it takes no file of this name."""
    name = source.path.name.lower()
    return frozenset().union(*(needed for files, needed in columns_by_file(mapping).items() if fnmatch(name, files)))


def _has_form(mapping: Mapping, sources: list[InputFile]) -> bool:
    """Whether the files are of the mapping's format, as far as their columns do not say."""
    if mapping.format == "segment":
        return all(is_json(source.path) and set(MESSAGE_IDS) & set(source.columns) for source in sources)
    if mapping.format == "raw_events":
        try:
            for source in sources:
                require_raw_events(source)
        except BadFile:
            return False
    return True

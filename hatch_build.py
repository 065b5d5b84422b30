"""Build hook: the wheel carries compiled catalogues, so that no process of an installed Patron reads `.po` files."""

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("src/patron/interfaces/i18n")


class CompiledCatalogues(BuildHookInterface):
    """Compiles the catalogues into the wheel; an editable install compiles what it uses itself."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the compiled files to a wheel."""
        if version == "editable":
            return
        folder = Path(self.root) / FOLDER
        spec = importlib.util.spec_from_file_location("catalogue", folder / "catalogue.py")
        catalogue = importlib.util.module_from_spec(spec)  # why: the package itself needs more than the build has
        spec.loader.exec_module(catalogue)
        self.made = tempfile.TemporaryDirectory()
        for source in sorted(folder.glob("*.po")):
            name = catalogue.compiled_name(source.stem, source.read_bytes())
            file = Path(self.made.name) / name
            file.write_text(catalogue.compile_catalogue(source), encoding="utf-8")
            build_data["force_include"][str(file)] = f"patron/interfaces/i18n/{name}"

    def finalize(self, *_: object) -> None:
        """Delete the files that were made."""
        if hasattr(self, "made"):
            self.made.cleanup()

"""Write the clients of the API, as `make clients` does."""

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from patron import __version__
from patron.interfaces.http.application import create_app
from patron.storage.shop import Shop

HERE = Path(__file__).parent
GENERATOR_CONFIG = "post_hooks: []\n"


def document() -> dict[str, Any]:
    """The OpenAPI document of this version."""
    os.environ.setdefault("PATRON_MASTER_KEY", "00" * 32)
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop.create(Path(folder) / "shop")
        try:
            return create_app(shop).openapi()
        finally:
            shop.close()


def idempotent_operations(content: dict[str, Any]) -> list[tuple[str, str]]:
    """Method and pattern of the path of every operation that takes an idempotency key."""
    return [
        (method.upper(), re.sub(r"\{\w+\}", "[^/]+", path))
        for path, operations in content["paths"].items()
        for method, operation in operations.items()
        if any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", ()))
    ]


def build_python(content: dict[str, Any], folder: Path, generator: Path) -> None:
    """Write the Python package into a folder."""
    shutil.copytree(HERE / "python", folder, dirs_exist_ok=True)
    package = folder / "patron_client"
    facts = f'"""Of the document that this client was made from."""\n\n__version__ = "{__version__}"\n'
    listed = "".join(f"    {operation!r},\n" for operation in idempotent_operations(content))
    (package / "_document.py").write_text(f"{facts}IDEMPOTENT = (\n{listed})\n", "utf-8")
    (folder / "openapi.json").write_text(json.dumps(content), "utf-8")
    (folder / "generator.yaml").write_text(GENERATOR_CONFIG, "utf-8")
    command = [str(generator), "generate", "--path", "openapi.json", "--config", "generator.yaml", "--meta", "none"]
    command += ["--output-path", "patron_client/rest", "--overwrite", "--fail-on-warning"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603 - the generator that was named


def build_typescript(content: dict[str, Any], folder: Path, node_modules: Path) -> None:
    """Write the npm package into a folder, compiled."""
    shutil.copytree(HERE / "typescript", folder, dirs_exist_ok=True)
    package = json.loads((folder / "package.json").read_text("utf-8")) | {
        "version": __version__.replace(".dev", "-dev.")
    }
    (folder / "package.json").write_text(json.dumps(package, indent=2) + "\n", "utf-8")
    listed = json.dumps(idempotent_operations(content), indent=2)
    (folder / "src" / "document.ts").write_text(f"export const IDEMPOTENT: [string, string][] = {listed};\n", "utf-8")
    (folder / "openapi.json").write_text(json.dumps(content), "utf-8")
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(node_modules.resolve())
    tools = node_modules / ".bin"
    for command in ([tools / "openapi-typescript", "openapi.json", "-o", "src/schema.ts"], [tools / "tsc", "-p", "."]):
        subprocess.run([str(one) for one in command], cwd=folder, check=True, capture_output=True)  # noqa: S603 - as above


def main() -> None:
    """Write both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--generator", type=Path, required=True, help="openapi-python-client")
    parser.add_argument("--node-modules", type=Path, required=True, help="with openapi-typescript and typescript")
    options = parser.parse_args()
    content = document()
    build_python(content, options.folder / "python", options.generator.resolve())
    build_typescript(content, options.folder / "typescript", options.node_modules.resolve())


if __name__ == "__main__":
    main()

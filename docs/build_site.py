"""Build the documentation as a site with search: `make site`. Its pages lie as in the repository, so links hold."""

import re
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path

from latex2mathml.converter import convert

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "build" / "site-source"
"""The `docs_dir` of zensical.toml."""
AT_THE_TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "LICENSE")
FOLDERS = ("docs", "examples")
CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
MATH = re.compile(r"\$\$(?P<block>.+?)\$\$|(?<![\w\\$])\$(?P<inline>[^$\n]+(?:\n[^$\n]+)?)\$(?!\w)", re.DOTALL)


def mathml(match: re.Match[str]) -> str:
    """A formula as MathML, which browsers draw without a script."""
    block = match["block"]
    latex = " ".join((block or match["inline"]).split())
    drawn = convert(latex, display="block" if block else "inline")
    return f"\n\n<div>{drawn}</div>\n\n" if block else f"<span>{drawn}</span>"


def with_formulas(text: str) -> str:
    """A page whose formulas are MathML; code stays as it is."""
    parts = CODE.split(text)
    return "".join(part if place % 2 else MATH.sub(mathml, part) for place, part in enumerate(parts))


def title(page: Path) -> str:
    """First heading of a page."""
    return page.read_text(encoding="utf-8").split("\n", maxsplit=1)[0].removeprefix("# ")


def list_decisions(folder: Path) -> None:
    """Write the page that a link to the folder of decisions leads to."""
    lines = [f"- [{escape(title(page))}]({page.name})" for page in sorted(folder.glob("0*.md"))]
    text = "\n".join(["# Decisions", "", "One page for each choice that closed a question.", "", *lines, ""])
    (folder / "README.md").write_text(text, encoding="utf-8")


def stage() -> None:
    """Lay out a copy of all pages where zensical reads them."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    SOURCE.mkdir(parents=True)
    for name in AT_THE_TOP:
        shutil.copy(ROOT / name, SOURCE / name)
    for name in FOLDERS:
        shutil.copytree(
            ROOT / name, SOURCE / name, ignore=shutil.ignore_patterns("build_site.py", "generate.py", "draw.py")
        )
    list_decisions(SOURCE / "docs" / "decisions")
    for page in SOURCE.rglob("*.md"):
        page.write_text(with_formulas(page.read_text(encoding="utf-8")), encoding="utf-8")


def main() -> None:
    """Stage the pages and build; a link or an anchor that leads nowhere stops the build."""
    stage()
    zensical = Path(sys.executable).with_name("zensical")
    done = subprocess.run([zensical, "build", "--clean", "--strict"], check=False, cwd=ROOT)  # noqa: S603 - our tool
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()

"""Every page: links lead somewhere, commands exist, and the site's contents list each page."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

from patron.interfaces.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *ROOT.glob(".github/*.md"), *ROOT.glob("docs/**/*.md")]
)
BLOCKS = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = typer.main.get_command(app)


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def commands_of(page: str) -> list[list[str]]:
    """Words of each line of a page's shell blocks that calls `patron`, without comments."""
    lines = "".join(SHELL.findall(text_of(page))).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines if "patron " in line]
    return [word[1:] for word in words if word and word[0].rsplit("/", maxsplit=1)[-1] == "patron"]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_that_exist(page):
    links = re.findall(r"\]\(([^)\s#]+)", BLOCKS.sub("", text_of(page)))
    folder = (ROOT / page).parent
    assert [link for link in links if "://" not in link and not (folder / link).exists()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if commands_of(page)])
def test_commands_on_pages_exist_with_their_options(page):
    for words in commands_of(page):
        command, path = COMMAND, []
        while hasattr(command, "commands") and len(words) > len(path) and not words[len(path)].startswith("-"):
            name = words[len(path)]
            command = command.commands.get(name)
            path.append(name)
            assert command is not None, f"{page}: there is no command {' '.join(path)}"
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {
            "--help"
        }
        used = {word.split("=")[0] for word in words[len(path) :] if word.startswith("-")}
        assert used <= options, f"{page}: patron {' '.join(path)} has no {sorted(used - options)}"


def pages_in(nav: list) -> list[str]:
    """Paths in the site's contents, sections opened."""
    found = []
    for entry in nav:
        for target in entry.values():
            found += pages_in(target) if isinstance(target, list) else [target]
    return found


def test_the_contents_of_the_site_list_every_page():
    nav = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    listed = set(pages_in(nav)) - {"docs/decisions/README.md"}  # written by docs/build_site.py
    expected = {page for page in PAGES if not page.startswith((".github/", "docs/decisions/"))}
    assert listed == expected


def test_pages_that_messages_name_exist():
    named = set()
    for path in (ROOT / "src" / "patron").rglob("*"):
        if path.suffix in {".py", ".toml", ".po", ".html"}:
            named |= set(re.findall(r"\bdocs/[\w/.-]+\.md\b", path.read_text(encoding="utf-8")))
    assert sorted(page for page in named if not (ROOT / page).exists()) == []

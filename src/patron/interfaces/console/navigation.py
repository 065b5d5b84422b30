"""The pages that the navigation lists: their group, address, icon, key and the right that opens them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

RUN, PARTLY, NOTHING = "run", "partly", "nothing"


@dataclass(frozen=True)
class NavigationItem:
    """One page; its text is `nav.` and its code."""

    code: str
    path: str
    icon: str
    """Name of a picture in `static/icons.svg`."""
    key: str
    """What opens the page when it is typed after `g`."""
    area: str
    action: str = "read"
    of_run: str = RUN
    """What of it a reader who looks back sees as of a past run: run, partly or nothing."""
    is_of_whole_shop: bool = False
    """Whether it is closed to who sees some customers only."""


@dataclass(frozen=True)
class NavigationGroup:
    """Pages under one heading, which is `nav_group.` and the code; without a code there is none."""

    code: str
    items: tuple[NavigationItem, ...]


NAVIGATION = (
    NavigationGroup(
        "",
        (
            NavigationItem("today", "/", "today", "t", "overview", of_run=PARTLY),
            NavigationItem("overview", "/overview", "overview", "o", "overview"),
            NavigationItem("brief", "/brief", "brief", "b", "overview", is_of_whole_shop=True),
        ),
    ),
    NavigationGroup(
        "customers",
        (
            NavigationItem("customers", "/customers", "customers", "c", "customers", of_run=PARTLY),
            NavigationItem("watch_list", "/watch-list", "watch", "w", "customers", of_run=PARTLY),
            NavigationItem("tasks", "/tasks", "task", "k", "customers", of_run=NOTHING),
            NavigationItem("segments", "/segments", "segments", "s", "segments", of_run=PARTLY),
        ),
    ),
    NavigationGroup(
        "engage",
        (
            NavigationItem("campaigns", "/campaigns", "campaigns", "m", "campaigns", of_run=NOTHING),
            NavigationItem("journeys", "/journeys", "journeys", "j", "campaigns", of_run=NOTHING),
            NavigationItem("offers", "/offers", "offers", "f", "offers", of_run=PARTLY),
            NavigationItem(
                "recommendations", "/recommendations", "recommendations", "r", "recommendations", of_run=NOTHING
            ),
            NavigationItem("decisions", "/decisions", "decisions", "d", "offers"),
        ),
    ),
    NavigationGroup(
        "evidence",
        (
            NavigationItem("experiments", "/experiments", "experiments", "x", "experiments", of_run=PARTLY),
            NavigationItem("retention", "/retention", "retention", "n", "overview", of_run=PARTLY),
            NavigationItem("models", "/models", "models", "l", "models", of_run=PARTLY),
        ),
    ),
    NavigationGroup(
        "data",
        (
            NavigationItem("explore", "/explore", "explore", "e", "questions", of_run=PARTLY),
            NavigationItem("data_quality", "/data-quality", "quality", "q", "data", of_run=PARTLY),
            NavigationItem("ingestion", "/ingestion", "ingestion", "i", "data", of_run=NOTHING),
            NavigationItem("runs", "/runs", "runs", "u", "runs", of_run=PARTLY),
        ),
    ),
    NavigationGroup(
        "govern",
        (
            NavigationItem("privacy_desk", "/privacy", "privacy", "p", "privacy", of_run=NOTHING),
            NavigationItem("audit_log", "/audit", "audit", "a", "audit", of_run=NOTHING),
            NavigationItem("settings", "/settings", "settings", "y", "settings", of_run=NOTHING),
        ),
    ),
)


def listed_pages(paths: Collection[str]) -> dict[str, str]:
    """Addresses of the navigation's pages that are among these paths, by their code, in its order."""
    return {item.code: item.path for group in NAVIGATION for item in group.items if item.path in paths}


def open_groups(paths: Collection[str], is_allowed: Callable[[NavigationItem], bool]) -> tuple[NavigationGroup, ...]:
    """Groups with the items that exist and may be opened; a group without any is left out."""
    groups = (
        replace(group, items=tuple(item for item in group.items if item.path in paths and is_allowed(item)))
        for group in NAVIGATION
    )
    return tuple(group for group in groups if group.items)


def of_run(code: str) -> str:
    """What of a page is as of a past run for who looks back: run, partly or nothing; run for a page of no item."""
    return next((item.of_run for group in NAVIGATION for item in group.items if item.code == code), RUN)

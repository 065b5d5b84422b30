"""The pages that the navigation lists: their group, address, icon, key and the right that opens them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

RUN = "run"
PARTLY = "partly"
NOTHING = "nothing"


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
            NavigationItem("today", "/", icon="today", key="t", area="overview", of_run=PARTLY),
            NavigationItem("overview", "/overview", icon="overview", key="o", area="overview"),
            NavigationItem("brief", "/brief", icon="brief", key="b", area="overview", is_of_whole_shop=True),
        ),
    ),
    NavigationGroup(
        "customers",
        (
            NavigationItem("customers", "/customers", icon="customers", key="c", area="customers", of_run=PARTLY),
            NavigationItem("watch_list", "/watch-list", icon="watch", key="w", area="customers", of_run=PARTLY),
            NavigationItem("tasks", "/tasks", icon="task", key="k", area="customers", of_run=NOTHING),
            NavigationItem("segments", "/segments", icon="segments", key="s", area="segments", of_run=PARTLY),
        ),
    ),
    NavigationGroup(
        "engage",
        (
            NavigationItem("campaigns", "/campaigns", icon="campaigns", key="m", area="campaigns", of_run=NOTHING),
            NavigationItem("journeys", "/journeys", icon="journeys", key="j", area="campaigns", of_run=NOTHING),
            NavigationItem("offers", "/offers", icon="offers", key="f", area="offers", of_run=PARTLY),
            NavigationItem(
                "recommendations",
                "/recommendations",
                icon="recommendations",
                key="r",
                area="recommendations",
                of_run=NOTHING,
            ),
            NavigationItem("decisions", "/decisions", icon="decisions", key="d", area="offers"),
        ),
    ),
    NavigationGroup(
        "evidence",
        (
            NavigationItem(
                "experiments", "/experiments", icon="experiments", key="x", area="experiments", of_run=PARTLY
            ),
            NavigationItem("retention", "/retention", icon="retention", key="n", area="overview", of_run=PARTLY),
            NavigationItem("models", "/models", icon="models", key="l", area="models", of_run=PARTLY),
        ),
    ),
    NavigationGroup(
        "data",
        (
            NavigationItem("explore", "/explore", icon="explore", key="e", area="questions", of_run=PARTLY),
            NavigationItem("data_quality", "/data-quality", icon="quality", key="q", area="data", of_run=PARTLY),
            NavigationItem("ingestion", "/ingestion", icon="ingestion", key="i", area="data", of_run=NOTHING),
            NavigationItem("runs", "/runs", icon="runs", key="u", area="runs", of_run=PARTLY),
        ),
    ),
    NavigationGroup(
        "govern",
        (
            NavigationItem("privacy_desk", "/privacy", icon="privacy", key="p", area="privacy", of_run=NOTHING),
            NavigationItem("audit_log", "/audit", icon="audit", key="a", area="audit", of_run=NOTHING),
            NavigationItem("settings", "/settings", icon="settings", key="y", area="settings", of_run=NOTHING),
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

"""A question is asked, drawn, saved, pinned, and its answer on the dashboard leads to the people behind it."""

from tests.support.shops.team_shop import colleague

from patron.schema.access.access_rights import Grant, Role

ANN = colleague("Ann", Role.ANALYST, grants=[Grant.EXPORT])


def test_a_question_is_asked_drawn_saved_pinned_and_on_the_dashboard(walk, serve):
    walk.say("Ann")
    name = walk.say(f"Stages {walk.tag}")
    walk.open(serve(ANN))
    walk.navigate("explore")
    walk.follow("explore.ask")
    walk.choose_value("explore.table", "segments")
    walk.press("explore.choose_table")
    walk.choose_value("explore.measure_n", "distinct:customer_id", n=1)
    walk.choose_value("explore.group_n", "lifecycle_stage", n=1)
    walk.press("explore.run")
    walk.page.locator("svg.chart").first.wait_for(state="attached")
    assert "from segments" in walk.page.locator("pre.sql").inner_text()
    walk.fill("explore.name", name)
    walk.fill("explore.folder", "Mine")
    walk.press("explore.save")
    assert walk.heading == name
    walk.press_here("explore.interactive")
    walk.page.wait_for_selector("[data-live]")
    if not walk.is_phone:
        # why by force: over each bar lies a band that nobody sees, of the height of its row, and has its value
        walk.page.locator(".chart-live .mark-rect path").first.hover(force=True)
        assert ":" in walk.page.locator(".chart-tip output").inner_text()
    walk.press("explore.pin")
    assert walk.heading == walk.t("nav.explore")
    walk.touch_link(name)
    walk.touch_link(walk.t("stage.active"))
    assert walk.page.url.endswith("/customers?lifecycle_stage=active")

"""A workspace that a release made opens in today's Patron, answers as it did, and goes on."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import released_workspaces
from pyarrow import csv

from patron.answers.models.model_versions import model_versions
from patron.answers.outreach.campaign_list import show_campaign
from patron.answers.segments.saved_segments import list_segments
from patron.commands.data.doctor import doctor
from patron.commands.models.export_scores import export_scores, write_scores
from patron.govern.access.api_keys import list_keys
from patron.govern.access.request_context import RequestContext
from patron.govern.access.users import list_users
from patron.run import run_loop
from patron.storage.shop import Shop

RELEASES = sorted(path.name.removesuffix(".tar.xz") for path in released_workspaces.RELEASES.iterdir())
CUTOFF = datetime(2024, 6, 30, 23, tzinfo=UTC)
"""Of the run that each release made: 1 July by the shop's clock."""
QUESTIONS = ("value", "churn", "purchase", "purchase_7_days", "recommend")
NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture(params=RELEASES)
def released(request, tmp_path, monkeypatch):
    """Folder of a release's workspace; its master key is the one in use."""
    monkeypatch.setenv("PATRON_MASTER_KEY_FILE", str(tmp_path / released_workspaces.KEY_FILE))
    return released_workspaces.unpack(request.param, tmp_path)


def test_the_workspace_of_a_release_opens_answers_as_it_did_and_runs_again(released, tmp_path):
    with closing(Shop.open(released)) as shop:
        then = csv.read_csv(tmp_path / released_workspaces.SCORES)
        written = csv.read_csv(
            write_scores(export_scores(RequestContext.from_name(shop, now=NOW)), tmp_path / "now.csv")
        )
        assert written.select(then.column_names).equals(then)
        models = {model.model_version for model in model_versions(shop)}
        assert models == {f"{question}/2024-07-01" for question in QUESTIONS}
        [segment] = list_segments(shop)
        campaign = show_campaign(shop, "hello")
        assert (segment.name, segment.version) == (campaign.line.segment, 1) == ("every customer", 1)
        assert (campaign.line.state, campaign.versions[0].saved_by) == ("draft", "Ann Lee")
        with shop.store.begin() as connection:
            assert [user.email for user in list_users(connection)] == ["ben@example.com"]
        assert [(key.source, key.kind) for key in list_keys(shop)] == [("web", "write")]

        again = run_loop(shop, CUTOFF + timedelta(days=1), now=NOW)
        assert again.run_id == "2024-07-02"
        in_use = {model.model_version for model in model_versions(shop) if model.is_in_use}
        assert "purchase/2024-07-01" in in_use  # the release's model scores today's customers
        assert in_use >= {"value/2024-07-02", "churn/2024-07-02"}  # no learner reads value's as it was: decision 0053
        assert export_scores(RequestContext.from_name(shop, now=NOW)).rows.num_rows == then.num_rows
        assert export_scores(RequestContext.from_name(shop, now=NOW), CUTOFF).rows.num_rows == then.num_rows
    assert [finding for finding in doctor(released) if finding.level == "problem"] == []

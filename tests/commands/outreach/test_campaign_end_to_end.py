"""A campaign on the simulated shop, from its plan to its result, through a real SMTP server and a real HTTP one."""

import re
from datetime import datetime, timedelta
from email import message_from_bytes, policy

import dkim
import httpx
import pytest
import sqlalchemy as sa
from tests.support.mail_server import mail_server
from tests.support.shops.campaign_shop import with_mail_server
from tests.support.shops.simulated_campaign_shop import run_facts, simulated_shop

from patron.commands.data.simulated_loop import ingest_events
from patron.commands.outreach.campaigns.campaign_steps import approve
from patron.commands.outreach.campaigns.measure_campaign import measure_campaign
from patron.commands.outreach.campaigns.plan_campaign import CampaignPlan, plan_campaign
from patron.commands.outreach.campaigns.save_campaign import save_campaign
from patron.commands.outreach.campaigns.simulated_campaign import sent_offers
from patron.commands.outreach.channels.channel_keys import make_dkim_key
from patron.commands.outreach.messages.read_bounces import read_bounces
from patron.commands.outreach.messages.receive_receipts import receive_receipts
from patron.commands.outreach.messages.send_campaign import send_campaign
from patron.decide.holdout import HOLDOUT, arm_of
from patron.engage.providers.receipts import Receipt
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.screenshots import served
from patron.schema.errors import BadCampaign
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.campaign_tables import ASSIGNMENTS, MESSAGES
from patron.storage.shop import Shop

BODY = "Hello {{ customer.first_name | default: 'you' }}: {{ shop.name }}. {{ unsubscribe_url }}"
SHARE = 0.3
DSN = """\
To: bounces+{id}@bounces.shop.example
Date: {date:%a, %d %b %Y %H:%M:%S} +0000
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; somebody@customers.example
Action: failed
Status: 5.1.1

--b--
"""


@pytest.fixture
def simulated(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PATRON_MASTER_KEY", raising=False)
    return simulated_shop(tmp_path / "w")


def campaign(name: str, start: datetime, offers: tuple[str, ...]) -> Campaign:
    content = {"name": name, "segment": "everybody", "topic": "offers", "offers": offers, "budget": 5_000.0}
    content |= {"holdout_share": SHARE, "start": start, "end": start + timedelta(days=20)}
    template = {"en": {"subject": "Ten percent", "body": BODY, "format": "text"}}
    return Campaign.of(content | {"template": template}, where="test")


def plan_and_send(shop: Shop, name: str, at: datetime, *, offers: tuple[str, ...]) -> CampaignPlan:
    """Let one person plan a campaign and another one approve it; send what is due, again some hours after more is."""
    save_campaign(RequestContext.from_name(shop, "Ann", now=at), campaign(name, at.replace(tzinfo=None), offers))
    plan = plan_campaign(RequestContext.from_name(shop, "Ann", now=at), name)
    with pytest.raises(BadCampaign, match="Ann wrote"):
        approve(RequestContext.from_name(shop, "ann", now=at), CAMPAIGN, name)
    approve(RequestContext.from_name(shop, "Bo", now=at), CAMPAIGN, name)
    due: datetime | None = at
    while due is not None:
        at = max(due + timedelta(hours=6), at) if due > at else at
        due = send_campaign(RequestContext.from_name(shop, now=at), name).next_due_at
    return plan


def rows(shop: Shop, table: sa.Table, name: str) -> dict[str, dict]:
    with shop.store.begin() as connection:
        chosen = sa.select(table).where(table.c.campaign == name)
        return {row["customer_id"]: dict(row) for row in connection.execute(chosen).mappings()}


def test_a_campaign_is_planned_approved_sent_delivered_bounced_left_and_measured(simulated, tmp_path):
    shop, world = simulated
    key = make_dkim_key(shop, selector="patron", file="dkim.pem")
    policy_of_shop, start = shop.policy, world.now
    with mail_server() as server, served(shop) as url:
        settings = {"dkim_selector": "patron", "dkim_key_file": "dkim.pem", "bounce_domain": "bounces.shop.example"}
        shop = with_mail_server(shop, server.port, public_url=url, **settings)
        shop.policy = policy_of_shop
        plan = plan_and_send(shop, "spring", start, offers=("SAVE10",))

        messages, assigned = rows(shop, MESSAGES, "spring"), rows(shop, ASSIGNMENTS, "spring")
        sent = {one: row for one, row in messages.items() if row["state"] == "sent"}
        assert len(server.messages) == len(sent) == plan.message_count > 50
        assert len(set(server.recipients())) == len(sent)
        assert not any(assigned[one]["is_holdout"] for one in sent)
        assert sum(one["is_holdout"] for one in assigned.values()) == plan.holdout_count > 15
        for content in server.messages:
            assert dkim.verify(content, dnsfunc=lambda *_, **__: key.record.encode())

        received = {one["Message-ID"][1:33]: one for one in map(parsed, server.messages)}
        written_to = [row["message_id"] for one, row in sent.items() if arm_of("summer", one, SHARE) != HOLDOUT]
        bounced, left = written_to[:2]
        arrived = received.keys() - {bounced, left}
        receive_receipts(shop, [Receipt(one, "delivered", start) for one in arrived], now=start)
        (tmp_path / "bounce.eml").write_text(DSN.format(id=bounced, date=start), encoding="utf-8")
        assert read_bounces(shop, tmp_path / "bounce.eml", now=start).receipts.suppressed == 1
        link = re.match(r"<([^>]+)>", received[left]["List-Unsubscribe"])[1]
        answer = httpx.post(link, data=dict([received[left]["List-Unsubscribe-Post"].split("=")]))
        assert (answer.status_code, answer.history) == (200, [])

        until = start + timedelta(days=21)
        ingest_events(shop, world.advance(until, sent_offers(shop, "spring")), received_at=until)
        run_facts(shop, until)
        result = measure_campaign(RequestContext.from_name(shop, "Ann", now=until), "spring")
        assert result.is_final
        assert result.message_counts == {"sent": len(sent), "skipped": plan.holdout_count}
        assert result.receipt_counts == {"bounced": 1, "delivered": len(arrived), "unsubscribed": 1}
        assert {name: one.customers for name, one in result.arms.items()} == {
            "treated": len(sent),
            "holdout": plan.holdout_count,
        }
        assert all(effect.low_cents < effect.effect_cents < effect.high_cents for effect in result.effects)
        assert result.learned
        steps = [step.step for step in CAMPAIGN.saved_in(shop.store, "spring").steps]
        assert steps == ["saved", "planned", "approved", "started", "ended", "measured"]

        again = plan_and_send(shop, "summer", until, offers=())
        assert again.left_out["suppressed"] == 2
        customer_of = {row["message_id"]: one for one, row in messages.items()}
        assert rows(shop, ASSIGNMENTS, "summer").keys().isdisjoint({customer_of[bounced], customer_of[left]})
        assert {row["state"] for row in rows(shop, MESSAGES, "summer").values()} == {"sent", "skipped"}
    shop.close()


def parsed(content: bytes):
    return message_from_bytes(content, policy=policy.default)

"""What a customer may know of the last run is about them, and is what its tables say."""

import pytest

from patron.answers.privacy.customer_explanation import customer_explanation
from patron.schema.errors import BadRequest, NotFound


def segment(run, customer_id, stage="active"):
    same = {"run_id": run.run_id, "as_of": run.as_of, "recency_score": 1, "frequency_score": 1, "monetary_score": 1}
    return same | {"customer_id": customer_id, "lifecycle_stage": stage, "stage_basis": "forecast", "persona_id": 0}


def identity(run, token, customer_id, **more):
    return {"token": token, "customer_id": customer_id, "is_user": True, "known_at": run.as_of, **more}


def churn(run, customer_id, value):
    same = {"run_id": run.run_id, "as_of": run.as_of, "question": "churn", "model_version": f"churn/{run.run_id}"}
    return same | {"customer_id": customer_id, "value": value}


def decision(run, customer_id, action="ten", **more):
    return {
        "run_id": run.run_id,
        "decision_id": f"d-{customer_id}",
        "customer_id": customer_id,
        "as_of": run.as_of,
        "action": action,
        "expected_net_value_cents": 10.0,
        "effect_cents": 20.0,
        "cost_cents": 10.0,
        "propensity": 1.0,
        "reason": "best_net_value",
        "stratum": "all",
        "effect_source": "assumed",
        "policy_version": "1",
        "is_holdout": False,
        "consent_basis": "unknown_allowed",
        **more,
    }


def exposure(run, customer_id, *, is_delivered):
    return {
        "run_id": run.run_id,
        "decision_id": f"d-{customer_id}",
        "customer_id": customer_id,
        "action": "ten",
        "channel": "file",
        "exposed_at": run.as_of,
        "is_delivered": is_delivered,
    }


@pytest.fixture
def two(snapshot_of, this_run):
    """Two customers who share an e-mail address, and a device of both."""

    def view(**tables):
        identities = [
            identity(this_run, "u_a", "a"),
            identity(this_run, "u_older_a", "a"),
            identity(this_run, "u_b", "b"),
            identity(this_run, "v_shared", "a", is_user=False, shared_from=this_run.as_of),
        ]
        segments = [segment(this_run, "a", "lapsed"), segment(this_run, "b")]
        more = {name: rows for name, rows in tables.items() if rows}
        return snapshot_of(identities=identities, segments=segments, **more)

    return view


def test_an_address_of_several_customers_is_refused_and_one_of_one_customer_is_not(two):
    view = two()
    with pytest.raises(BadRequest, match="several customers have this address") as refused:
        customer_explanation(view, ["u_a", "u_b"])
    assert refused.value.status == 409
    assert "user_id or customer_id" in refused.value.todo
    assert customer_explanation(view, ["u_a", "u_older_a"]).customer_id == "a"
    assert customer_explanation(view, ["u_b"]).customer_id == "b"


def test_a_customer_is_known_by_the_current_id_and_by_an_older_one(two):
    view = two()
    older = view.query("select md5('u_older_a') as id")["id"][0].as_py()
    assert customer_explanation(view, [], "a").customer_id == "a"
    assert customer_explanation(view, [], older).customer_id == "a"


def test_nobody_is_explained_by_a_shared_device_an_unknown_id_or_none(two):
    view = two()
    for tokens, customer_id in ((["v_shared"], None), (["u_nobody"], None), ([], None), ([], "nobody")):
        with pytest.raises(NotFound):
            customer_explanation(view, tokens, customer_id)


def test_the_forecast_is_the_score_and_not_the_lifecycle_stage(two, this_run):
    view = two(scores=[churn(this_run, "a", 0.2), churn(this_run, "b", 0.7)])
    assert customer_explanation(view, ["u_a"]).is_likely_to_leave is False, "lapsed by stage"
    assert customer_explanation(view, ["u_b"]).is_likely_to_leave is True, "active by stage: no order is due"
    assert customer_explanation(two(), ["u_a"]).is_likely_to_leave is None


def test_an_offer_is_sent_only_when_a_channel_that_reaches_customers_had_it(two, this_run):
    for exposures, is_sent in (
        ([], False),
        ([exposure(this_run, "a", is_delivered=False)], False),
        ([exposure(this_run, "a", is_delivered=True)], True),
    ):
        explained = customer_explanation(two(decisions=[decision(this_run, "a")], exposures=exposures), ["u_a"])
        assert (explained.action, explained.is_sent) == ("ten", is_sent)


def test_traits_that_are_not_used_are_those_of_the_run_and_not_of_todays_policy(two, this_run):
    row = {
        "run_id": this_run.run_id,
        "decision": "churn",
        "mitigation": "none",
        "group_name": "",
        "metric": "without_group",
        "customer_count": 3,
        "verdict": "untested",
    }
    view = two(fairness=[row | {"trait": "gender"}, row | {"trait": "age"}])
    assert view.policy.fairness.sensitive_traits == ()
    assert customer_explanation(view, ["u_a"]).sensitive_traits == ("age", "gender")

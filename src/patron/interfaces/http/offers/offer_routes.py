"""Offers for programs: the decision ledger, the policy in force, and the proposals to change it."""

from patron.answers.offers.decision_ledger import show_decision, show_decisions
from patron.answers.offers.offer_deliveries import offer_deliveries
from patron.answers.offers.policy_history import policy_proposal, policy_proposals
from patron.answers.offers.policy_in_force import show_policy
from patron.commands.offers.confirm_offers import confirm_offers
from patron.interfaces.http.offers.decision_view import look_up_decision
from patron.interfaces.http.operation_routes import operation_routes

router = operation_routes(
    *(show_policy, policy_proposals, policy_proposal),
    *(show_decisions, look_up_decision, offer_deliveries, show_decision, confirm_offers),
)

"""The API of offers: `offer_routes` lists its operations; `decision_view` finds a decision by an id of the shop's."""

"""Which offer each customer gets, within a budget, stock, contacts and floors, and what each of these limits costs.

It needs no workspace: arrays or frames come in, frozen results go out.
"""

from patron.allocation.allocate import Allocation, allocate
from patron.allocation.curve import Curve
from patron.allocation.online import Multipliers, Pacing
from patron.allocation.shrinkage import ShrunkEffects, shrink_effects

__all__ = ["Allocation", "Curve", "Multipliers", "Pacing", "ShrunkEffects", "allocate", "shrink_effects"]

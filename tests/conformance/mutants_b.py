"""Mistakes that a party B can make, and the checks that must find them."""

from .mutants_b_grant import GRANT
from .mutants_b_holding import HELD
from .mutants_b_parameters import PARAMETERS
from .mutants_b_redemption import REDEMPTION
from .mutants_b_requests import REQUESTS
from .mutants_b_use import USE
from .mutation import Mutant

MUTANTS: tuple[Mutant, ...] = (*GRANT, *REQUESTS, *PARAMETERS, *REDEMPTION, *USE, *HELD)

"""Mistakes that a party B can make, and the checks that must find them."""

from .mutants_b_parameters import PARAMETERS
from .mutants_b_redemption import REDEMPTION
from .mutants_b_requests import REQUESTS
from .mutants_b_use import USE
from .mutation import Mutant

MUTANTS: tuple[Mutant, ...] = (*REQUESTS, *PARAMETERS, *REDEMPTION, *USE)

"""Mistakes that a party A can make, and the checks that must find them."""

from .mutants_a_answers import ANSWERS
from .mutants_a_client import CLIENT
from .mutants_a_codes import CODES
from .mutants_a_handover import HANDOVER
from .mutants_a_links import LINKS
from .mutants_a_server import SERVER
from .mutants_a_visits import VISITS
from .mutation import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *VISITS,
    *ANSWERS,
    *HANDOVER,
    *CODES,
    *SERVER,
    *CLIENT,
    *LINKS,
)

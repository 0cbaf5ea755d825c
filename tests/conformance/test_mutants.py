"""The tester finds mistakes, and nothing where there is none.

``python -m tests.conformance`` tries all variants. Here is a sample of them, and what needs no
process.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

import reciprocal_oauth.conformance.checks  # noqa: F401 - it registers the checks
from reciprocal_oauth.conformance.registry import CHECKS
from reciprocal_oauth.conformance.verdicts import Severity

from .mutation import BadChange, Change, Mutant, changed_files
from .trial import Trial, judge, run
from .variants import ALLOWED, MUTANTS, all_of, named

ROLES = ("a", "b")
AT_ONCE = 2
#: They are quick, and find different kinds of faults: a mistake in an answer, silence, a race.
SAMPLE = {
    "b": (
        "known-code-is-redeemed",
        "token-of-other-client",
        "code-is-looked-up-before-the-lock",
        "cors-for-all",
        "follows-redirects",
        "last-answer-wins",
        "asks-nothing",
        "redeems-with-secret-in-body",
    ),
    "a": (
        "other-state",
        "no-csrf-protection",
        "old-code-lives",
        "exemption-leaks",
        "removal-waits",
        "end-keeps-codes",
        "redirects-by-302",
        "long-codes",
    ),
}


@pytest.mark.parametrize("role", ROLES)
def test_every_check_has_a_mutant(role: str) -> None:
    demanded = {
        check.id
        for check in CHECKS.values()
        if check.role == role and check.severity is not Severity.INFORMATION
    }
    named_ids = {each for mutant in MUTANTS[role] for each in mutant.caught_by}

    assert demanded - named_ids == set()


@pytest.mark.parametrize("role", ROLES)
def test_mutants_and_differences_name_checks_that_exist(role: str) -> None:
    ids = {each for mutant in MUTANTS[role] for each in mutant.caught_by}
    ids |= {each for difference in ALLOWED[role] for each in difference.warns}

    assert ids <= {check.id for check in CHECKS.values() if check.role == role}


@pytest.mark.parametrize("role", ROLES)
def test_every_mutant_must_be_caught(role: str) -> None:
    assert [each.name for each in MUTANTS[role] if not each.caught_by] == []


@pytest.mark.parametrize("role", ROLES)
def test_names_are_unique(role: str) -> None:
    names = [each.name for each in all_of(role)]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("role", ROLES)
def test_every_change_applies_once(role: str) -> None:
    for variant in all_of(role):
        for name, text in changed_files(role, variant.changes).items():
            compile(text, f"{variant.name}/{name}", "exec")


@pytest.mark.parametrize("role", ROLES)
def test_every_variant_differs(role: str) -> None:
    unchanged = changed_files(role, ())
    same = [
        each.name
        for each in all_of(role)
        if changed_files(role, each.changes) == unchanged
        and not (each.settings or each.has_tls or each.name == "unchanged")
    ]

    assert same == []


@pytest.mark.parametrize("text", ["is nowhere in the files", "return"])
def test_a_change_that_does_not_apply_once_is_an_error(text: str) -> None:
    with pytest.raises(BadChange, match="times"):
        changed_files("b", (Change(text, "pass"),))


@pytest.mark.parametrize(
    ("verdict", "is_caught"),
    [("fail", True), ("warn", True), ("pass", False), ("inconclusive", False), ("", False)],
)
def test_only_a_fault_catches_a_mutant(verdict: str, is_caught: bool) -> None:
    mutant = Mutant("any", "It does something.", (), caught_by=("B-OK-1",))

    assert (judge(mutant, {"B-OK-1": verdict}) == "") is is_caught


@pytest.mark.parametrize(
    ("verdicts", "is_right"),
    [
        ({"B-OK-1": "pass", "B-TOK-4": "not tested"}, True),
        ({"B-OK-1": "pass", "B-RETRY-1": "warn"}, True),
        ({"B-OK-1": "pass", "B-AUTH-6": "warn"}, False),
        ({"B-OK-1": "pass", "B-TOK-2": "inconclusive"}, False),
        ({"B-OK-1": "pass", "B-RETRY-1": "fail"}, False),
        ({"B-OK-1": "not tested"}, False),
    ],
)
def test_a_difference_may_warn_where_it_says(verdicts: dict[str, str], is_right: bool) -> None:
    assert (judge(named("b", "tries-once"), verdicts) == "") is is_right


@pytest.mark.two_process
@pytest.mark.parametrize("role", ROLES)
def test_the_small_party_has_no_fault(role: str) -> None:
    trial = run(role, named(role, "unchanged"))

    assert trial.problem == ""
    assert trial.count("not tested") <= 3, trial.verdicts


@pytest.mark.two_process
@pytest.mark.parametrize("role", ROLES)
def test_a_sample_is_judged_as_it_must_be(role: str) -> None:
    def try_it(name: str) -> Trial:
        return run(role, named(role, name))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        trials = list(pool.map(try_it, SAMPLE[role]))

    assert {each.variant.name: each.problem for each in trials if each.problem} == {}

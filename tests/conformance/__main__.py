"""Proves the conformance tester: it must find each mistake of a small party, and no fault in what
is allowed.

``python -m tests.conformance [--role a|b] [--at-once N] [--sample N --seed S] [NAME…]``

A name is that of a variant, or the ID of a check: all mutants that it must catch.
"""

import argparse
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from .mutation import Mutant, Variant
from .trial import Trial, run
from .variants import all_of

Chosen = list[tuple[str, Variant]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run variants. Return 1 if any is not as it must be."""
    options = _options(arguments)
    chosen = _chosen(options)
    if not chosen:
        print("No variant has this name.", file=sys.stderr)
        return 2
    trials = []
    for trial in _run(chosen, options.at_once):
        print(_line(trial), flush=True)
        trials.append(trial)
    print(summary(trials))
    return 1 if any(each.problem for each in trials) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--role", choices=("a", "b"), help="only this party")
    parser.add_argument("--at-once", type=int, default=3, metavar="N", help="so many at once")
    parser.add_argument("--sample", type=int, metavar="N", help="only N, drawn at random")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="draws the same again")
    parser.add_argument("--only", choices=("mutants", "allowed"), help="only these")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a variant, or the ID of a check")
    return parser.parse_args(arguments)


def _chosen(options: argparse.Namespace) -> Chosen:
    roles = [options.role] if options.role else ["b", "a"]
    chosen = [(role, each) for role in roles for each in all_of(role) if _is_wanted(each, options)]
    if options.sample is not None:
        count = min(options.sample, len(chosen))
        chosen = random.Random(options.seed).sample(chosen, count)
    return chosen


def _is_wanted(variant: Variant, options: argparse.Namespace) -> bool:
    is_mutant = isinstance(variant, Mutant)
    if options.only and is_mutant != (options.only == "mutants"):
        return False
    ids = variant.caught_by if isinstance(variant, Mutant) else ()
    return not options.names or bool({variant.name, *ids} & set(options.names))


def _run(chosen: Chosen, at_once: int) -> Iterator[Trial]:
    with ThreadPoolExecutor(at_once) as pool:
        waiting = [pool.submit(run, role, variant) for role, variant in chosen]
        for future in as_completed(waiting):
            yield future.result()


def _line(trial: Trial) -> str:
    kind = "mutant " if isinstance(trial.variant, Mutant) else "allowed"
    names = getattr(trial.variant, "caught_by", ())
    said = trial.problem or (" ".join(names) if names else f"{trial.count('pass')} pass")
    mark = "NOT AS IT MUST BE: " if trial.problem else ""
    return f"{trial.role}  {kind}  {trial.variant.name:38}  {trial.seconds:4.0f} s  {mark}{said}"


def summary(trials: Iterable[Trial]) -> str:
    """Return the mutation score, the false alarms, and what is not as it must be."""
    trials = list(trials)
    mutants = [each for each in trials if isinstance(each.variant, Mutant)]
    others = [each for each in trials if not isinstance(each.variant, Mutant)]
    caught = sum(not each.problem for each in mutants)
    alarms = sum(bool(each.problem) for each in others)
    lines = [
        "",
        f"Mutants: {caught} of {len(mutants)} caught by the checks that must.",
        f"False alarms: {alarms} of {len(others)} allowed differences.",
    ]
    lines += [
        f"{each.role} {each.variant.name}: {each.variant.why} {each.problem}."
        for each in trials
        if each.problem
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

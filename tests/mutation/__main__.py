"""Draws mutants of the core at random, runs the tests that reach each, and names the survivors."""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from os import chdir, cpu_count
from pathlib import Path
from shlex import join

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_item import MutationSpec, TestOutcome

from .operators import Provider
from .selection import Selection

ROOT = Path(__file__).parents[2]
#: The protocol, links, delivery and dialects.
CORE = ("delivery", "dialects", "links", "party_a", "party_b", "provider")
#: Those of Cosmic Ray that flip a comparison or a condition; the others are in ``operators``.
OPERATORS = (
    "core/AddNot",
    "core/ReplaceAndWithOr",
    "core/ReplaceOrWithAnd",
    "core/ReplaceBreakWithContinue",
    "core/ReplaceContinueWithBreak",
    "core/ReplaceTrueWithFalse",
    "core/ReplaceFalseWithTrue",
    "project/",
    *(
        f"core/ReplaceComparisonOperator_{flipped}"
        for flipped in (
            *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is", "In_NotIn", "NotIn_In"),
            *("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Lt_GtE", "GtE_Lt", "Gt_LtE", "LtE_Gt"),
        )
    ),
)
COVERAGE = """\
[run]
source = reciprocal_oauth
dynamic_context = test_function
data_file = {file}
"""
#: Tests that start processes of their own, which a mutant in this process does not reach.
NOT_HERE = "not browser and not interop and not two_process"
SECONDS_PER_MUTANT = 300

cosmic_ray.plugins.OPERATOR_PROVIDERS["project"] = Provider()


@dataclass(frozen=True)
class Verdict:
    """:ivar said: the last line of pytest, or ``timeout``."""

    place: str
    operator: str
    outcome: str
    diff: str
    said: str


def mutations(root: Path) -> Iterator[MutationSpec]:
    """Every mutation of the core."""
    chosen = [name for name in cosmic_ray.plugins.operator_names() if name.startswith(OPERATORS)]
    for folder in CORE:
        for module in sorted((root / "reciprocal_oauth" / folder).glob("*.py")):
            tree = get_ast_from_path(module)
            for name in chosen:
                operator = cosmic_ray.plugins.get_operator(name)()
                places = (
                    place for node in ast_nodes(tree) for place in operator.mutation_positions(node)
                )
                for number, (start, end) in enumerate(places):
                    yield MutationSpec(
                        module_path=str(module.relative_to(root)),
                        operator_name=name,
                        operator_args={},
                        occurrence=number,
                        start_pos=start,
                        end_pos=end,
                        definition_name="",
                    )


def measure(root: Path, file: Path) -> None:
    """Runs all tests once, and writes down which test reaches which line."""
    settings = file.with_suffix(".ini")
    settings.write_text(COVERAGE.format(file=file))
    command = [
        *(sys.executable, "-m", "coverage", "run", f"--rcfile={settings}", "-m", "pytest", "-q"),
        *("-p", "no:cacheprovider", "-m", NOT_HERE),
    ]
    subprocess.run(command, cwd=root, check=False)


def copy_of_project(folder: Path) -> Path:
    """A copy of the files that git knows, as they are now."""
    names = subprocess.run(
        ["git", "ls-files", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in names.stdout.split("\0"):
        if name and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@cache
def _selection(file: Path) -> Selection:
    return Selection(file, ROOT)


@cache
def _own_copy() -> Path:
    """The copy of the project in which this process mutates."""
    return copy_of_project(Path(tempfile.mkdtemp(prefix="mutants-")))


def judge(mutation: MutationSpec, file: Path) -> Verdict:
    """Runs the tests that reach a mutant until one fails."""
    chdir(_own_copy())
    lines = range(mutation.start_pos[0], mutation.end_pos[0] + 1)
    tests = _selection(file).tests_of(str(mutation.module_path), lines)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header"]
    result = mutate_and_test([mutation], join([*command, *tests]), SECONDS_PER_MUTANT)
    outcome = (result.test_outcome or TestOutcome.INCOMPETENT).value
    said = (result.output or "").strip().splitlines() or [""]
    place = f"{mutation.module_path}:{lines.start}"
    return Verdict(place, mutation.operator_name, outcome, result.diff or "", said[-1])


def main() -> int:
    """Prints each survivor with its change, and how many of each outcome there were."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="how many mutants (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default: 1)")
    parser.add_argument("--at-once", type=int, default=cpu_count(), help="how many at a time")
    parser.add_argument("--coverage", type=Path, help="a data file of an earlier run, kept here")
    parser.add_argument("--only", default="", help="mutants of paths that contain this text")
    options = parser.parse_args()

    every = [each for each in mutations(ROOT) if options.only in str(each.module_path)]
    drawn = random.Random(options.seed).sample(every, min(options.count, len(every)))
    print(f"{len(drawn)} of {len(every)} mutants", flush=True)
    file = options.coverage or Path(tempfile.mkdtemp()) / "coverage"
    if not file.exists():
        measure(ROOT, file.resolve())
    count: Counter[str] = Counter()
    with ProcessPoolExecutor(options.at_once) as pool:
        for verdict in pool.map(judge, drawn, [file.resolve()] * len(drawn)):
            count[verdict.outcome] += 1
            print(f"{verdict.outcome:11} {verdict.place} {verdict.operator}", flush=True)
            if verdict.outcome != TestOutcome.KILLED.value:
                print(f"{verdict.diff}\n{verdict.said}", flush=True)
    print(", ".join(f"{number} {outcome}" for outcome, number in sorted(count.items())))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

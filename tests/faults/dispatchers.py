"""Who delivers at a site, and so which processes are killed: one class for each dispatcher."""

import sys
from collections.abc import Sequence

from example_project.sites import MANAGE_PY

#: Pause of a worker that has found nothing due.
PAUSE_SECONDS = 0.2
THREADS = 4


class Arrangement:
    """The processes of a site for one dispatcher.

    :ivar dispatcher: value of ``RECIPROCAL_OAUTH["DISPATCHER"]``.
    :ivar web_processes: how many processes serve.
    """

    dispatcher: str
    #: How many rows each process works on at once.
    threads = THREADS

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.web_processes = 2

    def programs(self) -> Sequence[Sequence[str]]:
        """Command lines of the processes that deliver beside those that serve."""
        return ()


class None_(Arrangement):
    """Only ``reciprocal_deliver`` works on the rows."""

    dispatcher = "none"
    # The machine is shared with both sites: more at once, and their answers come too late.
    threads = 1

    def programs(self) -> Sequence[Sequence[str]]:
        deliver = [sys.executable, str(MANAGE_PY), "reciprocal_deliver", "--loop"]
        return [[*deliver, str(PAUSE_SECONDS)]] * self.workers


class Thread(Arrangement):
    """The processes that serve deliver as well."""

    dispatcher = "thread"

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.web_processes = workers


class Celery(Arrangement):
    """Workers of Celery, and a beat that sweeps. ``TEST_CELERY_BROKER_URL`` names the broker."""

    dispatcher = "celery"
    threads = 1

    def programs(self) -> Sequence[Sequence[str]]:
        celery = [sys.executable, "-m", "celery", "-A", "example_project"]
        # Of one process each, so that it is that which is killed.
        worker = [*celery, "worker", "--pool=solo", "--without-mingle", "--without-gossip"]
        names = [f"--hostname=worker-{number}@%h" for number in range(self.workers)]
        beat = [*celery, "beat", "--scheduler=celery.beat:Scheduler"]
        return [*([*worker, name] for name in names), [*beat, "--pidfile="]]


ARRANGEMENTS: dict[str, type[Arrangement]] = {
    each.dispatcher: each for each in (None_, Thread, Celery)
}

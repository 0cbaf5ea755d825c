"""The addresses that monitors and orchestrators ask whether this site works. The responses name no
peer and no person, because anybody can ask."""

from django.http import HttpRequest, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View

from ..compat import login_not_required
from ..core.database import outside_transactions
from ..status import health


# With ATOMIC_REQUESTS, Django would open a transaction before the view runs, and the response would
# be 500 while the database is down.
@method_decorator([login_not_required, outside_transactions], name="dispatch")
class LivenessView(View):
    """Answers that this process serves requests. It reads nothing from the database."""

    http_method_names = ("get", "head", "options")

    def get(self, request: HttpRequest) -> JsonResponse:
        """Return the status 200."""
        return _respond({"status": "ok"}, 200)


class HealthView(LivenessView):
    """Answers whether this site delivers: whether the database answers, a worker runs, and nothing
    is overdue."""

    def get(self, request: HttpRequest) -> JsonResponse:
        """Return the status 200, or 503 (RFC 9110, section 15.6.4) with the codes of what is
        wrong."""
        if problems := health.problems():
            return _respond({"status": "unhealthy", "problems": list(problems)}, 503)
        return _respond({"status": "ok"}, 200)


def _respond(document: dict[str, object], status: int) -> JsonResponse:
    return JsonResponse(document, status=status, headers={"Cache-Control": "no-store"})

"""The base classes of all models of this app. A model is read from the same database to which
Django writes it, and never from a replica."""

from typing import Any, TypeVar

from django.db import models, router

M = TypeVar("M", bound=models.Model, covariant=True)


class BaseQuerySet(models.QuerySet[M]):
    """A queryset that reads from the database to which Django writes the model. ``using()`` can
    select another database.

    It does not read from a replica, because a replica gets new rows a little later. If a new link
    were not yet in the replica, this app would treat the link as deleted, and would not deliver the
    reciprocal code for the link.
    """

    _db: str | None
    _hints: dict[str, Any]

    @property
    def db(self) -> str:
        """Return the alias of the database that this queryset reads."""
        # Choose the alias here and not with using() in get_queryset(). After using(), Django would
        # refuse to use this queryset as a subquery in a query that reads another database.
        return self._db or router.db_for_write(self.model, **self._hints)


class BaseManager(models.Manager[M]):
    """The manager of all models of this app."""

    _hints: dict[str, Any]

    def get_queryset(self) -> BaseQuerySet[M]:
        """Return a queryset of all rows. It reads from the database to which Django writes."""
        return BaseQuerySet(self.model, using=self._db, hints=self._hints)


class BaseModel(models.Model):
    """The base class of the models of this app. Its rows are read from the same database to which
    Django writes them."""

    objects = BaseManager()

    class Meta:
        abstract = True
        # Django uses this manager to load related objects, and in refresh_from_db().
        base_manager_name = "objects"

"""The base of all models: they are read from the database that they are written to."""

from typing import Any, TypeVar

from django.db import models, router

M = TypeVar("M", bound=models.Model, covariant=True)


class BaseQuerySet(models.QuerySet[M]):
    """Reads from the database that the model is written to, unless ``using()`` names another.

    A replica may lag behind. A link that is not in the replica yet would look deleted, and its
    code would be discarded.
    """

    _db: str | None
    _hints: dict[str, Any]

    @property
    def db(self) -> str:
        """The alias of the database that is read."""
        # Not set with using(): a subquery must run in the database of the outer query.
        return self._db or router.db_for_write(self.model, **self._hints)


class BaseManager(models.Manager[M]):
    """The manager of all models of this app."""

    _hints: dict[str, Any]

    def get_queryset(self) -> BaseQuerySet[M]:
        """All rows, read from the database that the model is written to."""
        return BaseQuerySet(self.model, using=self._db, hints=self._hints)


class BaseModel(models.Model):
    """The base class of the models of this app."""

    objects = BaseManager()

    class Meta:
        abstract = True
        # Django uses this manager for related objects and in refresh_from_db.
        base_manager_name = "objects"

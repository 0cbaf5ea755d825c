"""Rows are read where they are written, whatever a site's routers say about reading."""

from typing import Any, TypeVar

from django.db import models, router

M = TypeVar("M", bound=models.Model, covariant=True)


class BaseQuerySet(models.QuerySet[M]):
    """Reads from the database that its model is written to, unless ``using`` names another.

    A replica may be behind, and what is read here decides: a link that has not arrived there yet
    would be taken for deleted, and its code thrown away.
    """

    _db: str | None
    _hints: dict[str, Any]

    @property
    def db(self) -> str:
        # Not by using(): the query may be a part of one that runs elsewhere.
        return self._db or router.db_for_write(self.model, **self._hints)


class BaseManager(models.Manager[M]):
    _hints: dict[str, Any]

    def get_queryset(self) -> BaseQuerySet[M]:
        return BaseQuerySet(self.model, using=self._db, hints=self._hints)


class BaseModel(models.Model):
    """What our models have in common."""

    objects = BaseManager()

    class Meta:
        abstract = True
        # Django also reads with it what a relation leads to, and in refresh_from_db.
        base_manager_name = "objects"

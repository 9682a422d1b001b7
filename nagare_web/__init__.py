"""The Django project: puts the apps together, knows all of them, holds no rule."""

from nagare_web.celery import app as celery_app

__all__ = ["celery_app"]

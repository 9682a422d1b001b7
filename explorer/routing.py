"""The addresses of sockets."""

from __future__ import annotations

from typing import Any, cast

from channels.routing import URLRouter
from channels.security.websocket import WebsocketDenier
from django.urls import path, re_path

from explorer.consumers import LiveConsumer


def sockets(*, redis_url: str = "") -> URLRouter:
    """Return what answers sockets; those that lead nowhere are denied. The stubs of `path` know views alone."""
    return URLRouter(
        cast(
            Any,
            [
                path("ws/live/", cast(Any, LiveConsumer.as_asgi(redis_url=redis_url))),
                re_path("", cast(Any, WebsocketDenier.as_asgi())),
            ],
        )
    )

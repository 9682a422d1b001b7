"""HTTP and WebSocket in one ASGI application."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nagare_web.settings")
http = get_asgi_application()  # sets Django up: what follows may import models

from channels.routing import ProtocolTypeRouter  # noqa: E402
from django.conf import settings  # noqa: E402

from explorer.routing import sockets  # noqa: E402
from journal.access import recording  # noqa: E402
from nagare_web import telemetry  # noqa: E402
from nagare_web.lifespan import Lifespan  # noqa: E402
from nagare_web.sockets import OwnOrigin  # noqa: E402

telemetry.configure(settings.CONFIG.otlp_endpoint, service="nagare-web")

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": OwnOrigin(sockets(redis_url=settings.CONFIG.redis_url or "")),
        "lifespan": Lifespan(at_stop=recording.close),
    }
)

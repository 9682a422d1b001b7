"""Django's settings, made from `Config`. The environment is read there, not here."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from csp.constants import NONCE, NONE, SELF

from nagare_web import config as nagare_config
from nagare_web import databases, logs

CONFIG = nagare_config.load()

BASE_DIR = Path(__file__).resolve().parent.parent
PACKAGE_DIR = Path(__file__).resolve().parent


def _data_folder(name: str) -> Path:
    """Return the folder `name`: beside the packages in a checkout, inside this one in an installed wheel."""
    packaged = PACKAGE_DIR / name
    return packaged if packaged.is_dir() else BASE_DIR / name


SECRET_KEY = CONFIG.secret_key
DEBUG = CONFIG.debug
ALLOWED_HOSTS = list(CONFIG.allowed_hosts)

INSTALLED_APPS = [
    "nagare_web",
    "explorer",
    "audits",
    "journal",
    "channels",
    "django_htmx",
    "template_partials",
    "csp",
    "drf_spectacular",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

# Everything above WhiteNoise also sees static files: each response carries the policy and the correlation id, and no
# file is served to a host name that is not ours.
MIDDLEWARE = [
    "django.middleware.gzip.GZipMiddleware",  # pads at random: sizes tell nothing of secrets (BREACH)
    "nagare_web.middleware.RequestContext",
    "nagare_web.middleware.ContentSecurityPolicy",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "nagare_web.middleware.HostAndOrigin",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "journal.access.sessions.Authentication",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "explorer.preferences.ReadersTimeZone",
    "journal.access.watching.AccessLog",
    "nagare_web.middleware.DenyByDefault",
    "nagare_web.middleware.GoneOnceItWasThere",
]

ROOT_URLCONF = "nagare_web.urls"
ASGI_APPLICATION = "nagare_web.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [_data_folder("templates")],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    },
]

# --- Database ---------------------------------------------------------------------------------------------------------

DATABASES = {"default": databases.parsed(CONFIG.database_url)}

# --- People -----------------------------------------------------------------------------------------------------------

LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = LOGIN_URL
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# --- What browsers are told -------------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "nagare_web.views.csrf_failure"
SESSION_ENGINE = "journal.access.sessions"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"

if CONFIG.tls:
    # `__Host-` makes a browser refuse the cookie unless it is Secure, for this host alone and for every path.
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # asked from inside, in front of the proxy's back
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
elif CONFIG.is_loopback_only:
    # `check --deploy` asks for TLS. Requests that never leave the machine have no wire to protect, and browsers would
    # not send a Secure cookie back over plain HTTP. As soon as another host name is allowed, these checks warn again.
    SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008", "security.W012", "security.W016"]

# --- Static files -----------------------------------------------------------------------------------------------------
# `nagare serve` collects them into the data directory: hashed names, so that they may be cached for ever, and no DEBUG.

STATIC_URL = "/static/"
STATIC_ROOT = CONFIG.data_dir / "static"
STATICFILES_DIRS = [_data_folder("static")]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "explorer.plotly.PlotlyFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Uploads wait here until a worker has read them.
MEDIA_ROOT = CONFIG.data_dir / "media"
DATA_UPLOAD_MAX_NUMBER_FILES = 1000  # more than an import takes, so that it is the import that says why not
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000  # each file of a folder comes with its path

# --- Time and language ------------------------------------------------------------------------------------------------

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LANGUAGE_CODE = "en"

# --- Live updates and background work ---------------------------------------------------------------------------------

CHANNEL_LAYERS: dict[str, dict[str, Any]] = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
if CONFIG.redis_url:
    CHANNEL_LAYERS["default"] = {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [CONFIG.redis_url]},
    }

# A task is a nudge; its outcome stands in our own tables. So it is acknowledged after it ran, runs again after a crash,
# and nobody waits for a result.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_BACKEND = None
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = TIME_ZONE
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = str(CONFIG.data_dir / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "run-projections": {
        "task": "journal.tasks.run_projections",
        "schedule": 5.0,
        "options": {"expires": 5.0},  # while no worker runs, nudges need not pile up
    },
    "settle-spans": {"task": "journal.tasks.settle_spans", "schedule": 2.0, "options": {"expires": 2.0}},
    "reap": {"task": "journal.tasks.reap", "schedule": 10.0, "options": {"expires": 10.0}},
}
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker waits for its broker however long that is away
if CONFIG.redis_url:
    CELERY_BROKER_URL = CONFIG.broker_url
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
        # A server that was cut off without a word is noticed: by default a publish would wait for it for ever.
        "socket_connect_timeout": 2,
        "socket_timeout": 10,
        "socket_keepalive": True,
    }
else:
    _BROKER = CONFIG.data_dir / "broker"
    CELERY_BROKER_URL = "localhost"  # a name without meaning here; without one kombu warns
    CELERY_BROKER_TRANSPORT = "nagare_web.broker:Transport"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_BROKER / "queue"),
        "data_folder_out": str(_BROKER / "queue"),
        "processed_folder": str(_BROKER / "taken"),
        "control_folder": str(_BROKER / "control"),
        "polling_interval": 0.05,
    }

# --- Alerts -----------------------------------------------------------------------------------------------------------

_MAIL = urlsplit(CONFIG.email_url)
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if _MAIL.scheme.startswith('smtp') else 'console'}.EmailBackend"
EMAIL_HOST = _MAIL.hostname or "localhost"
EMAIL_USE_SSL = _MAIL.scheme == "smtp+ssl"
EMAIL_USE_TLS = _MAIL.scheme == "smtp+tls"
EMAIL_PORT = _MAIL.port or (465 if EMAIL_USE_SSL else 587 if EMAIL_USE_TLS else 25)
EMAIL_HOST_USER = unquote(_MAIL.username or "")
EMAIL_HOST_PASSWORD = unquote(_MAIL.password or "")
EMAIL_TIMEOUT = 10  # less than a claimed dispatch is left to its worker
DEFAULT_FROM_EMAIL = CONFIG.email_from
PUBLIC_URL = CONFIG.public_url
ALLOW_PRIVATE_WEBHOOKS = CONFIG.allow_private_webhooks

# --- The API ----------------------------------------------------------------------------------------------------------

API_RATE = CONFIG.api_rate
OTLP_SETTLE_S = CONFIG.otlp_settle_s
REST_FRAMEWORK = {"UNAUTHENTICATED_USER": None, "DEFAULT_SCHEMA_CLASS": "journal.api.schema.Described"}
SPECTACULAR_SETTINGS = {
    "TITLE": "nagare",
    "DESCRIPTION": "The journal over HTTP: append events, read streams and runs, ask rules, follow work.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "PREPROCESSING_HOOKS": [],
    "POSTPROCESSING_HOOKS": ["journal.api.schema.add_components"],
    "SERVE_INCLUDE_SCHEMA": False,
}

# --- The access log ---------------------------------------------------------------------------------------------------

RECORD_ACCESS = True  # no variable: whoever runs an installation may not switch off who looked at it

# --- The transparency log ---------------------------------------------------------------------------------------------

SIGNING_KEY = CONFIG.signing_key
WITNESSES = CONFIG.witnesses
LOG_FOLDER = CONFIG.data_dir
LOG_HOST = urlsplit(CONFIG.public_url).netloc

# --- Traces -----------------------------------------------------------------------------------------------------------

TRACE_URL = CONFIG.trace_url

# --- Logs -------------------------------------------------------------------------------------------------------------

LOGGING_CONFIG = "nagare_web.logs.configure"
LOGGING = logs.logging_config(log_format=CONFIG.log_format, level=CONFIG.log_level)

# nagare in a container: one image for every part, which the command chooses. docker-compose.yml puts them together.
FROM python:3.13-slim-bookworm AS packages

COPY requirements.lock .
RUN python -m venv /opt/nagare \
 && /opt/nagare/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-deps -r requirements.lock


FROM python:3.13-slim-bookworm

# What lays out PDFs, and letters for most of the scripts they may hold.
RUN apt-get update && apt-get install -y --no-install-recommends libpangoft2-1.0-0 fonts-noto-core \
 && rm -rf /var/lib/apt/lists/*

# A number, so that an engine that insists on another user than root can tell it is one.
RUN useradd --system --uid 10001 --home-dir /var/lib/nagare --create-home nagare
COPY --from=packages /opt/nagare /opt/nagare
COPY manage.py /srv/nagare/
COPY nagare_web /srv/nagare/nagare_web
COPY explorer /srv/nagare/explorer
COPY audits /srv/nagare/audits
COPY journal /srv/nagare/journal
COPY templates /srv/nagare/templates
COPY static /srv/nagare/static
# The code belongs to root and is compiled now: whoever takes over a running process cannot change it.
RUN /opt/nagare/bin/python -m compileall -q /srv/nagare \
 && printf '#!/bin/sh\nexec /opt/nagare/bin/python /srv/nagare/manage.py "$@"\n' > /usr/local/bin/nagare \
 && chmod 755 /usr/local/bin/nagare

ENV NAGARE_DATA_DIR=/var/lib/nagare \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/nagare
VOLUME /var/lib/nagare
USER 10001
EXPOSE 8000
ENTRYPOINT ["nagare"]
CMD ["serve", "--host", "0.0.0.0"]

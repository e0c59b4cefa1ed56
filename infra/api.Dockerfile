# The API: gunicorn over api.wsgi. It never imports the worker, which is not here.
# Wheels alone, each checked against its hash; nothing is compiled, and neither pip nor this stage ships.
FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv --without-pip /opt/regain
COPY requirements/runtime.txt /tmp/
RUN pip --python /opt/regain/bin/python install --only-binary=:all: --require-hashes -r /tmp/runtime.txt \
    && python -m compileall -q /opt/regain/lib

FROM python:3.11.14-slim-bookworm
RUN groupadd --system --gid 10001 regain \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /tmp regain
ENV PATH=/opt/regain/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /app
COPY --from=build /opt/regain /opt/regain
COPY infra/__init__.py infra/healthcheck.py infra/
COPY shared shared
# What models there are and what each is called; their weights are the worker's.
COPY models/__init__.py models/manifest.toml models/
COPY api api
USER 10001:10001
EXPOSE 8000
# Not preloaded: every process makes its own connections. Threads, for long polls and event streams hold some.
CMD ["gunicorn", "api.wsgi:app", "--bind=0.0.0.0:8000", "--worker-class=gthread", "--workers=2", "--threads=32", \
     "--graceful-timeout=15", "--timeout=120", "--worker-tmp-dir=/dev/shm", "--log-level=warning"]

# Workers, control loop, migrations and the bucket's making: one image, the command decides.
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
COPY infra/__init__.py infra/healthcheck.py infra/make_bucket.py infra/
COPY shared shared
# The network that ships as ONNX; what trains it stays behind (.dockerignore).
COPY models models
COPY worker worker
COPY --chmod=755 infra/regain.sh /opt/regain/bin/regain
USER 10001:10001
CMD ["regain", "worker", "--queues", "interactive,bulk"]

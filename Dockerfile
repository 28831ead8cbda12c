# One file for every process: EXTRA picks which (query-engine, lineage, cache, gateway, or demo for the `sluice` command).
#   docker build --build-arg EXTRA=gateway -t sluice-gateway .
ARG PYTHON_VERSION=3.12

FROM python:${PYTHON_VERSION}-slim AS build
ARG EXTRA
WORKDIR /opt/sluice
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore UV_LINK_MODE=copy
COPY requirements.lock ./
# uv itself comes from the lock too. It checks the hashes that stand beside the versions of a constraints file, so the
# image gets exactly the locked packages that the extra needs, and no others.
RUN awk '/^uv==/ { on = 1 } on { print; if ($0 !~ /\\$/) exit }' requirements.lock > /tmp/uv.lock \
 && pip install --quiet --require-hashes -r /tmp/uv.lock \
 && python -m venv --without-pip .venv
COPY . .
# Editable, because datasets and their SQL are files of the tree and not of a wheel.
RUN uv pip install --quiet --no-cache --python .venv/bin/python \
      --constraints requirements.lock --build-constraints requirements.lock --editable ".[${EXTRA}]"

FROM python:${PYTHON_VERSION}-slim
ARG EXTRA
LABEL org.opencontainers.image.title="sluice-${EXTRA}" org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --home-dir /var/lib/sluice sluice \
 && install -d -o sluice -g sluice /var/lib/sluice /var/lib/sluice/frames /var/lib/sluice/plant /var/lib/sluice/saved /var/lib/sluice/spreadsheets
COPY --from=build /opt/sluice /opt/sluice
ENV EXTRA=${EXTRA} PATH=/opt/sluice/.venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/sluice
USER sluice
# `exec`, so that the process itself gets SIGTERM and stops gracefully.
CMD ["sh", "-c", "exec python -m sluice_$(echo \"$EXTRA\" | tr - _)"]

# The service in one image: no compiler, no shell entry point, no root, nothing written but /data and /tmp.
# For a build that can be repeated, pin the base by its digest:
#   docker build --build-arg BASE_IMAGE=python:3.11-slim-bookworm@sha256:<digest> -t runbook-bot .
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /src
# Dependencies first: this layer is made again only when a lock changes.
COPY requirements/build.lock requirements/runtime.lock requirements/
RUN python -m venv /opt/runbook \
    && python -m pip install --require-hashes -r requirements/build.lock \
    && /opt/runbook/bin/python -m pip install --require-hashes -r requirements/runtime.lock
COPY pyproject.toml README.md LICENSE ./
# The playground stays out: it plays Slack and Azure, which a real deployment must never do.
COPY bot bot
COPY connectors connectors
COPY engine engine
COPY storage storage
# The finished service installs nothing, so its installers go. Bytecode is written now, because the running
# container may not write any.
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/runbook/bin/python -m pip install --no-deps --no-index /wheels/*.whl \
    && /opt/runbook/bin/python -m pip uninstall --yes pip setuptools \
    && /opt/runbook/bin/python -m compileall -q /opt/runbook/lib

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Runbook Bot" \
      org.opencontainers.image.description="Approval-gated runbooks for Azure VMs, driven from Slack" \
      org.opencontainers.image.licenses="Apache-2.0"
# A fixed number, so that volumes and Kubernetes' runAsNonRoot can rely on it.
RUN groupadd --gid 10001 runbook \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin runbook \
    && install -d -o 10001 -g 10001 -m 0750 /data \
    && install -d -m 0755 /etc/runbook/runbooks
COPY --from=build /opt/runbook /opt/runbook
ENV PATH=/opt/runbook/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DATABASE_URL=sqlite:////data/runbook.db \
    RUNBOOK_DIR=/etc/runbook/runbooks \
    RUNBOOK_POLICY=/etc/runbook/policy.yaml \
    RUNBOOK_HTTP_PORT=8000
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s --retries=3 \
    CMD ["runbook", "doctor", "--health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["runbook"]
CMD ["serve"]

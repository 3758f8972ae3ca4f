# The images of the project: `--target operator` and `--target engine`. Locked dependencies and the
# package on a root of their own, which holds of the base, a Debian, only Python and what it and
# wheels need: no shell, no compiler, no user root, nothing written below / while they run.
ARG BASE_IMAGE=docker.io/library/python:3.13-slim

FROM ${BASE_IMAGE} AS build
# Without a network, a folder with uv is mounted here, and its cache in its usual place.
ENV PATH=/opt/build-tools:$PATH
RUN command -v uv || python3 -m pip install --no-cache-dir uv
WORKDIR /src
ARG UV_OFFLINE=0
ENV UV_OFFLINE=$UV_OFFLINE UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT=/opt/reco \
    UV_PYTHON_DOWNLOADS=never
COPY pyproject.toml uv.lock ./
COPY hack/slim.py hack/

FROM build AS root
COPY hack/root_folder.py hack/
# implicit computes with OpenMP, whose library its wheel does not bring.
RUN dpkg-query --show libgomp1 \
 || (apt-get update && apt-get install --yes --no-install-recommends libgomp1)
RUN python3 -m hack.root_folder /opt/root

FROM build AS operator-environment
RUN uv sync --locked --no-dev --no-install-project --extra operator \
 && python3 hack/slim.py /opt/reco/lib/python3.*/site-packages \
 && python3 -m compileall -q /opt/reco/lib

FROM build AS engine-environment
RUN uv sync --locked --no-dev --no-install-project --extra engine \
 && python3 hack/slim.py /opt/reco/lib/python3.*/site-packages \
 && python3 -m compileall -q /opt/reco/lib

# A layer of its own: it changes with every commit, the environments rarely.
FROM build AS package
COPY README.md LICENSE ./
COPY operator operator
RUN uv venv --quiet /opt/reco \
 && uv pip install --quiet --python /opt/reco --no-deps --target /opt/package . \
 && python3 -m compileall -q /opt/package

FROM scratch AS image
COPY --from=root /opt/root /
ENV PATH=/opt/package/bin:/opt/reco/bin:/usr/local/bin:/usr/bin PYTHONPATH=/opt/package \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
ENTRYPOINT ["reco"]

FROM image AS operator
COPY --from=operator-environment /opt/reco /opt/reco
COPY --from=package /opt/package /opt/package
CMD ["operate"]

FROM image AS engine
COPY --from=engine-environment /opt/reco /opt/reco
COPY --from=package /opt/package /opt/package
CMD ["--help"]

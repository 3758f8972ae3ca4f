# The operator's image: the locked dependencies and the package, no compiler, no root.
ARG BASE_IMAGE=docker.io/library/python:3.13-slim

FROM ${BASE_IMAGE} AS build
RUN python3 -m pip install --no-cache-dir uv
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY operator ./operator
ENV UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT=/opt/reco
RUN uv sync --locked --no-dev --no-editable --extra operator --no-cache

FROM ${BASE_IMAGE} AS operator
COPY --from=build /opt/reco /opt/reco
ENV PATH=/opt/reco/bin:$PATH PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["reco"]
CMD ["operate"]

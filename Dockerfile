# Patron as a service: an image with the platform, that serves a workspace in a volume.
#
#   docker build -t patron .
#   docker compose up                          # compose.yaml says how it is reached, and why in that way
#   docker run --rm -v "$PWD/out:/home/patron/out" patron demo --workspace out/patron-demo    # or any other command
FROM python:3.12-slim AS build
RUN pip install --no-cache-dir build
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY src ./src
RUN python -m build --wheel --outdir /dist

FROM python:3.12-slim
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 patron \
    && install -d -o patron -g patron /workspace /keys /home/patron/out
COPY constraints.txt /tmp/
COPY --from=build /dist/*.whl /tmp/
RUN pip install --no-cache-dir --constraint /tmp/constraints.txt "$(ls /tmp/patron-*.whl)[demo,postgres]" \
    && rm /tmp/*.whl /tmp/constraints.txt
USER patron
WORKDIR /home/patron
# The workspace and the key that opens its vault lie in two volumes, so that a copy of one does not open the other.
ENV XDG_CONFIG_HOME=/keys \
    NUMBA_CACHE_DIR=/home/patron/.cache/numba
VOLUME ["/workspace", "/keys"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8321/health', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["patron"]
CMD ["serve", "--workspace", "/workspace/shop"]

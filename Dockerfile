# The demo in a container, its workspace and report in ./out:
#   docker build -t patron . && docker run --rm -v "$PWD/out:/home/patron/out" patron
FROM python:3.12-slim
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home patron && mkdir /home/patron/out && chown patron /home/patron/out
WORKDIR /home/patron/app
COPY --chown=patron pyproject.toml constraints.txt README.md LICENSE ./
COPY --chown=patron src ./src
RUN pip install --no-cache-dir --constraint constraints.txt '.[demo]'
USER patron
WORKDIR /home/patron
CMD ["patron", "demo", "--workspace", "out/patron-demo"]

# The program with llama.cpp and the embedding model, on the CPU; models and runs live in volumes. See compose.yaml.
FROM python:3.11-slim AS built
# Where torch comes from: PyTorch's builds for the CPU, or a mirror of them. PyPI's own brings CUDA, several GB more.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /src
COPY requirements-demo.lock requirements.lock requirements-torch.lock pyproject.toml README.md LICENSE ./
# The extras are pinned by the whole lock, which also has the tools of the tests: a constraint takes from it what is asked for.
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement requirements-demo.lock \
 && /opt/venv/bin/pip install --no-cache-dir --requirement requirements-torch.lock --index-url "$TORCH_INDEX" \
      --extra-index-url https://pypi.org/simple
COPY evals evals
COPY signatures signatures
COPY skills_dspy skills_dspy
COPY task_specs task_specs
RUN sed -n 's/^\([A-Za-z0-9._-]*==[^ ]*\).*/\1/p' requirements.lock > /tmp/pins.txt \
 && /opt/venv/bin/pip install --no-cache-dir --constraint /tmp/pins.txt '.[llamacpp,offline]'

FROM python:3.11-slim
# llama.cpp's prebuilt library wants it, and slim images have none.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 teacher && mkdir /data && chown teacher /data
COPY --from=built /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
USER teacher
WORKDIR /data
VOLUME /data
ENTRYPOINT ["skills-dspy"]
CMD ["--help"]

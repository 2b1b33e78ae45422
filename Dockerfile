# mien as a container image: see docs/containers.md.
#
#   docker build -t mien .                                        the server, and every verb of mien
#   docker build -t mien-scale --build-arg LOCK=scale .           the same for many machines: docs/scale.md
#   docker build -t label-image --target label-image .            a command of 2017
#   docker build --build-arg BASE=python:3.13-slim-trixie@sha256:... .     its base by digest
#
# BASE is any Linux image for amd64 or arm64 that has glibc, libstdc++, a shell, and Python 3.11 or newer as python3, with
# its module venv.
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
# "server", or "scale", which also has the drivers for PostgreSQL, buckets, Dask and large galleries: docs/scale.md.
ARG LOCK=server
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# Two environments: one that builds mien, and one that is kept, which has neither pip nor what builds.
COPY requirements/build.txt requirements/server.txt requirements/scale.txt requirements/
RUN python3 -m venv tools \
 && python3 -m venv --without-pip /opt/mien \
 && tools/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/build.txt \
 && tools/bin/python -m pip --python /opt/mien/bin/python install --quiet --no-compile \
      --require-hashes --only-binary :all: -r "requirements/${LOCK}.txt"
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
COPY containers/start containers/start
# What is never loaded goes: ONNX Runtime's library for C, which is in its module for Python a second time, its tools, and
# numpy's tests. Bytecode is made now, as nothing can be written later, and holds whatever times files get in an image.
# The folders of volumes belong to mien: a new volume takes over whose they are.
RUN tools/bin/python -m hatchling build -t wheel -d wheel \
 && tools/bin/python -m pip --python /opt/mien/bin/python install --quiet --no-compile --no-deps wheel/*.whl \
 && rm -rf /opt/mien/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.* \
      /opt/mien/lib/python3*/site-packages/onnxruntime/tools \
      /opt/mien/lib/python3*/site-packages/onnxruntime/transformers \
 && find /opt/mien/lib/python3*/site-packages/numpy -name tests -type d -prune -exec rm -rf {} + \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/mien/lib \
 && mkdir -p /kept/etc /kept/usr/local/bin \
 && install -m 755 containers/start /kept/usr/local/bin/start-mien \
 && { cat /etc/passwd && echo 'mien:x:10001:10001:mien:/tmp:/usr/sbin/nologin'; } > /kept/etc/passwd \
 && { cat /etc/group && echo 'mien:x:10001:'; } > /kept/etc/group \
 && install -d -m 700 -o 10001 -g 10001 /kept/album /kept/album/.home /kept/face

FROM ${BASE} AS run
LABEL org.opencontainers.image.title="mien" \
      org.opencontainers.image.description="A face classifier that keeps itself trained, and says when it does not know." \
      org.opencontainers.image.licenses="Apache-2.0"
# The base's own pip, and the wheels that it would be made from.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip* \
      /usr/local/lib/python3*/ensurepip /usr/lib/python3*/ensurepip /usr/share/python-wheels
COPY --from=build /opt/mien /opt/mien
COPY --from=build /kept/ /
# HOME is a folder in memory: nobody's, for whichever user the container is started as.
ENV PATH=/opt/mien/bin:${PATH} HOME=/tmp TMPDIR=/tmp MIEN_HOME=/album/.home PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /album
STOPSIGNAL SIGTERM

# The commands of 2017, each an image of its original's name, with its folders in /face.
FROM run AS of-2017
ENV MIEN_HOME=/face/.home
WORKDIR /face

FROM of-2017 AS align-dlib
ENTRYPOINT ["mien-align-dlib"]

FROM of-2017 AS retrain
ENTRYPOINT ["mien-retrain"]

FROM of-2017 AS label-image
ENTRYPOINT ["mien-label-image"]

FROM of-2017 AS png-to-jpeg
ENTRYPOINT ["mien-png-to-jpeg"]

FROM of-2017 AS move-image
ENTRYPOINT ["mien-move-image"]

FROM of-2017 AS scheduler
ENTRYPOINT ["mien-scheduler"]

FROM run AS mien
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8000, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["start-mien"]

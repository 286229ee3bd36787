# Countersign in a container. The image is not built by .ci/run; a test compares its paths and ports with fly.toml.
#
#   docker build -t countersign .
#   docker run -p 8080:8080 -v countersign-data:/data countersign
#
# /data must hold countersign.toml; policy.toml, directory.toml, the database and the keys lie beside it, because
# relative paths in the configuration start at its directory. Samples are in /usr/share/doc/countersign/.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# `dist`: thin LTO and stripped. The caches keep a second build short; what they hold is gone after this step, hence the cp.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --bin countersign \
    && cp target/dist/countersign /usr/local/bin/countersign

# The release of Debian that the build stage is made of: the same libc.
FROM debian:bookworm-slim
# Root certificates: Slack's API is called over TLS that is checked against the system's trust store.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin countersign \
    && install -d -o countersign -g countersign -m 0700 /data
COPY --from=build /usr/local/bin/countersign /usr/local/bin/countersign
COPY countersign.example.toml policy.example.toml directory.example.toml LICENSE LICENSE-APACHE LICENSE-MIT /usr/share/doc/countersign/

# Loopback inside a container reaches nobody: listen on every interface and let the platform decide what is published.
ENV COUNTERSIGN_SERVER__LISTEN=0.0.0.0:8080 \
    COUNTERSIGN_SERVER__METRICS_LISTEN=0.0.0.0:9090

# By number, so that a platform that demands a non-root user can see that it is one.
USER 10001:10001
WORKDIR /data
VOLUME /data
# 8080 the API and Slack's callbacks; 9090 metrics, not meant to be published.
EXPOSE 8080 9090
# No HEALTHCHECK: the platform asks GET /healthz (alive) and GET /readyz (takes writes), see fly.toml.
CMD ["countersign", "serve", "--config", "/data/countersign.toml"]

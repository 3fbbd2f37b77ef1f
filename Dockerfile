# syntax=docker/dockerfile:1
# The one binary, on a small Debian, as a user without rights. Kept data (the SQLite file) is in /data.

FROM rust:1.95-bookworm AS build
WORKDIR /rivet
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/rivet/target \
    cargo build --release --locked --package rivet-orchestrator \
    && cp target/release/rivet-orchestrator /usr/local/bin/

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin rivet
COPY --from=build /usr/local/bin/rivet-orchestrator /usr/local/bin/
COPY deploy/healthcheck /usr/local/bin/rivet-healthcheck
USER rivet
WORKDIR /data
VOLUME /data
ENV RIVET_LISTEN=0.0.0.0:8080 \
    RIVET_DATABASE_URL=sqlite:///data/rivet.db
EXPOSE 8080
# It drains on SIGTERM, which is what `docker stop` sends.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["rivet-healthcheck"]
ENTRYPOINT ["rivet-orchestrator"]

# The program on a small Debian, run by a user without rights. What must be kept (the SQLite file) is in /data.

FROM rust:1.95-bookworm AS build
WORKDIR /rivet
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/rivet/target \
    cargo build --profile dist --locked --package rivet-orchestrator \
    && cp target/dist/rivet-orchestrator /usr/local/bin/

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin rivet \
    && install --directory --owner=rivet /data
COPY --from=build /usr/local/bin/rivet-orchestrator /usr/local/bin/
USER rivet
WORKDIR /data
VOLUME /data
ENV RIVET_LISTEN=0.0.0.0:8080 \
    RIVET_DATABASE_URL=sqlite:///data/rivet.db
EXPOSE 8080
# `docker stop` sends SIGTERM, on which the server drains.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["rivet-orchestrator", "health", "--ready"]
ENTRYPOINT ["rivet-orchestrator"]

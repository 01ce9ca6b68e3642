# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
WORKDIR /src

# The dependencies, built for an empty crate: this layer is made anew only when they change.
COPY Cargo.toml Cargo.lock build.rs ./
RUN mkdir src migrations tests \
    && echo '//! Stands in for the real crate.' | tee src/lib.rs tests/main.rs > /dev/null \
    && echo 'fn main() {}' > src/main.rs \
    && cargo build --release --locked \
    && rm -r src migrations tests target/release/hookgate target/release/deps/*hookgate* \
        target/release/.fingerprint/hookgate-*

COPY migrations migrations
COPY src src
RUN mkdir tests && touch tests/main.rs && cargo build --release --locked --bin hookgate


FROM debian:bookworm-slim
# Certificates for calls to upstream APIs and for a database that wants TLS.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/hookgate hookgate
COPY --from=build /src/target/release/hookgate /usr/local/bin/hookgate
USER 10001
WORKDIR /var/lib/hookgate
# Logs are read by machines here.
ENV LOG_FORMAT=json
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["hookgate"]
CMD ["serve"]

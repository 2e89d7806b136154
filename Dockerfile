# syntax=docker/dockerfile:1
# docker build -t nectr .
# docker run -p 8000:8000 -v nectr:/data -e SECRET_KEY=... -e GITHUB_PAT=... nectr

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The caches live beside the image: a rebuild compiles only what changed.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --bin nectr \
    && cp target/dist/nectr /nectr \
    && mkdir /data

# The C library, root certificates and nothing else: no shell, no package manager, no root.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /nectr /usr/local/bin/nectr
COPY --from=build --chown=nonroot:nonroot /data /data
ENV APP_ENV=production \
    DATABASE_URL=sqlite:///data/nectr.db
VOLUME /data
# Relative paths (and a development server's key file) end up where they are kept and may be written.
WORKDIR /data
EXPOSE 8000
# No HEALTHCHECK: orchestrators ask /health/ready, which costs no process.
ENTRYPOINT ["/usr/local/bin/nectr"]
CMD ["serve"]

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
LABEL org.opencontainers.image.title="nectr" \
      org.opencontainers.image.description="Turns GitHub webhooks into pull-request reviews" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /nectr /usr/local/bin/nectr
COPY --from=build --chown=65532:65532 /data /data
ENV APP_ENV=production
VOLUME /data
# The SQLite database (where no other is named) and whatever has a relative path end up where they are kept.
WORKDIR /data
# A number, so that orchestrators can see that it is not root.
USER 65532:65532
EXPOSE 8000
# For engines that look themselves; the program is the only one there is. Kubernetes asks /health/ready over HTTP.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/usr/local/bin/nectr", "health"]
ENTRYPOINT ["/usr/local/bin/nectr"]
CMD ["serve"]

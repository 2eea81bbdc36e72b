# The S3 server of compose.yaml, in the version that the tests use.
FROM golang:1.25-bookworm AS build
ENV GOTOOLCHAIN=auto CGO_ENABLED=0
RUN go install -trimpath github.com/versity/versitygw/cmd/versitygw@v1.8.0

FROM debian:bookworm-slim
COPY --from=build /go/bin/versitygw /usr/local/bin/versitygw
EXPOSE 7070
# A bucket is a directory.
ENTRYPOINT ["sh", "-c", "mkdir -p /srv/objects/wherry && exec versitygw --quiet --keep-alive posix /srv/objects"]

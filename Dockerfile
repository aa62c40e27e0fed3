# notifyd, static, in an image with nothing else in it.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN mkdir -p /out/data
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/notifyd ./cmd/notifyd

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/notifyd /notifyd
# 65532 is nobody the host knows.
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
WORKDIR /data
VOLUME /data
# It refuses to start until it is told who may come in: see notifyd --help.
ENV NOTIFYD_LISTEN=:7007
ENV NOTIFYD_DATABASE=sqlite:/data/notifications.db
ENV NOTIFYD_LOG_FORMAT=json
EXPOSE 7007
ENTRYPOINT ["/notifyd"]

# Needed are Go and a C compiler; for the tests also a PostgreSQL server, which
# `make test` installs itself when it runs as root on Debian or Ubuntu.

# A number of runs, not seconds: on a busy machine `go test -fuzz` reports the end
# of its time as a failure (https://go.dev/issue/75804).
FUZZTIME ?= 5000x

# Tests that need modules nobody who imports the library should inherit.
NESTED := $(dir $(wildcard internal/*/go.mod))

.PHONY: test
test:
	go run ./internal/dbtest/withpostgres -- go test -race -timeout 30m ./...
	CGO_ENABLED=0 NOTIFICATIONS_TEST_DATABASES=sqlite go test ./...
	@set -e; for dir in $(NESTED); do echo "go -C $$dir test ./..."; go -C $$dir test ./...; done

.PHONY: lint
lint:
	go tool -modfile=tools/go.mod golangci-lint run ./...

# Every fuzz target, each for a short while.
.PHONY: fuzz
fuzz:
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's|/[^/]*:func | |' | sort | \
	while read -r dir target; do \
		echo "$$dir $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$dir" || exit 1; \
	done

.PHONY: run
run:
	go run ./cmd/notifyd $(ARGS)

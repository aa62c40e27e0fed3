# Needed are Go and a C compiler; for the tests also a PostgreSQL server, which
# `make test` and `make allocs` install themselves when they run as root on
# Debian or Ubuntu.

# A number of runs, not seconds: on a busy machine `go test -fuzz` reports the end
# of its time as a failure (https://go.dev/issue/75804).
FUZZTIME ?= 5000x

# Tests that need modules nobody who imports the library should inherit. They
# are never taken from the cache, which does not notice changes outside of theirs.
NESTED := $(dir $(wildcard internal/*/go.mod))

.PHONY: test
test:
	go run ./internal/dbtest/withpostgres -- sh -ec 'go test -race -timeout 30m ./...; for dir in $(NESTED); do go -C $$dir test -race -timeout 30m -count=1 ./...; done'
	CGO_ENABLED=0 NOTIFICATIONS_TEST_DATABASES=sqlite sh -ec 'go test ./...; for dir in $(NESTED); do go -C $$dir test -count=1 ./...; done'

.PHONY: lint
lint:
	go tool -modfile=tools/go.mod golangci-lint run ./...

# Fails when a benchmark allocates more than internal/allocs/baseline.txt says.
# `make allocs-update` writes what they allocate now.
BENCHED = $(sort $(dir $(shell grep -rl --include='*_test.go' '^func Benchmark[A-Za-z0-9_]*.b \*testing' .)))

.PHONY: allocs
allocs:
	go run ./internal/dbtest/withpostgres -- go run ./internal/allocs $(BENCHED)

.PHONY: allocs-update
allocs-update:
	go run ./internal/dbtest/withpostgres -- go run ./internal/allocs -update $(BENCHED)

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

# Needed are Go and a C compiler; for the tests also PostgreSQL and PgBouncer, which
# `make test` and `make allocs` install themselves when they run as root on
# Debian or Ubuntu.

# A number of runs, not seconds: on a busy machine `go test -fuzz` reports the end
# of its time as a failure (https://go.dev/issue/75804).
FUZZTIME ?= 5000x

# Modules of their own: what they need, nobody who imports the library inherits.
# Their tests are never taken from the cache, which does not notice changes
# outside of a module.
NESTED := $(filter-out tools,$(patsubst %/go.mod,%,$(wildcard */go.mod */*/go.mod)))
# Arguments of grep that leave them out.
OURS := --include='*_test.go' $(addprefix --exclude-dir=,$(notdir $(NESTED)))

# The root package takes longest, and go test prints in order: it comes last.
.PHONY: test
test:
	@echo "Building with the race detector. The first time that takes a few minutes."
	go run ./internal/dbtest/withpostgres -- sh -ec 'go test -race -timeout 30m $$(go list ./... | sort -r)'
	CGO_ENABLED=0 NOTIFICATIONS_TEST_DATABASES=sqlite go test ./...
	go run ./internal/dbtest/withpostgres -- sh -ec 'for dir in $(NESTED); do echo "go test in $$dir"; go -C $$dir test -race -count=1 ./...; done'
	CGO_ENABLED=0 NOTIFICATIONS_TEST_DATABASES=sqlite sh -ec 'for dir in bench internal/conformance; do go -C $$dir test -count=1 ./...; done'

.PHONY: lint
lint:
	@set -e; for dir in . $(NESTED); do echo "lint $$dir"; \
		go -C $$dir tool -modfile=$(CURDIR)/tools/go.mod golangci-lint run ./...; done

# Fails when a benchmark allocates more than internal/allocs/baseline.txt says.
# `make allocs-update` writes what they allocate now.
BENCHED = $(sort $(dir $(shell grep -rl $(OURS) '^func Benchmark[A-Za-z0-9_]*.b \*testing' .)))

.PHONY: allocs
allocs:
	go run ./internal/dbtest/withpostgres -- go run ./internal/allocs $(BENCHED)

.PHONY: allocs-update
allocs-update:
	go run ./internal/dbtest/withpostgres -- go run ./internal/allocs -update $(BENCHED)

# Every fuzz target, each for a short while.
.PHONY: fuzz
fuzz:
	@grep -rHo $(OURS) '^func Fuzz[A-Za-z0-9_]*' . | sed 's|/[^/]*:func | |' | sort | \
	while read -r dir target; do \
		echo "$$dir $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$dir" || exit 1; \
	done

.PHONY: run
run:
	go run ./cmd/notifyd $(ARGS)

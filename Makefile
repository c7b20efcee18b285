# Spillway. `make help` lists the targets.

GO      ?= go
T       ?= 60s
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -X main.release=$(VERSION)

# The packages with goroutines of their own: what the race detector can find something in.
RACE = ./artifact/... ./engine/... ./internal/... ./privatecloud/... ./providers/... ./runner/...

.DEFAULT_GOAL := help
.PHONY: help build demo test check-tools check lint test-race bench bench-engine bench-planner bench-robust fuzz setup clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/spillway and bin/spillway-runner
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/spillway
	CGO_ENABLED=0 $(GO) build -trimpath -tags lambda.norpc -ldflags '-s -w' -o bin/ ./cmd/spillway-runner

demo: build ## run a real workflow, at home and then with a deadline that home cannot meet
	@./scripts/demo.sh

# The examples run last and alone: what they show is measured against the cores of this machine.
test: check-tools check test-race ## everything that CI runs
	$(GO) test -timeout 15m $$($(GO) list ./... | grep -v /examples)
	$(GO) test -timeout 10m ./examples/

# What is missing is said in one line. CI, and whoever asks for `make setup`, gets it installed.
check-tools:
	@if ! command -v postgres >/dev/null 2>&1 && ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then \
		if [ -n "$(CI)" ]; then $(MAKE) --no-print-directory setup; \
		else echo "PostgreSQL is missing, so its tests are skipped: 'make setup', or 'apt-get install -y postgresql'" >&2; fi; fi

check: ## formatting and go vet
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt -w $$unformatted" >&2; exit 1; fi
	$(GO) vet ./...

lint: ## golangci-lint 2.15, which must be installed: another version has other opinions
	golangci-lint run

test-race: ## the packages with goroutines, under the race detector
	$(GO) test -race -short -timeout 10m $(RACE)

bench: bench-engine bench-planner-full bench-tenants ## all benchmarks, and whether their figures are in their ranges
	$(GO) test -run '^$$' -bench . -benchmem $$(grep -rlE '^func Benchmark' --include='*_test.go' . | xargs -n1 dirname | sort -u)

bench-engine: build ## what the durable path costs a task, beside bare commands; rows in build/bench/engine.jsonl
	@$(GO) run ./bench/engine

bench-planner: ## cost, deadlines met and planning time, a few minutes; rows in build/bench/planner.jsonl, held to bench/ranges.yaml
	@$(GO) run ./bench/planner
	@$(GO) run ./bench/check build/bench/planner.jsonl

bench-planner-full: # all traces and deadlines beside the reference evaluator, and a million tasks
	@$(GO) run ./bench/planner -full
	@$(GO) run ./bench/check build/bench/planner.jsonl

bench-robust: ## deadlines kept and cost under noise, beside a clairvoyant's; rows in build/bench/robust.jsonl
	@$(GO) run ./bench/robust

bench-tenants: ## days of arrivals on one cluster at three loads, a few minutes; held to bench/ranges.yaml
	@$(GO) run ./bench/tenants
	@$(GO) run ./bench/check build/bench/tenants.jsonl

fuzz: ## every fuzz target in turn, T=60s each
	@grep -roE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' . | sed 's|/[^/]*:func | |' | sort -u | \
	while read -r dir name; do \
		echo "== $$dir $$name"; $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(T) -fuzzminimizetime 1s "$$dir" || exit 1; done

setup: ## install what the tests need on this machine: modules and PostgreSQL
	$(GO) mod download
	@if ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		$$sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -q postgresql; fi

clean: ## remove what was built; runs are kept
	rm -rf bin build

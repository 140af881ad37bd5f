# Bare `make` lists the verbs.
.DEFAULT_GOAL := help
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c

# The workspace's modules, asked of Go so that no list goes stale.
MODULES := $(shell go list -m -f '{{.Dir}}')
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
BIN := bin
ALL_BUT_CHAOS = $$(go list work | grep -v '/pipeline/chaos$$')
# Clusters of three nodes are started by kafkatest: beside others they get too little of the machine to agree.
TOGETHER = $$(go list work | grep -v -e '/services/pipeline$$' -e '/pipeline/cmd/sluice$$' -e '/pipeline/chaos$$' -e '/ingest/webhook$$' -e '/pkg/kafkatest$$')

# Kafka and the registry are started once for all suites, and named in the environment.
WITH_KAFKA = $(BIN)/withkafka -registry --

.PHONY: help
help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  \033[1m%-10s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build every command into bin/
	@mkdir -p $(BIN)
	go build -o $(BIN)/ $$(go list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' work)

.PHONY: run
run: ## everything in one process, with simulated customers: no other software, no configuration
	@mkdir -p $(BIN)
	@echo "building…"
	@cd services/pipeline && go build -o $(CURDIR)/$(BIN)/sluice ./cmd/sluice
	@# On a terminal it is a job of its own, so that Ctrl-C reaches it and not make, which would fail.
	@if [[ -t 0 ]]; then set -m; fi; $(BIN)/sluice run --simulate; true

.PHONY: simulate
simulate: ## send seeded customers to a running pipeline
	cd services/pipeline && go run ./cmd/sluice simulate

.PHONY: test
test: ## every test, on the embedded broker and on a real Apache Kafka
	@mkdir -p $(BIN)
	@cd pkg && go build -o $(CURDIR)/$(BIN)/withkafka ./kafkatest/cmd/withkafka
	$(WITH_KAFKA) $(MAKE) --no-print-directory suites

# Many tests wait for brokers most of the time, so that three packages at once keep two cores busy. What puts the services
# together is not built with the race detector, under which each service's own suite has run (make race does it all
# the same); nor are the translations of webhooks, in which nothing happens at once, and what concerns the clouds' own
# libraries (filesink/clouds.go).
# The crash suites measure nothing that the race detector could see (their services are processes of
# their own) and print what they counted; they have the machine to themselves, and so have the tests of the shared
# budget, which fill windows of real time. Here they run in a short form; make chaos is the long one.
BUDGET := ThreeReplicas|SecondTool
.PHONY: suites
suites:
	go test -race -shuffle=on -p 3 -timeout 15m $(TOGETHER)
	cd pkg && go test -race -count=1 -timeout 5m ./kafkatest
	go test -count=1 -shuffle=on -p 3 -timeout 15m ./services/pipeline ./services/pipeline/cmd/sluice ./services/ingest/webhook ./services/currents-fanout/filesink
	cd services/braze-sender && go test -count=1 -v -timeout 5m -tags budget -run '$(BUDGET)' .
	cd services/pipeline && CHAOS_EVENTS=60000 CHAOS_KILLS=8 CHAOS_BLOWS=5 go test -count=1 -v -timeout 15m -skip 'TestEngagementsReachEverySinkOnce' ./chaos && echo 'not run here: TestEngagementsReachEverySinkOnce (make chaos runs it)'

.PHONY: e2e
e2e: ## the end-to-end tests alone
	@mkdir -p $(BIN)
	@cd pkg && go build -o $(CURDIR)/$(BIN)/withkafka ./kafkatest/cmd/withkafka
	cd services/pipeline && $(CURDIR)/$(WITH_KAFKA) go test -count=1 -v -timeout 15m .

.PHONY: race
race: ## every suite but the crash suites under the race detector, what CI leaves out as well
	@mkdir -p $(BIN)
	@cd pkg && go build -o $(CURDIR)/$(BIN)/withkafka ./kafkatest/cmd/withkafka
	$(WITH_KAFKA) go test -race -shuffle=on -p 2 -timeout 30m $(ALL_BUT_CHAOS)

.PHONY: chaos
chaos: ## the long crash suites: make chaos SEED=7 KILLS=60 PROFILES=1000000
	@mkdir -p $(BIN)
	@cd pkg && go build -o $(CURDIR)/$(BIN)/withkafka ./kafkatest/cmd/withkafka
	cd services/pipeline && CHAOS_SEED=$(SEED) CHAOS_KILLS=$(or $(KILLS),60) CHAOS_PROFILES=$(or $(PROFILES),1000000) \
	  CHAOS_CONFUSED=6000 CHAOS_CASES=6000 CHAOS_BLOWS=30 CHAOS_ENGAGEMENTS=1000000 CHAOS_STRIKES=12 $(CURDIR)/$(WITH_KAFKA) \
	  go test -count=1 -v -timeout 60m -run 'TestCrashSuite|TestProfiles|TestCases|TestEngagements' ./chaos

.PHONY: bench
bench: ## throughput beside a limit measured in the same run; TEST_KAFKA_BROKERS takes another broker
	cd services/pipeline && CGO_ENABLED=0 go test -run '^$$' -bench . -benchtime 1x -timeout 60m ./bench
	cd services/braze-sender && go test -run '^$$' -bench . ./...
	cd services/crm-writeback && go test -run '^$$' -bench . -benchtime 1x ./... && go test -run '^$$' -bench . ./plan ./rules
	cd services/currents-fanout && go test -run '^$$' -bench Parquet ./filesink

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s) each
	@for m in $(MODULES); do (cd "$$m" && \
	  grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -r -n1 dirname | sort -u | while read -r dir; do \
	    for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$$dir"/*_test.go | cut -d' ' -f2); do \
	      echo "$$dir $$target"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(or $(FUZZTIME),10s) "$$dir"; \
	    done; done); done

.PHONY: lint
lint: ## golangci-lint over every module
	@for m in $(MODULES); do (cd "$$m" && echo "lint $${m#$(CURDIR)/}" && go run $(GOLANGCI_LINT) run ./...); done

.PHONY: fmt
fmt: ## format every module
	@for m in $(MODULES); do (cd "$$m" && go run $(GOLANGCI_LINT) fmt ./...); done

.PHONY: tidy
tidy: ## bring every go.mod up to date
	@for m in $(MODULES); do (cd "$$m" && go mod tidy); done

.PHONY: generate
generate: ## rewrite what is generated: configuration tables, the topics' reference
	cd services/pipeline && go run ./cmd/gendocs -root $(CURDIR)

.PHONY: generate-check
generate-check:
	cd services/pipeline && go run ./cmd/gendocs -root $(CURDIR) -check

.PHONY: golden
golden: ## rewrite golden files; read the diff like prose
	GOLDEN=write go test $(ALL_BUT_CHAOS)

.PHONY: check
check: lint generate-check build test ## what CI runs

.PHONY: up
up: ## Apache Kafka, a registry and the services in containers
	docker compose up --build --wait

.PHONY: down
down: ## stop and remove them
	docker compose down --volumes

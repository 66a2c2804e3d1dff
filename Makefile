# The only list of verbs; CI calls `make test` and nothing else. `make help` prints it.
.DEFAULT_GOAL := help
.PHONY: help build demo down test check crds chart conformance docs bench bench-rotation bench-compare bench-scan fmt parts deny clean

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build the binary: target/release/pharos
	cargo build --release --locked --package pharos

demo: ## Watch `kubectl apply` move live metrics, on a real control plane (KEEP=1, CLUSTER=kind)
	cargo build --release --locked --package pharos --package pharos-e2e --bins
	./target/release/demo up

down: ## End what `make demo KEEP=1` left running, or what a kill left behind
	cargo build --release --locked --package pharos-e2e --bins
	./target/release/demo down

test: check parts ## Run every check and every test: unit, crate and end to end on the real parts
	cargo build --locked --package pharos
	cargo xtask conformance --check
	cargo test --locked --workspace --exclude pharos-e2e
	cargo test --locked --package pharos-e2e --lib --bins --test walks -- --test-threads=1 --nocapture
	cargo test --locked --package pharos-e2e --test faults -- --test-threads=4 --nocapture

check: ## Check generated files, dependency arrows, file sizes, formatting and lints
	cargo xtask check

crds: ## Generate crds/ from the types
	cargo xtask crds

chart: ## Generate what of charts/pharos is made of the types
	cargo xtask chart

conformance: ## Run Kyverno's own tests (../shared/conformance) with pharos test, and write docs/conformance.md
	cargo xtask conformance

docs: ## Generate docs/reference/ from the declarations of metrics and spans
	cargo xtask docs

bench: parts ## Run the benches and write docs/benchmarks.md (ONLY=record for one of them)
	cargo build --release --locked --package pharos
	cargo xtask bench $(ONLY)

bench-rotation: ## Measure from a rotated Secret to the first export, and write docs/benchmarks.md
	$(MAKE) bench ONLY=rotation

bench-compare: ## Measure reviews beside Kyverno (built from its module on first use), and write docs/benchmarks.md
	$(MAKE) bench ONLY=compare

bench-scan: ## Measure background scans of 20,000 and 40,000 Pods, and beside Kyverno (PHAROS_BENCH_PODS=200 for a quick try)
	$(MAKE) bench ONLY=scan

fmt: ## Format the code
	cargo fmt --all

parts: ## Build the real parts that tests and demo use (control plane, Helm, Collector, Prometheus, Jaeger), once per machine
	cargo xtask parts

deny: ## Check licences, sources and banned crates (installs cargo-deny into .tools/)
	@test -x .tools/bin/cargo-deny || cargo install --locked --root .tools cargo-deny@0.20.2
	.tools/bin/cargo-deny --workspace check bans licenses sources

clean: ## Remove what was built here (not the parts in the user's cache)
	cargo clean
	rm -rf .demo .tools

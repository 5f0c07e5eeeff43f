# The commands a person needs; `make help` lists them. CI calls `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export SWIFT_BACKTRACE := enable=no
RELEASE := .build/release/headroom
VENV := .venv
# With the flags that Scripts/build-tests builds with; others would build anew.
SWIFT_TEST := swift test --disable-xctest --enable-swift-testing --disable-index-store


.PHONY: help bench bench-gpu build build-tests fetch-ahead test test-cuda-headers test-gpu test-swift test-counts test-long test-sanitized test-peers test-cluster triton-qa lint graph format dist deps install fuzz clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

deps: ## the Debian packages that a build needs and that are missing
	@Scripts/install-packages
	@# Optional: without it the CPU device runs its own kernels.
	@Scripts/fetch-onednn || true

build: deps ## the release build of the program
	@# One command, as each plans the whole package anew: the program, its interposer, and what stands beside it in tests and measurements.
	swift build -c release

bench: build ## the published case study: its GPU in virtual time, and this machine's processor for real; one report in report/
	@# 3: answered, with a verdict that is inconclusive. That is a result, on a busy machine the honest one.
	@$(RELEASE) bench --device sim:rtx-pro-6000 --device cpu || [ $$? -eq 3 ]

test: deps fetch-ahead lint test-swift test-cuda-headers test-peers ## everything but what takes minutes or measures times: eleven minutes on two cores
	@Scripts/test-summary .build/test-swift.log .build/test-peers.log

# Downloads wait for servers while builds take the processors.
fetch-ahead: deps
	@Scripts/fetch-ahead start

build-tests: deps # the program too, as the peers' tests run it
	@Scripts/build-tests

test-swift: build-tests ## the Swift tests; FILTER=Suite chooses
	@Scripts/fetch-ahead wait
	@Scripts/fetch-onnxruntime || echo "ONNX Runtime's tests are skipped"
	@Scripts/fetch-cuda compiler || echo "SKIPPED: the GPU kernels are NOT compiled by NVRTC"
	@# A minute on two cores. A test that hangs is ended, so that the log says which one was running.
	timeout --kill-after=30 2400 $(SWIFT_TEST) --skip-build $(if $(FILTER),--filter '$(FILTER)') 2>&1 | tee .build/test-swift.log

test-cuda-headers: ## our declarations of CUDA's interfaces against NVIDIA's own headers (1.1 GB of wheels from PyPI, once)
	@Scripts/test-cuda-headers

test-gpu: build-tests ## the CUDA device's tests on this machine's GPU
	HEADROOM_TEST_GPU=1 $(SWIFT_TEST) --skip-build --filter CUDATests

bench-gpu: ## the heads timed on this machine's GPU, as CSV
	swift build -c release --product benchmark-gpu
	.build/release/benchmark-gpu

test-counts: build ## what must not be allocated is counted: fails when the scheduler, or a batch on the CPU device, allocates in steady state
	timeout --kill-after=30 300 .build/release/benchmark-scheduler
	timeout --kill-after=30 300 .build/release/benchmark-cpu allocations

test-long: build test-counts build-tests ## what `make test` leaves out: the release build, its counts and times, the tests that go on for minutes, the properties on a million random cases (20 minutes at most)
	@Scripts/fetch-cuda compiler || echo "################ SKIPPED: the GPU kernels are NOT compiled by NVRTC ################"
	HEADROOM_ALL_ARCHITECTURES=1 HEADROOM_PROPERTY_BATCHES=$${HEADROOM_PROPERTY_BATCHES:-1000000} timeout --kill-after=30 1100 \
	  $(SWIFT_TEST) --skip-build --filter 'RandomBatchTests|CompilerTests' 2>&1 | tee .build/test-long.log
	@Scripts/install-packages test
	Scripts/test-peers release 2>&1 | tee -a .build/test-long.log
	@Scripts/test-summary .build/test-long.log

test-peers: build-tests ## the peers' own tools (Python from PyPI, in a virtual environment)
	@Scripts/fetch-ahead wait
	@Scripts/install-packages test
	Scripts/test-peers 2>&1 | tee .build/test-peers.log

test-cluster: build ## one load run on several tasks, on a real Slurm and a real Ray of daemons on this machine (installs both; minutes)
	Scripts/test-cluster

triton-qa: build ## Triton's own QA files against this server, into Docs/triton-qa.md (TRITON=a checkout of triton-inference-server/server)
	@[ -n "$(TRITON)" ] || { echo "give TRITON=FOLDER, a checkout of github.com/triton-inference-server/server"; exit 64; }
	@[ -x .venv-qa/bin/python ] || python3 -m venv .venv-qa
	.venv-qa/bin/pip install --quiet --disable-pip-version-check -r Tests/triton-qa/requirements.txt
	.venv-qa/bin/python Tests/triton-qa/run.py --triton "$(TRITON)" --headroom $(RELEASE) --report Docs/triton-qa.md

# Suites whose time is arithmetic of one thread (virtual time, fits, references): ThreadSanitizer makes them some twenty times slower and has
# nothing to see in them. AddressSanitizer runs them.
ONE_THREAD := ^(SimulationTests|KernelFittingTests|GPUModelTests|ONNXFormatTests|ArchitectureTests)\.|FittedSimulationTests|HopperSuiteTests|PlantedTests|RunnerTests

test-sanitized: deps ## the Swift tests under AddressSanitizer, then under ThreadSanitizer
	@# LeakSanitizer would count the test runner's own blocks.
	HEADROOM_SANITIZED=1 HEADROOM_PROPERTY_SEQUENCES=4000 ASAN_OPTIONS=detect_leaks=0 $(SWIFT_TEST) --sanitize=address --scratch-path .build-asan
	HEADROOM_SANITIZED=1 HEADROOM_PROPERTY_SEQUENCES=4000 TSAN_OPTIONS="suppressions=$(CURDIR)/Tests/thread-sanitizer-suppressions.txt" $(SWIFT_TEST) --sanitize=thread --scratch-path .build-tsan --skip '$(ONE_THREAD)'

lint: ## formatting and lint, strictly
	swift format lint --strict --recursive --parallel Package.swift Sources Tests $(wildcard Tools Benchmarks Fuzz)
	Scripts/module-graph --check

graph: ## the package's modules: layers, lines, imports, cycles
	@Scripts/module-graph

format: ## rewrite all sources in the project's format
	swift format --in-place --recursive --parallel Package.swift Sources Tests $(wildcard Tools Benchmarks Fuzz)

PREFIX ?= /usr/local
install: build ## the program, completions and manual pages into PREFIX (/usr/local); DESTDIR for packagers
	@Scripts/install .build/release "$(PREFIX)" "$(DESTDIR)"
	@echo "installed in $(DESTDIR)$(PREFIX): headroom --help, man headroom"

dist: deps ## in dist/: a self-contained, stripped, xz-compressed binary, a .deb, and an image where a builder is at hand
	Scripts/make-dist
	Scripts/make-deb
	Scripts/make-image

fuzz: deps ## fuzz campaigns, SECONDS each (default 60)
	Fuzz/run.sh all $${SECONDS_EACH:-60}

clean: ## remove everything that was built
	rm -rf .build .venv .venv-triton dist

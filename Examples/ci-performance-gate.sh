#!/usr/bin/env bash
# A performance gate for CI: serves a model, loads it, and fails the job when a limit is crossed. Exit codes: 0 within all limits, 2 a limit
# crossed (the report names it), anything else: the run itself went wrong.
#
# As a step of GitHub Actions: run: Examples/ci-performance-gate.sh model.onnx
# As a job of GitLab: script: [Examples/ci-performance-gate.sh model.onnx]
set -euo pipefail
model=${1:?usage: ci-performance-gate.sh MODEL.onnx or builtin:NAME}
headroom=${HEADROOM:-headroom}
work=$(mktemp -d)
mkfifo "$work/ready"
"$headroom" serve --model "gate=$model" --http-port 0 --grpc-port 0 --metrics-port 0 --ready-line > "$work/ready" 2> "$work/server.log" &
server=$!
trap 'kill "$server" 2> /dev/null || true; wait "$server" 2> /dev/null || true; rm -rf "$work"' EXIT
# One line of JSON once the model is loaded; nothing where the server ended.
read -r ready < "$work/ready" || { cat "$work/server.log" >&2; exit 1; }
address=$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])["http"])' "$ready")
"$headroom" load --model gate --url "$address" --rate "${RATE:-50}" --duration "${SECONDS_OF_LOAD:-10}" --json \
  --fail-on "${LATENCY_LIMIT:-p99>100ms}" --fail-on 'errors>0' > "${REPORT:-load.json}"

#!/usr/bin/env bash
# Fuzz campaigns with libFuzzer and AddressSanitizer: Fuzz/run.sh onnx|all SECONDS. Findings land in .build-fuzz; a new one belongs into
# Fuzz/seeds with a test.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-all}
seconds=${2:-60}
[ "$target" = all ] || [ "$target" = onnx ] || { echo "usage: Fuzz/run.sh onnx|all SECONDS" >&2; exit 64; }
mkdir -p .build-fuzz/onnx
# One module of all sources the target needs: libFuzzer wants its own main.
sources=(Sources/TimeBase Sources/FileAccess Sources/ModelGraph Sources/ProtobufWire Sources/ONNXFormat)
find "${sources[@]}" -name '*.swift' | while read -r file; do
  mkdir -p ".build-fuzz/source/$(dirname "$file")"
  sed -E '/^(public |package |internal )?import (TimeBase|FileAccess|ModelGraph|ProtobufWire)$/d' "$file" >".build-fuzz/source/$file"
done
swiftc -O -swift-version 6 -parse-as-library -module-name ONNXFuzzer -sanitize=fuzzer,address -suppress-warnings \
  $(find .build-fuzz/source -name '*.swift') Fuzz/ONNXFuzzer.swift -o .build-fuzz/onnx-fuzzer
ASAN_OPTIONS=detect_leaks=0 timeout -k 10 $((seconds + 60)) .build-fuzz/onnx-fuzzer -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=8192 \
  -artifact_prefix=.build-fuzz/ .build-fuzz/onnx Fuzz/seeds/onnx

#!/usr/bin/env bash
# Fuzz campaigns with libFuzzer and AddressSanitizer: Fuzz/run.sh onnx|config|grpc|http|json|labels|control|kineto|nsight|triton|loads|all SECONDS. Findings land in .build-fuzz; a new one belongs
# into Fuzz/seeds with a test.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-all}
seconds=${2:-60}

# fuzz NAME FUZZER MODULE...: one module of all sources the target needs, because libFuzzer wants its own main.
fuzz() {
  local name=$1 fuzzer=$2
  shift 2
  local modules="CheckedNumbers $*"
  rm -rf ".build-fuzz/source-$name"
  find Sources/CheckedNumbers "${@/#/Sources/}" -name '*.swift' | while read -r file; do
    mkdir -p ".build-fuzz/source-$name/$(dirname "$file")"
    sed -E "/^(public |package |internal )?import (${modules// /|})$/d" "$file" >".build-fuzz/source-$name/$file"
  done
  campaign "$name" "$fuzzer"
}

# sources NAME FILE...: those files, and the checked conversions, as one module without SwiftNIO.
sources() {
  local name=$1 file
  shift
  rm -rf ".build-fuzz/source-$name"
  mkdir -p ".build-fuzz/source-$name"
  for file in Sources/CheckedNumbers/*.swift "$@"; do
    sed -E '/^(public |package |internal )?import (CheckedNumbers|JSONReading|JSONText|KServe|ModelConfiguration|NIOCore|ProtobufWire|Serving|TimeBase)$/d' "$file" \
      >".build-fuzz/source-$name/$(basename "$file")"
  done
}

# campaign NAME FUZZER: builds what lies in .build-fuzz/source-NAME and runs it.
campaign() {
  local name=$1 fuzzer=$2 flags="flags_$1"
  mkdir -p ".build-fuzz/$name"
  swiftc -O -swift-version 6 -parse-as-library -module-name "$fuzzer" -sanitize=fuzzer,address -suppress-warnings \
    $(find ".build-fuzz/source-$name" -name '*.swift') "Fuzz/$fuzzer.swift" ${!flags:-} -o ".build-fuzz/$name-fuzzer"
  ASAN_OPTIONS=detect_leaks=0 timeout -k 10 $((seconds + 60)) ".build-fuzz/$name-fuzzer" -max_total_time="$seconds" -timeout=5 \
    -rss_limit_mb=1024 -max_len=8192 -artifact_prefix=.build-fuzz/ ".build-fuzz/$name" "Fuzz/seeds/$name"
}

onnx() { fuzz onnx ONNXFuzzer CheckedNumbers TimeBase FileAccess ModelGraph ProtobufWire ONNXFormat; }
config() { fuzz config ConfigFuzzer JSONText ModelConfiguration; }

# The part of the front end that reads gRPC messages, without SwiftNIO: GRPCFuzzer.swift brings a ByteBuffer of its own.
grpc() {
  sources grpc Sources/{ProtobufWire,TimeBase,KServe/Values}/*.swift Sources/ModelConfiguration/Values/TensorDataType.swift \
    Sources/Serving/Inference/InferenceRequest.swift \
    Sources/GRPCFrontEnd/{GRPCStatus,GRPCMessageAssembler,WireParameter,TensorContents,InferRequestDecoder}.swift
  campaign grpc GRPCFuzzer
}

# HTTP framing and the JSON of requests: KServe and what it needs of the configuration's values.
http() {
  sources http Sources/JSONReading/*.swift Sources/KServe/{HTTP,JSON,Values}/*.swift Sources/ModelConfiguration/Values/TensorDataType.swift
  campaign http HTTPFuzzer
}

json() {
  sources json Sources/{JSONReading,JSONText}/*.swift Sources/KServe/{JSON,Values}/*.swift Sources/ModelConfiguration/Values/TensorDataType.swift
  campaign json JSONFuzzer
}

labels() {
  sources labels Sources/ModelConfiguration/Reading/LabelFile.swift
  campaign labels LabelsFuzzer
}

# Repository control: the documents of HTTP and the messages of gRPC.
control() {
  sources control Sources/{JSONReading,JSONText,ProtobufWire}/*.swift Sources/KServe/{JSON,Values}/*.swift \
    Sources/ModelConfiguration/Values/TensorDataType.swift Sources/HTTPFrontEnd/HTTPDocument.swift Sources/GRPCFrontEnd/ControlRequests.swift
  campaign control ControlFuzzer
}

# Readers of traces: everything from the bytes of a file to the trace.
flags_kineto="-I Sources/CSQLite -I Sources/CZlib -I Sources/CLinux -l:libsqlite3.a -l:libz.a -lm -ldl -lpthread"
flags_nsight=$flags_kineto
flags_triton=$flags_kineto
traces() { fuzz "$1" "$2" CheckedNumbers TimeBase FileAccess JSONReading Threads Trace TraceFormats; }
kineto() { traces kineto KinetoFuzzer; }
nsight() { traces nsight NsightFuzzer; }
triton() { traces triton TritonFuzzer; }
loads() { fuzz loads LoadResultFuzzer CheckedNumbers FileAccess JSONText LoadResults; }

case $target in
  onnx | config | grpc | http | json | labels | control | kineto | nsight | triton | loads) "$target" ;;
  all)
    onnx
    config
    grpc
    http
    json
    labels
    control
    kineto
    nsight
    triton
    loads
    ;;
  *)
    echo "usage: Fuzz/run.sh onnx|config|grpc|http|json|labels|control|kineto|nsight|triton|loads|all SECONDS" >&2
    exit 64
    ;;
esac

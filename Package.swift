// swift-tools-version: 6.2
import PackageDescription

// CI turns warnings into errors; a user's newer compiler may warn about things we could not know of.
let strict: [SwiftSetting] =
  Context.environment["HEADROOM_WARNINGS_AS_ERRORS"] == "1" ? [.treatAllWarnings(as: .error)] : []

/// Optimized in debug builds too: parsers, models and virtual time, which tests repeat by the million. With it the tests take a quarter of the
/// processor time (Docs/decisions/test-runner.md).
let optimized: [SwiftSetting] = [.unsafeFlags(["-O"], .when(configuration: .debug))]

/// A Swift module of the package. The layers are written down in ARCHITECTURE.md and checked by `ArchitectureTests`.
func module(_ name: String, _ dependencies: [Target.Dependency] = [], isOptimized: Bool = false) -> Target {
  .target(name: name, dependencies: [checkedNumbers] + dependencies, swiftSettings: isOptimized ? strict + optimized : strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// Every module imports it: where it is seen, conversions that trap are warned of.
let checkedNumbers: Target.Dependency = "CheckedNumbers"
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")

let package = Package(
  name: "headroom",
  products: [
    .executable(name: "headroom", targets: ["headroom"]),
    // Loaded into the programs that `headroom profile --os` runs, never into headroom itself: it stands beside the executable.
    .library(name: "headroom-os-interposer", type: .dynamic, targets: ["COSInterposer"]),
    // Loaded by NVIDIA's driver into the programs that `headroom profile --cuda` runs; it stands beside the executable too.
    .library(name: "headroom-cuda-injection", type: .dynamic, targets: ["CCUDAInjection"]),
    // Takes the place of NVIDIA's libraries where there is no GPU, for tests: loaded at run time, never linked.
    .library(name: "headroom-cuda-standin", type: .dynamic, targets: ["CCUDAStandIn"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "5.0.1"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
  ],
  targets: [
    // Layer 0
    .target(name: "CheckedNumbers", swiftSettings: strict + optimized),
    // Layer 1
    module("TimeBase", isOptimized: true),
    module("FileAccess", isOptimized: true),
    module("JSONText", isOptimized: true),
    module("JSONReading", isOptimized: true),
    module("ProtobufWire", isOptimized: true),
    module("Vocabulary", isOptimized: true),
    module("YAMLFields", [yams]),
    .systemLibrary(name: "CSQLite"),
    .systemLibrary(name: "CZlib"),
    .systemLibrary(name: "CLinux"),
    // Optimized in debug builds too: plain loops in -O0 take minutes. The compiler may contract a * b + c.
    .target(name: "CKernels", cSettings: [.unsafeFlags(["-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"])]),
    // Optimized in debug builds too: it runs inside other programs' calls. Only what it interposes is exported, and it needs libc alone:
    // the package manager links with Swift's driver, which would add Swift's runtime to programs that have none, and a sanitizer would too.
    .target(
      name: "COSInterposer", cSettings: [.unsafeFlags(["-O2", "-fvisibility=hidden", "-fno-builtin", "-fno-sanitize=all"])],
      linkerSettings: [.unsafeFlags(["-nostartfiles", "-no-toolchain-stdlib-rpath", "-Xlinker", "-z", "-Xlinker", "now"])]),
    // As the interposer: in other programs, optimized, with libc alone.
    .target(
      name: "CCUDAInjection",
      cSettings: [
        .unsafeFlags(["-O2", "-fvisibility=hidden", "-fno-sanitize=all"]),
        // As text: the library links neither.
        .headerSearchPath("."), .headerSearchPath("../CCUDA/include"), .headerSearchPath("../COSInterposer"),
      ],
      linkerSettings: [.unsafeFlags(["-nostartfiles", "-no-toolchain-stdlib-rpath", "-Xlinker", "-z", "-Xlinker", "now"])]),
    .target(name: "CNVTX"),
    .target(name: "CCUDA"),
    .target(name: "CCUDAKernels", exclude: ["kernels"]),
    // The kernels' own sources, compiled for the processor. Optimized in debug builds too: products and fibers take minutes otherwise.
    .target(
      name: "CCUDAStandIn",
      cxxSettings: [
        .unsafeFlags(["-O2", "-std=c++20", "-fvisibility=hidden", "-fno-sanitize=all"]), .define("HEADROOM_ON_PROCESSOR"),
        // As text: C++ sees no modules here.
        .headerSearchPath("."), .headerSearchPath("../CCUDA/include"), .headerSearchPath("../CCUDAKernels/include"),
        .headerSearchPath("../CCUDAKernels/kernels"),
      ]),
    module("Console", ["FileAccess", "Vocabulary"]),
    module("ProcessContract", ["JSONText"]),
    module("ModelGraph", ["FileAccess", "TimeBase"], isOptimized: true),
    module("GPUModel", ["JSONText"], isOptimized: true),
    module("HostModel", ["JSONText"], isOptimized: true),
    // Layer 2
    module("Threads", ["CLinux", "FileAccess", "TimeBase"]),
    module("Trace", ["TimeBase"], isOptimized: true),
    module("Workload", ["TimeBase"], isOptimized: true),
    module("ONNXFormat", ["FileAccess", "ModelGraph", "ProcessContract", "ProtobufWire"], isOptimized: true),
    // Layer 3
    module("LoadResults", ["FileAccess", "JSONText", "TimeBase", "Vocabulary"], isOptimized: true),
    module("Summaries", ["JSONText", "TimeBase", "Trace"], isOptimized: true),
    module("KernelFitting", ["GPUModel", "TimeBase"], isOptimized: true),
    module("ModelConfiguration", ["JSONText", "Vocabulary"], isOptimized: true),
    module("Planning", ["FileAccess", "GPUModel", "HostModel", "JSONText", "ModelGraph"], isOptimized: true),
    // Layer 4
    module("Scheduling", ["ModelConfiguration", "TimeBase", "Vocabulary", deque], isOptimized: true),
    module("DeviceModel", ["Planning", "TimeBase", deque], isOptimized: true),
    // Layer 5
    module("Diagnosis", ["GPUModel", "Planning", "TimeBase", "Trace", "Vocabulary"], isOptimized: true),
    module(
      "Simulation",
      ["DeviceModel", "GPUModel", "HostModel", "JSONText", "Planning", "Scheduling", "TimeBase", "Trace", "Vocabulary", "Workload"],
      isOptimized: true),
    .target(
      name: "TraceFormats", dependencies: ["CheckedNumbers", "CSQLite", "CZlib", "FileAccess", "JSONReading", "Threads", "Trace"],
      swiftSettings: strict + optimized,
      // The archive, not the shared library: a machine that gets the binary need not have SQLite. The rest is what SQLite itself calls.
      linkerSettings: [
        .linkedLibrary(":libsqlite3.a"), .linkedLibrary(":libz.a"), .linkedLibrary("m"), .linkedLibrary("dl"), .linkedLibrary("pthread"),
      ]),
    module("KServe", ["JSONReading", "ModelConfiguration"], isOptimized: true),
    .target(
      name: "LoadModel", dependencies: ["CheckedNumbers", "CZlib", "JSONText", "ProcessContract", "TimeBase", "Vocabulary", "Workload"],
      swiftSettings: strict + optimized,
      linkerSettings: [.linkedLibrary(":libz.a")]),
    // Layer 6
    module(
      "Execution",
      [
        "CCUDA", "CCUDAKernels", "CKernels", "CLinux", "DeviceModel", "FileAccess", "GPUModel", "ModelConfiguration", "ModelGraph",
        "Planning", "Threads", "TimeBase", "Trace",
      ]),
    module("Resimulation", ["Diagnosis", "HostModel", "Scheduling", "Simulation", "TimeBase", "Vocabulary"], isOptimized: true),
    module("Reporting", ["Diagnosis", "JSONText"], isOptimized: true),
    // Layer 7
    module(
      "Capture",
      ["Diagnosis", "Execution", "FileAccess", "JSONText", "ProcessContract", "Reporting", "Threads", "TimeBase", "Trace", "TraceFormats"]),
    .target(
      name: "Serving",
      dependencies: [
        "CNVTX", "CheckedNumbers", "CZlib", "Execution", "FileAccess", "JSONText", "KServe", "ModelConfiguration", "ModelGraph",
        "ONNXFormat",
        "Planning", "Scheduling", "Threads", "TimeBase", "Trace", "Vocabulary",
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOTLS", package: "swift-nio"),
      ], swiftSettings: strict, linkerSettings: [.linkedLibrary(":libz.a")]),
    module(
      "LoadGenerator",
      [
        "CLinux", "JSONText", "KServe", "LoadModel", "ModelConfiguration", "ProtobufWire", "Threads", "TimeBase", "Workload",
        deque, .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOEmbedded", package: "swift-nio"),
        .product(name: "NIOTLS", package: "swift-nio"), .product(name: "NIOHPACK", package: "swift-nio-http2"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ]),
    module(
      "PlanReports",
      [
        "Console", "FileAccess", "GPUModel", "HostModel", "JSONText", "KernelFitting", "ModelGraph", "ONNXFormat", "Planning",
        "ProcessContract", "Reporting",
      ]),
    module(
      "Explanation",
      [
        "Diagnosis", "FileAccess", "GPUModel", "JSONText", "KernelFitting", "LoadResults", "ModelGraph", "ONNXFormat", "Planning",
        "ProcessContract", "Reporting", "Threads", "TimeBase", "Trace", "TraceFormats", "Vocabulary",
      ]),
    // Layer 8
    module(
      "HTTPFrontEnd",
      [
        "JSONReading", "JSONText", "KServe", "ModelConfiguration", "Serving", "Threads", "TimeBase",
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ]),
    module(
      "GRPCFrontEnd",
      [
        "JSONText", "KServe", "ModelConfiguration", "ProtobufWire", "Serving", "TimeBase",
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP2", package: "swift-nio-http2"), .product(name: "NIOHPACK", package: "swift-nio-http2"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ]),
    module(
      "ServingDiagnosis",
      [
        "DeviceModel", "Diagnosis", "Explanation", "GPUModel", "HostModel", "JSONText", "KServe", "ModelGraph", "Planning", "Reporting",
        "Resimulation", "Scheduling", "Serving", "Simulation", "Threads", "TimeBase", "Trace", "Vocabulary", "Workload",
      ]),
    module(
      "LoadRuns",
      [
        "Console", "Diagnosis", "FileAccess", "JSONText", "LoadGenerator", "LoadModel", "ProcessContract", "Reporting", "Threads",
        "TimeBase", "Workload", "YAMLFields",
      ]),
    // Layer 9
    module(
      "Calibration",
      [
        "DeviceModel", "Diagnosis", "Execution", "Explanation", "FileAccess", "GPUModel", "HTTPFrontEnd", "HostModel", "JSONText", "KServe",
        "KernelFitting", "ModelGraph", "PlanReports", "Planning", "ProcessContract", "Reporting", "Serving", "Simulation", "Threads",
        "TimeBase", "Trace",
        "TraceFormats", .product(name: "NIOPosix", package: "swift-nio"),
      ]),
    module(
      "ServerProcess",
      [
        "Capture", "Execution", "FileAccess", "GPUModel", "GRPCFrontEnd", "HTTPFrontEnd", "KServe", "ModelConfiguration", "ModelGraph",
        "ProcessContract", "Serving", "ServingDiagnosis", "Threads", "TimeBase", "Trace", "TraceFormats", "Vocabulary",
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ]),
    module(
      "ExplanationRuns",
      [
        "Console", "Diagnosis", "Explanation", "FileAccess", "GPUModel", "JSONText", "LoadGenerator", "LoadRuns", "ModelGraph",
        "PlanReports", "Planning", "ProcessContract", "Reporting", "Summaries", "Threads", "TimeBase", "Trace", "TraceFormats",
      ]),
    // Layer 10
    module(
      "Experiments",
      [
        "CLinux", "Calibration", "Capture", "DeviceModel", "Diagnosis", "Execution", "Explanation", "FileAccess", "GPUModel", "HostModel",
        "JSONText", "KServe", "KernelFitting", "LoadModel",
        "ModelConfiguration", "ModelGraph", "ONNXFormat", "Planning", "ProcessContract",
        "Reporting", "Resimulation",
        "Scheduling", "Serving", "Simulation", "Threads", "TimeBase", "Trace", "TraceFormats", "Vocabulary", "Workload", "YAMLFields",
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
      ]),
    // Layer 11
    .executableTarget(
      name: "headroom",
      dependencies: [
        "Calibration", "Capture", "CheckedNumbers", "Console", "Diagnosis", "Execution", "Experiments", "Explanation",
        "ExplanationRuns", "FileAccess", "GPUModel", "JSONText", "KServe", "KernelFitting", "LoadGenerator", "LoadModel",
        "LoadRuns", "ModelGraph", "ONNXFormat", "PlanReports", "Planning", "ProcessContract",
        "Reporting", "Scheduling", "ServerProcess", "Serving", "TimeBase", "TraceFormats", "YAMLFields", argumentParser,
      ],
      swiftSettings: strict),

    .executableTarget(
      name: "fit-kernel-model", dependencies: ["FileAccess", "GPUModel", "KernelFitting"], path: "Tools/FitKernelModel",
      swiftSettings: strict),
    .executableTarget(
      name: "benchmark-predictions", dependencies: ["GPUModel", "TimeBase"], path: "Benchmarks/Predictions", swiftSettings: strict),
    .executableTarget(
      name: "benchmark-simulation",
      dependencies: ["GPUModel", "ModelGraph", "Planning", "Scheduling", "Simulation", "TimeBase", "Workload"],
      path: "Benchmarks/Simulation",
      swiftSettings: strict),
    .executableTarget(
      name: "benchmark-cpu", dependencies: ["CKernels", "Execution", "HeapCount", "ModelGraph", "ONNXFormat", "TimeBase"],
      path: "Benchmarks/CPU",
      exclude: ["compare.py", "engines.py"], swiftSettings: strict),
    .executableTarget(
      name: "benchmark-gpu", dependencies: ["Execution", "ModelGraph", "Threads", "TimeBase"], path: "Benchmarks/GPU",
      exclude: ["peers.py", "torch_graph.py", "python_server.py", "results.py", "serving.py"], swiftSettings: strict),
    .executableTarget(
      name: "benchmark-json", dependencies: ["JSONReading", "KServe", "ModelConfiguration", "TimeBase"], path: "Benchmarks/JSON",
      swiftSettings: strict),
    .target(name: "HeapCount", path: "Benchmarks/HeapCount"),
    .executableTarget(
      name: "benchmark-scheduler", dependencies: ["HeapCount", "Scheduling", "TimeBase"], path: "Benchmarks/Scheduler",
      swiftSettings: strict),
    .executableTarget(
      name: "benchmark-trace-store", dependencies: ["TimeBase", "Trace", "TraceFormats"], path: "Benchmarks/TraceStore",
      swiftSettings: strict),
    .executableTarget(
      name: "reference-evaluate", dependencies: ["JSONText", "ModelGraph", "ONNXFormat", "TimeBase"], path: "Tools/ReferenceEvaluate",
      swiftSettings: strict),

    .executableTarget(
      name: "grpc-echo-server",
      dependencies: [
        "FileAccess", "GRPCFrontEnd", "JSONText", "KServe", "ModelConfiguration", "Serving",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"), .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ],
      path: "Tools/GRPCEchoServer", swiftSettings: strict),

    .executableTarget(name: "os-call-probe", path: "Tests/Programs/OSCallProbe"),
    .executableTarget(name: "cuda-probe", dependencies: ["CCUDA", "CCUDAKernels", "CNVTX"], path: "Tests/Programs/CUDAProbe"),
    // What the tests of every device run.
    .target(name: "OperatorSamples", dependencies: ["ModelGraph"], path: "Tests/OperatorSamples", swiftSettings: strict),
    // A device for tests that behaves as a GPU does.
    .target(
      name: "StandInDevice",
      dependencies: ["CheckedNumbers", "Execution", "ModelConfiguration", "ModelGraph", "Threads", "TimeBase", "Trace"],
      path: "Tests/StandInDevice", swiftSettings: strict),

    .executableTarget(
      name: "stand-in-server",
      dependencies: [
        "CheckedNumbers", "Execution", "HTTPFrontEnd", "KServe", "ProcessContract", "Serving", "StandInDevice", "TimeBase", "TraceFormats",
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      path: "Tests/Programs/StandInServer", swiftSettings: strict),

    tests("ArchitectureTests", ["FileAccess"]),
    tests(
      "CaptureTests",
      ["Capture", "CheckedNumbers", "Execution", "FileAccess", "ProcessContract", "TimeBase", "Threads", "Trace", "TraceFormats"]),
    tests(
      "ExplanationTests",
      [
        "CheckedNumbers", "Diagnosis", "Explanation", "FileAccess", "GPUModel", "JSONText", "ModelGraph", "Planning", "ProcessContract",
        "TimeBase", "Trace", "TraceFormats",
      ]),
    tests("ExplanationRunsTests", ["Explanation", "ExplanationRuns", "PlanReports", "ProcessContract", "Trace"]),
    tests("CheckedNumbersTests", ["CheckedNumbers"]),
    tests("ProcessContractTests", ["ProcessContract"]),
    tests("TimeBaseTests", ["TimeBase"]),
    tests("ThreadsTests", ["Threads", "TimeBase"]),
    tests("FileAccessTests", ["FileAccess"]),
    tests("JSONTextTests", ["JSONText"]),
    tests("ModelGraphTests", ["ModelGraph", "TimeBase"]),
    tests("GPUModelTests", ["GPUModel", "JSONText"]),
    tests("HostModelTests", ["HostModel", "JSONText"]),
    tests("KernelFittingTests", ["FileAccess", "GPUModel", "KernelFitting"]),
    tests("ONNXFormatTests", ["FileAccess", "JSONText", "ModelGraph", "ONNXFormat", "ProtobufWire", "TimeBase"]),
    tests("PlanningTests", ["FileAccess", "GPUModel", "HostModel", "ModelGraph", "Planning", "TimeBase"]),
    tests("ModelConfigurationTests", ["FileAccess", "JSONText", "ModelConfiguration", "TimeBase", "Vocabulary"]),
    tests("SchedulingTests", ["ModelConfiguration", "Scheduling", "TimeBase", "Vocabulary"]),
    tests("KServeTests", ["JSONReading", "JSONText", "KServe", "ModelConfiguration", "TimeBase"]),
    tests("WorkloadTests", ["TimeBase", "Workload"]),
    tests("LoadGeneratorTests", ["CheckedNumbers", "LoadGenerator", "LoadModel", "Threads", "TimeBase", "Workload"]),
    tests("ConsoleTests", ["Console", "FileAccess"]),
    tests("LoadResultsTests", ["LoadResults"]),
    tests(
      "ServerProcessTests",
      [
        "Execution", "FileAccess", "KServe", "ProcessContract", "Serving", "ServerProcess", "TimeBase",
        .product(name: "NIOCore", package: "swift-nio"),
      ]),
    tests(
      "LoadRunsTests",
      ["FileAccess", "JSONText", "LoadGenerator", "LoadModel", "LoadRuns", "ProcessContract", "TimeBase", "Workload"]),
    tests(
      "PlanReportsTests",
      ["FileAccess", "GPUModel", "JSONText", "ModelGraph", "ONNXFormat", "PlanReports", "Planning", "ProcessContract"]),
    tests("LoadModelTests", ["FileAccess", "JSONText", "LoadModel", "TimeBase", "Workload"]),
    tests(
      "ExecutionTests",
      ["Execution", "FileAccess", "ModelConfiguration", "ModelGraph", "ONNXFormat", "OperatorSamples", "Threads", "TimeBase"]),
    tests(
      "CUDATests",
      ["CCUDA", "CCUDAKernels", "Execution", "ModelGraph", "OperatorSamples", "Threads", "TimeBase"]),
    tests("DeviceModelTests", ["DeviceModel", "TimeBase"]),
    tests(
      "SimulationTests",
      [
        "DeviceModel", "GPUModel", "HostModel", "JSONText", "ModelGraph", "Planning", "Scheduling", "Simulation", "TimeBase", "Trace",
        "Workload",
      ]),
    tests("DiagnosisTests", ["Diagnosis", "Trace"]),
    tests(
      "ExperimentsTests",
      [
        "Calibration", "DeviceModel", "Diagnosis", "Execution", "Experiments", "FileAccess", "HostModel", "JSONText", "LoadModel",
        "ModelConfiguration",
        "ModelGraph", "PlanReports", "Planning", "ProcessContract", "Reporting", "Scheduling", "Simulation", "Threads", "TimeBase", "Trace",
        "Workload",
      ]),
    tests("FindingsTests", ["CheckedNumbers", "Diagnosis", "Explanation", "FileAccess", "GPUModel", "TimeBase", "Vocabulary"]),
    tests("ReportingTests", ["Diagnosis", "Reporting"]),
    tests(
      "ServingTests",
      [
        "DeviceModel", "Diagnosis", "Execution", "FileAccess", "GRPCFrontEnd", "HTTPFrontEnd", "JSONText", "KServe", "ModelConfiguration",
        "ModelGraph", "ONNXFormat", "ProtobufWire", "Scheduling", "Serving", "ServingDiagnosis", "Simulation", "StandInDevice", "Threads",
        "TimeBase", "Trace", "Vocabulary", "Workload",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOTLS", package: "swift-nio"), .product(name: "NIOEmbedded", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP2", package: "swift-nio-http2"), .product(name: "NIOHPACK", package: "swift-nio-http2"),
      ]),
    tests("SummariesTests", ["CSQLite", "JSONText", "Summaries", "Trace", "TraceFormats"]),
    tests("TraceTests", ["TimeBase", "Trace"]),
    tests("TraceFormatsTests", ["CheckedNumbers", "CSQLite", "FileAccess", "JSONText", "TimeBase", "Trace", "TraceFormats"]),
  ],
  swiftLanguageModes: [.v6]
)

import CheckedNumbers

/// Tables of Nsight Systems' exports that a trace of our own has no counterpart for.
enum NsightSchema {
  /// Called `EXPORT_META_DATA` up to schema 3.1.7.
  static let metadata = [
    TableLayout("META_DATA_EXPORT", "name TEXT, value TEXT"), TableLayout("EXPORT_META_DATA", "name TEXT, value TEXT"),
  ]
  /// The counters of `--gpu-metrics-devices`. The low byte of `typeId` is the GPU's `TARGET_INFO_GPU.id`.
  static let gpuMetrics = TableLayout("GPU_METRICS", "timestamp, typeId, metricId, value REAL")
  static let gpuMetricNames = TableLayout("TARGET_INFO_GPU_METRICS", "typeId, metricId, metricName TEXT")
  /// Thread scheduling (`--cpuctxsw`): `isSchedIn` is 0 where the thread was taken off its processor.
  static let schedule = TableLayout("SCHED_EVENTS", "start, isSchedIn, globalTid")
  /// From schema 3.24.18 with the number of multiprocessors.
  static let cudaDevices = TableLayout("TARGET_INFO_CUDA_DEVICE", "gpuId, cudaId, pid, numMultiprocessors")
  /// From schema 3.13: what the profiler says about its capture.
  static let severities: [Int32: ImportNote.Severity] = [0: .information, 1: .information, 2: .warning, 3: .warning]

  /// Tables whose presence makes a database an export.
  static let marks = [
    "META_DATA_EXPORT", "EXPORT_META_DATA", "META_DATA_CAPTURE", "ANALYSIS_DETAILS", "CUPTI_ACTIVITY_KIND_KERNEL",
    "CUPTI_ACTIVITY_KIND_RUNTIME", "NVTX_EVENTS", "OSRT_API", "StringIds", "TARGET_INFO_GPU",
  ]
}

/// "3.13.2", compared part by part.
struct SchemaVersion: Comparable, CustomStringConvertible {
  var parts: [Int]

  /// nil for what is no version.
  init?(_ text: String) {
    parts = []
    for part in text.split(separator: ".") {
      guard let number = Int(part), number >= 0 else { return nil }
      parts.append(number)
    }
    if parts.isEmpty { return nil }
  }

  static func < (left: SchemaVersion, right: SchemaVersion) -> Bool { left.parts.lexicographicallyPrecedes(right.parts) }
  var description: String { parts.map(String.init).joined(separator: ".") }
}

public import GPUModel

/// One measured kernel that is bound by memory.
public struct MemoryMeasurement: Sendable, Hashable {
  /// The GPU's name as the file gives it.
  public var gpu: String
  /// The kernel.
  public var kernel: MemoryKernel
  /// Median of its records.
  public var microseconds: Double

  /// A measured kernel.
  public init(gpu: String, kernel: MemoryKernel, microseconds: Double) {
    self.gpu = gpu
    self.kernel = kernel
    self.microseconds = microseconds
  }

  /// Operations by their names in the file.
  static let kinds: [String: MemoryKernel.Kind] = [
    "relu": .elementwise, "add": .elementwise, "gelu": .transcendental, "bias_add": .broadcast, "layer_norm": .layerNormalization,
    "softmax": .softmax, "copy": .copy, "layer_norm_relu_compiled": .fusedRow,
  ]

  /// Reads comma-separated lines with a header: gpu, op, dtype, rows, cols, kernel_us_median, bytes_read and bytes_written. Operations it does
  /// not know are skipped.
  public static func read(csv: String) throws(MeasurementError) -> [MemoryMeasurement] {
    var columns: [Substring: Int] = [:]
    var found: [MemoryMeasurement] = []
    for (index, line) in csv.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      if line.allSatisfy({ $0 == " " }) { continue }
      let cells = CSVFields.split(line)
      if columns.isEmpty {
        for (place, name) in cells.enumerated() { columns[name] = place }
        for name in ["op", "dtype", "rows", "cols", "kernel_us_median", "bytes_read", "bytes_written"] where columns[Substring(name)] == nil
        {
          throw MeasurementError(line: index + 1, reason: "no column \"\(name)\" in the header")
        }
        continue
      }
      func text(_ name: String) throws(MeasurementError) -> Substring {
        guard let place = columns[Substring(name)], place < cells.count else {
          throw MeasurementError(line: index + 1, reason: "no field \"\(name)\"")
        }
        return cells[place]
      }
      func number(_ name: String) throws(MeasurementError) -> Double {
        let field = try text(name)
        guard let value = Double(field), value.isFinite, value >= 0, value < 0x1p60 else {
          throw MeasurementError(line: index + 1, reason: "\(name) is \"\(field)\"; it must be a number from 0")
        }
        return value
      }
      guard let kind = kinds[String(try text("op"))] else { continue }
      let bytes = try text("dtype").contains("32") ? 4 : 2
      found.append(
        MemoryMeasurement(
          gpu: columns["gpu"] == nil ? "" : String(try text("gpu")),
          kernel: MemoryKernel(
            warmReadBytes: try number("bytes_read"), writtenBytes: try number("bytes_written"), kind: kind, rows: try number("rows"),
            columns: try number("cols"), elementBytes: bytes),
          microseconds: try number("kernel_us_median")))
    }
    if columns.isEmpty { throw MeasurementError(line: 1, reason: "the file is empty; it needs a header") }
    return found.filter { $0.microseconds > 0 }
  }
}

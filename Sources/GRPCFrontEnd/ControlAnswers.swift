import CheckedNumbers
import JSONText
import KServe
import ModelConfiguration
import ProtobufWire

/// Answers of the calls that are not inferences, by field numbers of triton-inference-server/common `protobuf/grpc_service.proto`.
enum ControlAnswer {
  /// A message whose first field is a bool (`ServerLiveResponse` and its like).
  static func flag(_ value: Bool) -> [UInt8] {
    var writer = WireWriter()
    if value { writer.integer(1, 1) }
    return writer.bytes
  }

  static func metadata(_ metadata: ServerMetadata) -> [UInt8] {
    var writer = WireWriter()
    writer.optionalText(1, metadata.name)
    writer.optionalText(2, metadata.version)
    for name in metadata.extensions { writer.text(3, name) }
    return writer.bytes
  }

  static func metadata(_ metadata: ModelMetadata) -> [UInt8] {
    var writer = WireWriter()
    writer.optionalText(1, metadata.name)
    for version in metadata.versions { writer.text(2, version) }
    writer.optionalText(3, metadata.platform)
    for (number, tensors) in [(4, metadata.inputs), (5, metadata.outputs)] {
      for tensor in tensors {
        writer.message(number) { inner in
          inner.optionalText(1, tensor.name)
          inner.optionalText(2, tensor.dataType.kserveName)
          var shape = WireWriter()
          for dimension in tensor.shape { shape.varint(UInt64(bitPattern: Int64(dimension))) }
          if !shape.bytes.isEmpty { inner.bytes(3, shape.bytes) }
        }
      }
    }
    return writer.bytes
  }

  static func configuration(_ json: JSONValue) -> [UInt8] {
    var writer = WireWriter()
    writer.bytes(1, ModelConfigEncoder().encode(json, as: "ModelConfig"))
    return writer.bytes
  }

  static func statistics(_ models: [ModelStatistics]) -> [UInt8] {
    var writer = WireWriter()
    for model in models {
      writer.message(1) { inner in
        inner.optionalText(1, model.name)
        inner.optionalText(2, model.version)
        inner.unsigned(3, model.lastInference)
        inner.unsigned(4, model.inferenceCount)
        inner.unsigned(5, model.executionCount)
        inner.message(6) { durations in
          for (index, duration) in [
            model.success, model.fail, model.queue, model.computeInput, model.computeInfer, model.computeOutput, model.cacheHit,
            model.cacheMiss,
          ].enumerated() {
            durations.duration(index + 1, duration)
          }
        }
        for batch in model.batches {
          inner.message(7) { sizes in
            sizes.unsigned(1, batch.batchSize)
            sizes.duration(2, batch.computeInput)
            sizes.duration(3, batch.computeInfer)
            sizes.duration(4, batch.computeOutput)
          }
        }
      }
    }
    return writer.bytes
  }

  static func index(_ entries: [RepositoryIndexEntry]) -> [UInt8] {
    var writer = WireWriter()
    for entry in entries {
      writer.message(1) { inner in
        inner.optionalText(1, entry.name)
        inner.optionalText(2, entry.version)
        inner.optionalText(3, entry.state)
        inner.optionalText(4, entry.reason)
      }
    }
    return writer.bytes
  }

  static func regions(_ regions: [SharedMemoryRegion]) -> [UInt8] {
    var writer = WireWriter()
    for region in regions {
      writer.message(1) { entry in
        entry.text(1, region.name)
        entry.message(2) { status in
          status.optionalText(1, region.name)
          status.optionalText(2, region.key)
          status.unsigned(3, region.offset)
          status.unsigned(4, region.byteSize)
        }
      }
    }
    return writer.bytes
  }

  static func trace(_ settings: TraceSettings) -> [UInt8] {
    var writer = WireWriter()
    let values: [(String, [String])] = [
      ("trace_level", settings.level), ("trace_rate", [settings.rate]), ("trace_count", [settings.count]),
      ("log_frequency", [settings.logFrequency]), ("trace_file", [settings.file]), ("trace_mode", [settings.mode]),
    ]
    for (key, texts) in values {
      writer.message(1) { entry in
        entry.text(1, key)
        entry.message(2) { value in
          for text in texts { value.text(1, text) }
        }
      }
    }
    return writer.bytes
  }

  static func log(_ settings: LogSettings) -> [UInt8] {
    var writer = WireWriter()
    func entry(_ key: String, _ build: (inout WireWriter) -> Void) {
      writer.message(1) { entry in
        entry.text(1, key)
        entry.message(2, build)
      }
    }
    entry("log_file") { $0.text(3, settings.file) }
    entry("log_info") { $0.integer(1, settings.info ? 1 : 0) }
    entry("log_warning") { $0.integer(1, settings.warning ? 1 : 0) }
    entry("log_error") { $0.integer(1, settings.error ? 1 : 0) }
    entry("log_verbose_level") { $0.integer(2, Int64(settings.verboseLevel)) }
    entry("log_format") { $0.text(3, settings.format) }
    return writer.bytes
  }

  /// `HealthCheckResponse`, grpc/grpc `doc/health-checking.md`.
  static func health(_ status: HealthStatus) -> [UInt8] {
    var writer = WireWriter()
    writer.integer(1, status.rawValue)
    return writer.bytes
  }
}

/// `HealthCheckResponse.ServingStatus`.
enum HealthStatus: Int64, Sendable {
  case serving = 1
  case notServing = 2
  case serviceUnknown = 3
}

extension WireWriter {
  /// A text that is left out when it is empty.
  fileprivate mutating func optionalText(_ number: Int, _ text: String) {
    if !text.isEmpty { self.text(number, text) }
  }

  /// An integer that is left out when it is 0.
  fileprivate mutating func unsigned(_ number: Int, _ value: UInt64) {
    if value != 0 { integer(number, Int64(bitPattern: value)) }
  }

  /// A `StatisticDuration`; present even when nothing happened, as clients expect.
  fileprivate mutating func duration(_ number: Int, _ duration: DurationCount) {
    message(number) { inner in
      inner.unsigned(1, duration.count)
      inner.unsigned(2, duration.nanoseconds)
    }
  }
}

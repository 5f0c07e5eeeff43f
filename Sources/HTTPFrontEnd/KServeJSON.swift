import CheckedNumbers
import JSONText
import KServe

/// The protocol's values as JSON, members in the reference server's order.
enum KServeJSON {
  static func metadata(_ metadata: ServerMetadata) -> JSONValue {
    ["name": .string(metadata.name), "version": .string(metadata.version), "extensions": .array(metadata.extensions.map { .string($0) })]
  }

  static func model(_ model: ModelMetadata) -> JSONValue {
    func tensors(_ list: [ModelMetadata.Tensor]) -> JSONValue {
      .array(
        list.map {
          [
            "name": .string($0.name), "datatype": .string($0.dataType.kserveName), "shape": .array($0.shape.map { .integer(Int64($0)) }),
          ]
        })
    }
    return [
      "name": .string(model.name), "versions": .array(model.versions.map { .string($0) }), "platform": .string(model.platform),
      "inputs": tensors(model.inputs), "outputs": tensors(model.outputs),
    ]
  }

  static func statistics(_ models: [ModelStatistics]) -> JSONValue { ["model_stats": .array(models.map(statistics))] }

  private static func statistics(_ model: ModelStatistics) -> JSONValue {
    [
      "name": .string(model.name), "version": .string(model.version), "last_inference": JSONValue(model.lastInference),
      "inference_count": JSONValue(model.inferenceCount), "execution_count": JSONValue(model.executionCount),
      "inference_stats": [
        "success": duration(model.success), "fail": duration(model.fail), "queue": duration(model.queue),
        "compute_input": duration(model.computeInput), "compute_infer": duration(model.computeInfer),
        "compute_output": duration(model.computeOutput), "cache_hit": duration(model.cacheHit), "cache_miss": duration(model.cacheMiss),
      ], "response_stats": [:],
      "batch_stats": .array(
        model.batches.map {
          [
            "batch_size": JSONValue($0.batchSize), "compute_input": duration($0.computeInput), "compute_infer": duration($0.computeInfer),
            "compute_output": duration($0.computeOutput),
          ]
        }), "memory_usage": [],
    ]
  }

  private static func duration(_ duration: DurationCount) -> JSONValue {
    ["count": JSONValue(duration.count), "ns": JSONValue(duration.nanoseconds)]
  }

  static func indexEntry(_ entry: RepositoryIndexEntry) -> JSONValue {
    var members = [JSONValue.Member("name", .string(entry.name))]
    if !entry.version.isEmpty { members.append(JSONValue.Member("version", .string(entry.version))) }
    if !entry.state.isEmpty { members.append(JSONValue.Member("state", .string(entry.state))) }
    if !entry.reason.isEmpty { members.append(JSONValue.Member("reason", .string(entry.reason))) }
    return .object(members)
  }

  static func region(_ region: SharedMemoryRegion) -> JSONValue {
    [
      "name": .string(region.name), "key": .string(region.key), "offset": JSONValue(region.offset), "byte_size": JSONValue(region.byteSize),
    ]
  }

  static func log(_ settings: LogSettings) -> JSONValue {
    [
      "log_file": .string(settings.file), "log_info": .bool(settings.info), "log_warning": .bool(settings.warning),
      "log_error": .bool(settings.error), "log_verbose_level": JSONValue(settings.verboseLevel), "log_format": .string(settings.format),
    ]
  }

  static func trace(_ settings: TraceSettings) -> JSONValue {
    [
      "trace_level": .array(settings.level.map { .string($0) }), "trace_rate": .string(settings.rate),
      "trace_count": .string(settings.count), "log_frequency": .string(settings.logFrequency), "trace_file": .string(settings.file),
      "trace_mode": .string(settings.mode),
    ]
  }
}

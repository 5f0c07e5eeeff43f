public import KServe

/// Shared memory, trace and log settings, and who may change them.
extension InferenceServer {
  /// Registered regions.
  public func sharedMemoryStatus(_ name: String) throws(KServeError) -> [SharedMemoryRegion] { try regions.status(name) }
  /// Maps a POSIX shared-memory object, where allowed.
  public func registerSharedMemory(_ region: SharedMemoryRegion) throws(KServeError) { try regions.register(region) }
  /// Unmaps; an empty name: all.
  public func unregisterSharedMemory(_ name: String) throws(KServeError) { try regions.unregister(name) }

  /// The server's settings, overlaid by the model's own.
  public func traceSettings(_ model: String) throws(KServeError) -> TraceSettings {
    if !model.isEmpty, !manager.table.names.contains(model) {
      // server `src/http_server.cc`, HandleTrace, which words it otherwise than the model calls.
      throw KServeError(.invalidArgument, "Request for unknown model : \(model)")
    }
    return tracer.settings(model)
  }

  /// Checks all changes, then applies them together. Where records go is the operator's to say alone.
  public func updateTraceSettings(_ model: String, _ changes: [String: [String]]) throws(KServeError) -> TraceSettings {
    if changes["trace_file"] != nil {
      throw KServeError(.unsupported, "trace file location can not be updated through network protocol")
    }
    _ = try traceSettings(model)
    for (key, value) in changes { try TraceSettings.check(key, value) }
    tracer.update(model, changes)
    return try traceSettings(model)
  }

  /// The settings that the server starts with, from the command line; a setting cleared later goes back to these.
  public func setInitialTraceSettings(_ changes: [String: [String]]) throws(KServeError) {
    for (key, value) in changes { try TraceSettings.check(key, value) }
    tracer.start(with: changes)
  }

  /// The log's settings.
  public var logSettings: LogSettings { log.settings }

  /// Changes what is named; unknown keys are ignored, as by the reference server. Where the log goes is the operator's to say alone.
  public func updateLogSettings(_ changes: [String: KServeParameter]) throws(KServeError) -> LogSettings {
    if changes["log_file"] != nil {
      throw KServeError(.unsupported, "log file location can not be updated through network protocol")
    }
    var settings = log.settings
    for (key, value) in changes {
      switch (key, value) {
      case ("log_info", .bool(let flag)): settings.info = flag
      case ("log_warning", .bool(let flag)): settings.warning = flag
      case ("log_error", .bool(let flag)): settings.error = flag
      case ("log_verbose_level", .uint(let level)): settings.verboseLevel = UInt32(clamping: level)
      case ("log_verbose_level", .int(let level)): settings.verboseLevel = UInt32(clamping: level)
      case ("log_format", .string(let text)):
        guard ServerLog.formats.contains(text) else {
          throw KServeError(.invalidArgument, "log_format '\(text)' is unknown; use 'default' or 'ISO8601'")
        }
        settings.format = text
      // The reference server ignores what it does not know.
      default: break
      }
    }
    log.set(settings)
    return settings
  }

  /// Loopback, or the token fits.
  public func allowsControl(bearerToken: String?) -> Bool { options.isLoopback || hasControlToken(bearerToken) }

  /// Compared in constant time.
  public func hasControlToken(_ bearerToken: String?) -> Bool {
    guard let token = options.controlToken, let bearerToken else { return false }
    return Secret.isEqual(token, bearerToken)
  }
}

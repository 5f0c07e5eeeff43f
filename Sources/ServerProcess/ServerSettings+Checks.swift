import FileAccess
import Glibc
import ProcessContract
import Serving
import TimeBase

extension ServerSettings {
  /// - Throws: the option of `headroom serve` that cannot be meant; what only a start can tell is a `ServerStartError`.
  package func check() throws(UsageError) {
    if service.repositories.isEmpty && service.models.isEmpty {
      throw UsageError("give --model-repository or --model: there is nothing to serve")
    }
    for folder in service.repositories where Files.kind(of: folder) != .folder {
      throw UsageError("--model-repository \(folder): there is no such folder")
    }
    if !(TimeSpan.seconds(1)...TimeSpan.seconds(86_400 * 365)).contains(service.pollInterval) {
      throw UsageError("--repository-poll-secs must be at least 1")
    }
    try listening.check()
    if service.keptRequests < 1 { throw UsageError("--record-limit \(service.keptRequests): at least 1") }
    if let path = recordPath {
      // Found out now, not after the run.
      let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
      if access(folder, W_OK) != 0 { throw UsageError("--record \(path): cannot write in \(folder)") }
    }
    if exitTimeout < .zero { throw UsageError("--exit-timeout-secs \(exitTimeout.nanoseconds / 1_000_000_000): at least 0") }
  }

  /// "NAME=FILE" each, as `--model` takes them.
  package static func models(_ texts: [String]) throws(UsageError) -> [String: String] {
    var named: [String: String] = [:]
    for text in texts {
      let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2, !parts[0].contains("/") else {
        let file = text.split(separator: "/").last ?? ""
        let name = file.split(separator: ".").first ?? ""
        throw UsageError(
          "--model \(text): write NAME=FILE, as in " + (name.count < file.count ? "\(name)=\(text)" : "seqlen=builtin:seqlen"))
      }
      if named.updateValue(parts[1], forKey: parts[0]) != nil { throw UsageError("--model \(parts[0]) is given twice") }
    }
    return named
  }

  /// "SETTING=VALUE" each, as `--metrics-config` takes them.
  package static func metrics(_ texts: [String]) throws(UsageError) -> MetricsSettings {
    var settings = MetricsSettings()
    for text in texts {
      do throws(MetricsSettings.Fault) { try settings.apply(text) } catch { throw UsageError(error.message) }
    }
    return settings
  }

  /// "[mode,]SETTING=VALUE" each, as `--trace-config` takes them: levels add up; of any other setting the last one stands.
  package static func traceSettings(_ texts: [String]) throws(UsageError) -> [String: [String]] {
    var settings: [String: [String]] = [:]
    for text in texts {
      let setting: TraceSetting
      do throws(TraceSetting.Fault) { setting = try TraceSetting(text) } catch {
        throw UsageError("--trace-config \(text): \(error.message)")
      }
      settings[setting.key] = (setting.key == "trace_level" ? settings[setting.key] ?? [] : []) + [setting.value]
    }
    return settings
  }

  /// Whether instances take turns, as `--rate-limit` says it.
  package static func limitsRate(_ text: String) throws(UsageError) -> Bool {
    guard ["off", "execution_count"].contains(text) else { throw UsageError("--rate-limit \(text): use off or execution_count") }
    return text == "execution_count"
  }

  /// The log's form, as `--log-format` names it.
  package static func logFormat(_ text: String) throws(UsageError) -> String {
    if ServerLog.formats.contains(text) { return text }
    throw UsageError("--log-format \(text): use \(ServerLog.formats.joined(separator: ", "))")
  }
}

extension ServerSettings.Listening {
  func check() throws(UsageError) {
    for (name, port) in [("--http-port", httpPort), ("--grpc-port", grpcPort), ("--metrics-port", metricsPort)] {
      if let port, !(0...65_535).contains(port) { throw UsageError("\(name) \(port): a port is from 0 to 65535") }
    }
    if let eventLoops, !(1...256).contains(eventLoops) { throw UsageError("--http-thread-count \(eventLoops): from 1 to 256") }
    if maximumBodyBytes < 1 { throw UsageError("--http-max-input-size \(maximumBodyBytes): at least 1") }
    if maximumUnsentBytes < 1 { throw UsageError("--max-unsent-size \(maximumUnsentBytes): at least 1") }
    if maximumConnections < 1 { throw UsageError("--max-connections \(maximumConnections): at least 1") }
  }

  /// TLS on HTTP and gRPC, of a certificate chain and its key.
  package mutating func setTLS(certificate: String?, key: String?) throws(UsageError) {
    if (certificate == nil) != (key == nil) { throw UsageError("--tls-certificate and --tls-key go together") }
    guard let certificate, let key else { return }
    tls = TLSFiles(
      certificate: TLSFiles.Named(certificate, option: "--tls-certificate"), key: TLSFiles.Named(key, option: "--tls-key"))
  }
}

import ProcessContract

/// tritonserver's command line, made one that an argument parser can read.
package enum TritonFlags {
  /// Flags that tritonserver takes bare or with a value ("--allow-client-shm", "--allow-client-shm=true").
  package static let switches: Set<String> = [
    "--exit-on-error", "--strict-readiness", "--warmup", "--allow-http", "--allow-grpc", "--allow-metrics", "--log-info", "--log-warning",
    "--log-error", "--allow-client-shm", "--grpc-use-ssl", "--grpc-use-ssl-mutual", "--allow-sagemaker", "--allow-vertex-ai",
    "--disable-auto-complete-config", "--strict-model-config", "--model-namespacing", "--enable-peer-access", "--reuse-http-port",
    "--reuse-grpc-port", "--allow-gpu-metrics", "--allow-cpu-metrics",
  ]

  /// Flags for what this server has not: taken, named in a warning, and without effect, so that a start script can stay as it is. What
  /// protects (TLS, restricted calls) or opens an end point is never among them: it acts, or the server does not start
  /// (`ServerSettings.Security`).
  package static let withoutEffect: Set<String> = [
    "--backend-config", "--backend-directory", "--repoagent-directory", "--cache-config", "--cache-directory", "--response-cache-byte-size",
    "--pinned-memory-pool-byte-size", "--cuda-memory-pool-byte-size", "--cuda-virtual-address-size", "--min-supported-compute-capability",
    "--buffer-manager-thread-count", "--model-load-thread-count", "--model-load-retry-count", "--model-namespacing", "--enable-peer-access",
    "--model-load-gpu-limit", "--strict-model-config", "--disable-auto-complete-config", "--host-policy", "--metrics-interval-ms",
    "--allow-gpu-metrics", "--allow-cpu-metrics", "--http-header-forward-pattern", "--grpc-header-forward-pattern", "--reuse-http-port",
    "--reuse-grpc-port", "--grpc-infer-allocation-pool-size", "--grpc-max-response-pool-size", "--grpc-keepalive-time",
    "--grpc-keepalive-timeout", "--grpc-infer-response-compression-level", "--id",
  ]

  /// The arguments with a value for every bare switch, and each flag without effect, its value gone, as a value of `--without-effect`.
  ///
  /// - Throws: a flag without effect that lacks its value.
  package static func completed(_ arguments: [String]) throws(UsageError) -> [String] {
    var completed: [String] = []
    var index = arguments.startIndex
    while index < arguments.endIndex {
      let argument = arguments[index]
      index += 1
      // What follows and is no option is meant as the value: one that is none is an error about this option.
      let isBare = index == arguments.endIndex || arguments[index].hasPrefix("-")
      let name = String(argument.prefix { $0 != "=" })
      if withoutEffect.contains(name) {
        if name == argument, isBare, !switches.contains(name) { throw UsageError("\(name) needs a value, as tritonserver takes it") }
        if name == argument, !isBare { index += 1 }
        completed.append("--without-effect=\(name)")
      } else if isBare, argument == "--isolate-engines" {
        completed.append(argument + "=always")
      } else {
        completed.append(isBare && switches.contains(argument) ? argument + "=true" : argument)
      }
    }
    return completed
  }

  /// One line a flag that was given, however often.
  package static func warnings(_ names: [String]) -> [String] { Set(names).sorted().map { "\($0) has no effect here" } }
}

import ArgumentParser
import Glibc
import Serving
import ServerProcess
import TimeBase

extension ServeCommand {
  /// The options, as the server's process takes them.
  func settings() throws -> ServerSettings {
    var settings = ServerSettings()
    settings.service.version = Headroom.version
    settings.service.repositories = models.repositories
    settings.service.models = try models.byName()
    settings.service.controlMode = models.modelControlMode
    settings.service.loadModels = models.loadModel
    settings.service.pollInterval = .seconds(models.repositoryPollSecs)
    settings.service.strictReadiness = models.strictReadiness.isOn
    settings.service.warmsUp = models.warmup.isOn
    settings.service.keepsEvents = behaviour.liveEvents.isOn || behaviour.record != nil
    if behaviour.record != nil { settings.service.keptRequests = behaviour.recordLimit }
    settings.service.allowsClientSharedMemory = behaviour.allowClientShm.isOn
    settings.service.controlToken = listening.controlToken ?? getenv("HEADROOM_CONTROL_TOKEN").map { String(cString: $0) }
    settings.service.precision = device.precision
    settings.service.executionLimit = .seconds(device.instanceTimeoutSecs)
    settings.service.limitsRate = behaviour.rateLimit == "execution_count"
    settings.service.rateLimits = behaviour.rateLimitResource
    settings.service.metrics = try behaviour.metrics()
    settings.device = device.choice
    settings.listening = try listening.settings(security)
    for setting in behaviour.traceConfig {
      // Levels add up; of any other setting the last one stands.
      let earlier = setting.key == "trace_level" ? settings.traceSettings[setting.key] ?? [] : []
      settings.traceSettings[setting.key] = earlier + [setting.value]
    }
    settings.endsOnLoadFailure = models.exitOnError.isOn
    settings.exitTimeout = .seconds(behaviour.exitTimeoutSecs)
    settings.printsReadyLine = behaviour.readyLine
    settings.recordPath = behaviour.record
    return settings
  }
}

extension ServeDevice {
  var choice: DeviceChoice {
    var choice = DeviceChoice()
    choice.name = device
    choice.precision = precision
    choice.cudaPath = cudaPath
    choice.allowsTF32 = tf32
    choice.threads = threads
    choice.firstCore = firstCore
    choice.engine = engine
    choice.instanceTimeout = .seconds(instanceTimeoutSecs)
    choice.isolation = isolateEngines
    choice.engineCache = engineCache
    return choice
  }
}

extension ServeListening {
  func settings(_ security: ServeSecurity) throws -> ServerSettings.Listening {
    var settings = ServerSettings.Listening()
    settings.httpAddress = httpAddress
    settings.grpcAddress = grpcAddress
    settings.metricsAddress = metricsAddress
    settings.httpPort = allowHttp.isOn ? httpPort : nil
    settings.grpcPort = allowGrpc.isOn ? grpcPort : nil
    settings.metricsPort = allowMetrics.isOn ? metricsPort : nil
    settings.eventLoops = httpThreadCount
    settings.maximumBodyBytes = httpMaxInputSize
    settings.maximumConnections = maxConnections
    settings.controlHosts = Set(controlHost)
    settings.maximumUnsentBytes = maxUnsentSize
    if let tlsCertificate, let tlsKey {
      settings.tls = TLSFiles(
        certificate: TLSFiles.Named(tlsCertificate, option: "--tls-certificate"), key: TLSFiles.Named(tlsKey, option: "--tls-key"))
    }
    settings.grpcTLS = security.grpcTLS
    settings.httpRestrictions = try security.httpRestrictions()
    settings.grpcRestrictions = try security.grpcRestrictions()
    return settings
  }
}

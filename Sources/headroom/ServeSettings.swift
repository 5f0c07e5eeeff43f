import Glibc
import KServe
import ProcessContract
import Serving
import ServerProcess
import TimeBase

extension ServeCommand {
  /// The options, as the server's process takes them.
  func settings() throws(UsageError) -> ServerSettings {
    var settings = ServerSettings()
    settings.service.version = ProgramVersion.current
    settings.service.repositories = models.repositories
    settings.service.models = try ServerSettings.models(models.models)
    settings.service.controlMode = models.modelControlMode
    settings.service.loadModels = models.loadModel
    settings.service.pollInterval = .seconds(models.repositoryPollSecs)
    settings.service.strictReadiness = models.strictReadiness.isOn
    settings.service.warmsUp = models.warmup.isOn
    settings.service.keepsEvents = behaviour.liveEvents.isOn || behaviour.record != nil || behaviour.profileWindow != nil
    if behaviour.record != nil { settings.service.keptRequests = behaviour.recordLimit }
    settings.service.allowsClientSharedMemory = behaviour.allowClientShm.isOn
    settings.service.controlToken = listening.controlToken ?? getenv("HEADROOM_CONTROL_TOKEN").map { String(cString: $0) }
    settings.service.precision = device.precision
    settings.service.executionLimit = .seconds(device.instanceTimeoutSecs)
    settings.service.limitsRate = try ServerSettings.limitsRate(behaviour.rateLimit)
    settings.service.rateLimits = behaviour.rateLimitResource
    settings.service.metrics = try ServerSettings.metrics(behaviour.metricsConfig)
    settings.device = device.choice
    settings.listening = try listening.settings(security)
    settings.traceSettings = try ServerSettings.traceSettings(behaviour.traceConfig)
    settings.endsOnLoadFailure = models.exitOnError.isOn
    settings.exitTimeout = .seconds(behaviour.exitTimeoutSecs)
    settings.printsReadyLine = behaviour.readyLine
    settings.recordPath = behaviour.record
    settings.profileWindow = try behaviour.profileWindow.map(ServerSettings.windowSeconds)
    settings.profileFolder = behaviour.profileFolder
    _ = try behaviour.log()
    try settings.check()
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
  func settings(_ security: ServeSecurity) throws(UsageError) -> ServerSettings.Listening {
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
    try settings.setTLS(certificate: tlsCertificate, key: tlsKey)
    try security.settings.apply(to: &settings)
    return settings
  }
}

extension ServeBehaviour {
  func log() throws(UsageError) -> LogSettings {
    var settings = LogSettings()
    settings.file = logFile
    settings.verboseLevel = logVerbose
    settings.format = try ServerSettings.logFormat(logFormat)
    settings.info = logInfo.isOn
    settings.warning = logWarning.isOn
    settings.error = logError.isOn
    return settings
  }
}

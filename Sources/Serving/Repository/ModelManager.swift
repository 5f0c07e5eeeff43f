import FileAccess
import KServe
import ModelConfiguration
import NIOCore
import Synchronization
import TimeBase
import Threads

/// Loads, reloads and unloads models, whoever asks: the command line at the start, the control calls, or polling.
final class ModelManager: Sendable {
  let table = ModelTable()
  private let loader: ModelLoader
  private let repositories: [String]
  private let fixed: [String: ModelLocation]
  private let log: ServerLog
  /// Names that an operation works on: one at a time per model.
  private let gate = Monitor()
  private let busy = Mutex<Set<String>>([])
  private let stamps = Mutex<[String: [String: [Int64]]]>([:])
  private let loads = Atomic<Int>(0)
  /// Models closed and not yet drained.
  private let draining = Mutex<[ObjectIdentifier: ServedModel]>([:])

  init(loader: ModelLoader, repositories: [String], fixed: [String: ModelLocation], log: ServerLog) {
    self.loader = loader
    self.repositories = repositories
    self.fixed = fixed
    self.log = log
  }

  /// Models there are on disk, by name.
  func listing() -> [String: ModelLocation] {
    var places = fixed
    for repository in repositories {
      for name in (try? Files.entries(of: repository)) ?? [] where !name.hasPrefix(".") {
        let path = "\(repository)/\(name)"
        if Files.kind(of: path) == .folder, places[name] == nil { places[name] = .folder(path) }
      }
    }
    return places
  }

  /// Loads or reloads; blocking.
  func load(_ name: String, configuration replacement: String?, files: [String: [UInt8]]) throws(KServeError) {
    enter(name)
    defer { leave(name) }
    let polled = "failed to load '\(name)', failed to poll from model repository"
    if !files.isEmpty, replacement == nil {
      throw KServeError(
        .invalidArgument, "failed to load '\(name)', override model directory requires 'config' parameter to be specified")
    }
    guard let place = files.isEmpty ? listing()[name] : ModelLocation.sent(files) else { throw KServeError(.internalError, polled) }
    let (configuration, versions): (ModelConfiguration, [Int])
    let stamp = place.stamp()
    do throws(ModelLoader.Failure) {
      configuration = try loader.configuration(name, at: place, replacement: replacement)
      versions = try loader.versions(configuration, at: place)
    } catch {
      log.error("model '\(name)' is not loaded: \(error)")
      if table.ready(name).isEmpty { table.set(name, 1, .unavailable(error.description)) }
      throw KServeError(.internalError, error.isTold ? "\(polled): \(error)" : polled)
    }
    stamps.withLock { $0[name] = stamp }
    let isNew = table.ready(name).isEmpty
    if isNew { _ = table.replace(name, with: Dictionary(uniqueKeysWithValues: versions.map { ($0, .loading) })) }
    var states: [Int: ModelTable.State] = [:]
    var started: [ServedModel] = []
    var problems: [String] = []
    for version in versions {
      let start = MonotonicClock.now
      do throws(ModelLoader.Failure) {
        let (model, instances) = try loader.load(
          configuration, version: version, at: place, number: Int32(truncatingIfNeeded: loads.wrappingAdd(1, ordering: .relaxed).newValue))
        model.start(instances)
        started.append(model)
        states[version] = .ready(model)
        let seconds = (MonotonicClock.now - start).seconds
        model.counters.setLoadSeconds(seconds)
        log.info("model '\(name)' version \(version) is ready on \(model.device.name) after \((seconds * 1000).rounded() / 1000) s")
      } catch {
        states[version] = .unavailable(error.description)
        problems.append("version \(version) is at UNAVAILABLE state: \(error.description);")
        log.error("model '\(name)' version \(version) is not loaded: \(error)")
      }
    }
    if !problems.isEmpty, !isNew {
      // What serves stays until something better is there.
      for model in started { close(model) }
    } else {
      for model in table.replace(name, with: states) { close(model) }
    }
    if !problems.isEmpty { throw KServeError(.internalError, "load failed for model '\(name)': " + problems.joined(separator: " ")) }
  }

  /// Unloads; what is queued is still served. Blocking only while another operation works on the model.
  func unload(_ name: String) {
    enter(name)
    defer { leave(name) }
    let ready = table.ready(name)
    stamps.withLock { $0[name] = nil }
    guard !ready.isEmpty else { return }
    _ = table.replace(name, with: Dictionary(uniqueKeysWithValues: ready.map { ($0.version, .unloading($0.number)) }))
    for model in ready {
      close(model) { [table, version = model.version, number = model.number] in
        table.end(name, version, number: number, .unavailable("unloaded"))
      }
    }
    log.info("model '\(name)' is being unloaded")
  }

  private func close(_ model: ServedModel, _ then: @escaping @Sendable () -> Void = {}) {
    draining.withLock { $0[ObjectIdentifier(model)] = model }
    model.queue.close { [self] in
      then()
      _ = draining.withLock { $0.removeValue(forKey: ObjectIdentifier(model)) }
    }
  }

  /// Loadings closed and not yet drained.
  var closing: Int { draining.withLock { $0.count } }

  /// Everything is closed; what is accepted is still served.
  func closeAll() {
    for model in table.allReady { close(model) }
  }

  /// Requests accepted and not yet answered, of every model, those that are being unloaded too.
  var unanswered: Int {
    let models = draining.withLock { Array($0.values) } + table.allReady
    return Dictionary(models.map { (ObjectIdentifier($0), $0) }, uniquingKeysWith: { first, _ in first }).values.reduce(0) {
      $0 + $1.queue.unansweredRequests
    }
  }

  /// Compares the repository with what was loaded: loads what is new or changed, unloads what is gone.
  func poll() {
    let places = listing()
    let known = stamps.withLock { $0 }
    for (name, place) in places.sorted(by: { $0.key < $1.key }) where known[name] != place.stamp() {
      do throws(KServeError) {
        try load(name, configuration: nil, files: [:])
      } catch {
        // The reason is in the log. Not tried again before the files change.
        stamps.withLock { $0[name] = place.stamp() }
      }
    }
    for name in known.keys where places[name] == nil {
      unload(name)
    }
  }

  private func enter(_ name: String) {
    gate.lock()
    while !busy.withLock({ $0.insert(name).inserted }) { gate.wait() }
    gate.unlock()
  }

  private func leave(_ name: String) {
    gate.lock()
    _ = busy.withLock { $0.remove(name) }
    gate.unlock()
    gate.broadcast()
  }
}

import CheckedNumbers
import KServe
import ModelConfiguration
import Synchronization

/// Which versions of which models there are and in what state. Lookups are what every request begins with.
final class ModelTable: Sendable {
  /// A version's state, by the names of the repository extension.
  enum State: Sendable {
    case loading
    case ready(ServedModel)
    /// With the number of the loading that ends: only that one may say how it ended.
    case unloading(Int32)
    case unavailable(String)
  }

  private let models = Mutex<[String: [Int: State]]>([:])

  func set(_ name: String, _ version: Int, _ state: State) { models.withLock { $0[name, default: [:]][version] = state } }

  /// A loading is over. Nothing happens where its version is another one's by now.
  func end(_ name: String, _ version: Int, number: Int32, _ state: State) {
    models.withLock { models in
      guard case .unloading(number) = models[name]?[version] else { return }
      models[name]?[version] = state
    }
  }

  /// Replaces a model's versions at once; the ready ones that are gone are returned.
  func replace(_ name: String, with versions: [Int: State]) -> [ServedModel] {
    models.withLock { models in
      let gone = (models[name] ?? [:]).values.compactMap { state in if case .ready(let model) = state { model } else { nil } }
      models[name] = versions
      return gone
    }
  }

  func remove(_ name: String) { models.withLock { $0[name] = nil } }

  /// The model to serve with: this version, or the latest that is ready.
  ///
  /// Texts: core `src/model_repository_manager/model_lifecycle.cc` (GetModel), prefixed by `src/server.cc`.
  func find(_ name: String, version: String) throws(KServeError) -> ServedModel {
    let versions = models.withLock { $0[name] }
    guard let versions else { throw Self.unknown("'\(name)' is not found") }
    if version.isEmpty {
      // Every request without a version asks this: no list, no sorting.
      var latest: (version: Int, model: ServedModel)?
      for (version, state) in versions {
        if case .ready(let model) = state, latest.map({ $0.version < version }) ?? true { latest = (version, model) }
      }
      if let latest { return latest.model }
      throw Self.unknown("'\(name)' has no available versions")
    }
    guard let number = Int(version), let state = versions[number] else { throw Self.unknown("'\(name)' version \(version) is not found") }
    if case .ready(let model) = state { return model }
    throw KServeError(
      .unavailable, "Request for unknown model: '\(name)' version \(version) is not at ready state")
  }

  private static func unknown(_ what: String) -> KServeError { KServeError(.notFound, "Request for unknown model: " + what) }

  private static func ready(_ versions: [Int: State]) -> [ServedModel] {
    versions.sorted { $0.key < $1.key }.compactMap { if case .ready(let model) = $0.value { model } else { nil } }
  }

  /// Ready versions, ascending.
  func ready(_ name: String) -> [ServedModel] { Self.ready(models.withLock { $0[name] } ?? [:]) }

  /// All ready versions of all models, by name and version.
  var allReady: [ServedModel] { models.withLock { $0 }.sorted { $0.key < $1.key }.flatMap { Self.ready($0.value) } }

  /// Every known version and its state, by name and version. A model that is loaded and cannot run for now is unavailable.
  var states: [(name: String, version: Int, state: State)] {
    models.withLock { $0 }.sorted { $0.key < $1.key }.flatMap { name, versions in
      versions.sorted { $0.key < $1.key }.map { version, state in
        if case .ready(let model) = state, let outage = model.loaded.outage { return (name, version, .unavailable(outage)) }
        return (name, version, state)
      }
    }
  }

  var names: Set<String> { Set(models.withLock { $0.keys }) }
}

import FileAccess
import JSONText
import KServe
import NIOCore
import NIOEmbedded
import Testing

@testable import HTTPFrontEnd
@testable import Serving

/// Docs/openapi.json and the routes say the same: a path, a method or an operation that only one of them has fails here.
@Suite struct OpenAPITests {
  private static let methods = ["get", "post"]

  private static func document() throws -> JSONValue {
    let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(4).joined(separator: "/")
    return try JSONValue.parse(try Files.readText(root + "/Docs/openapi.json"))
  }

  /// Paths as clients write them, with the methods that the document gives each.
  private static func paths() throws -> [String: Set<String>] {
    guard case .object(let members)? = try document()["paths"] else { return [:] }
    var paths: [String: Set<String>] = [:]
    for member in members {
      let path = member.name.replacing("{model}", with: "m").replacing("{version}", with: "1").replacing("{region}", with: "r")
      guard case .object(let items) = member.value else { continue }
      paths[path] = Set(items.map(\.name)).intersection(methods)
    }
    return paths
  }

  /// What a route does, whatever it is done to. A new case does not compile until it has a name here, and fails until it has a path.
  private static func name(_ route: HTTPRoute) -> String {
    switch route {
    case .root: "root"
    case .serverMetadata: "server metadata"
    case .live: "live"
    case .ready: "ready"
    case .modelMetadata(_, let version): "model metadata \(version)"
    case .modelReady(_, let version): "model ready \(version)"
    case .modelConfiguration(_, let version): "model configuration \(version)"
    case .statistics(let model, let version): "statistics \(model) \(version)"
    case .infer(_, let version): "infer \(version)"
    case .generate(_, let version, let isStream): "generate \(version) \(isStream)"
    case .traceSettings(let model): "trace settings \(model)"
    case .repositoryIndex: "repository index"
    case .load: "load"
    case .unload: "unload"
    case .systemSharedMemory(let region, let action): "system shared memory \(region) \(action)"
    case .cudaSharedMemory(let region, let action): "CUDA shared memory \(region) \(action)"
    case .logging: "logging"
    case .headroom: "headroom"
    case .headroomPage: "headroom page"
    case .profile: "profile"
    }
  }

  /// Every way in which a route's parameters are there or not.
  private static var all: Set<String> {
    var routes: [HTTPRoute] = [
      .root, .serverMetadata, .live, .ready, .repositoryIndex, .load(model: "m"), .unload(model: "m"), .logging, .headroom, .headroomPage,
      .profile,
      .statistics(model: "", version: ""), .traceSettings(model: ""), .traceSettings(model: "m"),
    ]
    for version in ["", "1"] {
      routes += [
        .modelMetadata(model: "m", version: version), .modelReady(model: "m", version: version),
        .modelConfiguration(model: "m", version: version), .statistics(model: "m", version: version), .infer(model: "m", version: version),
        .generate(model: "m", version: version, isStream: false), .generate(model: "m", version: version, isStream: true),
      ]
    }
    for region in ["", "r"] {
      for action in [HTTPRoute.SharedMemoryAction.status, .register, .unregister] {
        routes += [.systemSharedMemory(region: region, action: action), .cudaSharedMemory(region: region, action: action)]
      }
    }
    return Set(routes.map(name))
  }

  @Test func everyRouteHasAPathAndEveryPathARoute() throws {
    let paths = try Self.paths()
    #expect(paths.count >= 40)
    var found: Set<String> = []
    for path in paths.keys.sorted() {
      guard let route = HTTPRoute(path: path) else {
        Issue.record("no route takes \(path)")
        continue
      }
      found.insert(Self.name(route))
    }
    #expect(found == Self.all, "\(found.symmetricDifference(Self.all))")
  }

  /// A method that stands there is taken, one that does not is refused as such.
  @Test func everyMethodIsTakenThatStandsThere() throws {
    for (path, taken) in try Self.paths().sorted(by: { $0.key < $1.key }) {
      for method in Self.methods {
        let status = try Self.status(method.uppercased(), path)
        // At the root the reference server has nothing: what is not a browser's GET finds nothing there.
        let isRefused = status == (path == "/" ? 404 : 405)
        #expect(isRefused == !taken.contains(method) || path == "/" && method == "get", "\(method) \(path): \(status)")
        #expect(status != 404 || path == "/" || path.hasPrefix("/v2/models/m"), "\(method) \(path): \(status)")
      }
    }
  }

  private struct Pages: LivePages {
    func page() -> LivePageText { LivePageText(html: "<html></html>", contentSecurityPolicy: "") }
    func answer(ofModel name: String?, as format: LiveFormat, whenDone: @escaping @Sendable (Result<String, KServeError>) -> Void) {
      whenDone(.success("{}"))
    }
    func metrics() -> [LiveMetrics] { [] }
  }

  private static func send(_ method: String, _ target: String) throws -> String {
    let channel = EmbeddedChannel()
    let connections = HTTPConnections(limit: 2)
    #expect(connections.enter())
    let connection = HTTPConnection(
      application: KServeApplication(service: FakeService(), live: Pages()), limits: HTTPLimits(), connections: connections,
      unsent: UnsentBytes())
    try channel.pipeline.syncOperations.addHandler(connection)
    connections.add(connection, on: channel.eventLoop)
    try channel.connect(to: .init(unixDomainSocketPath: "/x")).wait()
    defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
    try channel.writeInbound(
      ByteBuffer(
        string:
          "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
      ))
    channel.embeddedEventLoop.run()
    var text = ""
    while let part = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: part) }
    return text
  }

  private static func status(_ method: String, _ path: String) throws -> Int {
    let answer = try send(method, path)
    return try #require(Int(answer.split(separator: " ").dropFirst().first ?? ""), "\(method) \(path): \(answer)")
  }
}

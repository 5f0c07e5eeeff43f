import KServe
import Testing

@testable import HTTPFrontEnd
@testable import Serving

/// Paths and what they ask for, as the reference server's expressions take them.
@Suite struct HTTPRouteTests {
  private static let routes: [(String, HTTPRoute)] = [
    ("/", .root), ("/headroom", .headroomPage), ("/v2", .serverMetadata), ("/v2/health/live", .live), ("/v2/health/ready", .ready),
    ("/v2/logging", .logging), ("/v2/headroom", .headroom), ("/v2/headroom/profile", .profile),
    ("/v2/trace/setting", .traceSettings(model: "")),
    ("/v2/models/m", .modelMetadata(model: "m", version: "")), ("/v2/models/m/versions/12", .modelMetadata(model: "m", version: "12")),
    ("/v2/models/m/ready", .modelReady(model: "m", version: "")), ("/v2/models/m/versions/1/ready", .modelReady(model: "m", version: "1")),
    ("/v2/models/m/config", .modelConfiguration(model: "m", version: "")),
    ("/v2/models/m/versions/1/config", .modelConfiguration(model: "m", version: "1")),
    ("/v2/models/stats", .statistics(model: "", version: "")),
    ("/v2/models/m/stats", .statistics(model: "m", version: "")), ("/v2/models/m/versions/1/stats", .statistics(model: "m", version: "1")),
    ("/v2/models/m/infer", .infer(model: "m", version: "")), ("/v2/models/m/versions/0/infer", .infer(model: "m", version: "0")),
    ("/v2/models/m/generate", .generate(model: "m", version: "", isStream: false)),
    ("/v2/models/m/generate_stream", .generate(model: "m", version: "", isStream: true)),
    ("/v2/models/m/trace/setting", .traceSettings(model: "m")), ("/v2/repository/index", .repositoryIndex),
    ("/v2/repository/models/m/load", .load(model: "m")), ("/v2/repository/models/m/unload", .unload(model: "m")),
    ("/v2/systemsharedmemory/status", .systemSharedMemory(region: "", action: .status)),
    ("/v2/systemsharedmemory/region/r/status", .systemSharedMemory(region: "r", action: .status)),
    ("/v2/systemsharedmemory/region/r/register", .systemSharedMemory(region: "r", action: .register)),
    ("/v2/systemsharedmemory/unregister", .systemSharedMemory(region: "", action: .unregister)),
    ("/v2/cudasharedmemory/region/r/unregister", .cudaSharedMemory(region: "r", action: .unregister)),
    ("/v2/cudasharedmemory/status", .cudaSharedMemory(region: "", action: .status)),
  ]

  @Test func everyPathHasItsRoute() {
    for (path, route) in Self.routes { #expect(HTTPRoute(path: path) == route, "\(path)") }
  }

  /// A trailing slash is a path of its own, and nothing is between two slashes.
  @Test func aPathWithMoreOrLessIsNone() {
    for (path, _) in Self.routes where path != "/" {
      #expect(HTTPRoute(path: path + "/") == nil, "\(path)/")
      #expect(HTTPRoute(path: "/" + path) == nil, "/\(path)")
      #expect(HTTPRoute(path: String(path.dropFirst())) == nil, "without its slash: \(path)")
    }
  }

  @Test(arguments: [
    "", "v2", "/v1", "/V2", "/v2/", "/v2/health", "/v2/health/live/x", "/v2/health/dead", "/v2/models", "/v2/models/", "/v2/models//infer",
    "/v2/models/m/versions", "/v2/models/m/versions/x/infer", "/v2/models/m/versions/-1", "/v2/models/m/versions/1.0",
    "/v2/models/m/versions/١",
    "/v2/models/m/nothing", "/v2/models/m/infer/x", "/v2/models/m/trace", "/v2/repository", "/v2/repository/index/x",
    "/v2/repository/models/m", "/v2/repository/models/m/delete", "/v2/systemsharedmemory", "/v2/systemsharedmemory/region/status",
    "/v2/systemsharedmemory/regions/r/status", "/v2/systemsharedmemory/region/r/anything", "/v2/logging/x", "/v2/headroom/x", "/headroom/x",
    "/v2/trace", "/v2/trace/settings",
  ])
  func otherPathsAreNone(path: String) { #expect(HTTPRoute(path: path) == nil) }

  @Test(arguments: [
    ("a%20b", "a b"), ("a%2Fb", "a/b"), ("%E4%B8%AD", "中"), ("100%", "100%"), ("%zz", "%zz"), ("%4", "%4"), ("a+b", "a+b"), ("%41%", "A%"),
  ])
  func escapesAreResolvedAndBrokenOnesStay(text: String, model: String) {
    #expect(HTTPRoute(path: "/v2/models/\(text)/infer") == .infer(model: model, version: ""))
    #expect(HTTPRoute(path: "/v2/repository/models/\(text)/load") == .load(model: model))
  }

  /// Calls of one group are restricted together; a page that tells nothing belongs to none.
  @Test func everyRouteHasItsGroup() {
    let groups: [RestrictedAPIs.Group?: Set<String>] = [
      .health: ["/v2/health/live", "/v2/health/ready", "/v2/models/m/ready"], .metadata: ["/v2", "/v2/models/m"],
      .inference: ["/v2/models/m/infer", "/v2/models/m/generate", "/v2/models/m/generate_stream"],
      .sharedMemory: ["/v2/systemsharedmemory/status", "/v2/cudasharedmemory/region/r/unregister"],
      .modelConfiguration: ["/v2/models/m/config"],
      .modelRepository: ["/v2/repository/index", "/v2/repository/models/m/load", "/v2/repository/models/m/unload"],
      .statistics: ["/v2/models/stats", "/v2/models/m/stats", "/v2/headroom"],
      .trace: ["/v2/trace/setting", "/v2/models/m/trace/setting", "/v2/headroom/profile"],
      .logging: ["/v2/logging"], nil: ["/", "/headroom"],
    ]
    for (group, paths) in groups {
      for path in paths { #expect(HTTPRoute(path: path)?.group == group, "\(path)") }
    }
  }

  @Test func whatChangesTheServerIsControl() {
    let control: Set<String> = [
      "/v2/logging", "/v2/trace/setting", "/v2/models/m/trace/setting", "/v2/repository/models/m/load", "/v2/repository/models/m/unload",
      "/v2/systemsharedmemory/region/r/register", "/v2/systemsharedmemory/unregister", "/v2/cudasharedmemory/region/r/unregister",
      "/v2/headroom/profile",
    ]
    for (path, route) in Self.routes { #expect(route.isControl == control.contains(path), "\(path)") }
  }
}

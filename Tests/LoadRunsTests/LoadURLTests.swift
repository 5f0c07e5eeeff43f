import LoadRuns
import ProcessContract
import Testing

/// Where a run of the load generator goes.
@Suite struct LoadURLTests {
  @Test(arguments: [
    ("http://host/a?b=1#c", "host", 80, "/a?b=1", false), ("https://host", "host", 443, "/", true),
    ("host:8000", "host", 8000, "/", false), ("grpc://[::1]:8001", "::1", 8001, "/", false),
    ("grpcs://host:9", "host", 9, "/", true), ("host?x=1", "host", 80, "/?x=1", false),
  ]) func schemeHostPortAndPathAreToldApart(text: String, host: String, port: Int, path: String, isSecure: Bool) throws {
    let url = try LoadURL(text)
    #expect((url.host, url.port, url.path, url.isSecure) == (host, port, path, isSecure))
  }

  @Test func withoutASchemeThePortIsTheCallers() throws {
    #expect(try LoadURL("host", defaultPort: 8001).port == 8001)
    #expect(try LoadURL("https://host", defaultPort: 8001).port == 443)
  }

  @Test(arguments: ["", "http://", "host:0", "host:65536", "host:x", "http://:80/", "http://host/a b"])
  func whatIsNoAddressSaysWhatToWrite(text: String) {
    let error = #expect(throws: UsageError.self) { try LoadURL(text) }
    #expect(error?.description == "\(text): write http://HOST:PORT/PATH or https://HOST:PORT/PATH")
  }
}

import Testing

@testable import HTTPFrontEnd
@testable import Serving

/// Who may change the server through a browser.
@Suite struct BrowserGuardTests {
  private func isRefused(
    origin: String? = nil, site: String? = nil, host: String? = "localhost:8000", type: String? = nil, names: Set<String> = [],
    token: Bool = false
  ) -> Bool {
    BrowserGuard(names: names).refusal(
      origin: origin, fetchSite: site, host: host, contentType: type, localAddress: "192.168.1.5", isVouchedFor: token) != nil
  }

  @Test(arguments: [nil, "text/plain", "application/json", "application/octet-stream"]) func programsAreNotAsked(type: String?) {
    #expect(!isRefused(type: type))
    #expect(!isRefused(host: nil, type: type))
  }

  @Test(arguments: ["cross-site", "same-site", "Cross-Site", "anything"]) func otherSitesAreRefused(site: String) {
    #expect(isRefused(site: site))
    #expect(isRefused(origin: "http://localhost:8000", site: site, type: "application/json"))
  }

  @Test(arguments: [
    "http://evil.example", "null", "http://localhost", "http://localhost:3000", "http://localhost:8000.evil.example", "file://",
    "http://127.0.0.1:8000", "",
  ])
  func otherOriginsAreRefused(origin: String) { #expect(isRefused(origin: origin, type: "application/json")) }

  @Test func ownPagesMustSayJSON() {
    #expect(!isRefused(origin: "http://localhost:8000", site: "same-origin", type: "application/json"))
    #expect(!isRefused(origin: "http://LOCALHOST:8000", type: "application/json; charset=utf-8"))
    for type in [nil, "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/plain; application/json"] {
      #expect(isRefused(origin: "http://localhost:8000", type: type))
    }
  }

  @Test(arguments: [
    "localhost", "localhost:1", "a.localhost", "127.0.0.1:8000", "127.1.2.3", "[::1]:8000", "[::1]", "192.168.1.5:8000", "LocalHost:8000",
    "localhost.", "ours.example:8000",
  ])
  func ownNamesAreTaken(host: String) { #expect(!isRefused(host: host, names: ["ours.example"])) }

  @Test(arguments: [
    "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.evil", "evillocalhost", "10.0.0.1", "[::2]", "", "128.0.0.1",
    "127.0.0.256", "[::1]evil.com", "127.0.0.1:80:90", "[::1", "localhost:abc", "127.0.0.1:99999", "localhost:+1",
  ])
  func otherNamesAreRefusedUnlessTheTokenVouches(host: String) {
    #expect(isRefused(host: host))
    #expect(!isRefused(host: host, token: true))
  }
}

@Suite struct RestrictedAPIsTests {
  private func restrictions(_ texts: String...) throws -> RestrictedAPIs {
    var restrictions = RestrictedAPIs()
    for text in texts { try restrictions.add(text, option: "--http-restricted-api", headerPrefix: "", kind: "api") }
    return restrictions
  }

  @Test func groupsHaveTheirHeaders() throws {
    let restrictions = try restrictions("model-repository,trace:Admin-Key=a=b", "health:k=v")
    #expect(restrictions[.trace] == RestrictedAPIs.Restriction(header: "admin-key", value: "a=b"))
    #expect(restrictions[.modelRepository]?.admits("a=b") == true)
    #expect(restrictions[.modelRepository]?.admits("a=c") == false)
    #expect(restrictions[.modelRepository]?.admits(nil) == false)
    #expect(restrictions[.inference] == nil)
  }

  @Test(arguments: [
    "inference", "inference:k", "inference:k=", "inference:=v", ":k=v", "inference=k:v", "", "model-reposit:k=v", "trace,:k=v",
  ])
  func whatSaysNothingIsRefused(text: String) { #expect(throws: RestrictedAPIs.Fault.self) { try restrictions(text) } }

  @Test func aGroupStandsOnce() {
    #expect(
      throws: RestrictedAPIs.Fault(message: "--http-restricted-api: restricted api 'health' can not be specified in multiple config groups")
    ) {
      try restrictions("model-repository,health:k1=v1", "metadata,health:k2=v2")
    }
  }

  @Test func everyControlRouteHasAGroup() throws {
    for path in [
      "/v2/repository/models/m/load", "/v2/logging", "/v2/trace/setting", "/v2/systemsharedmemory/region/r/register",
      "/v2/models/m/trace/setting",
    ] {
      let route = try #require(HTTPRoute(path: path))
      #expect(route.isControl && route.group != nil, "\(path)")
    }
    #expect(HTTPRoute(path: "/v2/systemsharedmemory/status")?.isControl == false)
  }
}

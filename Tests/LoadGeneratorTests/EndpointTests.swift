import Glibc
@testable import LoadGenerator
import Testing

/// A name with several addresses is asked where somebody listens.
@Suite struct EndpointTests {
  private static func loopback(_ port: Int, version6: Bool) -> Endpoint.Address {
    if version6 {
      var address = sockaddr_in6()
      address.sin6_family = sa_family_t(clamping: AF_INET6)
      address.sin6_port = in_port_t(clamping: port).bigEndian
      address.sin6_addr = in6addr_loopback
      return withUnsafeBytes(of: address) { Endpoint.Address(family: AF_INET6, bytes: Array($0)) }
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(clamping: AF_INET)
    address.sin_port = in_port_t(clamping: port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafeBytes(of: address) { Endpoint.Address(family: AF_INET, bytes: Array($0)) }
  }

  @Test func anAddressWithoutAListenerIsPassedOver() {
    let server = StandInServer { _, _ in StandInServer.ok }
    defer { server.stop() }
    let other = StandInServer { _, _ in StandInServer.ok }
    other.stop()
    let (six, four) = (Self.loopback(server.port, version6: true), Self.loopback(server.port, version6: false))
    #expect(Endpoint.chosen([six, four]) == four, "localhost as many systems know it: ::1 first, the server on 127.0.0.1")
    #expect(Endpoint.chosen([Self.loopback(other.port, version6: false), four]) == four)
    #expect(Endpoint.chosen([four, six]) == four)
  }

  @Test func whereNobodyListensTheFirstIsAsked() {
    let server = StandInServer { _, _ in StandInServer.ok }
    server.stop()
    let (six, four) = (Self.loopback(server.port, version6: true), Self.loopback(server.port, version6: false))
    #expect(Endpoint.chosen([six, four]) == six)
    #expect(Endpoint.chosen([four]) == four)
    #expect(Endpoint.chosen([]) == nil)
  }
}

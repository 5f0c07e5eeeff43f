import LoadGenerator
import ProcessContract

/// A page of a server, fetched once: statistics, metrics, configuration. Blocks its thread.
package enum ServerPage {
  /// A server that does not answer within this time does not answer, seconds.
  static let timeoutSeconds = 10

  /// Whether `get` can take it.
  package static func isAddress(_ url: String) -> Bool { (try? LoadURL(url)) != nil }

  /// The page's bytes.
  ///
  /// - Throws: what is wrong with the address, the connection or the status, beginning with `url`.
  package static func get(_ url: String) throws(LoadError) -> [UInt8] {
    let address: LoadURL
    do throws(UsageError) { address = try LoadURL(url) } catch { throw LoadError(error.description) }
    do throws(LoadError) {
      let tls = address.isSecure ? try TLSSettings(certificateFile: nil, offersHTTP2: false) : nil
      let endpoint = try Endpoint(host: address.host, port: address.port, tls: tls)
      let answer = try BlockingExchange(endpoint, headers: ["Accept: */*"], timeoutSeconds: timeoutSeconds).get(address.path)
      return try page(status: answer.status, answer.body)
    } catch { throw LoadError("\(url): \(error)") }
  }

  static func page(status: Int, _ body: [UInt8]) throws(LoadError) -> [UInt8] {
    guard status == 200 else { throw LoadError("answered status \(status)") }
    return body
  }
}

import CheckedNumbers
import Glibc
import NIOCore

/// Why a listener could not be opened, and what to do next: an errno's text, never the name of the call that failed.
struct ListenFault {
  let error: any Error
  let address: String
  let port: Int
  /// The option that sets the port.
  let option: String
  /// What of this server listens on the port already; nil where nothing does.
  let ownListener: String?

  /// One sentence.
  var message: String {
    let code = (error as? IOError)?.errnoCode
    switch code {
    case EADDRINUSE:
      let user = ownListener.map { "this server's \($0)" } ?? "another process"
      return "port \(port) is in use by \(user); choose another with \(option) (0: any that is free)"
    case EACCES: return "port \(port) needs privileges, as all below 1024 do; choose another with \(option)"
    case EADDRNOTAVAIL: return "this machine has no address \(address)"
    case .some(let code): return "cannot listen on \(address), port \(port): \(String(cString: strerror(code)))"
    case nil: return "cannot listen on \(address): no such host or address"
    }
  }
}

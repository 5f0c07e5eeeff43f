import CheckedNumbers
import JSONReading
import JSONText
import KServe

/// The JSON of a control call; an empty body is an empty object. Errors in the reference server's words.
struct HTTPDocument {
  private let members: [String: JSONValue]

  init(bytes: [UInt8]) throws(KServeError) {
    guard !bytes.isEmpty else {
      members = [:]
      return
    }
    var tape = JSONTape()
    var fault: JSONFault?
    bytes.withUnsafeBytes { bytes in
      do throws(JSONFault) { try tape.read(bytes) } catch { fault = error }
    }
    if let fault { throw KServeError(.invalidArgument, "failed to parse the request JSON buffer: \(fault)") }
    // The tape has checked it as the reference server does; what is left is a tree to look things up in.
    guard let value = try? JSONValue.parse(bytes) else {
      throw KServeError(.invalidArgument, "failed to parse the request JSON buffer: a name stands twice")
    }
    members = Dictionary((value.objectValue ?? []).map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
  }

  /// A member's value, to be read as a type.
  struct Member {
    let value: JSONValue

    private func fault(_ name: String, _ what: String) -> KServeError {
      KServeError(.invalidArgument, "Unable to parse '\(name)': \(what)")
    }

    func string(_ name: String) throws(KServeError) -> String {
      guard case .string(let text) = value else { throw fault(name, "attempt to access JSON non-string as string") }
      return text
    }

    func unsigned(_ name: String) throws(KServeError) -> UInt64 {
      guard let number = value.integerValue, number >= 0 else {
        throw fault(name, "attempt to access JSON non-unsigned-integer as unsigned-integer")
      }
      return UInt64(clamping: number)
    }
  }

  func required(_ name: String) throws(KServeError) -> Member {
    guard let value = members[name] else {
      throw KServeError(.invalidArgument, "Unable to parse '\(name)': attempt to access non-existing object member '\(name)'")
    }
    return Member(value: value)
  }

  func unsigned(_ name: String) throws(KServeError) -> UInt64? {
    try members[name].map { value throws(KServeError) in try Member(value: value).unsigned(name) }
  }

  /// Any number; nil where it is missing.
  func number(_ name: String) throws(KServeError) -> Double? {
    guard let value = members[name] else { return nil }
    guard let number = value.doubleValue, number.isFinite else {
      throw KServeError(.invalidArgument, "Unable to parse '\(name)': expected a number")
    }
    return number
  }

  func bool(_ name: String, in parent: String? = nil) throws(KServeError) -> Bool? {
    guard let value = parent == nil ? members[name] : members[parent ?? ""]?[name] else { return nil }
    guard let flag = value.boolValue else {
      throw KServeError(.invalidArgument, "Unable to parse '\(name)': attempt to access JSON non-boolean as boolean")
    }
    return flag
  }

  /// The strings of an object member, in order.
  func strings(in name: String) throws(KServeError) -> [(String, String)] {
    var strings: [(String, String)] = []
    for member in members[name]?.objectValue ?? [] {
      strings.append((member.name, try Member(value: member.value).string(member.name)))
    }
    return strings
  }

  /// Top-level members as parameters; null stands for nothing.
  func parameters() throws(KServeError) -> [String: KServeParameter] {
    var parameters: [String: KServeParameter] = [:]
    for (name, value) in members {
      switch value {
      case .bool(let flag): parameters[name] = .bool(flag)
      case .integer(let number): parameters[name] = .int(number)
      case .string(let text): parameters[name] = .string(text)
      case .null: break
      default: throw KServeError(.invalidArgument, "parameter '\(name)' has invalid type. It should be either 'int', 'bool', or 'string'.")
      }
    }
    return parameters
  }

  /// Top-level members as lists of strings; null clears.
  func lists() throws(KServeError) -> [String: [String]] {
    var lists: [String: [String]] = [:]
    for (name, value) in members {
      switch value {
      case .null: lists[name] = []
      case .array(let elements):
        var texts: [String] = []
        for element in elements { texts.append(try Member(value: element).string(name)) }
        lists[name] = texts
      case .integer(let number): lists[name] = [String(number)]
      default: lists[name] = [try Member(value: value).string(name)]
      }
    }
    return lists
  }
}

/// Base 64 (RFC 4648, 4), padded or not.
enum Base64 {
  static func decode(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count / 4 * 3)
    var (bits, count): (UInt32, Int) = (0, 0)
    var hasEnded = false
    for byte in text.utf8 {
      let value: UInt32
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = UInt32(byte - 65)
      case UInt8(ascii: "a")...UInt8(ascii: "z"): value = UInt32(byte - 71)
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = UInt32(byte + 4)
      case UInt8(ascii: "+"): value = 62
      case UInt8(ascii: "/"): value = 63
      case UInt8(ascii: "="):
        hasEnded = true
        continue
      case 0x0A, 0x0D: continue
      default: return nil
      }
      if hasEnded { return nil }
      bits = bits << 6 | value
      count += 6
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(clamping: count)))
      }
    }
    return count < 6 ? bytes : nil
  }
}

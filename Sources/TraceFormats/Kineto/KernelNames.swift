import CheckedNumbers

/// What names of kernels and copies say, where a trace has no columns for it.
enum KernelNames {
  /// The function's name alone, as Nsight's `shortName` has it: without return type, namespaces, template arguments and parameters.
  /// "void at::native::vectorized_kernel<4, Functor<float>>(int, Functor<float>)" gives "vectorized_kernel".
  static func short(_ name: String) -> String {
    let bytes = Array(name.utf8)
    // The first parenthesis outside angle brackets opens the parameters, unless it is "(anonymous namespace)" or "operator()".
    var depth = 0
    var end = bytes.count
    var index = 0
    while index < bytes.count {
      switch bytes[index] {
      case UInt8(ascii: "<"): depth += 1
      case UInt8(ascii: ">"): if depth > 0, index > 0, bytes[index - 1] != UInt8(ascii: "-") { depth -= 1 }
      case UInt8(ascii: "(") where depth == 0:
        let anonymous = Array("(anonymous namespace)".utf8)
        if bytes[index...].starts(with: anonymous) {
          index += anonymous.count - 1
        } else if bytes[..<index].suffix(8).elementsEqual("operator".utf8) {
          index += 1
        } else {
          end = index
        }
      default: break
      }
      if end != bytes.count { break }
      index += 1
    }
    // Back from there: template arguments go, then everything up to the last "::" or space.
    var last = end
    if last > 0, bytes[last - 1] == UInt8(ascii: ">") {
      var open = 0
      var place = last - 1
      while place >= 0 {
        if bytes[place] == UInt8(ascii: ">") { open += 1 }
        if bytes[place] == UInt8(ascii: "<") {
          open -= 1
          if open == 0 { break }
        }
        place -= 1
      }
      if place > 0 { last = place }
    }
    var first = last
    while first > 0, bytes[first - 1] != UInt8(ascii: ":"), bytes[first - 1] != UInt8(ascii: " ") { first -= 1 }
    let short = bytes[first..<last]
    return short.isEmpty ? name : String(decoding: short, as: UTF8.self)
  }

  /// What a copy's name says: "Memcpy HtoD (Pageable -> Device)". Numbers as in `CopyEvent`.
  static func copy(_ name: String, kind: String?) -> (direction: Int32, source: Int32, destination: Int32) {
    var direction: Int32 = 0
    let directions: [(String, Int32)] = [
      ("HtoD", 1), ("DtoH", 2), ("HtoA", 3), ("AtoH", 4), ("AtoA", 5), ("AtoD", 6), ("DtoA", 7), ("DtoD", 8), ("HtoH", 9), ("PtoP", 10),
      ("HostToDevice", 1), ("DeviceToHost", 2), ("DeviceToDevice", 8), ("HostToHost", 9), ("MemcpyH2D", 1), ("MemcpyD2H", 2),
      ("MemcpyD2D", 8), ("MemcpyP2P", 10),
    ]
    for text in [name, kind ?? ""] where direction == 0 {
      for (word, number) in directions where text.contains(word) {
        direction = number
        break
      }
    }
    func memory(_ word: Substring) -> Int32 {
      switch word {
      case "Pageable": 0
      case "Pinned": 1
      case "Device": 2
      case "Array": 3
      case "Managed": 4
      case "Device Static": 5
      case "Managed Static": 6
      default: .min
      }
    }
    var (source, destination) = (Int32.min, Int32.min)
    if let open = name.firstIndex(of: "("), let close = name.lastIndex(of: ")"), open < close {
      let inside = name[name.index(after: open)..<close]
      if let arrow = inside.firstRange(of: " -> ") {
        source = memory(inside[..<arrow.lowerBound])
        destination = memory(inside[arrow.upperBound...])
      }
    }
    return (direction, source, destination)
  }

  /// ENUM_CUDA_MEM_KIND of "Memset (Device)".
  static func memset(_ name: String) -> Int32 {
    name.contains("(Device)") ? 2 : name.contains("(Managed)") ? 4 : name.contains("(Pinned)") ? 1 : name.contains("(Pageable)") ? 0 : .min
  }

  /// ENUM_CUPTI_SYNC_TYPE of "Event Sync" and its kin; 0 for what is not known.
  static func synchronization(_ name: String) -> Int32 {
    switch name {
    case "Event Sync": 1
    case "Stream Wait Event": 2
    case "Stream Sync": 3
    case "Context Sync": 4
    default: 0
    }
  }
}

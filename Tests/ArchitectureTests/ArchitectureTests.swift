import FileAccess
import Glibc
import Testing

/// ARCHITECTURE.md's layer table is the rule; this reads it and the imports of every source file. A target that is missing from
/// the table, or imports a target of its own or a higher layer, fails here with the file's name.
@Suite struct ArchitectureTests {
  static let root: String = {
    // Tests/ArchitectureTests/ArchitectureTests.swift, three levels below the package.
    var parts = #filePath.split(separator: "/")
    parts.removeLast(3)
    return "/" + parts.joined(separator: "/")
  }()

  /// Rows of the form "| 3 | `Scheduling` | ...".
  static func layers(of page: String) -> [String: Int] {
    var layers: [String: Int] = [:]
    for line in page.split(separator: "\n") {
      let cells = line.split(separator: "|").map { $0.trimmed }
      guard cells.count >= 2, let layer = Int(cells[0]), cells[1].hasPrefix("`"), cells[1].hasSuffix("`") else { continue }
      layers[String(cells[1].dropFirst().dropLast())] = layer
    }
    return layers
  }

  /// Module names in a file's import declarations, whatever their access level and attributes.
  static func imports(of source: String) -> [String] {
    source.split(separator: "\n").compactMap { line in
      var words = line.split(separator: " ").map(String.init)
      while let first = words.first, first.hasPrefix("@") || ["public", "package", "internal", "fileprivate", "private"].contains(first) {
        words.removeFirst()
      }
      guard words.first == "import", words.count >= 2 else { return nil }
      let kinds = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
      let path = kinds.contains(words[1]) && words.count > 2 ? words[2] : words[1]
      return path.split(separator: ".").first.map(String.init)
    }
  }

  static func violations(target: String, source: String, layers: [String: Int]) -> [String] {
    guard let own = layers[target] else { return ["\(target) has no row in ARCHITECTURE.md's layer table"] }
    return imports(of: source).compactMap { imported in
      guard let layer = layers[imported], layer >= own else { return nil }
      return "\(target) (layer \(own)) imports \(imported) (layer \(layer))"
    }
  }

  @Test func everyTargetImportsOnlyLowerLayers() throws {
    let layers = Self.layers(of: try Files.readText(Self.root + "/ARCHITECTURE.md"))
    var problems: [String] = []
    var seen = 0
    for target in try Self.entries(Self.root + "/Sources") {
      for file in try Self.swiftFiles(Self.root + "/Sources/" + target) {
        seen += 1
        problems += Self.violations(target: target, source: try Files.readText(file), layers: layers).map { "\(file): \($0)" }
      }
    }
    #expect(seen > 20, "the test looked in the wrong folder")
    #expect(problems.isEmpty, "\(problems.joined(separator: "\n"))")
  }

  @Test func foundationStaysInTheTopLayers() throws {
    let layers = Self.layers(of: try Files.readText(Self.root + "/ARCHITECTURE.md"))
    for target in try Self.entries(Self.root + "/Sources") where (layers[target] ?? 0) < 9 {
      for file in try Self.swiftFiles(Self.root + "/Sources/" + target) {
        #expect(!Self.imports(of: try Files.readText(file)).contains("Foundation"), "\(file) imports Foundation below layer 9")
      }
    }
  }

  /// ARCHITECTURE.md says where one more element-wise operator goes. Those that nothing fuses or folds are named there and nowhere else.
  @Test(arguments: ["hardSwish", "softsign", "sine", "ceiling"]) func anElementwiseOperatorIsNamedInItsPlacesAlone(operation: String) throws
  {
    let names = ["\\.\(operation)\\b", "\\bcase .*\\b\(operation)\\b", "\\bHR_UNARY_\(operation.uppercased())\\b"]
    let expression = try Regex(names.joined(separator: "|"))
    var places: Set<String> = []
    for target in try Self.entries(Self.root + "/Sources") {
      for file in try Self.files(Self.root + "/Sources/" + target, [".swift", ".h", ".cuh"]) {
        if try Files.readText(file).firstMatch(of: expression) != nil { places.insert(String(file.dropFirst(Self.root.count + 1))) }
      }
    }
    let documented: Set = [
      "Sources/ModelGraph/Operators/UnaryOperation.swift", "Sources/Execution/CPU/ElementLoops.swift",
      "Sources/Execution/CUDA/CUDAStep.swift",
      "Sources/CCUDAKernels/include/kernel_arguments.h", "Sources/CCUDAKernels/kernels/elements.cuh",
    ]
    #expect(places == documented)
    let page = try Files.readText(Self.root + "/ARCHITECTURE.md")
    for file in documented {
      #expect(page.contains(file.split(separator: "/").suffix(1).joined()), "ARCHITECTURE.md does not name \(file)")
    }
  }

  /// Where it is imported, the compiler warns of conversions that end the process when a number from outside does not fit. The standard
  /// library's are shadowed by import, so each file that converts imports it.
  @Test func everyFileThatConvertsSeesTheCheckedConversions() throws {
    for target in try Self.entries(Self.root + "/Sources") where target != "CheckedNumbers" {
      for file in try Self.swiftFiles(Self.root + "/Sources/" + target) {
        let source = try Files.readText(file)
        guard Self.converts(source) else { continue }
        #expect(Self.imports(of: source).contains("CheckedNumbers"), "\(file) converts integers and does not import CheckedNumbers")
      }
    }
    #expect(Self.converts("let a = Int(b)") && Self.converts("x.map(UInt8.init)") && Self.converts("[Int64(c)]"))
    #expect(!Self.converts("Int(clamping: a)") && !Self.converts("BigInt(a)") && !Self.converts("let a: Int"))
  }

  /// Whether an integer is made without saying what becomes of a value that does not fit.
  static func converts(_ source: String) -> Bool {
    let pattern =
      /(?:^|[^A-Za-z0-9_.])U?Int(?:8|16|32|64)?(?:\((?!clamping:|exactly:|truncatingIfNeeded:|bitPattern:|ascii:|saturating:)|\.init\b)/
      .anchorsMatchLineEndings()
    return source.contains(pattern)
  }

  @Test func theRuleItselfCatchesOffenders() {
    let layers = Self.layers(of: "| 0 | `Low` | x |\n| 1 | `Middle` | x |\n| 1 | `Beside` | x |")
    #expect(layers == ["Low": 0, "Middle": 1, "Beside": 1])
    #expect(Self.violations(target: "Middle", source: "public import Low\nimport Glibc", layers: layers).isEmpty)
    #expect(Self.violations(target: "Middle", source: "import struct Beside.Thing", layers: layers).count == 1)
    #expect(Self.violations(target: "Low", source: "@testable import Middle", layers: layers).count == 1)
    #expect(Self.violations(target: "Unlisted", source: "", layers: layers).count == 1)
  }

  static func entries(_ folder: String) throws -> [String] {
    try Files.entries(of: folder).filter { !$0.hasPrefix(".") }
  }

  static func swiftFiles(_ folder: String) throws -> [String] { try files(folder, [".swift"]) }

  /// Those with one of the endings, in the folder and its folders.
  static func files(_ folder: String, _ endings: [String]) throws -> [String] {
    var found: [String] = []
    for name in try entries(folder) {
      let path = folder + "/" + name
      if endings.contains(where: { name.hasSuffix($0) }) {
        found.append(path)
      } else if let nested = try? files(path, endings) {
        found += nested
      }
    }
    return found
  }
}

extension Substring {
  fileprivate var trimmed: String {
    var text = self
    while text.first == " " { text.removeFirst() }
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}

import FileAccess
import ModelGraph
import ONNXFormat
import ProcessContract

/// A model by its name: a built-in head with its sizes, or an ONNX file.
package struct ModelSelection: Sendable {
  /// Of a built-in model; nil: its usual number.
  package var layers: Int?
  /// Hidden size of a built-in model.
  package var hidden: Int?
  /// Heads of stacked, attention heads of encoder.
  package var heads: Int?
  /// Sequence length of seqlen and encoder.
  package var sequence: Int?
  /// Of a built-in model's parameters.
  package var seed: UInt64 = 1
  /// Sizes of dynamic axes, "NAME=SIZE" each.
  package var dimensions: [String] = []

  /// The usual sizes.
  package init() {}

  /// A model and what there is to say about it.
  package struct Loaded {
    package var graph: Graph
    package var notes: [String]
  }

  /// Sizes of a built-in model, by their options.
  private var sizes: [(option: String, given: Int?)] {
    [("--layers", layers), ("--hidden", hidden), ("--heads", heads), ("--sequence", sequence)]
  }

  /// The graph behind a name, to be run or planned.
  package func load(_ name: String, for purpose: ONNXReader.Options.Purpose = .run) throws -> Loaded {
    for (option, given) in sizes {
      if let given, !(1...(1 << 20)).contains(given) { throw UsageError("\(option) \(given): from 1 to 1048576") }
    }
    let short = name.hasPrefix("builtin:") ? String(name.dropFirst("builtin:".count)) : name
    if let head = try head(short) {
      if let first = dimensions.first { throw UsageError("--dimension \(first) sizes an axis of an ONNX file; \(name) is built in") }
      return Loaded(graph: try head.graph(seed: seed), notes: head.notes)
    }
    if Files.kind(of: name) == .folder {
      throw UsageError("\(name) is a folder: give the .onnx file in it; `headroom plan --coverage` takes folders")
    }
    guard name.hasSuffix(".onnx") || name.contains("/") else {
      throw UsageError("no model is called \"\(name)\"; give an .onnx file or one of \(BuiltInHead.names.joined(separator: ", "))")
    }
    for (option, given) in sizes where given != nil {
      throw UsageError("\(option) sets the size of a built-in model; \(name) is a file")
    }
    let graph = try ONNXReader.read(path: name, options: try readerOptions(purpose))
    try refuseUnknownDimensions(in: [name])
    var notes = graph.notes
    if let rows = graph.fixedRows {
      notes.append(
        "the model's inputs have fixed shapes, of \(rows) row\(rows == 1 ? "" : "s"): larger batches are counted as several runs")
    }
    return Loaded(graph: graph, notes: notes)
  }

  /// What the options say to the reader.
  package func readerOptions(_ purpose: ONNXReader.Options.Purpose) throws(UsageError) -> ONNXReader.Options {
    ONNXReader.Options(dynamicSizes: try ONNXReader.Options.dynamicSizes(dimensions), purpose: purpose)
  }

  /// A name that no file has would be without effect, most likely a slip.
  package func refuseUnknownDimensions(in files: [String]) throws(UsageError) {
    guard !dimensions.isEmpty else { return }
    let axes = files.flatMap { (try? ONNXReader.dynamicAxes(path: $0)) ?? [] }
    for text in dimensions {
      let key = text.lastIndex(of: "=").map { String(text[..<$0]) } ?? text
      if axes.contains(where: { $0.isMeant(by: key) }) { continue }
      let known = Set(axes.compactMap { axis in axis.input.map { axis.name ?? "\($0):\(axis.axis)" } }).sorted()
      throw UsageError(
        "--dimension \(text): no input has a dynamic axis '\(key)'; "
          + (known.isEmpty ? "every size is fixed" : "there are \(known.prefix(20).joined(separator: ", "))"))
    }
  }

  private func head(_ name: String) throws(UsageError) -> BuiltInHead? {
    func refuse(_ given: (String, Int?)...) throws(UsageError) {
      for (option, value) in given where value != nil { throw UsageError("\(option) means nothing for \(name)") }
    }
    switch name {
    case "linear":
      try refuse(("--heads", heads), ("--sequence", sequence))
      return .linear(layers: layers ?? 20, hidden: hidden ?? 1024)
    case "stacked":
      try refuse(("--sequence", sequence))
      return .stacked(layers: layers ?? 20, hidden: hidden ?? 1024, heads: heads ?? 5)
    case "seqlen":
      try refuse(("--heads", heads))
      return .seqlen(layers: layers ?? 20, hidden: hidden ?? 1024, sequence: sequence ?? 128)
    case "encoder": return .encoder(layers: layers ?? 2, hidden: hidden ?? 128, heads: heads ?? 2, sequence: sequence ?? 128)
    default: return nil
    }
  }
}

import CheckedNumbers
import ArgumentParser
import FileAccess
import ModelGraph
import ONNXFormat

/// A model on the command line: a built-in head with its sizes, or an ONNX file.
struct ModelOptions: ParsableArguments {
  @Option(
    help:
      "Layers of a built-in model. linear and stacked count large GEMMs (20), seqlen counts proj_in and proj_out too (20), encoder blocks (2)."
  )
  var layers: Int?

  @Option(help: "Hidden size of a built-in model (1024; encoder 128).")
  var hidden: Int?

  @Option(help: "Heads of stacked (5), attention heads of encoder (2).")
  var heads: Int?

  @Option(help: "Sequence length of seqlen and encoder (128).")
  var sequence: Int?

  @Option(help: "Seed of a built-in model's parameters.")
  var seed: UInt64 = 1

  @Option(
    name: .customLong("dimension"),
    help: ArgumentHelp(
      "Size of a dynamic axis of an ONNX model other than the batch axis: by its name, or by input and axis (ids:1=128).",
      valueName: "name=size")
  )
  var dimensions: [String] = []

  /// A model and what there is to say about it.
  struct Loaded {
    var graph: Graph
    var notes: [String]
  }

  /// The graph behind a name, to be run or planned.
  func load(_ name: String, for purpose: ONNXReader.Options.Purpose = .run) throws -> Loaded {
    let short = name.hasPrefix("builtin:") ? String(name.dropFirst("builtin:".count)) : name
    if let head = try head(short) {
      if let first = dimensions.first { throw ValidationError("--dimension \(first) sizes an axis of an ONNX file; \(name) is built in") }
      return Loaded(graph: try head.graph(seed: seed), notes: head.notes)
    }
    if Files.kind(of: name) == .folder {
      throw ValidationError("\(name) is a folder: give the .onnx file in it; `headroom plan --coverage` takes folders")
    }
    guard name.hasSuffix(".onnx") || name.contains("/") else {
      throw ValidationError("no model is called \"\(name)\"; give an .onnx file or one of \(BuiltInHead.names.joined(separator: ", "))")
    }
    for (option, given) in [("--layers", layers), ("--hidden", hidden), ("--heads", heads), ("--sequence", sequence)] where given != nil {
      throw ValidationError("\(option) sets the size of a built-in model; \(name) is a file")
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
  func readerOptions(_ purpose: ONNXReader.Options.Purpose) throws -> ONNXReader.Options {
    var sizes: [String: Int] = [:]
    for text in dimensions {
      // A name may hold "=", a size cannot.
      guard let place = text.lastIndex(of: "="), place > text.startIndex, let size = Int(text[text.index(after: place)...]), size > 0,
        size <= 1 << 40
      else {
        throw ValidationError("--dimension \(text): write NAME=SIZE, as in sequence=128, or INPUT:AXIS=SIZE, as in ids:1=128")
      }
      sizes[String(text[..<place])] = size
    }
    return ONNXReader.Options(dynamicSizes: sizes, purpose: purpose)
  }

  /// A name that no file has would be without effect, most likely a slip.
  func refuseUnknownDimensions(in files: [String]) throws {
    guard !dimensions.isEmpty else { return }
    let axes = files.flatMap { (try? ONNXReader.dynamicAxes(path: $0)) ?? [] }
    for text in dimensions {
      let key = text.lastIndex(of: "=").map { String(text[..<$0]) } ?? text
      if axes.contains(where: { $0.isMeant(by: key) }) { continue }
      let known = Set(axes.compactMap { axis in axis.input.map { axis.name ?? "\($0):\(axis.axis)" } }).sorted()
      throw ValidationError(
        "--dimension \(text): no input has a dynamic axis '\(key)'; "
          + (known.isEmpty ? "every size is fixed" : "there are \(known.prefix(20).joined(separator: ", "))"))
    }
  }

  private func head(_ name: String) throws -> BuiltInHead? {
    func refuse(_ given: (String, Int?)...) throws {
      for (option, value) in given where value != nil { throw ValidationError("\(option) means nothing for \(name)") }
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

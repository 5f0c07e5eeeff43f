import CheckedNumbers
import Trace

/// What kind of wait a synchronization was. Up to schema 3.13.2 exports number the kinds in another way than the enum they ship: there 1
/// is a wait for the whole device, 2 for an event, 3 for a stream. From 3.17.2 data and enum agree. Where the joined API calls of a file
/// tell, they decide; else the version does.
enum SynchronizationTypes {
  /// Rewrites the types as the enum means them. A note where that changed anything.
  static func normalize(_ trace: inout Trace, version: SchemaVersion?) -> ImportNote? {
    let table = trace.synchronizations
    guard !table.isEmpty else { return nil }
    let isOld = evidence(trace) ?? version.map { $0.parts.lexicographicallyPrecedes([3, 17]) } ?? false
    guard isOld else { return nil }
    for row in table.indices {
      switch table.type[row] {
      case 1: trace.synchronizations.type[row] = 4
      case 2: trace.synchronizations.type[row] = 1
      default: break
      }
    }
    return ImportNote(
      .information, .version,
      "\(table.count) synchronizations are numbered as exports up to schema 3.13.2 do (1 = device, 2 = event) and were read so")
  }

  /// True where the calls say that the old numbers are used, false for the new ones, nil where they do not tell.
  private static func evidence(_ trace: Trace) -> Bool? {
    let table = trace.synchronizations
    struct Key: Hashable {
      var process: Int64
      var correlation: Int64
    }
    var types: [Key: Int32] = [:]
    for row in table.indices.prefix(100_000) where table.correlation[row] != Trace.unknown {
      types[Key(process: trace[table.stream[row]].process, correlation: table.correlation[row])] = table.type[row]
    }
    // What each API says, by name.
    var kinds: [NameID: (old: Int32, new: Int32)] = [:]
    for (index, text) in trace.names.texts.enumerated() {
      let name = NameID(rawValue: Int32(clamping: index))
      if text.hasPrefix("cudaDeviceSynchronize") || text.hasPrefix("cuCtxSynchronize") { kinds[name] = (1, 4) }
      if text.hasPrefix("cudaEventSynchronize") || text.hasPrefix("cuEventSynchronize") { kinds[name] = (2, 1) }
    }
    if kinds.isEmpty { return nil }
    let calls = trace.apiCalls
    var (old, new) = (0, 0)
    for row in calls.indices {
      guard let kind = kinds[calls.name[row]] else { continue }
      let key = Key(process: GlobalID.process(ofThread: calls.thread[row]), correlation: calls.correlation[row])
      guard let type = types[key] else { continue }
      if type == kind.old { old += 1 } else if type == kind.new { new += 1 }
    }
    return old == new ? nil : old > new
  }
}

import CheckedNumbers
import FileAccess
import Trace

/// What a server knows and a GPU profiler does not: batches, requests on both sides, counters.
extension ChromeTraceWriter {
  /// Batches of an instance share a track; one that starts before the last has ended goes to a further track of the instance.
  mutating func writeBatches() throws(FileError) {
    struct Instance: Hashable {
      var model: NameID
      var number: Int32
    }
    let batches = trace.batches
    func span(_ index: Int) -> (start: Int64, end: Int64)? {
      let start = [batches.gatherStart[index], batches.formed[index], batches.computeStart[index]].lazy.compactMap(Trace.known).first
      let end = [batches.outputEnd[index], batches.computeEnd[index]].lazy.compactMap(Trace.known).first
      return start.map { ($0, max($0, end ?? $0)) }
    }
    let spans = batches.indices.compactMap { index in span(index).map { (index: index, start: $0.start, end: $0.end) } }
    var lanes: [Instance: [(end: Int64, tid: Int64)]] = [:]
    var nextTrack: Int64 = 1
    for (index, start, end) in spans.sorted(by: { ($0.start, $0.index) < ($1.start, $1.index) }) {
      let batch = batches[index]
      let instance = Instance(model: batch.model, number: batch.instance)
      let known = lanes[instance] ?? []
      // A pipeline of batches is a few deep; past 64 they are drawn over each other rather than searched for.
      var lane = known.firstIndex { $0.end <= start } ?? min(known.count, 63)
      if lane == known.count {
        lanes[instance, default: []].append((end, nextTrack))
        let model = trace.names[batch.model] ?? "?"
        let number = Trace.known(batch.instance).map(String.init) ?? "?"
        metadata("thread_name", pid: tracks.serving, tid: nextTrack, "\(model) \(number)" + (lane > 0 ? " (\(lane + 1))" : ""))
        nextTrack += 1
      } else {
        lane = min(lane, known.count - 1)
        lanes[instance]?[lane].end = end
      }
      let tid = lanes[instance]?[lane].tid ?? 0
      begin("X", "batch", name(batch.model), Array("\"pid\":\(tracks.serving),\"tid\":\(tid)".utf8), start)
      duration(from: start, to: end)
      member("\"batch\":", batch.id)
      member(",\"rows\":", batch.rows)
      member(",\"requests\":", batch.requests)
      out.raw(",\"reason\":")
      out.raw(batch.reason == .unknown ? Array("null".utf8) : name(batch.reason))
      out.raw("}}")
      try out.flushIfFull()
    }
  }

  mutating func writeRequests() throws(FileError) {
    let track = Array("\"pid\":\(tracks.serving),\"tid\":0".utf8)
    for request in trace.requests {
      let start = [request.received, request.parsed, request.enqueued].lazy.compactMap(Trace.known).first
      guard let start else { continue }
      let title = name(request.model)
      async("b", "request", title, track, request.id, start)
      member(",\"args\":{\"rows\":", request.rows)
      member(",\"batch\":", request.batch)
      member(",\"status\":", request.status.rawValue)
      out.raw("}}")
      if let end = Trace.known(request.responseEnd) ?? Trace.known(request.responseStart) {
        async("e", "request", title, track, request.id, max(start, end))
        out.raw("}")
      }
      try out.flushIfFull()
    }
    let title = Array("\"client\"".utf8)
    for request in trace.clientRequests {
      guard let start = Trace.known(request.sent) ?? Trace.known(request.intended) else { continue }
      async("b", "client_request", title, track, request.id, start)
      member(",\"args\":{\"status\":", request.status.rawValue)
      out.raw("}}")
      if let end = Trace.known(request.done) {
        async("e", "client_request", title, track, request.id, max(start, end))
        out.raw("}")
      }
      try out.flushIfFull()
    }
  }

  private mutating func async(
    _ phase: StaticString, _ category: StaticString, _ title: [UInt8], _ track: [UInt8], _ id: Int64, _ time: Int64
  ) {
    begin(phase, category, title, track, time)
    out.raw(",\"id\":\"")
    out.number(id)
    out.raw("\"")
  }

  mutating func writeCounters() throws(FileError) {
    let track = Array("\"pid\":\(tracks.serving),\"tid\":0".utf8)
    for sample in trace.counters where sample.time != Trace.unknown && sample.value.isFinite {
      let text = trace.names[sample.counter] ?? "?"
      let title = JSONBuffer.quoted(Trace.known(sample.device).map { "\(text) (GPU \($0))" } ?? text)
      begin("C", "counter", title, track, sample.time)
      out.raw(",\"args\":{\"value\":")
      out.raw(Array("\(sample.value)".utf8))
      out.raw("}}")
      try out.flushIfFull()
    }
  }
}

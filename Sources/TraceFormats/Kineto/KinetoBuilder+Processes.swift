import CheckedNumbers
import Trace

/// Which process device work belongs to, once all events are read.
extension KinetoBuilder {
  /// Rewrites the streams of device work: first numbered by track, they become streams of processes. Returns how many processes share the file.
  mutating func settleProcesses() -> Int {
    let processes = recordingsOfProcesses.keys.sorted()
    let recordings = Set(tracks.tracks.map(\.recording)).union(recordingsOfProcesses.values)
    if processes.count <= 1, recordings.count <= 1 {
      settle(all: processes.first ?? Trace.unknown)
      return processes.count
    }
    settleMerged(processes)
    nameSharedOrdinals()
    return max(processes.count, recordings.subtracting([-1]).count)
  }

  private mutating func settle(all process: Int64) {
    let ids = provisionalStreams.map { stream in
      var stream = stream
      stream.process = process
      return trace.intern(stream)
    }
    if ids.enumerated().allSatisfy({ Int32(clamping: $0.offset) == $0.element.rawValue }) { return }
    func settle(_ streams: inout [StreamID]) { for row in streams.indices { streams[row] = ids[Int(streams[row].rawValue)] } }
    settle(&trace.kernels.stream)
    settle(&trace.copies.stream)
    settle(&trace.memsets.stream)
    settle(&trace.synchronizations.stream)
  }

  private mutating func settleMerged(_ processes: [Int64]) {
    // Of a labelled track only processes with its label. A label that no process has is a process of its own, whose calls were left out; unless
    // no label of a track is one of a process, where they are no labels of recordings.
    var byRecording: [Int32: [Int64]] = [:]
    for (process, recording) in recordingsOfProcesses.sorted(by: { $0.key < $1.key }) where recording >= 0 {
      byRecording[recording, default: []].append(process)
    }
    let areLabels = processes.isEmpty || tracks.tracks.contains { byRecording[$0.recording] != nil }
    for track in tracks.tracks where areLabels && track.recording >= 0 && byRecording[track.recording] == nil {
      byRecording[track.recording] = [threads.process(named: tracks.labels[Int(track.recording)])]
    }
    let among: [[Int64]?] = provisionalStreams.map { stream in byRecording[tracks.tracks[Int(clamping: stream.process)].recording] }
    var merged = MergedRecordings(trace, processes: processes)
    let (kernels, copies, memsets) = (trace.kernels, trace.copies, trace.memsets)
    func vote(_ work: MergedRecordings.Work, _ streams: [StreamID], _ start: [Int64], _ correlation: [Int64]) {
      for row in streams.indices.sorted(by: { (start[$0], $0) < (start[$1], $1) }) {
        let stream = streams[row].rawValue
        let own = among[Int(stream)]
        if own?.count == 1 { continue }
        merged.vote(work, stream: stream, start: start[row], correlation: correlation[row], among: own)
      }
    }
    vote(.kernel, kernels.stream, kernels.start, kernels.correlation)
    vote(.copy, copies.stream, copies.start, copies.correlation)
    vote(.fill, memsets.stream, memsets.start, memsets.correlation)
    var known: [StreamDescription: StreamID] = [:]
    func settled(
      _ work: MergedRecordings.Work, _ streams: [StreamID], _ start: [Int64], _ correlation: [Int64], _ trace: inout Trace
    ) -> [StreamID] {
      streams.indices.map { row in
        let stream = streams[row].rawValue
        let own = among[Int(stream)]
        var description = provisionalStreams[Int(stream)]
        description.process =
          if let own, own.count == 1 {
            own[0]
          } else {
            merged.process(work, stream: stream, start: start[row], correlation: correlation[row], among: own)
          }
        if let id = known[description] { return id }
        let id = trace.intern(description)
        known[description] = id
        return id
      }
    }
    trace.kernels.stream = settled(.kernel, kernels.stream, kernels.start, kernels.correlation, &trace)
    trace.copies.stream = settled(.copy, copies.stream, copies.start, copies.correlation, &trace)
    trace.memsets.stream = settled(.fill, memsets.stream, memsets.start, memsets.correlation, &trace)
    let waits = trace.synchronizations
    trace.synchronizations.stream = settled(.kernel, waits.stream, waits.start, waits.correlation, &trace)
  }

  /// Ranks of a job have a GPU each, and where each sees only its own all of them call it 0. Recordings that the file tells apart are devices
  /// of their own; processes that it does not tell apart may as well share one, as their ordinals say.
  private mutating func nameSharedOrdinals() {
    var recordingOf: [Int64: Int32] = recordingsOfProcesses
    for track in tracks.tracks where track.recording >= 0 {
      let named = threads.process(named: tracks.labels[Int(track.recording)])
      recordingOf[named] = track.recording
    }
    var users: [Int64: Set<Int32>] = [:]
    var pairs: Set<[Int64]> = []
    for stream in trace.streams {
      guard let recording = recordingOf[stream.process], recording >= 0 else { continue }
      users[stream.device, default: []].insert(recording)
      pairs.insert([stream.device, Int64(recording), stream.process])
    }
    let shared = Set(users.filter { $0.value.count > 1 }.keys)
    if shared.isEmpty { return }
    var nextID = (trace.gpus.map(\.id).filter { $0 < 1 << 40 }.max() ?? 0).addingSaturated(1)
    var ids: [[Int64]: Int64] = [:]
    var addedGPUs: [GPUDescription] = []
    for pair in pairs.sorted(by: { $0.lexicographicallyPrecedes($1) }) where shared.contains(pair[0]) {
      let key = [pair[0], pair[1]]
      if ids[key] == nil {
        var gpu = trace.gpus.first { $0.cudaDevice == pair[0] } ?? GPUDescription(id: nextID, cudaDevice: pair[0], name: "")
        let label = tracks.labels[Int(clamping: pair[1])]
        gpu.id = nextID
        gpu.name = gpu.name.isEmpty ? label : "\(gpu.name) (\(label))"
        addedGPUs.append(gpu)
        ids[key] = nextID
        nextID = nextID.addingSaturated(1)
      }
      trace.cudaDevices.append(
        CUDADeviceMapping(gpu: ids[key] ?? 0, cudaDevice: pair[0], process: GlobalID.processNumber(pair[2])))
    }
    trace.gpus += addedGPUs
  }
}

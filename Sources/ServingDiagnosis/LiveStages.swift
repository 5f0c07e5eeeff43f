import Diagnosis
import Serving
import TimeBase

/// Demand, utilization and capacity of the stages that a server sees from within.
enum LiveStages {
  static func stages(
    _ state: LiveModelState, events: LiveTrace.Events, answered: Int, window: Range<Int64>, kind: Figure.Kind,
    serverContext: LiveDiagnosis.ServerContext
  ) -> PipelineStages {
    let wall = Double(max(1, window.upperBound - window.lowerBound))
    let instances = Double(max(1, state.instances))
    func load(_ stage: PipelineStage, _ nanoseconds: Double, servers: Double, _ source: String) -> StageLoad {
      let utilization = min(1, nanoseconds / wall / servers)
      let serviceTime = answered > 0 ? nanoseconds / Double(answered) / 1e6 : nil
      return StageLoad(
        stage, serviceTime: serviceTime.map { Figure($0, .milliseconds, kind, source: "\(source), over the answers") },
        utilization: Figure(utilization, .share, kind, source: source),
        capacity: serviceTime.flatMap {
          $0 > 0 ? Figure(servers * 1000 / $0, .requestsPerSecond, kind, source: "servers / serviceTime") : nil
        })
    }
    var (gather, output, held) = (0.0, 0.0, 0.0)
    for batch in events.batches {
      gather += LiveTrace.length(batch.gatherStart, batch.computeStart, in: window)
      output += LiveTrace.length(batch.computeEnd, batch.outputEnd, in: window)
      held += LiveTrace.length(batch.gatherStart, batch.outputEnd, in: window)
    }
    let kernels = events.kernels.reduce(0.0) { $0 + LiveTrace.length($1.start, $1.end, in: window) }
    var loads: [StageLoad] = []
    if let usage = serverContext.frontEnd {
      // The loops serve every model: their time is divided among all requests.
      let serviceTime =
        serverContext.allRequests > 0 ? usage.busyShare * Double(usage.loops) * wall / Double(serverContext.allRequests) / 1e6 : nil
      loads.append(
        StageLoad(
          .frontEnd,
          serviceTime: serviceTime.map {
            Figure($0, .milliseconds, .measured, source: "CPU time of the event loops over requests of all models")
          },
          utilization: Figure(usage.busyShare, .share, .measured, source: "CPU time of \(usage.loops) event loops"),
          capacity: serviceTime.flatMap {
            $0 > 0 ? Figure(Double(usage.loops) * 1000 / $0, .requestsPerSecond, .measured, source: "loops / serviceTime") : nil
          }))
    }
    loads.append(load(.gatherAndUpload, gather, servers: instances, "gather start to first kernel"))
    loads.append(load(.launchThread, held, servers: instances, "instances' threads from gather to outputs"))
    if state.isProcessor {
      loads.append(load(.gpu, kernels, servers: instances, "kernels, summed over the instances"))
    } else {
      // Instances of a GPU share it: it is one server, busy while any kernel runs.
      loads.append(load(.gpu, union(events.kernels, in: window), servers: 1, "union of the kernels"))
    }
    loads.append(load(.downloadAndResponse, output, servers: instances, "last kernel to outputs taken apart"))
    return PipelineStages(loads)
  }

  private static func union(_ kernels: [LiveRecorder.Kernel], in window: Range<Int64>) -> Double {
    var (total, end) = (0.0, Int64.min)
    for kernel in kernels.sorted(by: { $0.start < $1.start }) {
      let from = max(kernel.start.nanoseconds, end, window.lowerBound)
      let to = min(kernel.end.nanoseconds, window.upperBound)
      if to > from { total += Double(to - from) }
      end = max(end, kernel.end.nanoseconds)
    }
    return total
  }
}

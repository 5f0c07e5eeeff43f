import ProcessContract
import Console
import FileAccess
import GPUModel
import JSONText
import KernelFitting
import Reporting

/// `plan --gemm-file`: predictions for a list of products.
package struct GEMMList {
  package let rows: [Measurement]
  package let chosen: [PlannedGPU.Choice]
  package let json: Bool

  package init(file: String, chosen: [PlannedGPU.Choice], json: Bool) throws {
    do { rows = try Measurement.read(csv: try Files.readText(file), timed: false) } catch let error as MeasurementError {
      throw UsageError("\(file): \(error)")
    }
    self.chosen = chosen
    self.json = json
  }

  package func print() throws {
    var results: [JSONValue] = []
    var table = TextTable([
      .init("GPU", .left), .init("batch"), .init("m"), .init("n"), .init("k"), .init("dtype"), .init("us"), .init("+-"), .init("tile"),
      .init("split"),
      .init("bound", .left),
    ])
    for choice in chosen {
      for row in rows {
        let gemm = row.gemm
        let prediction = try choice.model.explain(gemm)
        if json {
          results.append([
            "gpu": JSONValue(choice.model.gpu.name), "batch": JSONValue(gemm.batch), "m": JSONValue(gemm.m), "n": JSONValue(gemm.n),
            "k": JSONValue(gemm.k), "dataType": JSONValue(gemm.type.rawValue), "predictedMicroseconds": JSONValue(prediction.microseconds),
            "predictedReplayMicroseconds": JSONValue(prediction.microseconds + choice.model.calibration.replayGapMicroseconds),
            "kernelClass": JSONValue(prediction.kernels.rawValue), "isPersistent": .bool(prediction.isPersistent),
            "isVector": .bool(prediction.isVector), "errorBandShare": JSONValue(prediction.relativeErrorBand),
            "tile": JSONValue(prediction.tile.name),
            "splitK": JSONValue(prediction.splitK),
            "waves": JSONValue(prediction.fit.waves), "residentSMShare": JSONValue(prediction.fit.residentSMShare),
            "bound": JSONValue(prediction.bound?.rawValue),
          ])
        } else {
          table.add([
            choice.model.gpu.name, String(gemm.batch), String(gemm.m), String(gemm.n), String(gemm.k), gemm.type.rawValue,
            NumberText.significant(prediction.microseconds), NumberText.percent(prediction.relativeErrorBand), prediction.tile.name,
            String(prediction.splitK), prediction.bound?.rawValue ?? "undecided",
          ])
        }
      }
    }
    guard json else {
      Terminal.print("PREDICTED kernel times; a replayed CUDA graph has a period of kernel + gap (0.1 to 0.5 us)")
      for line in table.lines { Terminal.print(line) }
      return
    }
    let document: JSONValue = [
      "schema": "headroom.gemms/2", "headroom": JSONValue(ProgramVersion.current), "mode": "simulated", "predictions": .array(results),
    ]
    Terminal.print(document.serialized())
  }
}

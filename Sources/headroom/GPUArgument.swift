import ArgumentParser
import FileAccess
import GPUModel
import JSONText
import PlanReports

/// GPUs on the command line: names, a file with a user's own, a file with a user's constants.
struct GPUOptions: ParsableArguments {
  @Option(help: ArgumentHelp("GPU, or several separated by commas. Forgiving: h200, \"RTX PRO 6000 Blackwell WS\".", valueName: "names"))
  var gpu: String?

  @Option(help: ArgumentHelp("JSON file with a GPU of your own, to be named with --gpu; see Docs/gpus.md.", valueName: "file"))
  var gpuFile: String?

  @Option(help: ArgumentHelp("Constants that `headroom calibrate` wrote for one of the GPUs.", valueName: "file"))
  var constants: [String] = []

  /// The catalogue with the user's GPU in it.
  func catalogue() throws -> GPUCatalogue {
    var catalogue = GPUCatalogue()
    if let gpuFile {
      do { catalogue.add(try GPU(json: try JSONValue.parse(try Files.readText(gpuFile)))) } catch let error as FileError {
        throw error
      } catch { throw ValidationError("\(gpuFile): \(error)") }
    }
    return catalogue
  }

  /// The GPUs that were named.
  func choose() throws -> [PlannedGPU.Choice] {
    let catalogue = try catalogue()
    var own: [KernelCalibration] = []
    for file in constants {
      do { own.append(try KernelCalibration(json: try JSONValue.parse(try Files.readText(file)))) } catch let error as FileError {
        throw error
      } catch { throw ValidationError("\(file): \(error)") }
    }
    guard let gpu else { throw ValidationError("--gpu is missing: name one, as in --gpu h200") }
    let names = gpu.split(separator: ",").map(String.init)
    if names.isEmpty { throw ValidationError("--gpu names no GPU") }
    return try names.map { name in
      let match: GPUMatch
      do { match = try catalogue.find(name) } catch { throw ValidationError("\(error). Add one of your own with --gpu-file") }
      let calibration = own.first { $0.name == match.gpu.name } ?? KernelCalibrations.calibration(for: match.gpu)
      return PlannedGPU.Choice(model: KernelModel(gpu: match.gpu, calibration: calibration), statedChoice: match.statedChoice)
    }
  }
}

extension ComputeType: ExpressibleByArgument {}

import FileAccess
import GPUModel
import JSONText
import ProcessContract

/// GPUs by their names: of the catalogue, of a file with a user's own, with constants of a user's own.
package struct GPUSelection: Sendable {
  /// Separated by commas; forgiving.
  package var names: String?
  /// JSON file with a GPU of the user's.
  package var file: String?
  /// Files that `headroom calibrate` wrote.
  package var constants: [String]

  /// Every part stated.
  package init(names: String?, file: String? = nil, constants: [String] = []) {
    (self.names, self.file, self.constants) = (names, file, constants)
  }

  /// The catalogue with the user's GPU in it.
  package func catalogue() throws -> GPUCatalogue {
    var catalogue = GPUCatalogue()
    if let file {
      do { catalogue.add(try GPU(json: try JSONValue.parse(try Files.readText(file)))) } catch let error as FileError {
        throw error
      } catch { throw UsageError("\(file): \(error)") }
    }
    return catalogue
  }

  /// The GPUs that were named.
  package func choose() throws -> [PlannedGPU.Choice] {
    let catalogue = try catalogue()
    var own: [KernelCalibration] = []
    for file in constants {
      do { own.append(try KernelCalibration(json: try JSONValue.parse(try Files.readText(file)))) } catch let error as FileError {
        throw error
      } catch { throw UsageError("\(file): \(error)") }
    }
    guard let names else { throw UsageError("--gpu is missing: name one, as in --gpu h200") }
    let list = names.split(separator: ",").map(String.init)
    if list.isEmpty { throw UsageError("--gpu names no GPU") }
    return try list.map { name in
      let match: GPUMatch
      do { match = try catalogue.find(name) } catch { throw UsageError("\(error). Add one of your own with --gpu-file") }
      let calibration = own.first { $0.name == match.gpu.name } ?? KernelCalibrations.calibration(for: match.gpu)
      return PlannedGPU.Choice(model: KernelModel(gpu: match.gpu, calibration: calibration), statedChoice: match.statedChoice)
    }
  }
}

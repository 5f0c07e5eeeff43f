import Execution
import FileAccess
import Foundation
import KServe
import NIOCore
import Serving
import Testing

@testable import ServerProcess

/// What keeps a server from starting, and in which words.
@Suite struct ServerStartTests {
  private static func usage(_ body: () throws(ServerStartError) -> Void) -> String? {
    do throws(ServerStartError) {
      try body()
      return nil
    } catch {
      if case .usage(let message) = error { return message }
      return "\(error)"
    }
  }

  private static var quiet: ServerLog {
    var settings = LogSettings()
    (settings.info, settings.warning, settings.error) = (false, false, false)
    return ServerLog(settings)
  }

  private static func folder() throws -> String {
    let path = NSTemporaryDirectory() + "server-start-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  // MARK: - Models

  @Test func everyModelThatIsThereIsTaken() throws {
    let folder = try Self.folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let file = folder + "/m.onnx"
    try Files.write(file, "x")
    #expect(ServerProcess.missingModel(in: ["a": "builtin:linear", "b": file]) == nil)
  }

  @Test func theFirstMissingModelIsNamedWithWhatToDo() throws {
    let folder = try Self.folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(ServerProcess.missingModel(in: ["m": "/nowhere/m.onnx"]) == "--model m=/nowhere/m.onnx: there is no such file")
    #expect(
      ServerProcess.missingModel(in: ["m": folder])
        == "--model m=\(folder): that is a folder: give the .onnx file in it, or the folder of models with --model-repository")
    #expect(
      ServerProcess.missingModel(in: ["m": "builtin:linaer"])
        == "--model m=builtin:linaer: no built-in model is called 'linaer'; did you mean 'builtin:linear'?")
    #expect(ServerProcess.missingModel(in: ["b": "/b", "a": "/a"])?.hasPrefix("--model a=/a:") == true)
  }

  // MARK: - Device

  @Test(arguments: [
    ("gpu", "--device gpu: there is cpu, cuda:0 for a GPU, and sim:NAME for one of the catalogue (`headroom plan --help`)"),
    ("cuda:x", "--device cuda:x: write cuda:NUMBER, as in cuda:0"), ("cuda:-1", "--device cuda:-1: write cuda:NUMBER, as in cuda:0"),
  ]) func aDeviceThatIsNoneIsNamed(name: String, message: String) {
    var choice = DeviceChoice()
    choice.name = name
    #expect(Self.usage { () throws(ServerStartError) in _ = try choice.make(program: "0", log: Self.quiet) } == message)
  }

  @Test func aGPUThatIsNotInTheCatalogueNamesNeighbours() {
    var choice = DeviceChoice()
    choice.name = "sim:h101"
    let message = Self.usage { () throws(ServerStartError) in _ = try choice.make(program: "0", log: Self.quiet) }
    #expect(message?.hasPrefix("--device sim:h101: ") == true)
    #expect(message?.contains("H100") == true)
  }

  @Test(arguments: [0, -1, 1025]) func noThreadsAndTooManyAreRefused(threads: Int) {
    var choice = DeviceChoice()
    choice.threads = threads
    #expect(
      Self.usage { () throws(ServerStartError) in _ = try choice.make(program: "0", log: Self.quiet) }
        == "--threads \(threads): from 1 to 1024")
  }

  @Test func aSimulatedDeviceIsMadeFromTheCatalogue() throws {
    var choice = DeviceChoice()
    choice.name = "sim:h100"
    let devices = try choice.make(program: "0", log: Self.quiet)
    #expect(devices.primary.description.name == "sim:h100")
  }

  // MARK: - TLS

  @Test func aMissingFileAndOneThatIsNoPEMAreNamedWithTheirOption() throws {
    let folder = try Self.folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let text = folder + "/server.pem"
    try Files.write(text, "no certificate")
    let missing = TLSFiles(
      certificate: TLSFiles.Named(folder + "/none.pem", option: "--tls-certificate"),
      key: TLSFiles.Named(text, option: "--tls-key"))
    #expect(
      Self.usage { () throws(ServerStartError) in _ = try missing.context(protocols: ["h2"]) }
        == "--tls-certificate \(folder)/none.pem: cannot open: No such file or directory")
    let wrong = TLSFiles(
      certificate: TLSFiles.Named(text, option: "--grpc-server-cert"), key: TLSFiles.Named(text, option: "--grpc-server-key"))
    let message = Self.usage { () throws(ServerStartError) in _ = try wrong.context(protocols: ["h2"]) }
    #expect(message?.hasPrefix("--grpc-server-cert \(text): it holds no certificate in PEM form that can be read") == true)
  }

  // MARK: - Ports

  @Test(arguments: [
    (EADDRINUSE, nil, "port 80 is in use by another process; choose another with --http-port (0: any that is free)"),
    (EADDRINUSE, "gRPC", "port 80 is in use by this server's gRPC; choose another with --http-port (0: any that is free)"),
    (EACCES, nil, "port 80 needs privileges, as all below 1024 do; choose another with --http-port"),
    (EADDRNOTAVAIL, nil, "this machine has no address 10.9.8.7"),
    (EMFILE, nil, "cannot listen on 10.9.8.7, port 80: Too many open files"),
  ]) func aPortThatCannotBeHadSaysWhy(code: Int32, own: String?, message: String) {
    let fault = ListenFault(
      error: IOError(errnoCode: code, reason: "bind"), address: "10.9.8.7", port: 80, option: "--http-port", ownListener: own)
    #expect(fault.message == message)
  }

  @Test func aHostThatIsNoneIsSaid() {
    struct Unresolved: Error {}
    let fault = ListenFault(error: Unresolved(), address: "nohost", port: 80, option: "--http-port", ownListener: nil)
    #expect(fault.message == "cannot listen on nohost: no such host or address")
  }
}

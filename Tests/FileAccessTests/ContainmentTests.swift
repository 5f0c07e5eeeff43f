import FileAccess
import Foundation
import Testing

@Suite struct ContainmentTests {
  static func folder() throws -> String {
    let path = NSTemporaryDirectory() + "containment-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path + "/model/1", withIntermediateDirectories: true)
    try Files.write(path + "/secret", "s")
    try Files.write(path + "/model/labels", "l")
    try Files.write(path + "/model/1/m.onnx", "m")
    try FileManager.default.createSymbolicLink(atPath: path + "/model/out", withDestinationPath: "../secret")
    try FileManager.default.createSymbolicLink(atPath: path + "/model/up", withDestinationPath: "..")
    try FileManager.default.createSymbolicLink(atPath: path + "/model/in", withDestinationPath: "1/m.onnx")
    try FileManager.default.createSymbolicLink(atPath: path + "/linked", withDestinationPath: "model")
    try FileManager.default.createDirectory(atPath: path + "/model-2", withIntermediateDirectories: true)
    try Files.write(path + "/model-2/labels", "other")
    return path
  }

  @Test func namesStayInTheirFolder() throws {
    let root = try Self.folder()
    defer { try? FileManager.default.removeItem(atPath: root) }
    for base in ["model", "linked"] {
      let inside = "\(root)/\(base)"
      for name in ["labels", "1/m.onnx", "./labels", "1/../labels", "in", "up/model/labels"] {
        #expect(throws: Never.self, "\(name)") { try Files.read(try Files.path(of: name, inside: inside)) }
      }
      for name in ["../secret", "../../etc/passwd", "out", "up/secret", "1/../../secret", "../model-2/labels", "..", "../nothing"] {
        let error = #expect(throws: FileError.self, "\(name)") { try Files.path(of: name, inside: inside) }
        #expect(error?.reason == "it is outside \(inside)", "\(name)")
      }
      #expect(throws: FileError(path: "\(inside)/none", action: "open", reason: "No such file or directory")) {
        try Files.path(of: "none", inside: inside)
      }
      #expect(throws: FileError.self) { try Files.path(of: "", inside: inside) }
      #expect(throws: FileError.self) { try Files.path(of: "labels\0../secret", inside: inside) }
    }
  }
}

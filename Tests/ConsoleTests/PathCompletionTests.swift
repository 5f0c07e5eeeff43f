import Console
import FileAccess
import Glibc
import Testing

/// What a shell offers for a path: files of a kind, and the folders on the way to them.
@Suite struct PathCompletionTests {
  @Test func filesOfTheKindAndFolders() throws {
    var template = Array("\(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")/headroom-completion-XXXXXX".utf8CString)
    let folder = try #require(mkdtemp(&template).map { String(cString: $0) })
    defer { for name in ["model.onnx", "models", "notes.txt", ".hidden.onnx", ""] { remove("\(folder)/\(name)") } }
    for name in ["model.onnx", "notes.txt", ".hidden.onnx"] { try Files.write("\(folder)/\(name)", "") }
    mkdir("\(folder)/models", 0o700)
    func paths(_ typed: String) -> [String] { PathCompletion.paths("\(folder)/\(typed)", endings: [".onnx"]) }
    #expect(paths("mod") == ["\(folder)/model.onnx", "\(folder)/models/"])
    #expect(paths("") == ["\(folder)/model.onnx", "\(folder)/models/"])
    #expect(paths(".h") == ["\(folder)/.hidden.onnx"])
    #expect(paths("no") == [] && paths("nowhere/x") == [])
  }
}

import Execution
import Glibc
import Testing

/// Needs no ONNX Runtime: what is said where it is absent.
@Suite struct ONNXRuntimeAbsentTests {
  @Test func absenceSaysWhereItWasLookedForAndHowToGetIt() throws {
    let search = LibrarySearch.onnxRuntime(explicitPath: nil, folders: ["/nonexistent/lib"], linkerName: "libonnxruntime-nobody-has.so.1")
    #expect(search.candidates == ["libonnxruntime-nobody-has.so.1"])
    let error = #expect(throws: DeviceError.self) { try ONNXRuntimeDevice(threads: 1, search: search) }
    let text = error?.description ?? ""
    #expect(error?.kind == .unsupported)
    for part in [
      "/nonexistent/lib/libonnxruntime.so*", "libonnxruntime-nobody-has.so.1", "pip install onnxruntime", "HEADROOM_ONNXRUNTIME",
    ] {
      #expect(text.contains(part), "\(text)")
    }
  }

  @Test func anExplicitPathIsTheOnlyOne() throws {
    let search = LibrarySearch.onnxRuntime(explicitPath: "/nonexistent/libonnxruntime.so.1", folders: ["/usr/lib"], linkerName: "libm.so.6")
    #expect(search.candidates == ["/nonexistent/libonnxruntime.so.1"])
    let error = #expect(throws: DeviceError.self) { try ONNXRuntimeLibrary(search) }
    #expect(error?.description.contains("HEADROOM_ONNXRUNTIME names /nonexistent/libonnxruntime.so.1") == true)
  }

  @Test func anotherLibraryIsNotTakenForIt() throws {
    let search = LibrarySearch.onnxRuntime(explicitPath: nil, folders: [], linkerName: "libm.so.6")
    let error = #expect(throws: DeviceError.self) { try ONNXRuntimeLibrary(search) }
    #expect(error?.description.contains("libm.so.6 has no OrtGetApiBase") == true)
  }

  @Test func theStandardSearchLooksBelowTheCurrentFolderFirst() {
    let folders = LibrarySearch.onnxRuntime.folders
    #expect(folders.first == ".engines/onnxruntime/lib")
    #expect(folders.count == 2 && folders[1].hasPrefix("/"))
  }
}

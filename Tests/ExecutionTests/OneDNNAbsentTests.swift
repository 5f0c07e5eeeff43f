import Execution
import ModelGraph
import Testing

/// Needs no oneDNN: what is said and done where it is absent.
@Suite struct OneDNNAbsentTests {
  private static let nowhere = LibrarySearch.oneDNN(explicitPath: nil, folders: ["/nonexistent/lib"], linkerName: "libdnnl-nobody-has.so.3")

  @Test func forcedAndAbsentSaysWhereItWasLookedForAndHowToGetIt() {
    #expect(Self.nowhere.candidates == ["libdnnl-nobody-has.so.3"])
    let error = #expect(throws: DeviceError.self) { try CPUDevice(CPUDeviceOptions(threads: 1, engine: .onednn), oneDNN: Self.nowhere) }
    let text = error?.description ?? ""
    #expect(error?.kind == .unsupported)
    for part in ["/nonexistent/lib/libdnnl.so*", "libdnnl-nobody-has.so.3", "Scripts/fetch-onednn", "HEADROOM_ONEDNN"] {
      #expect(text.contains(part), "\(text)")
    }
  }

  @Test func automaticAndAbsentRunsItsOwnKernels() throws {
    let device = try CPUDevice(CPUDeviceOptions(threads: 1, engine: .automatic), oneDNN: Self.nowhere)
    #expect(device.oneDNN == nil)
    let model = try device.load(.graph(try CPUDeviceTests.linear(16, 16, .relu)), LoadOptions(maximumBatchRows: 4))
    #expect(model.steps(rows: 4).contains { $0.name.hasPrefix("gemm_f32_") })
    #expect(!model.steps(rows: 4).contains { $0.name.contains("onednn") })
  }

  @Test func anExplicitPathIsTheOnlyOne() {
    let search = LibrarySearch.oneDNN(explicitPath: "/nonexistent/libdnnl.so.3", folders: ["/usr/lib"], linkerName: "libm.so.6")
    #expect(search.candidates == ["/nonexistent/libdnnl.so.3"])
    let error = #expect(throws: DeviceError.self) { try OneDNNLibrary(search) }
    #expect(error?.description.contains("HEADROOM_ONEDNN names /nonexistent/libdnnl.so.3") == true)
  }

  @Test func anotherLibraryIsNotTakenForIt() {
    let search = LibrarySearch.oneDNN(explicitPath: nil, folders: [], linkerName: "libm.so.6")
    let error = #expect(throws: DeviceError.self) { try OneDNNLibrary(search) }
    #expect(error?.description.contains("libm.so.6 has no dnnl_version") == true)
  }

  @Test func theStandardSearchLooksBelowTheCurrentFolderFirst() {
    let folders = LibrarySearch.oneDNN.folders
    #expect(folders.first == ".engines/onednn/lib")
    #expect(folders.count == 2 && folders[1].hasPrefix("/"))
  }
}

/// The functions of ONNX Runtime's C API that we call, taken from its function table by index.
///
/// The wheel carries no header. The table is append-only by promise (microsoft/onnxruntime
/// include/onnxruntime/core/session/onnxruntime_c_api.h: "Do not move or remove"), guarded there by static assertions on offsets, so an
/// index that held for version 15 holds for every later one. Handles are opaque; every function that can fail returns a status, NULL on
/// success, which the caller releases.
struct ONNXRuntimeTable {
  typealias Handle = OpaquePointer
  typealias Status = OpaquePointer?
  typealias Out = UnsafeMutablePointer<OpaquePointer?>
  typealias Release = @convention(c) (Handle?) -> Void
  typealias Count = @convention(c) (Handle, UnsafeMutablePointer<Int>) -> Status
  typealias Derived = @convention(c) (Handle, Out) -> Status
  typealias Indexed = @convention(c) (Handle, Int, Out) -> Status
  typealias Name = @convention(c) (Handle, Int, Handle, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Status
  typealias Names = UnsafePointer<UnsafePointer<CChar>?>
  typealias Switch = @convention(c) (Handle) -> Status
  typealias Values = UnsafePointer<OpaquePointer?>

  /// What `GetApi` is asked for: the first version with every function below (1.15).
  static let version: UInt32 = 15

  let errorCode: @convention(c) (Handle) -> Int32
  let errorMessage: @convention(c) (Handle) -> UnsafePointer<CChar>?
  let createEnvironment: @convention(c) (Int32, UnsafePointer<CChar>, Out) -> Status
  let createSession: @convention(c) (Handle, UnsafePointer<CChar>, Handle, Out) -> Status
  let run: @convention(c) (Handle, Handle?, Names, Values, Int, Names, Int, Out) -> Status
  let createOptions: @convention(c) (Out) -> Status
  let setExecutionMode: @convention(c) (Handle, Int32) -> Status
  let enablePattern: Switch
  let disablePattern: Switch
  let enableArena: Switch
  let disableArena: Switch
  let setOptimization: @convention(c) (Handle, Int32) -> Status
  let setIntraThreads: @convention(c) (Handle, Int32) -> Status
  let setInterThreads: @convention(c) (Handle, Int32) -> Status
  let addConfigEntry: @convention(c) (Handle, UnsafePointer<CChar>, UnsafePointer<CChar>) -> Status
  let inputCount: Count
  let outputCount: Count
  /// Inputs that have a default: initializers that a caller may give another value.
  let optionalCount: Count
  let optionalTypeInfo: Indexed
  let optionalName: Name
  let createRunOptions: @convention(c) (Out) -> Status
  let addRunConfigEntry: @convention(c) (Handle, UnsafePointer<CChar>, UnsafePointer<CChar>) -> Status
  let inputTypeInfo: Indexed
  let outputTypeInfo: Indexed
  let inputName: Name
  let outputName: Name
  let createTensor: @convention(c) (Handle, UnsafePointer<Int64>?, Int, Int32, Out) -> Status
  let createTensorWithData: @convention(c) (Handle, UnsafeMutableRawPointer?, Int, UnsafePointer<Int64>?, Int, Int32, Out) -> Status
  let tensorData: @convention(c) (Handle, UnsafeMutablePointer<UnsafeMutableRawPointer?>) -> Status
  let castToTensorInfo: Derived
  let elementType: @convention(c) (Handle, UnsafeMutablePointer<Int32>) -> Status
  let dimensionsCount: Count
  let dimensions: @convention(c) (Handle, UnsafeMutablePointer<Int64>?, Int) -> Status
  let elementCount: Count
  let tensorTypeAndShape: Derived
  let valueType: @convention(c) (Handle, UnsafeMutablePointer<Int32>) -> Status
  let createCPUMemoryInfo: @convention(c) (Int32, Int32, Out) -> Status
  let defaultAllocator: @convention(c) (Out) -> Status
  let free: @convention(c) (Handle, UnsafeMutableRawPointer?) -> Status
  let stringLength: @convention(c) (Handle, Int, UnsafeMutablePointer<Int>) -> Status
  let stringElement: @convention(c) (Handle, Int, Int, UnsafeMutableRawPointer?) -> Status
  let resizedStringBuffer: @convention(c) (Handle, Int, Int, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Status
  let releaseEnvironment: Release
  let releaseStatus: Release
  let releaseMemoryInfo: Release
  let releaseSession: Release
  let releaseValue: Release
  let releaseTypeInfo: Release
  let releaseTensorInfo: Release
  let releaseOptions: Release
  let releaseRunOptions: Release

  /// Nil where the table has a hole in a place we need.
  init?(_ table: UnsafePointer<UnsafeRawPointer?>) {
    let used = [
      1, 2, 3, 7, 9, 10, 13, 16, 17, 18, 19, 23, 24, 25, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 48, 49, 51, 55, 60, 61, 62, 64, 65, 67, 69,
      76, 78, 92, 93, 94, 95, 96, 97, 98,
      99, 100, 127, 128, 130, 165, 252,
    ]
    guard used.allSatisfy({ table[$0] != nil }) else { return nil }
    errorCode = unsafeBitCast(table[1], to: (@convention(c) (Handle) -> Int32).self)
    errorMessage = unsafeBitCast(table[2], to: (@convention(c) (Handle) -> UnsafePointer<CChar>?).self)
    createEnvironment = unsafeBitCast(table[3], to: (@convention(c) (Int32, UnsafePointer<CChar>, Out) -> Status).self)
    createSession = unsafeBitCast(table[7], to: (@convention(c) (Handle, UnsafePointer<CChar>, Handle, Out) -> Status).self)
    run = unsafeBitCast(table[9], to: (@convention(c) (Handle, Handle?, Names, Values, Int, Names, Int, Out) -> Status).self)
    createOptions = unsafeBitCast(table[10], to: (@convention(c) (Out) -> Status).self)
    setExecutionMode = unsafeBitCast(table[13], to: (@convention(c) (Handle, Int32) -> Status).self)
    enablePattern = unsafeBitCast(table[16], to: Switch.self)
    disablePattern = unsafeBitCast(table[17], to: Switch.self)
    enableArena = unsafeBitCast(table[18], to: Switch.self)
    disableArena = unsafeBitCast(table[19], to: Switch.self)
    setOptimization = unsafeBitCast(table[23], to: (@convention(c) (Handle, Int32) -> Status).self)
    setIntraThreads = unsafeBitCast(table[24], to: (@convention(c) (Handle, Int32) -> Status).self)
    setInterThreads = unsafeBitCast(table[25], to: (@convention(c) (Handle, Int32) -> Status).self)
    addConfigEntry = unsafeBitCast(
      table[130], to: (@convention(c) (Handle, UnsafePointer<CChar>, UnsafePointer<CChar>) -> Status).self)
    inputCount = unsafeBitCast(table[30], to: Count.self)
    outputCount = unsafeBitCast(table[31], to: Count.self)
    optionalCount = unsafeBitCast(table[32], to: Count.self)
    optionalTypeInfo = unsafeBitCast(table[35], to: Indexed.self)
    optionalName = unsafeBitCast(table[38], to: Name.self)
    createRunOptions = unsafeBitCast(table[39], to: (@convention(c) (Out) -> Status).self)
    addRunConfigEntry = unsafeBitCast(
      table[165], to: (@convention(c) (Handle, UnsafePointer<CChar>, UnsafePointer<CChar>) -> Status).self)
    inputTypeInfo = unsafeBitCast(table[33], to: Indexed.self)
    outputTypeInfo = unsafeBitCast(table[34], to: Indexed.self)
    inputName = unsafeBitCast(table[36], to: Name.self)
    outputName = unsafeBitCast(table[37], to: Name.self)
    createTensor = unsafeBitCast(
      table[48], to: (@convention(c) (Handle, UnsafePointer<Int64>?, Int, Int32, Out) -> Status).self)
    createTensorWithData = unsafeBitCast(
      table[49], to: (@convention(c) (Handle, UnsafeMutableRawPointer?, Int, UnsafePointer<Int64>?, Int, Int32, Out) -> Status).self)
    tensorData = unsafeBitCast(
      table[51], to: (@convention(c) (Handle, UnsafeMutablePointer<UnsafeMutableRawPointer?>) -> Status).self)
    castToTensorInfo = unsafeBitCast(table[55], to: Derived.self)
    elementType = unsafeBitCast(table[60], to: (@convention(c) (Handle, UnsafeMutablePointer<Int32>) -> Status).self)
    dimensionsCount = unsafeBitCast(table[61], to: Count.self)
    dimensions = unsafeBitCast(table[62], to: (@convention(c) (Handle, UnsafeMutablePointer<Int64>?, Int) -> Status).self)
    elementCount = unsafeBitCast(table[64], to: Count.self)
    tensorTypeAndShape = unsafeBitCast(table[65], to: Derived.self)
    valueType = unsafeBitCast(table[67], to: (@convention(c) (Handle, UnsafeMutablePointer<Int32>) -> Status).self)
    createCPUMemoryInfo = unsafeBitCast(table[69], to: (@convention(c) (Int32, Int32, Out) -> Status).self)
    free = unsafeBitCast(table[76], to: (@convention(c) (Handle, UnsafeMutableRawPointer?) -> Status).self)
    defaultAllocator = unsafeBitCast(table[78], to: (@convention(c) (Out) -> Status).self)
    stringLength = unsafeBitCast(table[127], to: (@convention(c) (Handle, Int, UnsafeMutablePointer<Int>) -> Status).self)
    stringElement = unsafeBitCast(
      table[128], to: (@convention(c) (Handle, Int, Int, UnsafeMutableRawPointer?) -> Status).self)
    resizedStringBuffer = unsafeBitCast(
      table[252], to: (@convention(c) (Handle, Int, Int, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Status).self)
    releaseEnvironment = unsafeBitCast(table[92], to: Release.self)
    releaseStatus = unsafeBitCast(table[93], to: Release.self)
    releaseMemoryInfo = unsafeBitCast(table[94], to: Release.self)
    releaseSession = unsafeBitCast(table[95], to: Release.self)
    releaseValue = unsafeBitCast(table[96], to: Release.self)
    releaseTypeInfo = unsafeBitCast(table[98], to: Release.self)
    releaseTensorInfo = unsafeBitCast(table[99], to: Release.self)
    releaseOptions = unsafeBitCast(table[100], to: Release.self)
    releaseRunOptions = unsafeBitCast(table[97], to: Release.self)
  }
}

import Glibc

/// The functions of oneDNN's C API that we call, by name. Handles are opaque in version 3; a function that can fail returns a status, 0 on
/// success. Within a major version oneDNN keeps names, signatures and the values of enumerations.
struct OneDNNTable {
  typealias Handle = OpaquePointer
  typealias Out = UnsafeMutablePointer<OpaquePointer?>
  typealias Dimensions = UnsafePointer<Int64>
  typealias Release = @convention(c) (Handle) -> Int32

  /// Values of oneDNN's enumerations.
  enum Code {
    static let cpu: Int32 = 1
    static let sequentialRuntime: UInt32 = 1
    static let openMPRuntime: UInt32 = 2
    static let bfloat16: Int32 = 2
    static let float32: Int32 = 3
    static let anyFormat: Int32 = 1
    static let inOrder: UInt32 = 1
    static let userScratchpad: Int32 = 1
    static let weightsQuery: Int32 = 131
    static let scratchpadQuery: Int32 = 136
    static let source: Int32 = 1
    static let target: Int32 = 17
    static let weights: Int32 = 33
    static let bias: Int32 = 41
    static let scratchpad: Int32 = 80
  }

  /// An argument of a primitive, `dnnl_exec_arg_t`: an index of four bytes at 0, a handle at 8.
  enum Argument {
    static let size = 16
    static let indexOffset = 0
    static let memoryOffset = 8
  }

  /// The part of `dnnl_version_t` that decides whether the library can be used.
  struct Version {
    var major: Int32
    var minor: Int32
    var patch: Int32
    var runtime: UInt32
  }

  let setCacheCapacity: @convention(c) (Int32) -> Int32
  let createEngine: @convention(c) (Out, Int32, Int) -> Int32
  let createStream: @convention(c) (Out, Handle, UInt32) -> Int32
  let createStrided: @convention(c) (Out, Int32, Dimensions, Int32, Dimensions) -> Int32
  let createTagged: @convention(c) (Out, Int32, Dimensions, Int32, Int32) -> Int32
  let size: @convention(c) (Handle) -> Int
  let isEqual: @convention(c) (Handle, Handle) -> Int32
  let createMemory: @convention(c) (Out, Handle, Handle, UnsafeMutableRawPointer?) -> Int32
  let setData: @convention(c) (Handle, UnsafeMutableRawPointer?) -> Int32
  let createAttributes: @convention(c) (Out) -> Int32
  let setScratchpadMode: @convention(c) (Handle, Int32) -> Int32
  let setPostOperations: @convention(c) (Handle, Handle) -> Int32
  let createPostOperations: @convention(c) (Out) -> Int32
  let appendElementwise: @convention(c) (Handle, Int32, Float, Float) -> Int32
  let describeMatmul: @convention(c) (Out, Handle, Handle, Handle, Handle?, Handle, Handle) -> Int32
  let describeReorder: @convention(c) (Out, Handle, Handle, Handle, Handle, Handle?) -> Int32
  let queryMemory: @convention(c) (Handle, Int32, Int32) -> Handle?
  let createPrimitive: @convention(c) (Out, Handle) -> Int32
  let execute: @convention(c) (Handle, Handle, Int32, UnsafeRawPointer) -> Int32
  let wait: Release
  let destroyEngine: Release
  let destroyStream: Release
  let destroyMemoryDescriptor: Release
  let destroyMemory: Release
  let destroyAttributes: Release
  let destroyPostOperations: Release
  let destroyPrimitiveDescriptor: Release
  let destroyPrimitive: Release
  /// Of the OpenMP runtime it was loaded with; nil where it has none.
  let setOpenMPThreads: (@convention(c) (Int32) -> Void)?

  /// What `dnnl_version` says; nil where the library has no such function.
  static func version(_ library: UnsafeMutableRawPointer) -> Version? {
    guard let symbol = dlsym(library, "dnnl_version") else { return nil }
    guard let found = unsafeBitCast(symbol, to: (@convention(c) () -> UnsafeRawPointer?).self)() else { return nil }
    // Three numbers, then the address of a hash, then the threading runtime.
    return Version(
      major: found.load(as: Int32.self), minor: found.load(fromByteOffset: 4, as: Int32.self),
      patch: found.load(fromByteOffset: 8, as: Int32.self), runtime: found.load(fromByteOffset: 24, as: UInt32.self))
  }

  /// Throws the name of the first function that the library lacks.
  init(_ library: UnsafeMutableRawPointer) throws(MissingFunction) {
    func function<Function>(_ name: String, _ type: Function.Type) throws(MissingFunction) -> Function {
      guard let symbol = dlsym(library, name) else { throw MissingFunction(name: name) }
      return unsafeBitCast(symbol, to: type)
    }
    setCacheCapacity = try function("dnnl_set_primitive_cache_capacity", (@convention(c) (Int32) -> Int32).self)
    createEngine = try function("dnnl_engine_create", (@convention(c) (Out, Int32, Int) -> Int32).self)
    createStream = try function("dnnl_stream_create", (@convention(c) (Out, Handle, UInt32) -> Int32).self)
    createStrided = try function(
      "dnnl_memory_desc_create_with_strides", (@convention(c) (Out, Int32, Dimensions, Int32, Dimensions) -> Int32).self)
    createTagged = try function(
      "dnnl_memory_desc_create_with_tag", (@convention(c) (Out, Int32, Dimensions, Int32, Int32) -> Int32).self)
    size = try function("dnnl_memory_desc_get_size", (@convention(c) (Handle) -> Int).self)
    isEqual = try function("dnnl_memory_desc_equal", (@convention(c) (Handle, Handle) -> Int32).self)
    createMemory = try function("dnnl_memory_create", (@convention(c) (Out, Handle, Handle, UnsafeMutableRawPointer?) -> Int32).self)
    setData = try function("dnnl_memory_set_data_handle", (@convention(c) (Handle, UnsafeMutableRawPointer?) -> Int32).self)
    createAttributes = try function("dnnl_primitive_attr_create", (@convention(c) (Out) -> Int32).self)
    setScratchpadMode = try function("dnnl_primitive_attr_set_scratchpad_mode", (@convention(c) (Handle, Int32) -> Int32).self)
    setPostOperations = try function("dnnl_primitive_attr_set_post_ops", (@convention(c) (Handle, Handle) -> Int32).self)
    createPostOperations = try function("dnnl_post_ops_create", (@convention(c) (Out) -> Int32).self)
    appendElementwise = try function("dnnl_post_ops_append_eltwise", (@convention(c) (Handle, Int32, Float, Float) -> Int32).self)
    describeMatmul = try function(
      "dnnl_matmul_primitive_desc_create", (@convention(c) (Out, Handle, Handle, Handle, Handle?, Handle, Handle) -> Int32).self)
    describeReorder = try function(
      "dnnl_reorder_primitive_desc_create", (@convention(c) (Out, Handle, Handle, Handle, Handle, Handle?) -> Int32).self)
    queryMemory = try function("dnnl_primitive_desc_query_md", (@convention(c) (Handle, Int32, Int32) -> Handle?).self)
    createPrimitive = try function("dnnl_primitive_create", (@convention(c) (Out, Handle) -> Int32).self)
    execute = try function("dnnl_primitive_execute", (@convention(c) (Handle, Handle, Int32, UnsafeRawPointer) -> Int32).self)
    wait = try function("dnnl_stream_wait", Release.self)
    destroyEngine = try function("dnnl_engine_destroy", Release.self)
    destroyStream = try function("dnnl_stream_destroy", Release.self)
    destroyMemoryDescriptor = try function("dnnl_memory_desc_destroy", Release.self)
    destroyMemory = try function("dnnl_memory_destroy", Release.self)
    destroyAttributes = try function("dnnl_primitive_attr_destroy", Release.self)
    destroyPostOperations = try function("dnnl_post_ops_destroy", Release.self)
    destroyPrimitiveDescriptor = try function("dnnl_primitive_desc_destroy", Release.self)
    destroyPrimitive = try function("dnnl_primitive_destroy", Release.self)
    setOpenMPThreads = dlsym(library, "omp_set_num_threads").map { unsafeBitCast($0, to: (@convention(c) (Int32) -> Void).self) }
  }

  /// A function that a library should have and has not.
  struct MissingFunction: Error {
    var name: String
  }
}

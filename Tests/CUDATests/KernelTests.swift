import CCUDA
import CCUDAKernels
import Glibc
import ModelGraph
import Testing
import TimeBase

@testable import Execution

extension OnStandIn {
  /// Every kernel alone, through the driver's own calls, against Double on random inputs. Outputs are poisoned first: device memory of the
  /// stand-in holds not-a-numbers.
  @Suite struct KernelTests {
    static let halves: [CUDACompiler.Element] = [.float16, .bfloat16]

    /// A context with the kernels of one source.
    final class Bench {
      let standIn: StandIn
      let device: CUDADevice
      let generation: Int
      let element: CUDACompiler.Element
      let kernels: CUDAKernels
      private var memories: [CUDAMemory] = []

      init(_ element: CUDACompiler.Element) throws {
        standIn = try #require(StandIn())
        device = try standIn.device()
        self.element = element
        generation = try device.context.generation()
        kernels = CUDAKernels(device, generation, element: element)
      }

      var type: DataType { element == .float32 ? .float32 : element == .float16 ? .float16 : .bfloat16 }

      /// Rounded to the element's type, and on the device.
      func upload(_ values: [Double]) throws -> (CUDALaunch.Argument, [Double]) {
        let bytes =
          type == .float32
          ? values.flatMap { withUnsafeBytes(of: Float($0)) { Array($0) } }
          : values.flatMap { value in
            withUnsafeBytes(of: type == .float16 ? CUDALowering.half(Float(value)) : CUDALowering.bf16(Float(value))) { Array($0) }
          }
        let memory = try allocate(bytes.count)
        try device.context.use(generation) { () throws(DeviceError) in
          try device.driver.check(device.driver.functions.cuMemcpyHtoD_v2(memory.address, bytes, bytes.count), "upload")
        }
        return (CUDALaunch.value(memory.address), doubles(bytes))
      }

      func allocate(_ byteCount: Int) throws -> CUDAMemory {
        let memory = try device.context.use(generation) { () throws(DeviceError) in
          try CUDAMemory(device.context, generation, byteCount: byteCount, for: "a test")
        }
        memories.append(memory)
        return memory
      }

      func doubles(_ bytes: [UInt8]) -> [Double] {
        bytes.withUnsafeBytes { raw in
          (0..<bytes.count / type.bytesPerElement).map { index in
            switch type {
            case .float32: Double(raw.loadUnaligned(fromByteOffset: index * 4, as: Float.self))
            case .float16: Double(Float16(bitPattern: raw.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)))
            default: Double(Float(bitPattern: UInt32(clamping: raw.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)) << 16))
            }
          }
        }
      }

      /// Runs one kernel and reads what it wrote.
      func run(
        _ source: CUDACompiler.Source, _ function: String, blocks: Int, threads: Int, shared: Int = 0, outputs: Int,
        _ arguments: (CUDALaunch.Argument) -> [CUDALaunch.Argument]
      ) throws -> [Double] {
        let target = try allocate(outputs * type.bytesPerElement)
        let launch = CUDALaunch(
          source: source, function: "\(function)_\(element.suffix)", blocks: blocks, threads: threads, sharedBytes: shared,
          arguments: arguments(CUDALaunch.value(target.address)))
        var bytes = [UInt8](repeating: 0, count: outputs * type.bytesPerElement)
        try device.context.use(generation) { () throws(DeviceError) in
          let table = device.driver.functions
          let resident = CUDAModel.Resident(generation: generation, weights: [], addresses: [], constants: [], packed: [:])
          let bound = try BoundArguments(
            launch.arguments, CUDABoundProgram.Memory(arena: 0, inputs: [], outputs: [], resident: resident, flag: 0))
          try device.driver.check(
            table.cuLaunchKernel(
              try kernels.function(launch), UInt32(clamping: blocks), 1, 1, UInt32(clamping: threads), 1, 1, UInt32(clamping: shared), nil,
              bound.pointers, nil), function)
          try device.driver.check(table.cuMemcpyDtoH_v2(&bytes, target.address, bytes.count), "download")
        }
        #expect(standIn.complaints == [])
        return doubles(bytes)
      }

      /// The largest difference as a share of the largest value; infinite where something was not written.
      func error(_ got: [Double], _ expected: [Double]) -> Double {
        let scale = expected.reduce(1e-30) { max($0, abs($1)) }
        return zip(got, expected).reduce(0) { $1.0.isNaN != $1.1.isNaN ? .infinity : max($0, $1.1.isNaN ? 0 : abs($1.0 - $1.1) / scale) }
      }

      var limit: Double { type == .float32 ? 3e-6 : type == .float16 ? 1e-3 : 8e-3 }
    }

    static func random(_ count: Int, _ seed: UInt64, scale: Double = 2) -> [Double] {
      var generator = SplitMix64(seed: seed)
      return (0..<count).map { _ in (generator.nextUnitDouble() - 0.5) * scale }
    }

    @Test(arguments: CUDACompiler.Element.allCases, [8, 33, 256, 1000, 1024, 2048, 2056])
    func layerNormWithReLU(_ element: CUDACompiler.Element, _ width: Int) throws {
      let bench = try Bench(element)
      let rows = 5
      let (x, xs) = try bench.upload(Self.random(rows * width, 1))
      let (scale, scales) = try bench.upload(Self.random(width, 2))
      let (bias, biases) = try bench.upload(Self.random(width, 3))
      let got = try bench.run(.rows, "layer_norm", blocks: 3, threads: 128, outputs: rows * width) {
        [
          x, scale, bias, $0, CUDALaunch.value(Int64(clamping: rows)), CUDALaunch.value(Int32(clamping: width)),
          CUDALaunch.value(Float(1e-5)),
          CUDALaunch.value(Activation.relu.kernelNumber),
        ]
      }
      var expected: [Double] = []
      for row in 0..<rows {
        let own = xs[row * width..<(row + 1) * width]
        let mean = own.reduce(0, +) / Double(width)
        let variance = own.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
        for (place, value) in own.enumerated() {
          expected.append(max(0, (value - mean) / (variance + 1e-5).squareRoot() * scales[place] + biases[place]))
        }
      }
      #expect(bench.error(got, expected) < bench.limit)
    }

    @Test(arguments: CUDACompiler.Element.allCases, [1, 7, 32, 200])
    func softmaxAlongAnyAxis(_ element: CUDACompiler.Element, _ width: Int) throws {
      for stride in [1, 3] {
        let bench = try Bench(element)
        let outer = 4
        let (x, xs) = try bench.upload(Self.random(outer * width * stride, 4, scale: 20))
        let got = try bench.run(.rows, "softmax", blocks: 2, threads: 128, outputs: outer * width * stride) {
          [
            x, $0, CUDALaunch.value(Int64(clamping: outer * stride)), CUDALaunch.value(Int32(clamping: width)),
            CUDALaunch.value(Int64(clamping: stride)),
          ]
        }
        var expected = [Double](repeating: 0, count: xs.count)
        for row in 0..<outer * stride {
          let places = (0..<width).map { row / stride * width * stride + row % stride + $0 * stride }
          let highest = places.map { xs[$0] }.max() ?? 0
          let sum = places.reduce(0) { $0 + exp(xs[$1] - highest) }
          for place in places { expected[place] = exp(xs[place] - highest) / sum }
        }
        #expect(bench.error(got, expected) < bench.limit)
      }
    }

    @Test(arguments: halves, [(18, 70, 16), (5, 33, 120), (1, 1, 8), (66, 9, 32)])
    func attentionWithAMask(_ element: CUDACompiler.Element, _ sizes: (queries: Int, keys: Int, width: Int)) throws {
      let bench = try Bench(element)
      let (batch, heads, (queries, keys, width)) = (2, 2, sizes)
      let (q, qs) = try bench.upload(Self.random(batch * heads * queries * width, 5, scale: 4))
      let (k, ks) = try bench.upload(Self.random(batch * heads * keys * width, 6, scale: 4))
      let (v, vs) = try bench.upload(Self.random(batch * heads * keys * width, 7))
      // Every third key is masked, and of the first query of each batch none remains where there are few.
      let (mask, masks) = try bench.upload((0..<batch * keys).map { $0 % 3 == 1 ? -10000 : 0 })
      var shape = HRAttention()
      (shape.heads, shape.queries, shape.keys, shape.width) = (
        Int32(clamping: heads), Int32(clamping: queries), Int32(clamping: keys), Int32(clamping: width)
      )
      shape.scale = Float(1 / Double(width).squareRoot())
      (shape.queryBatch, shape.queryHead, shape.queryRow) = (
        Int64(clamping: heads * queries * width), Int64(clamping: queries * width), Int64(clamping: width)
      )
      (shape.keyBatch, shape.keyHead, shape.keyRow) = (
        Int64(clamping: heads * keys * width), Int64(clamping: keys * width), Int64(clamping: width)
      )
      (shape.valueBatch, shape.valueHead, shape.valueRow) = (shape.keyBatch, shape.keyHead, shape.keyRow)
      (shape.targetBatch, shape.targetHead, shape.targetRow) = (shape.queryBatch, shape.queryHead, shape.queryRow)
      (shape.maskBatch, shape.maskColumn) = (Int64(clamping: keys), 1)
      let got = try bench.run(.attention, "attention", blocks: (queries + 63) / 64 * batch * heads, threads: 128, outputs: qs.count) {
        [q, k, v, mask, $0, CUDALaunch.value(shape)]
      }
      var expected: [Double] = []
      for pair in 0..<batch * heads {
        for query in 0..<queries {
          let scores = (0..<keys).map { key in
            (0..<width).reduce(0.0) { $0 + qs[(pair * queries + query) * width + $1] * ks[(pair * keys + key) * width + $1] }
              * Double(shape.scale) + masks[pair / heads * keys + key]
          }
          let highest = scores.max() ?? 0
          let weights = scores.map { exp($0 - highest) }
          let sum = weights.reduce(0, +)
          for place in 0..<width {
            expected.append((0..<keys).reduce(0) { $0 + weights[$1] * vs[(pair * keys + $1) * width + place] } / sum)
          }
        }
      }
      #expect(bench.error(got, expected) < 3 * bench.limit)
    }

    @Test(arguments: halves, [(1, 1, 544), (4, 32, 64), (1, 11, 96), (4, 3, 64), (2, 20, 64)])
    func oneLayerOfAChain(_ element: CUDACompiler.Element, _ sizes: (tiles: Int, rows: Int, width: Int)) throws {
      let bench = try Bench(element)
      let (tiles, rows, width) = sizes
      let columns = width / (16 * tiles) * 16 * tiles
      let (x, xs) = try bench.upload(Self.random(rows * width, 8))
      let weights = Self.random(columns * width, 9, scale: 4 / Double(width).squareRoot())
      let (_, ws) = try bench.upload(weights)
      // As the model packs them: [n][k] here.
      let raw = ws.flatMap { value in
        withUnsafeBytes(of: element == .float16 ? CUDALowering.half(Float(value)) : CUDALowering.bf16(Float(value))) { Array($0) }
      }
      let packed = CUDAWeight.packed(
        raw, CUDAWeight.Shape(k: width, n: columns, isTransposed: true, value: ValueID(0), slice: 0))
      let memory = try bench.allocate(packed.count)
      try bench.device.context.use(bench.generation) { () throws(DeviceError) in
        try bench.device.driver.check(
          bench.device.driver.functions.cuMemcpyHtoD_v2(memory.address, packed, packed.count), "upload")
      }
      let (bias, biases) = try bench.upload(Self.random(columns, 10))
      let groups = rows <= 8 ? 1 : rows <= 16 ? 2 : 4
      let shared = max((width / 32 + 15) / 16 * 16 * tiles * 1024, 16 * tiles * groups * 512)
      let layer = HRChainLayer(
        rows: Int32(clamping: rows), k: Int32(clamping: width), n: Int32(clamping: columns), activation: Activation.relu.kernelNumber,
        sourceDistance: Int32(clamping: width),
        targetDistance: Int32(clamping: columns))
      let got = try bench.run(
        .chain, "chain_t\(tiles)_g\(groups)", blocks: columns / 16 / tiles, threads: 512, shared: shared, outputs: rows * columns
      ) { [x, CUDALaunch.value(memory.address), bias, $0, CUDALaunch.value(layer)] }
      var expected: [Double] = []
      for row in 0..<rows {
        for column in 0..<columns {
          let sum = (0..<width).reduce(biases[column]) { $0 + xs[row * width + $1] * ws[column * width + $1] }
          expected.append(max(0, sum))
        }
      }
      #expect(bench.error(got, expected) < bench.limit)
    }

    @Test(arguments: CUDACompiler.Element.allCases) func binaryFunctionsWalkAnyOperands(_ element: CUDACompiler.Element) throws {
      for operation in BinaryOperation.allCases where operation != .power {
        let bench = try Bench(element)
        let (a, left) = try bench.upload(Self.random(60, 11))
        let (b, right) = try bench.upload(Self.random(60, 12).map { $0 < 0 ? $0 - 0.5 : $0 + 0.5 })
        // [3, 4, 5]: the first as it is, the second transposed [5, 4, 3].
        let walk = try #require(CUDAWalk([3, 4, 5], [[20, 5, 1], [1, 3, 12]]).argument(count: 60))
        let got = try bench.run(.elements, "binary", blocks: 1, threads: 64, outputs: 60) {
          [a, b, $0, CUDALaunch.value(walk), CUDALaunch.value(operation.kernelNumber)]
        }
        let expected = (0..<60).map { index -> Double in
          let (x, y) = (left[index], right[index / 20 + index / 5 % 4 * 3 + index % 5 * 12])
          switch operation {
          case .add: return x + y
          case .subtract: return x - y
          case .multiply: return x * y
          case .divide: return x / y
          case .minimum: return min(x, y)
          default: return max(x, y)
          }
        }
        #expect(bench.error(got, expected) < bench.limit, "\(operation)")
      }
    }

    @Test func dimensionsAreJoinedWhereEveryOperandAllowsIt() {
      let dense = CUDAWalk([2, 3, 4], [[12, 4, 1], [12, 4, 1]])
      #expect(dense.sizes == [24] && dense.strides == [[1], [1]])
      let repeated = CUDAWalk([2, 3, 4], [[12, 4, 1], [0, 4, 1]])
      #expect(repeated.sizes == [2, 12] && repeated.strides == [[12, 1], [0, 1]])
      #expect(CUDAWalk([1, 1], [[7, 9]]).sizes == [1])
      #expect(CUDAWalk([2, 2, 2, 2, 2, 2, 2, 2, 2], [[1, 3, 7, 9, 1, 3, 7, 9, 5]]).argument(count: 512) == nil)
    }
  }
}

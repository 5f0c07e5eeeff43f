import CheckedNumbers
import FileAccess
import GPUModel
import Testing
import Trace

@testable import Explanation

@Suite struct TiledProductTests {
  func products(_ name: String, grid: (Int32, Int32, Int32), microseconds: Double = 20, gpu: String = "NVIDIA A100-SXM4-80GB")
    -> [TiledProduct]
  {
    var maker = TraceMaker(gpu: gpu, smCount: gpu.contains("A100") ? 108 : 132)
    for index in 0..<30 {
      let start = Double(index) * 2 * microseconds
      maker.kernel(name, launch: (start, start + 3), start + 5, start + 5 + microseconds)
    }
    let id = maker.trace.names.intern(name)
    let description = maker.trace.intern(
      KernelDescription(demangledName: id, shortName: id, grid: grid, block: (128, 1, 1), registersPerThread: 168))
    for row in 0..<maker.trace.kernels.count { maker.trace.kernels.description[row] = description }
    return TraceExplanation(of: maker.trace, name: "").device?.tiledProducts ?? []
  }

  @Test func tileAndGridBoundTheResultAndTheDurationTheDepth() throws {
    let product = try #require(products("ampere_fp16_s16816gemm_fp16_128x64_ldg8_f2f_stages_64x3_tn", grid: (8, 4, 1)).first)
    #expect(product.largestResult == Double(32 * 128 * 64))
    let sides = try #require(product.sides)
    // 1,024 x 256, and 512 x 512: which side of the tile lies along x is not in the name.
    #expect(sides.larger.contains(1024) && sides.larger.contains(512) && sides.smaller.contains(256) && sides.smaller.contains(512))
    #expect(!sides.larger.contains(8192))
    let depth = try #require(product.largestDepth)
    #expect(depth > 500 && depth < 4_000)
  }

  @Test func blocksThatMayTakeSeveralTilesBoundNothing() throws {
    let persistent = try #require(
      products("nvjet_sm90_hsh_128x256_64x4_2x1_v_bz_coopA_TNN", grid: (2, 66, 1), gpu: "NVIDIA H100 80GB HBM3").first)
    #expect(persistent.largestResult == nil && persistent.sides == nil && persistent.largestDepth == nil)
    let small = try #require(products("nvjet_sm90_hsh_64x8_64x16_4x2_h_bz_TNT", grid: (8, 4, 1), gpu: "NVIDIA H100 80GB HBM3").first)
    // Grids are padded to whole clusters: the result is at most what all blocks could hold, its sides are unknown.
    #expect(small.largestResult == Double(32 * 64 * 8) && small.sides == nil)
  }

  @Test func whatIsNoProductOrHasNoTileIsNotListed() {
    #expect(products("void at::native::vectorized_elementwise_kernel<4>(int)", grid: (64, 1, 1)).isEmpty)
    #expect(products("gemm_of_my_own", grid: (64, 1, 1)).isEmpty)
    #expect(products("ampere_sgemm_128x64_tn", grid: (0, 1, 1)).isEmpty)
    #expect(products("ampere_sgemm_128x64_tn", grid: (.max, .max, .max)).count == 1)
  }

  /// Kernel records of products whose shapes are known: every bound holds, every side lies in its range.
  @Test(.enabled(if: Files.kind(of: "../shared/gpu/gemm-h100.csv") == .file), arguments: ["h100", "h200"])
  func boundsHoldOnMeasuredProducts(board: String) throws {
    let text = try Files.readText("../shared/gpu/gemm-\(board).csv")
    let lines = text.split(whereSeparator: \.isNewline).map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
    let header = try #require(lines.first)
    func column(_ name: String) throws -> Int { try #require(header.firstIndex(of: name)) }
    let (b, m, n, k) = (try column("b"), try column("m"), try column("n"), try column("k"))
    let (name, gridColumn, longest) = (try column("name"), try column("grid"), try column("kernel_us_max"))
    let gpu = try GPUCatalogue().find(board).gpu
    var (bounded, sided) = (0, 0)
    for line in lines.dropFirst() {
      // Names hold commas: columns behind them count from the end.
      let shift = line.count - header.count
      guard shift >= 0, let batch = Int(line[b]), let rows = Int(line[m]), let columns = Int(line[n]), let depth = Int(line[k]),
        let time = Double(line[longest])
      else { continue }
      let full = line[name...(name + shift)].joined(separator: ",")
      let grid = line[gridColumn + shift].split(separator: "x").compactMap { Int($0) }
      var row = KernelRow(
        name: full, fullName: full, parsed: KernelName(full), grid: grid, block: [128, 1, 1], registers: 0, sharedBytes: 0)
      (row.count, row.longest) = (1, Int64(saturating: time * 1e3))
      guard let product = TiledProduct(row, on: gpu) else { continue }
      if let most = product.largestResult {
        bounded += 1
        #expect(Double(batch * rows * columns) <= most, "\(full)")
      }
      if let sides = product.sides {
        sided += 1
        #expect(
          sides.larger.contains(max(rows, columns)) && sides.smaller.contains(min(rows, columns)), "\(full) \(rows) x \(columns): \(sides)")
      }
      // A split product's slice is shallower than the whole.
      if let most = product.largestDepth { #expect(Double(depth) / Double(max(1, batch == 1 ? grid[2] : 1)) <= most, "\(full)") }
    }
    #expect(bounded > 500 && sided > 200, "\(bounded), \(sided)")
  }
}

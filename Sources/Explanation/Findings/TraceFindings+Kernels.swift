import CheckedNumbers
import Diagnosis
import GPUModel

/// Kernels that leave part of the device empty, with what tile and grid say of the products among them; and gaps between decode steps.
extension TraceFindings {
  /// SMs that hold no block while a kernel runs.
  mutating func addUnderfilled(_ fill: Double, _ figure: Figure) {
    var seen: [Sentence] = ["While a kernel ran, \(figure) of the SMs held a block (weighted by time)."]
    if let product = device.tiledProducts.first(where: { ($0.residentSMShare ?? 1) < 0.5 }), let sms = device.facts.smCount {
      seen.append(size(of: product, sms))
    }
    // A larger batch may fill what is empty at the same kernel times: work per time grows by no more.
    let most = fill > 0 ? 1 / fill - 1 : 0
    found.append(
      TraceFinding(
        .HR201, .high, seen: seen, fix: "a larger batch, or run two instances side by side", effect: .throughput,
        gain: device.busy.kernels + device.busy.copies < TraceVerdict.minimumKernels || verdict.regime == .notSteady
          ? .notQuantified("the trace holds too few kernels and copies, or is not steady")
          : .atMost(Figure(most, .share, .estimated, source: "all SMs at the same kernel times"))))
  }

  /// "Its largest product, NAME, makes at most 262,144 results in 32 blocks of 128 x 64 on 132 SMs: derived from name and grid".
  private func size(of product: TiledProduct, _ sms: Int) -> Sentence {
    func count(_ value: Double) -> Figure { Figure(value, .count, .estimated, source: "kernel name and grid") }
    let tile = "\(product.tile.m) x \(product.tile.n)"
    let blocks = count(Double(product.blocks))
    guard let results = product.largestResult else {
      return "Of these \(product.kernel) takes most time: \(blocks) blocks with tiles of \(tile) on \(count(Double(sms))) SMs."
    }
    return
      "Of these products \(product.kernel) takes most time: at most \(count(results)) results in \(blocks) blocks of \(tile), on \(count(Double(sms))) SMs (derived from its name and grid, no exact shape)."
  }

  /// Last waves that are mostly empty.
  mutating func addWaveTail(_ slots: Double, _ figure: Figure) {
    let kernels = device.kernels
    let lost = (1 - slots) * kernels.severalWavesShare * Double(device.busy.kernel)
    var fix = "a batch at the wave's edge, or another tile"
    var seen: [Sentence] = ["Kernels of several waves use \(figure) of their block slots: the last wave is mostly empty."]
    let worst = kernels.rows.first {
      ($0.fit?.waves ?? 0) > 1 && ($0.fit?.slotEfficiency ?? 1) < 0.8 && ($0.fit?.residentSMShare ?? 1) < 0.8
    }
    if let worst, let fit = worst.fit, fit.waves > 0 {
      let slotCount = (Double(fit.blocks) / fit.waves).rounded()
      let (below, above) = (fit.waves.rounded(.down) * slotCount, fit.waves.rounded(.up) * slotCount)
      func count(_ value: Double) -> Figure { Figure(value, .count, .estimated, source: "grid, occupancy and SM count") }
      seen.append(
        "\(worst.name) has \(count(Double(fit.blocks))) blocks for \(count(slotCount)) slots: \(count(below)) or \(count(above)) blocks would fill whole waves."
      )
      if worst.parsed.role.isProduct {
        fix =
          "a batch of \(Int(saturating: below)) or \(Int(saturating: above)) blocks instead of \(fit.blocks) (whole waves), or another tile"
      }
    }
    found.append(
      TraceFinding(
        .HR205, .medium, seen: seen, fix: fix, effect: .gpuTime,
        gain: bound(without: lost, floor: Double(device.busy.kernel) - lost)))
  }

  /// Products that wait for their weights.
  mutating func addWeightStreaming(_ products: ProductUse, _ total: Double, _ figure: (Double) -> Figure) {
    let share = Double(products.streamingNanoseconds) / total
    let saved = 0.5 * share * Double(device.busy.kernel)
    found.append(
      TraceFinding(
        .HR202, .high,
        seen: [
          "Products whose bytes take longer than their arithmetic run at 60 % of the memory's bandwidth or more for \(figure(share)) of kernel time."
        ],
        fix: "a larger batch; weights of one byte (fp8, int8), which take half the time", effect: .gpuTime,
        gain: bound(without: saved, floor: Double(device.busy.kernel) - saved)))
  }

  /// Weights that do not fit into L2 are read from memory in each step. Only single products count: the second operand of a batched one is mostly
  /// an activation. Of the steps the rarest shape says how many there were at most, so that a step's weights are a lower bound.
  mutating func addWeightsBeyondL2(_ products: ProductUse, _ gpu: GPU, _ total: Double) {
    let rows = products.rows.filter { $0.batch == 1 && $0.n > 1 && $0.k > 1 && $0.count > 0 }
    guard products.coverage > 0.5, gpu.l2Megabytes > 0, gpu.memoryGigabytesPerSecond > 0, let rarest = rows.map(\.count).min(), rarest >= 5
    else { return }
    let steps = device.counters.rate?.stepsInTrace ?? Double(rarest)
    func bytes(_ row: ProductUse.Row) -> Double { Double(row.n) * Double(row.k) * Double(row.type.bytesPerElement) }
    let perStep = rows.reduce(0) { $0 + bytes($1) * Double($1.count) } / max(1, steps)
    let l2 = gpu.l2Megabytes * 1e6
    guard perStep > l2 else { return }
    // Where arithmetic is the limit the reading hides behind it.
    let saved = rows.filter { !$0.isMathBound }.reduce(0) {
      $0 + min(Double($1.total), bytes($1) * Double($1.count) / gpu.memoryGigabytesPerSecond)
    }
    guard saved > 0.05 * total else { return }
    found.append(
      TraceFinding(
        .HR206, .medium,
        seen: [
          "The weights of a step are at least \(Figure(perStep, .bytes, .estimated, source: "shapes of the products")), L2 holds \(Figure(l2, .bytes, .assumed, source: gpu.source)): each step reads them from memory."
        ],
        fix: "weights of one byte (fp8, int8), or fewer layers per pass over several batches", effect: .gpuTime,
        gain: bound(without: saved, floor: Double(device.busy.kernel) - saved)))
  }

  /// The host's work between two steps of a model that generates token by token.
  mutating func addDecodeFinding() {
    let idle = device.shares.idleBehindResults
    guard device.shares.isDecoding, device.shares.waitsBehindResults >= 10, share(idle) >= Self.smallestIdleShare else { return }
    found.append(
      TraceFinding(
        .HR401, .medium,
        seen: [
          "Behind \(Figure(Double(device.shares.waitsBehindResults), .count, device.kind, source: "trace")) small copies to the host (a step's tokens) the GPU idled \(device.share(idle)) of the time."
        ],
        fix: "asynchronous scheduling: vLLM --async-scheduling, SGLang's overlap schedule; CUDA graphs for every batch size",
        effect: .throughput, gain: bound(without: Double(idle), floor: Double(device.busy.device))))
  }
}

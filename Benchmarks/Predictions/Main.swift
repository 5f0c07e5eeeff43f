import GPUModel
import TimeBase

/// Time of one GEMM prediction on shapes that differ every time: `swift run -c release benchmark-predictions`.
@main
struct Main {
  static func main() throws {
    let clock = ContinuousClock()
    let count = 20_000
    for name in ["A100 SXM4 80GB", "RTX PRO 6000 Blackwell WS", "H200 SXM", "B200"] {
      let gpu = try GPUCatalogue().find(name).gpu
      let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
      var generator = SplitMix64(seed: 1)
      func size(_ limit: UInt64) -> Int { 1 + Int(clamping: generator.next() % limit) }
      let shapes = (0..<count).map { _ in GEMM(m: size(9000), n: size(9000), k: size(9000), type: .fp16) }
      var sum = 0.0
      let predict = try clock.measure { for shape in shapes { sum += try model.predict(shape).microseconds } }
      let explain = try clock.measure { for shape in shapes { sum += try model.explain(shape).microseconds } }
      func each(_ duration: Duration) -> Double { ((duration / .microseconds(1)) / Double(count) * 100).rounded() / 100 }
      print("\(name): predict \(each(predict)) us, explain \(each(explain)) us a shape (checksum \(sum))")
    }
  }
}

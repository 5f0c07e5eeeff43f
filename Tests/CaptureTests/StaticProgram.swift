import Glibc

/// The smallest static program: one page, whose code is exit(42).
enum StaticProgram {
  static var bytes: [UInt8] {
    func number(_ value: UInt64, _ size: Int) -> [UInt8] { (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64(clamping: 8 * $0)) } }
    #if arch(arm64)
      let machine: UInt64 = 183
      // mov x0, 42; mov x8, 93; svc 0
      let code: [UInt8] = [0x40, 0x05, 0x80, 0xD2, 0xA8, 0x0B, 0x80, 0xD2, 0x01, 0x00, 0x00, 0xD4]
    #else
      let machine: UInt64 = 62
      // mov edi, 42; mov eax, 60; syscall
      let code: [UInt8] = [0xBF, 0x2A, 0, 0, 0, 0xB8, 0x3C, 0, 0, 0, 0x0F, 0x05]
    #endif
    let base: UInt64 = 0x400000
    var file: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0] + [UInt8](repeating: 0, count: 8)
    file += number(2, 2) + number(machine, 2) + number(1, 4) + number(base + 120, 8) + number(64, 8) + number(0, 8) + number(0, 4)
    file += number(64, 2) + number(56, 2) + number(1, 2) + number(0, 6)
    let size = UInt64(clamping: 120 + code.count)
    file +=
      number(1, 4) + number(5, 4) + number(0, 8) + number(base, 8) + number(base, 8) + number(size, 8) + number(size, 8) + number(4096, 8)
    return file + code
  }

  static func write(to path: String) -> Bool {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o755)
    guard file >= 0 else { return false }
    defer { close(file) }
    return bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) } == bytes.count
  }
}

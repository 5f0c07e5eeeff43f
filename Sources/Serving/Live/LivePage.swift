import NIOCore

/// The page `/headroom`: self-contained; it asks this server for `/v2/headroom` and nobody else for anything.
enum LivePage {
  static func answer() -> HTTPAnswer {
    // Fresh for each answer: only the page's own script and style may run, whatever a model is called.
    var generator = SystemRandomNumberGenerator()
    let nonce = String(generator.next(), radix: 36) + String(generator.next(), radix: 36)
    let policy =
      "default-src 'none'; script-src 'nonce-\(nonce)'; style-src 'nonce-\(nonce)'; connect-src 'self'; img-src data:; "
      + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return HTTPAnswer(
      contentType: .html, body: [ByteBuffer(string: text(nonce: nonce))],
      fields: [
        ("Content-Security-Policy", policy), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
      ])
  }

  static func text(nonce: String) -> String {
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Headroom</title></head><body></body></html>\n"
  }
}

import Serving

/// The page `/headroom`: self-contained; it asks this server for `/v2/headroom` and nobody else for anything.
enum LivePage {
  static func text() -> LivePageText {
    // Fresh for each answer: only the page's own script and style may run, whatever a model is called.
    var generator = SystemRandomNumberGenerator()
    let nonce = String(generator.next(), radix: 36) + String(generator.next(), radix: 36)
    let policy =
      "default-src 'none'; script-src 'nonce-\(nonce)'; style-src 'nonce-\(nonce)'; connect-src 'self'; img-src data:; "
      + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return LivePageText(html: text(nonce: nonce), contentSecurityPolicy: policy)
  }

  /// Nothing of the server's state stands in it: texts come with the answers and are set as text, so none can become markup.
  static func text(nonce: String) -> String {
    """
    <!doctype html>
    <html lang="en"><head><meta charset="utf-8">
    <meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" content="light dark">
    <title>Headroom: live</title><link rel="icon" href="data:,">
    <style nonce="\(nonce)">\(LivePageStyle.css)</style></head>
    <body>
    <header><h1>Headroom <span class="soft">live</span></h1><p id="about" class="soft">Asking the server.</p>
    <p id="banner" class="banner" role="note" hidden></p>
    <nav id="models" aria-label="Models"></nav></header>
    <noscript><p class="banner">This page needs JavaScript. The same answer as JSON: <a href="/v2/headroom">/v2/headroom</a></p></noscript>
    <main id="main" aria-busy="true">
    <section id="verdict" class="verdict" aria-live="polite"><h2>What limits now</h2><p id="sentence" class="lead">No answer yet.</p><div id="answer"></div>
    <details><summary>How that is known</summary><ul id="claims"></ul></details></section>
    <section id="others" class="cards" aria-label="Other models"></section>
    <section id="tiles" class="tiles" aria-label="Figures now"></section>
    <div class="pair">
    <section><h2>Requests</h2><div id="requests" class="chart"></div><p class="soft">Responses per second over all models shown. Failed requests are drawn hatched on top.</p></section>
    <section><h2>Latency</h2><div id="latency" class="chart"></div><p class="soft">From the first byte read to the answer written, in ms. What a client waits outside this server is not in it.</p></section>
    </div>
    <section id="model"><h2 id="modelName">Model</h2><p id="modelAbout" class="soft"></p>
    <h3>Where wall time went</h3><div id="waterfall" class="chart"></div><p class="soft">Time breakdown: the bars add up to 100 % of the window. Not an achievable speedup.</p>
    <div class="pair">
    <div><h3>Batch sizes</h3><div id="batches" class="chart"></div><p class="soft" id="batchText"></p></div>
    <div><h3>Dispatch reasons</h3><div id="dispatchReasons" class="scroll" tabindex="0" role="region" aria-label="Dispatch reasons"></div></div>
    </div>
    <h3>Pipeline stages</h3><div id="stages" class="scroll" tabindex="0" role="region" aria-label="Pipeline stages"></div><p class="soft">Service time per request, utilization and stage capacity.</p>
    <h3>Findings</h3><div id="findings"></div></section>
    <section><h2>Models</h2><div id="table" class="scroll" tabindex="0" role="region" aria-label="Models"></div></section>
    <section><h2>Notes</h2><ul id="notes" class="soft"></ul></section>
    </main>
    <footer class="soft"><p id="status" role="status"></p><p>Small letters behind figures: m measured, e estimated, s simulated. Point at a figure to read where it comes from.
    The same as JSON: <a id="json" href="/v2/headroom">/v2/headroom</a>, in ten lines: <a id="text" href="/v2/headroom?format=text">text</a>.</p></footer>
    <script nonce="\(nonce)">\(LivePageScript.text)</script></body></html>

    """
  }
}

/// Text for a page: what stands in it cannot become markup.
enum HTMLText {
  static func escaped(_ text: String) -> String {
    var result = ""
    result.reserveCapacity(text.utf8.count)
    for character in text.unicodeScalars {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      default:
        // Control characters are not allowed in a page at all.
        if character.value >= 32 || character == "\n" || character == "\t" { result.unicodeScalars.append(character) }
      }
    }
    return result
  }
}

extension HTMLText {
  /// A line of an answer: options are not broken at their hyphens, nor figures before their unit.
  static func line(_ text: String) -> String {
    text.replacing(" -> ", with: " \u{2192} ").replacing("<= ", with: "\u{2264}\u{A0}").replacing(" %", with: "\u{A0}%")
      .split(separator: " ", omittingEmptySubsequences: false)
      .map { $0.hasPrefix("--") ? "<span class=\"option\">\(escaped(String($0)))</span>" : escaped(String($0)) }.joined(separator: " ")
  }
}

/// The page's style: one column, light and dark, phone and paper. Colours are Okabe and Ito's (told apart by colour-blind readers), and every
/// part also has a label or a pattern of its own.
enum HTMLStyle {
  static let css = """
    :root{--ink:#1b1f24;--soft:#57606a;--paper:#fff;--line:#d8dee4;--panel:#f6f8fa;--accent:#0a5bb5;--warn:#8a4b00;--warnbg:#fff4e0;
    \(ChartPalette.light)}
    @media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa5b1;--paper:#0d1117;--line:#30363d;--panel:#161b22;--accent:#79b8ff;
    --warn:#ffb454;--warnbg:#2b2110;\(ChartPalette.dark)}}
    *{box-sizing:border-box}body{margin:0 auto;max-width:82rem;padding:1rem 1.25rem 4rem;color:var(--ink);background:var(--paper);
    font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
    h1{font-size:1.6rem;margin:.5rem 0 .25rem}h2{font-size:1.25rem;margin:2.5rem 0 .25rem;padding-top:.5rem;border-top:1px solid var(--line)}
    h3{font-size:1rem;margin:1.25rem 0 .25rem}p{margin:.25rem 0 .75rem}.lead{font-size:1.05rem}.soft{color:var(--soft)}
    .banner{border:2px solid var(--warn);background:var(--warnbg);color:var(--warn);padding:.6rem .8rem;border-radius:6px;font-weight:600}
    .tag{display:inline-block;border:1px solid var(--warn);color:var(--warn);border-radius:4px;padding:0 .35rem;font-size:.7rem;
    font-weight:700;letter-spacing:.04em;vertical-align:middle}
    nav{display:flex;flex-wrap:wrap;gap:.25rem .9rem;margin:.75rem 0;font-size:.9rem}a{color:var(--accent)}
    dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.75rem 0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
    .scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.92rem}
    td span[title]{white-space:nowrap}td.sub{padding-left:1.6rem!important;color:var(--soft)}th,td{padding:.28rem .6rem;text-align:right;border-bottom:1px solid var(--line);vertical-align:top}
    th:first-child,td:first-child{text-align:left;min-width:11rem}thead th{border-bottom:2px solid var(--line)}tbody tr:hover{background:var(--panel)}
    .kind{color:var(--soft);font-size:.72em;vertical-align:super;margin-left:.15em}
    .of-s .kind.s,.of-m .kind.m,.of-e .kind.e,.of-f .kind.f,.of-a .kind.a{display:none}
    details{margin:.4rem 0 .8rem;font-size:.9rem}summary{cursor:pointer;color:var(--accent)}
    ul{margin:.2rem 0 .8rem;padding-left:1.2rem}li{margin:.2rem 0}svg{display:block;max-width:100%;height:auto}svg text{fill:var(--ink);font-size:12px}
    svg .soft{fill:var(--soft)}figure{margin:1rem 0}figcaption{color:var(--soft);font-size:.9rem;margin-top:.3rem}
    .legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.85rem;margin:.3rem 0}.legend span{display:inline-flex;align-items:center;gap:.35rem}
    .verdict{background:var(--panel);border-left:4px solid var(--accent);padding:.5rem .8rem;margin:.6rem 0;border-radius:0 6px 6px 0}
    .verdict ul{margin-bottom:0}p,li{max-width:60rem}.card p{max-width:none}.banner{max-width:none}.option{white-space:nowrap}
    .row{display:grid;grid-template-columns:9rem 1fr;gap:.1rem .8rem;align-items:center;margin:.35rem 0}.row .name{font-size:.85rem;overflow-wrap:anywhere;line-height:1.3}
    .row .soft,.axis{color:var(--soft);font-size:.8rem}.axis{text-align:center}.strip{width:100%;max-width:none}
    .ticks{position:relative;height:1.1rem;font-size:.78rem;color:var(--soft)}.ticks span{position:absolute;transform:translateX(-50%);white-space:nowrap}
    .ticks .first{transform:none}.ticks .last{transform:translateX(-100%)}
    .cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:.75rem;margin:.6rem 0}
    .card{border:1px solid var(--line);border-left:4px solid var(--accent);border-radius:0 6px 6px 0;background:var(--panel);padding:.5rem .8rem;min-width:0}
    .card header{display:flex;flex-wrap:wrap;gap:0 .6rem;align-items:baseline}.card h2{margin:0;padding:0;border:0;font-size:1.1rem}
    .card .lead{font-weight:600;margin:.15rem 0 .35rem;font-size:1rem}.card .bar{width:100%;height:1.1rem;border-radius:3px}
    .card .legend{font-size:.78rem;gap:.05rem .7rem;margin:.2rem 0 .35rem}.card .legend .rest{display:none}.card .soft{font-size:.82rem}
    .lines{grid-template-columns:max-content 1fr;gap:.1rem .7rem;margin:.2rem 0;font-size:.86rem;line-height:1.35}
    .diff{margin:.35rem 0 0;padding:.35rem .5rem;border:1px solid var(--line);border-radius:4px;font-size:.8rem;overflow-x:auto;white-space:pre-wrap}
    .diff del{color:var(--soft);text-decoration:none}.diff ins{color:var(--ink);font-weight:600;text-decoration:none}
    @media(max-width:40rem){.row{grid-template-columns:1fr}.row .name:empty{display:none}svg.lines text{font-size:20px}body{padding:.75rem .75rem 3rem;font-size:15px}th,td{padding:.25rem .2rem}th:first-child,td:first-child{min-width:6.5rem}table{font-size:.84rem}
    dl{grid-template-columns:1fr}dt{margin-top:.35rem}h1{font-size:1.25rem;margin:.2rem 0}.banner{padding:.3rem .5rem;font-size:.85rem}
    .lead{font-size:.95rem}.question{display:none}.card{padding:.3rem .6rem}.card .lead{line-height:1.3}.cards{grid-template-columns:1fr}.cards.several{display:flex;overflow-x:auto;scroll-snap-type:x mandatory;align-items:stretch}
    .cards.several .card{flex:0 0 94%;box-sizing:border-box;scroll-snap-align:start;padding:.25rem .5rem}.several .lines{font-size:.81rem;line-height:1.28}
    .card .legend{line-height:1.25}.card .legend .more{display:none}.card .legend .rest{display:inline-flex}
    .lines{grid-template-columns:max-content 1fr}.lines dt{margin-top:0}}
    @media print{body{max-width:none;font-size:11px}nav,summary{display:none}details>*{display:block}h2{break-after:avoid}figure,table{break-inside:avoid}
    .scroll{overflow:visible}:root{--ink:#000;--paper:#fff;--soft:#444}}
    """
}

import Reporting

/// The page's style. Colours are those of the reports; every part also has a label or a pattern of its own.
enum LivePageStyle {
  static let css = """
    :root{--ink:#1b1f24;--soft:#57606a;--paper:#fff;--line:#d8dee4;--panel:#f6f8fa;--accent:#0a5bb5;--warn:#8a4b00;--warnbg:#fff4e0;
    \(ChartPalette.light)}
    @media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa5b1;--paper:#0d1117;--line:#30363d;--panel:#161b22;--accent:#79b8ff;
    --warn:#ffb454;--warnbg:#2b2110;\(ChartPalette.dark)}}
    *{box-sizing:border-box}body{margin:0 auto;max-width:70rem;padding:1rem 1.25rem 3rem;color:var(--ink);background:var(--paper);
    font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
    h1{font-size:1.5rem;margin:.25rem 0}h2{font-size:1.15rem;margin:1.5rem 0 .25rem}h3{font-size:1rem;margin:1.25rem 0 .25rem}p{margin:.25rem 0 .6rem}
    .soft{color:var(--soft);font-size:.9rem}h1 .soft{font-size:1rem;font-weight:400}.lead{font-size:1.2rem;font-weight:600;margin:.1rem 0 .3rem}
    a{color:var(--accent)}.banner{border:2px solid var(--warn);background:var(--warnbg);color:var(--warn);padding:.6rem .8rem;border-radius:6px;font-weight:600}
    nav{display:flex;flex-wrap:wrap;gap:.35rem .6rem;margin:.5rem 0;font-size:.9rem}nav a{border:1px solid var(--line);border-radius:1rem;padding:.1rem .7rem;
    text-decoration:none;overflow-wrap:anywhere}nav a[aria-current]{background:var(--panel);border-color:var(--accent);font-weight:600}
    .verdict{background:var(--panel);border-left:4px solid var(--accent);padding:.6rem .9rem;margin:.6rem 0;border-radius:0 6px 6px 0}
    .verdict h2{margin:0;font-size:.85rem;color:var(--soft);font-weight:600}.verdict ul{margin:.2rem 0;padding-left:1.1rem}.verdict .legend{padding:0}#sentence{overflow-wrap:anywhere}
    .tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:.6rem;margin:1rem 0}
    .tile{border:1px solid var(--line);border-radius:6px;padding:.45rem .7rem}.tile b{display:block;font-size:1.25rem;font-variant-numeric:tabular-nums}
    .tile span{color:var(--soft);font-size:.85rem}.pair{display:grid;grid-template-columns:1fr 1fr;gap:0 2rem}
    .chart{width:100%}svg{display:block;width:100%}svg text{fill:var(--ink);font-size:12px}svg .t{fill:var(--soft)}svg .g{stroke:var(--line)}
    .f0{fill:var(--s0)}.f1{fill:var(--s1)}.f2{fill:var(--s2)}.f3{fill:var(--s3)}.f4{fill:var(--s4)}.f5{fill:var(--s5)}.f6{fill:var(--s6)}.f7{fill:var(--s7)}.f8{fill:var(--s8)}.fl{fill:var(--line)}
    .l0,.l5{fill:none;stroke-width:2}.l0{stroke:var(--s0)}.l5{stroke:var(--s5);stroke-dasharray:5 3}.hatch{stroke:var(--paper);stroke-width:2}
    .legend{display:flex;flex-wrap:wrap;gap:.15rem 1rem;font-size:.85rem;margin:.3rem 0;padding:0;list-style:none}.legend li{display:inline-flex;align-items:center;gap:.35rem}
    .legend .rest{display:none}.legend svg{width:1.4rem;flex:none}.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.92rem}
    th,td{padding:.28rem .6rem;text-align:right;border-bottom:1px solid var(--line);vertical-align:top}th:first-child,td:first-child{text-align:left;padding-left:0}
    thead th{border-bottom:2px solid var(--line);font-size:.85rem}td:first-child{overflow-wrap:anywhere;min-width:6rem}td span[title]{white-space:nowrap}th.left,td.left{text-align:left}td.left{min-width:10rem}
    .meter{display:inline-block;width:5rem;height:.7rem;margin-right:.4rem;vertical-align:baseline}.kind{color:var(--soft);font-size:.72em;vertical-align:super;margin-left:.12em}
    .finding{border:1px solid var(--line);border-radius:6px;padding:.5rem .8rem;margin:.5rem 0}.finding h4{margin:0 0 .2rem;font-size:1rem}.finding ul{margin:.2rem 0;padding-left:1.2rem}
    details{margin:.5rem 0;font-size:.92rem}summary{cursor:pointer;color:var(--accent)}code{font-size:.92em;overflow-wrap:anywhere}
    .stale main{opacity:.55}.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:0 .8rem}.cards .lead{font-size:1rem}
    .lines{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .8rem;margin:.3rem 0;font-size:.92rem}.lines dt{color:var(--soft)}.lines dd{margin:0;overflow-wrap:anywhere}
    pre{margin:.3rem 0;font-size:.85rem;white-space:pre-wrap;border:1px solid var(--line);border-radius:4px;padding:.3rem .5rem}
    @media(max-width:44rem){body{padding:.75rem .75rem 2rem;font-size:15px}.pair{grid-template-columns:1fr}.meter{display:none}th,td{padding:.25rem .3rem}
    .tiles{grid-template-columns:1fr 1fr}.tile b{font-size:1.1rem}h1{font-size:1.25rem;margin:.1rem 0}.banner{padding:.3rem .5rem;font-size:.85rem;margin:.3rem 0}
    .verdict{padding:.4rem .7rem}#verdict h2{display:none}.lead{font-size:1.05rem;line-height:1.3}nav{margin:.2rem 0}
    .lines{font-size:.86rem;line-height:1.35;gap:.1rem .7rem}.verdict .legend{font-size:.78rem;line-height:1.25;gap:.05rem .7rem}.verdict .legend .more{display:none}.verdict .legend .rest{display:inline-flex}}
    """
}

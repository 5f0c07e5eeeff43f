import Diagnosis
import Reporting
import Vocabulary

/// The page's script: asks each second while the page is seen, draws what comes. Texts are set as text, never as markup.
enum LivePageScript {
  /// Members of a JavaScript object: texts by what the answer calls the reasons. Both are of letters, blanks and apostrophes.
  private static let reasons = DispatchReason.allCases.map { "\($0.rawValue): \"\($0.text)\"" }.joined(separator: ", ")

  /// A category keeps the colour that reports give it; kernels of unknown use are drawn as those below the roofline.
  private static let barStyles =
    (Waterfall.Step.allCases.map { "\($0.rawValue): \"f\($0.style)\"" } + ["gpuBusy: \"f\(Waterfall.Step.belowRoof.style)\""])
    .joined(separator: ", ")

  static let text = #"""
    "use strict";
    const $ = id => document.getElementById(id);
    const SVG = "http://www.w3.org/2000/svg";
    const filter = new URLSearchParams(location.search).get("model");
    const past = [];
    let last = null, lastTime = 0, timer = 0, busy = false;

    function el(name, attributes, ...children) {
      const node = document.createElement(name);
      for (const key in attributes) node.setAttribute(key, attributes[key]);
      node.append(...children.filter(child => child !== null && child !== undefined));
      return node;
    }
    function svg(name, attributes, ...children) {
      const node = document.createElementNS(SVG, name);
      for (const key in attributes) node.setAttribute(key, attributes[key]);
      node.append(...children);
      return node;
    }
    // Text with `commands` in backquotes.
    function withCommands(text) {
      const part = document.createDocumentFragment();
      text.split("`").forEach((piece, index) => part.append(index % 2 ? el("code", {}, piece) : piece));
      return part;
    }

    function digits(value) {
      const size = Math.abs(value);
      if (size >= 100 || (value === Math.round(value) && size < 1e6)) return Math.round(value).toLocaleString("en-US");
      if (size === 0) return "0";
      return value.toLocaleString("en-US", {maximumSignificantDigits: 3});
    }
    const units = {share: "%", milliseconds: "ms", microseconds: "us", seconds: "s", count: "", ratio: ""};
    function number(figure) {
      if (!figure || figure.value === null) return "unknown";
      if (figure.unit === "share") {
        const percent = figure.value * 100;
        return (percent > 99 && percent < 99.95 || percent > 0 && percent < 9.95 ? percent.toFixed(1) : percent.toFixed(0)) + " %";
      }
      const unit = figure.unit in units ? units[figure.unit] : figure.unit;
      return digits(figure.value) + (unit ? " " + unit : "");
    }
    // A number stays with its unit.
    const together = text => text.replace(/(\d) (%|us|ms|s|requests\/s|rows)(?![a-z])/g, "$1\u00a0$2");
    // What is of the kind that the page's first line names carries no letter of it.
    const letter = figure => last && figure.kind === last.mode ? null : el("span", {class: "kind"}, figure.kind[0]);
    function shown(figure) {
      if (!figure) return el("span", {class: "soft"}, "unknown");
      return el("span", {title: figure.kind + ": " + figure.source}, number(figure), letter(figure));
    }

    // A canvas of SVG as wide as its place, so that letters keep their size on a phone.
    function canvas(place, height, label) {
      const width = Math.max(240, Math.floor(place.clientWidth || 600));
      const image = svg("svg", {viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label});
      image.append(svg("defs", {}, ...[0, 1, 2, 3, 4, 5, 6, 7].map(style =>
        svg("pattern", {id: place.id + "h" + style, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)"},
          svg("rect", {width: 6, height: 6, class: "f" + style}), svg("line", {x1: 0, y1: 0, x2: 0, y2: 6, class: "hatch"})))));
      return {image, width};
    }
    const round = value => Math.round(value * 100) / 100;
    function nice(value) {
      if (!(value > 0)) return 1;
      const power = Math.pow(10, Math.floor(Math.log10(value)));
      return [1, 2, 5, 10].map(step => step * power).find(step => step >= value * 0.9999);
    }
    function axes(image, left, width, top, height, most, unit) {
      for (const share of [0, 0.5, 1]) {
        const y = round(top + height * (1 - share));
        image.append(svg("line", {class: "g", x1: left, x2: width, y1: y, y2: y}),
          svg("text", {class: "t", x: left - 6, y: y + 4, "text-anchor": "end"}, digits(most * share) + (share === 1 && unit ? " " + unit : "")));
      }
    }
    function times(image, left, width, y, seconds) {
      image.append(svg("text", {class: "t", x: left, y}, seconds + " s ago"), svg("text", {class: "t", x: width, y, "text-anchor": "end"}, "now"));
    }

    const horizon = 60;
    function remember(answer) {
      const now = Date.now() / 1000;
      const points = answer.slices.filter(slice => slice.seconds > 0).map(slice => ({
        end: now - slice.endSecondsAgo, seconds: slice.seconds, answered: slice.answeredRequests / slice.seconds,
        failed: slice.failedRequests / slice.seconds, median: slice.medianLatencyMilliseconds, p99: slice.p99LatencyMilliseconds}));
      if (!points.length) return now;
      // What is new replaces what was known of the same time.
      const start = points[0].end - points[0].seconds;
      while (past.length && past[past.length - 1].end > start + 0.001) past.pop();
      past.push(...points);
      while (past.length && past[0].end < now - horizon) past.shift();
      return now;
    }

    function drawRequests(now, total) {
      const place = $("requests"), height = 150, left = 62, top = 10, bottom = 22;
      const {image, width} = canvas(place, height, "Requests per second over the last minute; now " + number(total));
      const most = nice(Math.max(0, ...past.map(point => point.answered + point.failed)));
      const inner = height - top - bottom, from = now - horizon;
      axes(image, left, width, top, inner, most, "/s");
      for (const point of past) {
        const x = Math.max(left, left + (point.end - point.seconds - from) / horizon * (width - left));
        const w = Math.max(1, left + (point.end - from) / horizon * (width - left) - x - 0.5);
        const h = point.answered / most * inner, f = point.failed / most * inner;
        const title = svg("title", {}, `${digits(point.answered)} answered/s, ${digits(point.failed)} failed/s`);
        image.append(svg("rect", {class: "f0", x: round(x), y: round(top + inner - h), width: round(w), height: round(h)}, title));
        if (f > 0) image.append(svg("rect", {fill: "url(#requestsh5)", x: round(x), y: round(top + inner - h - f), width: round(w), height: round(f)}));
      }
      times(image, left, width, height - 4, horizon);
      place.replaceChildren(image, legend([["f0", "answered/s"], ["url(#requestsh5)", "failed/s"]]));
    }

    function drawLatency(now, figures) {
      const place = $("latency"), height = 150, left = 62, top = 10, bottom = 22;
      const label = figures ? `Latency over the last minute: median ${number(figures.medianLatencyMilliseconds)}, p99 ${number(figures.p99LatencyMilliseconds)}` : "Latency over the last minute";
      const {image, width} = canvas(place, height, label);
      const most = nice(Math.max(0, ...past.map(point => point.p99 || 0)));
      const inner = height - top - bottom, from = now - horizon;
      axes(image, left, width, top, inner, most, "ms");
      for (const [key, style] of [["median", "l0"], ["p99", "l5"]]) {
        let path = "", pen = false;
        for (const point of past) {
          if (point[key] === null) { pen = false; continue; }
          const x = Math.max(left, left + (point.end - point.seconds / 2 - from) / horizon * (width - left));
          path += `${pen ? "L" : "M"}${round(x)} ${round(top + inner * (1 - Math.min(1, point[key] / most)))}`;
          if (!pen) path += "h1";
          pen = true;
        }
        if (path) image.append(svg("path", {class: style, d: path}));
      }
      times(image, left, width, height - 4, horizon);
      const line = style => svg("svg", {height: 12, viewBox: "0 0 22 12", "aria-hidden": "true"}, svg("path", {class: style, d: "M0 6h22"}));
      place.replaceChildren(image, el("ul", {class: "legend"}, el("li", {}, line("l0"), "median (solid)"), el("li", {}, line("l5"), "p99 (dashed)")));
    }

    function swatch(style, opacity) {
      const fill = {...(style.startsWith("url") ? {fill: style} : {class: style}), ...(opacity ? {"fill-opacity": opacity} : {})};
      return svg("svg", {height: 12, viewBox: "0 0 22 12", "aria-hidden": "true"}, svg("rect", {...fill, width: 22, height: 12}));
    }
    function legend(items) { return el("ul", {class: "legend"}, ...items.map(([style, text, opacity]) => el("li", {}, swatch(style, opacity), text))); }

    // The largest share that is a loss: drawn strongest.
    function largestLoss(bars) { return bars.filter(bar => bar.step !== "gpuBusy").reduce((a, b) => a && a.ofWall.value >= b.ofWall.value ? a : b, null); }
    // "mostly idle: no requests 92 %, busy: kernels ran 8 %".
    function finding(bars) {
      return [...bars].sort((a, b) => b.ofWall.value - a.ofWall.value).map((bar, index) => (index === 0 && bar.ofWall.value > 0.5 ? "mostly " : "") + bar.text + " " + number(bar.ofWall)).join(", ");
    }
    const barStyles = {\#(barStyles)}, pale = \#(ChartPalette.paleOpacity);
    function drawWaterfall(bars) {
      const place = $("waterfall");
      if (!bars.length) { place.replaceChildren(el("p", {}, "No batch ran in the window.")); return; }
      const row = 24, height = bars.length * row + 8, wide = place.clientWidth > 560, left = wide ? 270 : 0, step = wide ? row : row + 16;
      const {image, width} = canvas(place, wide ? height : bars.length * step + 8, "Where wall time went: " + finding(bars));
      const strongest = largestLoss(bars);
      const room = width - left - 60;
      let x = left;
      bars.forEach((bar, index) => {
        const w = Math.max(0, Math.min(1, bar.ofWall.value)) * room, y = index * step + 4 + (wide ? 0 : 14);
        const style = barStyles[bar.step] || "f2", fill = style.startsWith("url") ? {fill: style} : {class: style};
        image.append(svg("text", wide ? {x: 0, y: y + 13} : {x: 0, y: y - 3}, bar.text),
          svg("rect", {...fill, ...(bar === strongest ? {} : {"fill-opacity": pale}), x: round(x), y, width: round(Math.max(w, 0.75)), height: 16}, svg("title", {}, bar.explanation)),
          svg("text", {x: round(Math.min(x + w + 6, width - 44)), y: y + 13}, number(bar.ofWall)));
        x += w;
      });
      const words = el("details", {}, el("summary", {}, "What the bars mean"), el("ul", {}, ...bars.map(bar => el("li", {}, el("b", {}, bar.text), ": " + bar.explanation))));
      const old = place.querySelector("details");
      if (old && old.open) words.open = true;
      place.replaceChildren(image, words);
    }

    function drawBatches(model) {
      const place = $("batches"), bins = model.batchSizes;
      if (!bins.length) { place.replaceChildren(el("p", {}, "No batch ran in the window.")); $("batchText").textContent = ""; return; }
      const height = 150, left = 50, top = 10, bottom = 22;
      const {image, width} = canvas(place, height, `Batches by rows: ${number(model.figures.rowsPerBatch)} rows on average, ${model.maximumBatchRows} at most`);
      const low = Math.min(1, bins[0].fromRows), high = Math.max(model.maximumBatchRows, bins[bins.length - 1].toRows, low + 1);
      const most = nice(Math.max(...bins.map(bin => bin.batches))), inner = height - top - bottom;
      const at = rows => left + (rows - low) / (high - low + 1) * (width - left);
      axes(image, left, width, top, inner, most, "");
      image.append(svg("text", {class: "t", x: left + 4, y: top + 10}, "batches"));
      for (const bin of bins) {
        const h = bin.batches / most * inner, rows = bin.fromRows === bin.toRows ? bin.fromRows : `${bin.fromRows} to ${bin.toRows}`;
        image.append(svg("rect", {class: "f2", x: round(at(bin.fromRows)), y: round(top + inner - h), width: round(Math.max(2, at(bin.toRows + 1) - at(bin.fromRows) - 1)), height: round(h)},
          svg("title", {}, `${rows} rows: ${bin.batches} batches`)));
      }
      image.append(svg("text", {class: "t", x: left, y: height - 4}, low + (low === 1 ? " row" : " rows")),
        svg("text", {class: "t", x: width, y: height - 4, "text-anchor": "end"}, high + " rows"));
      place.replaceChildren(image);
      $("batchText").textContent = `Batches by rows: ${number(model.figures.batches)} batches of ${number(model.figures.rowsPerBatch)} and ${number(model.figures.requestsPerBatch)} requests on average; max_batch_size is ${model.maximumBatchRows}.`;
    }

    const reasons = {\#(reasons)};
    function table(head, rows, left) {
      const side = index => index === left ? {class: "left"} : {};
      return el("table", {}, el("thead", {}, el("tr", {}, ...head.map((text, index) => el("th", {scope: "col", ...side(index)}, text)))),
        el("tbody", {}, ...rows.map(cells => el("tr", {}, ...cells.map((cell, index) =>
          el("td", {...side(index), ...(cells.length < head.length && index === cells.length - 1 ? {colspan: head.length - index, class: "left"} : {})}, cell))))));
    }
    function drawDepartures(model) {
      const entries = Object.entries(model.dispatchReasons), total = entries.reduce((sum, entry) => sum + entry[1], 0);
      if (!total) { $("dispatchReasons").replaceChildren(el("p", {}, "No batch was dispatched in the window.")); return; }
      entries.sort((a, b) => b[1] - a[1]);
      $("dispatchReasons").replaceChildren(table(["reason", "batches", "share"], entries.map(([reason, count]) =>
        [reasons[reason] || reason, digits(count), number({value: count / total, unit: "share"})])));
    }

    function drawStages(model) {
      if (!model.stages.length) { $("stages").replaceChildren(el("p", {}, "No batch ran in the window.")); return; }
      const bare = figure => figure ? el("span", {title: figure.kind + ": " + figure.source}, digits(figure.value), letter(figure)) : shown(null);
      $("stages").replaceChildren(table(["stage", "utilization", "service time per request (ms)", "stage capacity (requests/s)"], model.stages.map(stage => {
        if (stage.unknownBecause) return [stage.text, el("span", {class: "soft"}, "unknown: " + stage.unknownBecause)];
        const share = stage.utilization ? Math.min(1, stage.utilization.value) : 0;
        const meter = svg("svg", {class: "meter", viewBox: "0 0 80 11", preserveAspectRatio: "none", "aria-hidden": "true"},
          svg("rect", {class: "fl", width: 80, height: 11}), svg("rect", {class: share >= 0.9 ? "f5" : "f0", width: round(80 * share), height: 11}));
        const cell = document.createDocumentFragment();
        if (stage.utilization) cell.append(meter);
        cell.append(shown(stage.utilization));
        return [stage.text, cell, bare(stage.serviceTime), bare(stage.capacity)];
      })));
    }

    function drawFindings(model) {
      const open = new Set([...$("findings").querySelectorAll("details[open]")].map(node => node.id));
      const nodes = model.findings.map(finding => el("article", {class: "finding"}, el("h4", {}, `${finding.code} ${finding.name} (${finding.confidence})`),
        el("ul", {}, ...finding.seen.map(text => el("li", {}, withCommands(text)))), el("p", {class: "soft"}, finding.why),
        finding.fixes.length ? el("p", {}, "What would help: ", finding.fixes.map(fix => fix.title).join("; "), ".") : null,
        finding.toConfirm ? el("p", {class: "soft"}, "To confirm: ", withCommands(finding.toConfirm), ".") : null));
      if (!nodes.length) nodes.push(el("p", {}, model.regime ? "None of the findings that can be told from here holds." : "Nothing ran, so nothing was found."));
      if (model.undecided.length) {
        const more = el("details", {id: "undecided"}, el("summary", {}, `${model.undecided.length} that cannot be told from here`),
          el("ul", {}, ...model.undecided.map(item => el("li", {}, `${item.code} ${item.name}. To confirm: `, withCommands(item.toConfirm)))));
        more.open = open.has("undecided");
        nodes.push(more);
      }
      $("findings").replaceChildren(...nodes);
    }

    // The ten lines of a model, less the first, as a list; where its wall time went, as one bar; the first change as a diff.
    function card(entry, model) {
      const said = entry.answer, rows = [["Headroom", entry.headroom.text, entry.headroom.maximumRequestsPerSecond ? entry.headroom.maximumRequestsPerSecond.kind : "unknown"], ["Now", said.now, ""]];
      if (said.batches) rows.push(["Batches", said.batches, ""]);
      said.changes.forEach((change, index) => rows.push([`${index + 1} ${change.effect}`, change.setting + (change.gain ? (change.gain.startsWith("is enough") ? " " : ": ") + change.gain : "") + (change.costs.length ? "; costs " + change.costs.join(", ") : ""), change.kind]));
      if (said.noEffect.length) rows.push(["No effect", said.noEffect.join(", "), ""]);
      rows.push(["Confirm", said.confirm, ""]);
      const part = document.createDocumentFragment(), bars = (model ? model.waterfall : []).filter(bar => bar.ofWall.value > 0);
      if (bars.length) {
        const image = svg("svg", {viewBox: "0 0 1000 20", height: 20, preserveAspectRatio: "none", role: "img", "aria-label": "Where wall time went: " + finding(bars)});
        const strongest = largestLoss(bars);
        let x = 0;
        for (const bar of bars) {
          const width = Math.min(1, bar.ofWall.value) * 1000, style = barStyles[bar.step] || "f2";
          image.append(svg("rect", {class: style, ...(bar === strongest ? {} : {"fill-opacity": pale}), x: round(x), y: 0, width: round(width), height: 20}, svg("title", {}, `${bar.text}: ${number(bar.ofWall)}`)));
          x += width;
        }
        // Everything that is drawn is named; a phone has room for the largest, and sums up the others.
        const ordered = [...bars].sort((left, right) => right.ofWall.value - left.ofWall.value), named = ordered.length > 4 ? 3 : ordered.length;
        const names = legend(ordered.map(bar => {
          const style = barStyles[bar.step] || "f2";
          const share = bar.ofWall.value < 0.0005 ? "under 0.1 %" : number(bar.ofWall);
          return [style.startsWith("url") ? "f6" : style, share + " " + bar.text, bar === strongest ? null : pale];
        }));
        [...names.children].slice(named).forEach(item => item.classList.add("more"));
        if (named < ordered.length) {
          const rest = ordered.slice(named).reduce((sum, bar) => sum + bar.ofWall.value, 0);
          names.append(el("li", {class: "rest"}, `${number({value: rest, unit: "share"})} other (${ordered.length - named})`));
        }
        part.append(image, names);
      }
      part.append(el("dl", {class: "lines"}, ...rows.flatMap(([name, text, kind]) => [el("dt", {}, name), el("dd", {}, together(text), kind ? el("span", {class: "soft"}, ` [${kind}]`) : null)])));
      const diff = said.changes.length ? said.changes[0].configurationDiff : [];
      if (diff.length) part.append(el("pre", {"aria-label": "First change, as lines of config.pbtxt"}, diff.join("\n")));
      return part;
    }
    function drawAnswers(answer) {
      const model = name => answer.models.find(entry => entry.name === name);
      const first = answer.answers.find(entry => entry.model === answer.busiestModel) || answer.answers[0];
      if (first) $("sentence").textContent = (answer.models.length > 1 ? first.model + ": " : "") + first.answer.bottleneck;
      $("answer").replaceChildren(first ? card(first, model(first.model)) : "");
      $("others").replaceChildren(...answer.answers.filter(entry => entry !== first && model(entry.model) && model(entry.model).regime).slice(0, 8).map(entry =>
        el("article", {class: "verdict"}, el("h2", {}, entry.model), el("p", {class: "lead"}, entry.answer.bottleneck), card(entry, model(entry.model)))));
    }

    function drawVerdict(answer) {
      const regime = answer.regime, several = answer.models.length > 1;
      $("sentence").textContent = answer.summary;
      const lines = [];
      if (regime) {
        const side = {upstream: "before this model's queue", device: "in this server, behind the queue", both: "on both sides of the queue"}[regime.side] || "unknown";
        lines.push(el("li", {}, `Side: ${side} (${regime.sideConfidence}).`));
        for (const claim of regime.claims) {
          const weight = claim.weight ? `, utilization ${number(claim.weight)}` : "";
          lines.push(el("li", {}, `${claim.regime}: ${claim.confidence}${claim.stage ? weight : ""}.`));
        }
        if (regime.toConfirm) lines.push(el("li", {}, "To confirm: ", withCommands(regime.toConfirm), "."));
        if (several) lines.push(el("li", {class: "soft"}, "Said of the model whose instances were busiest; every model has its own below."));
      }
      $("claims").replaceChildren(...lines);
    }

    function tile(label, figure, note) {
      return el("div", {class: "tile", title: figure ? figure.kind + ": " + figure.source : ""}, el("b", {}, number(figure)), el("span", {}, label + (note ? " " + note : "")));
    }

    function draw(answer, now) {
      const model = answer.models.find(entry => entry.name === answer.busiestModel) || answer.models[0];
      const window = answer.windowSeconds >= 9.95 ? "10" : answer.windowSeconds.toFixed(1);
      $("about").textContent = `The last ${window} s of this server (headroom ${answer.headroom}), ${answer.mode}.`;
      document.title = (answer.mode === "simulated" ? "SIMULATED. " : "") + "Headroom: " + answer.summary;
      $("banner").hidden = answer.mode !== "simulated";
      $("banner").textContent = "SIMULATED: kernels take the time that a model of the GPU predicts, and outputs are zeros. Only the host's path is real.";
      $("main").setAttribute("aria-busy", "false");
      drawVerdict(answer);
      drawAnswers(answer);
      const figures = model ? model.figures : null, front = answer.frontEnd;
      $("tiles").replaceChildren(tile("answered, all models shown", answer.requestsPerSecond), tile("rows, all models shown", answer.rowsPerSecond),
        tile("median latency", figures && figures.medianLatencyMilliseconds), tile("p99 latency", figures && figures.p99LatencyMilliseconds),
        tile("requests queued now", answer.queuedRequests), tile("instances busy", figures && figures.instanceBusyShare),
        tile("event loops busy", front && front.busyShare, front ? "" : "(not sampled twice yet)"),
        tile(front ? `cores used of ${front.processCoresAvailable}` : "cores used", front && front.processCoresUsed));
      drawRequests(now, answer.requestsPerSecond);
      drawLatency(now, figures);
      $("model").hidden = !model;
      if (model) {
        $("modelName").textContent = `${model.name}, version ${model.version}`;
        $("modelAbout").textContent = `${model.regime ? model.regime.sentence + ". " : ""}${model.device.hardware}${model.mode === "simulated" ? " SIMULATED" : ""}; ${model.instances} instance${model.instances === 1 ? "" : "s"}. ${model.notes.map(note => note[0].toUpperCase() + note.slice(1) + ".").join(" ")}`;
        drawWaterfall(model.waterfall); drawBatches(model); drawDepartures(model); drawStages(model); drawFindings(model);
      }
      $("table").replaceChildren(answer.models.length ? table(["model", "what limits", "responses/s", "rows per batch", "p99", "instances busy", "queued"], answer.models.map(entry => [
        el("a", {href: "?model=" + encodeURIComponent(entry.name)}, entry.name + (entry.mode === "simulated" ? " (SIMULATED)" : "")),
        entry.regime ? entry.regime.sentence : entry.notes[0] || "", shown(entry.figures.requestsPerSecond), shown(entry.figures.rowsPerBatch),
        shown(entry.figures.p99LatencyMilliseconds), shown(entry.figures.instanceBusyShare), shown(entry.figures.queuedRequests)]), 1) : el("p", {}, "No model is loaded."));
      $("notes").replaceChildren(...answer.notes.map(note => el("li", {}, note[0].toUpperCase() + note.slice(1) + ".")));
      const links = [el("a", filter ? {href: "/headroom"} : {href: "/headroom", "aria-current": "page"}, "all models")];
      if (filter) links.push(el("a", {href: location.search, "aria-current": "page"}, filter));
      $("models").replaceChildren(...links);
      document.body.classList.remove("stale");
      $("status").textContent = "Updated " + new Date().toLocaleTimeString() + ".";
    }

    const query = "/v2/headroom" + (filter ? "?model=" + encodeURIComponent(filter) : "");
    async function ask() {
      if (busy) return;
      busy = true;
      try {
        const response = await fetch(query, {cache: "no-store"}), answer = await response.json();
        if (!response.ok) throw new Error(answer.error || "status " + response.status);
        last = answer;
        lastTime = remember(answer);
        draw(answer, lastTime);
      } catch (problem) {
        document.body.classList.add("stale");
        $("status").textContent = "No answer: " + problem.message + ". Trying again.";
        if (!last) $("about").textContent = $("status").textContent;
      }
      busy = false;
      plan();
    }
    // Asked only while somebody looks.
    function plan() { clearTimeout(timer); if (!document.hidden) timer = setTimeout(ask, 1000); }
    document.addEventListener("visibilitychange", () => document.hidden ? clearTimeout(timer) : ask());
    addEventListener("resize", () => last && draw(last, lastTime));
    $("json").setAttribute("href", query);
    $("text").setAttribute("href", query + (filter ? "&" : "?") + "format=text");
    ask();
    """#
}

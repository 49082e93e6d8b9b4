// A machine to walk about in: pan, zoom, search, expand, follow arcs; mouse, touch or keyboard.
function renderGraph(host, root) {
  let scene = host.get("scene");
  let chosen = null; // key of the chosen state
  let focusKey = null; // key of the node that the Tab key reaches
  let trail = []; // arcs followed: {source, row}
  let view = { x: 0, y: 0, k: 1 };
  let moved = false; // by the user; until then every scene is made to fit
  const nodes = new Map();
  let edges = [];

  const status = make("div", { class: "status", role: "status", "aria-live": "polite" });
  const tip = make("div", { class: "tip", hidden: true });
  const search = make("input", {
    type: "search", placeholder: host.live ? "symbol, state or words" : "symbol or state",
    "aria-label": "Search for a symbol or the number of a state", autocomplete: "off",
    spellcheck: "false", onkeydown: (event) => {
      event.stopPropagation();
      if (event.key === "Enter") find();
      if (event.key === "Escape") { search.value = ""; emptied(found); }
    },
  });
  const found = make("div", { class: "found", role: "group", "aria-label": "Found" });
  const button = (label, title, action) =>
    make("button", { type: "button", title, "aria-label": title, onclick: action }, label);
  const bar = make("div", { class: "bar", role: "toolbar", "aria-label": "Tools" },
    search, button("Find", "Find symbols that contain the text", find),
    host.live ? button("Follow", "Mark the cheapest path that carries just these words or phones",
      () => host.ask({ ask: "follow", text: search.value })) : null,
    button("+", "Zoom in", () => zoom(1.3)), button("−", "Zoom out", () => zoom(1 / 1.3)),
    button("Fit", "Show everything in view", () => { moved = false; fit(); }),
    host.live ? button("Start over", "Show the first states again", () => {
      trail = []; moved = false; host.ask({ ask: "reset" });
    }) : null);
  const edgeLayer = make("g", { class: "edges", "aria-hidden": "true" });
  const nodeLayer = make("g", { class: "nodes" });
  const plane = make("g", {}, edgeLayer, nodeLayer);
  const arrow = (id, colour) => make("marker", {
    id, viewBox: "0 0 8 8", refX: 7.2, refY: 4, markerWidth: 8, markerHeight: 8,
    orient: "auto-start-reverse", markerUnits: "userSpaceOnUse",
  }, make("path", { d: "M0 0.8 L8 4 L0 7.2 Z", style: `fill: var(${colour}); stroke: none` }));
  const prefix = "wfst" + Math.random().toString(36).slice(2, 9);
  const svg = make("svg", { role: "group", tabindex: "-1" },
    make("defs", {}, arrow(prefix + "-ink", "--ink"), arrow(prefix + "-grey", "--grey"),
      arrow(prefix + "-blue", "--blue"), arrow(prefix + "-orange", "--orange")), plane);
  const stage = make("div", { class: "stage" }, svg, tip);
  const details = make("div", { class: "details", role: "region", "aria-label": "Chosen state" });
  const box = make("div", { class: "wfst graph" }, bar, found,
    make("div", { class: "columns" }, stage, details), status);
  root.append(box);

  function say(text, wrong = false) {
    status.textContent = text;
    status.classList.toggle("wrong", wrong);
  }

  function summary() {
    const shown = scene.nodes.filter((node) => !node.stub).length;
    const left = scene.n_states - shown;
    const part = left > 0
      ? `${shown} of ${scene.n_states.toLocaleString("en")} states in view, ` +
        `${left.toLocaleString("en")} left out`
      : `all ${shown} states in view`;
    return `${scene.kind}: ${part}.`;
  }

  // ---- drawing

  function draw(fresh = new Set()) {
    svg.setAttribute("aria-label", summary() +
      " Arrow keys move from state to state, Enter expands, Delete hides.");
    emptied(edgeLayer);
    edges = scene.edges.map((edge) => {
      const colour = edge.marked ? "orange" : edge.kind === "loop" ? "blue"
        : edge.kind === "epsilon" ? "grey" : "ink";
      const group = make("g", { class: `edge ${edge.kind}${edge.marked ? " marked" : ""}` },
        make("path", { class: "wide", d: edge.path }),
        make("path", {
          d: edge.path, "marker-end": edge.kind === "stub" ? null : `url(#${prefix}-${colour})`,
        }));
      edge.lines.forEach((line, i) => group.append(make("text", {
        x: edge.x, y: edge.y + 4 + 13 * (i - (edge.lines.length - 1) / 2),
      }, line)));
      if (edge.hint) {
        group.addEventListener("pointermove", (event) => showTip(edge.hint, event));
        group.addEventListener("pointerleave", hideTip);
      }
      edgeLayer.append(group);
      return { edge, group };
    });
    const keys = new Set(scene.nodes.map((node) => node.key));
    for (const [key, entry] of nodes) {
      if (!keys.has(key)) { entry.group.remove(); nodes.delete(key); }
    }
    for (const node of scene.nodes) drawNode(node, fresh.has(node.key));
    // In the order of the scene, so that a screen reader walks from the start on.
    for (const node of scene.nodes) nodeLayer.append(nodes.get(node.key).group);
    if (!keys.has(chosen)) chosen = null;
    if (!keys.has(focusKey)) focusKey = scene.nodes.find((node) => !node.stub)?.key ?? null;
    markTrail();
    showDetails();
  }

  function drawNode(node, isFresh) {
    let entry = nodes.get(node.key);
    if (!entry) {
      const group = make("g", { role: "button" });
      entry = { group };
      group.addEventListener("click", (event) => { event.stopPropagation(); open(entry.node.key); });
      group.addEventListener("focus", () => { if (!entry.node.stub) choose(entry.node.key); });
      group.addEventListener("pointermove", (event) => showTip(entry.node.hint, event));
      group.addEventListener("pointerleave", hideTip);
      nodes.set(node.key, entry);
    }
    entry.node = node;
    const group = emptied(entry.group);
    const kinds = [["start", node.start], ["final", node.final], ["marked", node.marked],
      ["stub", node.stub], ["fresh", isFresh]];
    group.setAttribute("class", "node " + kinds.filter((kind) => kind[1]).map((k) => k[0]).join(" "));
    group.style.transform = `translate(${node.x}px, ${node.y}px)`;
    group.setAttribute("data-key", node.key);
    group.setAttribute("aria-label", node.hint || node.text);
    group.setAttribute("tabindex", node.stub ? "-1" : node.key === focusKey ? "0" : "-1");
    group.append(make("circle", { r: node.r, ...(node.stub ? { style: "opacity: 0" } : {}) }));
    if (node.final) group.append(make("circle", { r: Math.max(node.r - 3, 2), style: "fill: none" }));
    const lines = node.text.split("\n");
    const longest = Math.max(...lines.map((line) => Array.from(line).length), 1);
    const size = clamp((2 * node.r - 3) / (0.64 * longest), 5, lines.length > 1 ? 9 : 11);
    lines.forEach((line, i) => group.append(make("text", {
      y: 4 + 10 * (i - (lines.length - 1) / 2), style: `font-size: ${size.toFixed(1)}px`,
    }, line)));
  }

  function place() {
    plane.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.k})`);
  }

  function fit() {
    const width = stage.clientWidth || 600, height = stage.clientHeight || 420;
    if (!scene.nodes.length) return;
    const xs = [], ys = [];
    for (const node of scene.nodes) {
      xs.push(node.x - node.r - 12, node.x + node.r + 12);
      ys.push(node.y - node.r - 30, node.y + node.r + 12);
    }
    for (const edge of scene.edges) { xs.push(edge.x - 20, edge.x + 20); ys.push(edge.y - 12, edge.y + 12); }
    const [left, right, top, bottom] =
      [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const k = clamp(Math.min(width / (right - left), height / (bottom - top)), 0.55, 1.5);
    view = { k, x: (width - k * (left + right)) / 2, y: (height - k * (top + bottom)) / 2 };
    if (k * (right - left) > width) view.x = 10 - k * left; // too wide: begin at the start
    place();
  }

  function zoom(factor, at = null) {
    const x = at ? at.x : stage.clientWidth / 2, y = at ? at.y : stage.clientHeight / 2;
    const k = clamp(view.k * factor, 0.08, 6);
    view = { k, x: x - (x - view.x) * (k / view.k), y: y - (y - view.y) * (k / view.k) };
    moved = true;
    place();
  }

  function reveal(key) {
    const node = nodes.get(key)?.node;
    if (!node) return;
    const x = view.x + view.k * node.x, y = view.y + view.k * node.y;
    const width = stage.clientWidth, height = stage.clientHeight, margin = 8;
    if (x < margin || x > width - margin || y < margin || y > height - margin) {
      view.x += width / 2 - x;
      view.y += height / 2 - y;
      place();
    }
  }

  function update(next, anchor, fresh) {
    const before = anchor !== null ? nodes.get(anchor)?.node : null;
    scene = next;
    hideTip();
    draw(fresh);
    const after = anchor !== null ? nodes.get(anchor)?.node : null;
    if (!moved) fit();
    else if (before && after) {
      view.x += view.k * (before.x - after.x);
      view.y += view.k * (before.y - after.y);
      place();
    }
  }

  // ---- choosing, expanding, following

  function choose(key, focus = false) {
    chosen = key;
    focusKey = key;
    for (const [other, entry] of nodes) {
      entry.group.classList.toggle("chosen", other === key);
      entry.group.setAttribute("tabindex", other === key ? "0" : "-1");
    }
    if (focus) nodes.get(key)?.group.focus({ preventScroll: true });
    reveal(key);
    showDetails();
  }

  function open(key) {
    const node = nodes.get(key)?.node;
    const state = node?.stub ? -1 - key : key;
    if (!node) return;
    choose(state, true);
    if (host.live) host.ask({ ask: "expand", state });
    else say(`${nodes.get(state)?.node.hint ?? ""}. ${node.stub ? "The rest is not in this page." : ""}`);
  }

  function walk(row) {
    const last = trail.length ? trail[trail.length - 1].row.target : null;
    if (last !== chosen) trail = [];
    trail.push({ source: chosen, row });
    if (nodes.has(row.target)) { markTrail(); choose(row.target, true); }
    else if (host.live) host.ask({ ask: "go", state: row.target });
    else { markTrail(); showDetails(); say(`State ${row.target} is not in this page.`, true); }
  }

  function markTrail() {
    const steps = new Set(trail.map((step) => `${step.source}>${step.row.target}`));
    for (const { edge, group } of edges) {
      const on = steps.has(`${edge.source}>${edge.target}`);
      group.classList.toggle("walked", on);
      const path = group.querySelector("path:not(.wide)");
      if (on && edge.kind !== "stub") path.setAttribute("marker-end", `url(#${prefix}-orange)`);
    }
  }

  function arcText(row) {
    const label = row.in === row.out ? row.in : `${row.in} : ${row.out}`;
    return `${label}   ${nats(row.cost)}   → ${row.target}`;
  }

  function showDetails() {
    emptied(details);
    const node = chosen === null ? null : nodes.get(chosen)?.node;
    if (!node) {
      details.append(make("p", {}, host.live
        ? "Click a state to bring its neighbours into view; hover for symbols and weights."
        : "Click a state for its arcs; hover for symbols and weights."),
      ...scene.captions.map((caption) => make("p", { class: "note" }, caption)));
      return;
    }
    details.append(make("h3", {}, `State ${node.key}`), make("p", {}, node.hint));
    const arcs = scene.arcs[String(node.key)];
    if (arcs) {
      details.append(make("ul", { class: "arcs", "aria-label": "Arcs; choose one to follow it" },
        ...arcs.rows.map((row) => make("li", {}, make("button", {
          type: "button", title: `reads ${row.in}, writes ${row.out}, costs ${nats(row.cost)} nats`,
          onclick: () => walk(row),
        }, arcText(row))))));
      if (arcs.more) details.append(make("p", { class: "note" }, `and ${arcs.more} more arcs`));
    }
    if (host.live) {
      details.append(button("Hide", "Take this state out of view",
        () => host.ask({ ask: "hide", state: node.key })));
    }
    if (trail.length) {
      const join = (side) => trail.map((s) => s.row[side]).filter((s) => s !== "ε").join(" ") || "nothing";
      const cost = trail.reduce((sum, step) => sum + (step.row.cost ?? Infinity), 0);
      details.append(make("div", { class: "trail" }, make("h3", {}, `Followed ${trail.length} ${trail.length > 1 ? "arcs" : "arc"}`),
        make("p", {}, `read: ${join("in")}`), make("p", {}, `wrote: ${join("out")}`),
        make("p", {}, `cost: ${nats(Number.isFinite(cost) ? cost : null)} nats`),
        button("Forget", "Forget the arcs followed so far", () => {
          trail = []; draw();
        })));
    }
  }

  // ---- searching

  function find() {
    const text = search.value.trim();
    emptied(found);
    if (!text) return;
    if (/^\d+$/.test(text)) {
      found.append(button(`state ${text}`, `Go to state ${text}`, () => goState(Number(text))));
    }
    if (host.live) host.ask({ ask: "find", text });
    else findHere(text.toLocaleLowerCase());
  }

  function goState(state) {
    if (host.live) host.ask({ ask: "go", state });
    else if (nodes.has(state)) choose(state, true);
    else say(`State ${state} is not in this page.`, true);
  }

  function findHere(text) {
    const hits = [];
    for (const [state, arcs] of Object.entries(scene.arcs)) {
      for (const row of arcs.rows) {
        if (`${row.in}\n${row.out}`.toLocaleLowerCase().includes(text)) hits.push([Number(state), row]);
      }
    }
    for (const [state, row] of hits.slice(0, 20)) {
      found.append(button(cut(`${state}: ${arcText(row)}`, 60), `Go to state ${state}`,
        () => choose(state, true)));
    }
    say(hits.length ? `${hits.length} arcs found.` : "Nothing found.", !hits.length);
  }

  function hear(message) {
    if (message.error) { say(message.error, true); return; }
    if (message.found) {
      for (const hit of message.found) {
        const label = `${cut(hit.text, 40)} (${hit.side}, ${hit.arcs})`;
        found.append(button(label, `Go to ${cut(hit.text, 80)}`,
          () => host.ask({ ask: "go", symbol: hit.symbol, side: hit.side })));
      }
      say(message.found.length ? `${message.found.length} symbols found.` : "No such symbol.",
        !message.found.length);
      return;
    }
    if (!message.scene) return;
    const focus = message.focus?.length ? message.focus[0] : null;
    if (message.path) moved = false; // show the whole of it
    update(message.scene, focus ?? chosen, new Set(message.new ?? []));
    if (message.ask === "reset") { chosen = null; showDetails(); }
    if (focus !== null && nodes.has(focus)) choose(focus, message.ask !== "follow");
    let text = summary();
    if (message.ask === "expand") text = `${message.new.length} new states. ${text}`;
    if (message.path) text = `Path of ${message.path.n_arcs} arcs, ${nats(message.path.cost)} nats.`;
    say(text);
  }

  // ---- mouse, touch, keys

  function showTip(text, event) {
    const area = stage.getBoundingClientRect();
    tip.hidden = false;
    tip.textContent = text;
    tip.style.left = `${clamp(event.clientX - area.left + 14, 0, Math.max(0, area.width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${clamp(event.clientY - area.top + 16, 0, Math.max(0, area.height - tip.offsetHeight - 4))}px`;
  }

  function hideTip() {
    tip.hidden = true;
  }

  function toward(key, dx, dy) {
    const from = nodes.get(key)?.node;
    let best = null, least = Infinity;
    for (const { node } of nodes.values()) {
      if (!from || node.stub || node.key === key) continue;
      const along = (node.x - from.x) * dx + (node.y - from.y) * dy;
      const aside = Math.abs((node.x - from.x) * dy) + Math.abs((node.y - from.y) * dx);
      if (along > 1 && along + 2 * aside < least) { least = along + 2 * aside; best = node.key; }
    }
    return best;
  }

  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  stage.addEventListener("keydown", (event) => {
    const key = focusKey;
    let handled = true;
    if (arrows[event.key] && key !== null) {
      const next = toward(key, ...arrows[event.key]);
      if (next !== null) choose(next, true);
    } else if ((event.key === "Enter" || event.key === " ") && key !== null) open(key);
    else if ((event.key === "Delete" || event.key === "Backspace") && host.live && chosen !== null) {
      host.ask({ ask: "hide", state: chosen });
    } else if (event.key === "Home" && nodes.has(scene.start)) choose(scene.start, true);
    else if (event.key === "+" || event.key === "=") zoom(1.3);
    else if (event.key === "-") zoom(1 / 1.3);
    else if (event.key === "0") { moved = false; fit(); }
    else if (event.key === "/") search.focus();
    else handled = false;
    if (handled) { event.preventDefault(); event.stopPropagation(); }
  });
  let grip = null;
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest(".node")) return;
    grip = { x: event.clientX, y: event.clientY };
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", (event) => {
    if (!grip) return;
    view.x += event.clientX - grip.x;
    view.y += event.clientY - grip.y;
    grip = { x: event.clientX, y: event.clientY };
    moved = true;
    place();
  });
  svg.addEventListener("pointerup", () => { grip = null; });
  svg.addEventListener("pointercancel", () => { grip = null; });
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // a plain wheel scrolls the page
    event.preventDefault();
    const area = stage.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 300), { x: event.clientX - area.left, y: event.clientY - area.top });
  }, { passive: false });

  draw();
  fit();
  say(summary());
  // The cell may get its width only after it was filled.
  const sizes = new ResizeObserver(() => { if (!moved) fit(); });
  sizes.observe(stage);
  const deaf = host.listen("msg:custom", hear);
  return () => { sizes.disconnect(); deaf(); };
}

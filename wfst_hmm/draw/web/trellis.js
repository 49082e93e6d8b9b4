// Forward, backward, gamma and Viterbi of a small HMM, column by column, every sum written out.
function renderTrellis(host, root) {
  const data = host.get("trellis");
  const T = data.heard.length, N = data.names.length;
  const CELL = 46, ROW = 38, LEFT = 78, TOP = 8;
  const width = LEFT + CELL * T + 10, height = TOP + ROW * N + 20;
  let step = 0;

  const number = (log) => (log === null ? 0 : Math.exp(log));
  const short = (log) => {
    if (log === null) return "0";
    if (log < -20) return `e${log.toFixed(0)}`;
    const value = Math.exp(log);
    return value >= 1e-3 ? String(Number(value.toPrecision(2))) : value.toExponential(0);
  };
  // The columns that are computed after `step` steps: forwards from the left, beta from the right.
  const done = {
    alpha: (t) => t <= step, beta: (t) => t >= T - 1 - step,
    gamma: (t) => t <= step && t >= T - 1 - step, delta: (t) => t <= step,
  };
  const headings = {
    alpha: "forward α: probability of the past", beta: "backward β: probability of the future",
    gamma: "γ = α·β / P: probability of the state, given all", delta: "Viterbi δ: best path so far",
  };

  const status = make("div", { class: "status", role: "status", "aria-live": "polite" });
  const formula = make("p", { class: "formula", "aria-live": "polite" });
  const panels = {};
  const column = Math.max(400, Math.round(0.9 * width));
  const grid = make("div", { class: "grid", style:
    `grid-template-columns: repeat(auto-fit, minmax(min(100%, ${column}px), 1fr))` });
  for (const name of Object.keys(headings)) {
    const svg = make("svg", { class: "film", viewBox: `0 0 ${width} ${height}`, role: "group",
      "aria-label": headings[name] });
    panels[name] = svg;
    grid.append(make("div", { style: `max-width: ${Math.round(width * 1.5)}px` },
      make("h3", {}, headings[name]), svg));
  }
  const cx = (t) => LEFT + (t + 0.5) * CELL, cy = (i) => TOP + (i + 0.5) * ROW;

  function picks(name, t) {
    const column = data[name][t].map(number);
    return Math.max(...column);
  }

  function draw() {
    for (const [name, svg] of Object.entries(panels)) {
      emptied(svg);
      const finished = name === "delta" && step === T - 1;
      for (let t = 1; t < T; t += 1) {
        if (!done[name](t) || !done[name](t - 1)) continue;
        for (let j = 0; j < N; j += 1) for (let i = 0; i < N; i += 1) {
          if (data.transitions[i][j] === null) continue;
          if (name === "delta" && (data.came_from[t][j] !== i || data.delta[t][j] === null)) continue;
          const best = finished && data.path[t - 1] === i && data.path[t] === j;
          svg.append(make("line", { class: best ? "move best" : "move", x1: cx(t - 1), y1: cy(i),
            x2: cx(t), y2: cy(j) }));
        }
      }
      for (let t = 0; t < T; t += 1) for (let i = 0; i < N; i += 1) {
        const known = done[name](t), log = data[name][t][i];
        const label = `${name} of ${data.names[i]} at ${t} (${data.heard[t]}): ` +
          (known ? short(log) : "not yet computed");
        const cell = make("g", { tabindex: known && i === 0 && t === (name === "beta" ? T - 1 - step : step)
          ? "0" : "-1", role: "button", "aria-label": label, "data-at": `${name},${t},${i}` });
        cell.append(make("circle", { class: "cell", cx: cx(t), cy: cy(i), r: 15 }));
        if (known) {
          const most = picks(name, t), share = most > 0 ? number(log) / most : 0;
          cell.append(make("circle", { class: "shade", cx: cx(t), cy: cy(i), r: 15,
            style: `opacity: ${(0.75 * share).toFixed(3)}` }),
          make("text", { class: "value", x: cx(t), y: cy(i) + 3 }, short(log)));
          const chosen = finished ? data.path[t] === i
            : name === "gamma" && most > 0 && number(log) === most;
          if (chosen) cell.append(make("circle", { class: "pick", cx: cx(t), cy: cy(i), r: 15 }));
          const tell = () => { formula.textContent = written(name, t, i); };
          cell.addEventListener("pointerenter", tell);
          cell.addEventListener("focus", tell);
          cell.addEventListener("click", () => cell.focus());
        }
        svg.append(cell);
      }
      data.names.forEach((state, i) => svg.append(make("text", { class: "name", x: LEFT - 8,
        y: cy(i) + 4 }, cut(state, 10))));
      data.heard.forEach((symbol, t) => svg.append(make("text", { class: "tick", x: cx(t),
        y: TOP + ROW * N + 12 }, cut(symbol, 7))));
    }
  }

  // ---- the sums, with their numbers

  function written(name, t, i) {
    const state = data.names[i], b = short(data.emissions[t][i]);
    const into = [...Array(N).keys()].filter((k) => data.transitions[k][i] !== null);
    const from = [...Array(N).keys()].filter((k) => data.transitions[i][k] !== null);
    const value = short(data[name][t][i]);
    const limited = (terms, join) => (terms.length > 5
      ? `${terms.slice(0, 5).join(join)}${join}… (${terms.length} terms)` : terms.join(join));
    if (name === "alpha" || name === "delta") {
      const sign = name === "alpha" ? "α" : "δ";
      if (t === 0) return `${sign}(0, ${state}) = π·b = ${short(data.initial[i])} · ${b} = ${value}`;
      const terms = into.map((k) => `${short(data[name][t - 1][k])}·${short(data.transitions[k][i])}`);
      return name === "alpha"
        ? `α(${t}, ${state}) = (${limited(terms, " + ")}) · ${b} = ${value}`
        : `δ(${t}, ${state}) = max(${limited(terms, ", ")}) · ${b} = ${value}, ` +
          `best from ${data.names[data.came_from[t][i]]}`;
    }
    if (name === "beta") {
      if (t === T - 1) return `β(${t}, ${state}) = 1: nothing is left to explain`;
      const terms = from.map((k) => `${short(data.transitions[i][k])}·` +
        `${short(data.emissions[t + 1][k])}·${short(data.beta[t + 1][k])}`);
      return `β(${t}, ${state}) = ${limited(terms, " + ")} = ${value}`;
    }
    return `γ(${t}, ${state}) = α·β / P = ${short(data.alpha[t][i])} · ${short(data.beta[t][i])} / ` +
      `${short(data.log_probability)} = ${value}`;
  }

  // ---- steps

  const slider = make("input", { type: "range", min: 0, max: T - 1, value: 0, step: 1,
    "aria-label": "Column", oninput: () => show(Number(slider.value)) });
  const button = (label, title, action) =>
    make("button", { type: "button", title, "aria-label": title, onclick: action }, label);
  function show(next) {
    step = clamp(next, 0, T - 1);
    slider.value = step;
    draw();
    status.textContent = step < T - 1
      ? `Step ${step + 1} of ${T}: forward and Viterbi have columns 0 to ${step}, backward ${T - 1 - step} to ${T - 1}.`
      : `All ${T} columns: log P = ${data.log_probability.toFixed(4)}; best path: ` +
        cut(data.path.map((i) => data.names[i]).join(" "), 300) + ".";
  }
  const box = make("div", { class: "wfst trellis", tabindex: "0", role: "group", "aria-label":
    "Trellis of a hidden Markov model. Arrow keys step." },
  make("div", { class: "bar", role: "toolbar", "aria-label": "Steps" },
    button("|◀", "First column", () => show(0)), button("◀", "One step back", () => show(step - 1)),
    button("▶", "One step on", () => show(step + 1)), button("▶|", "Last column", () => show(T - 1)),
    slider), status, formula, grid,
  make("p", { class: "note" }, "Shade: a state's share of the best in its column. " +
    "Rest on a circle to see its sum. Orange: the largest γ; Viterbi's path."));
  box.addEventListener("keydown", (event) => {
    const at = event.target.dataset?.at?.split(",");
    const moves = { ArrowLeft: -1, ArrowRight: 1 };
    if (at && ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"].includes(event.key)) {
      const t = Number(at[1]) + (moves[event.key] ?? 0);
      const i = Number(at[2]) + ({ ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0);
      box.querySelector(`[data-at="${at[0]},${t},${i}"]`)?.focus();
    } else if (event.key in moves) show(step + moves[event.key]);
    else if (event.key === "Home") show(0);
    else if (event.key === "End") show(T - 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  root.append(box);
  formula.textContent = "Rest on a circle to see how it is computed.";
  show(T > 1 ? 0 : T - 1);
  return () => {};
}

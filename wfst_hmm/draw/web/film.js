// A search, frame by frame: sound, scores, beam, surviving paths, words; step it or play it.
function renderFilm(host, root) {
  const film = host.get("film");
  const { tokens, n_frames: last, shift, offset } = film;
  const WIDTH = 1000, LEFT = 112, RIGHT = 14, SPAN = WIDTH - LEFT - RIGHT;
  const place = (seconds) => LEFT + SPAN * clamp(seconds / film.seconds, 0, 1);
  // when frame t takes over from the one before; the edges belong to the first and the last
  const when = (t) => (t <= 0 ? 0 : t >= film.n_wanted ? film.end : t * shift + offset);
  const x = (t) => place(when(t));
  let now = 0, playing = false, begun = null, ticker = null;

  // ---- what never changes: the rows over one time axis

  const svg = make("svg", { class: "film", role: "img", "aria-label":
    `${film.title}: ${last} frames; waveform, spectrogram, scores, beam and words over time` });
  let y = 6;
  const rows = {};
  function row(name, height, label, note = "") {
    rows[name] = { top: y, height, bottom: y + height };
    svg.append(make("text", { class: "name", x: LEFT - 8, y: y + height / 2 + 4 }, label));
    if (note) svg.append(make("text", { class: "name", x: LEFT - 8, y: y + height / 2 + 17 }, note));
    y += height + 8;
    return rows[name];
  }
  const image = (area, href, from, to, extra = {}) => make("image", {
    x: from, y: area.top, width: Math.max(to - from, 1), height: area.height,
    preserveAspectRatio: "none", href, style: "image-rendering: auto", ...extra });
  const frame = (area) => make("rect", { class: "axis", x: LEFT, y: area.top, width: SPAN,
    height: area.height });

  const sound = film.audio;
  if (sound) {
    const wave = row("wave", 44, "waveform");
    const to = SPAN * sound.share, middle = wave.top + wave.height / 2, scale = wave.height / 2;
    const at = (i) => LEFT + (to * (i + 0.5)) / sound.top.length;
    const up = sound.top.map((v, i) => `${at(i).toFixed(1)} ${(middle - v * scale).toFixed(1)}`);
    const down = sound.low.map((v, i) => `${at(i).toFixed(1)} ${(middle - v * scale + 0.4).toFixed(1)}`);
    svg.append(make("path", { class: "wave", d: `M${up.join("L")}L${down.reverse().join("L")}Z` }));
    const area = row("spectrum", 78, "spectrogram", `0-${sound.khz} kHz`);
    svg.append(image(area, sound.spectrum, LEFT, LEFT + to), frame(area));
  }
  const scores = film.scores, nRows = Math.max(scores.rows.length, 1);
  const part = scores.rows.length < scores.n_columns
    ? `${scores.rows.length} of ${scores.n_columns}` : "dark: good";
  const scoreArea = row("scores", clamp(6 * nRows, 60, 130), "scores", part);
  if (scores.image) {
    svg.append(image(scoreArea, scores.image, x(0), x(scores.top.length),
      { style: "image-rendering: pixelated" }));
  }
  svg.append(frame(scoreArea));
  const beamArea = row("beam", 150, "tokens: nats", "above the best");
  for (const label of [...svg.querySelectorAll(".name")].slice(-2)) {
    label.setAttribute("x", LEFT - 24); // the axis has numbers of its own
  }
  svg.append(image(beamArea, film.density, LEFT + (SPAN * (offset - 0.5 * shift)) / film.seconds,
    place((last + 0.5) * shift + offset),
    { style: "image-rendering: pixelated" }), frame(beamArea));
  const level = (nats) => beamArea.bottom - beamArea.height * clamp(nats / film.height, 0, 1);
  for (let step = film.height > 20 ? 10 : film.height > 8 ? 5 : film.height > 3 ? 2 : 0.5, v = 0;
    v < film.height; v += step) {
    svg.append(make("text", { class: "tick", x: LEFT - 3, y: level(v) + 3,
      style: "text-anchor: end" }, v));
  }
  const edge = film.width.slice(0, -1).map((w, t) => `${x(t).toFixed(1)},${level(w ?? film.height).toFixed(1)}`);
  svg.append(make("polyline", { class: "beam", points: edge.join(" ") }));
  const countArea = row("count", 26, "active");
  const most = Math.max(...film.active, 1);
  const counts = film.active.map((n, t) =>
    `${x(t).toFixed(1)},${(countArea.bottom - (countArea.height * Math.log1p(n)) / Math.log1p(most)).toFixed(1)}`);
  svg.append(make("polyline", { class: "count", points: counts.join(" ") }));
  const wordArea = row("words", 24, "words so far");
  const drawBox = (area, kind, text, from, to, hint) => {
    const width = Math.max(to - from - 1, 1);
    const group = make("g", {}, make("rect", { class: `box ${kind}`, x: from + 0.5, y: area.top,
      width, height: area.height, rx: 3 }));
    const size = clamp((width - 4) / (0.62 * Math.max(Array.from(text).length, 1)), 0, 12);
    if (size >= 5) {
      group.append(make("text", { x: (from + to) / 2, y: area.top + area.height / 2 + size * 0.35,
        style: `font-size: ${size.toFixed(1)}px; text-anchor: middle` }, text));
    }
    group.append(titled(hint));
    return group;
  };
  function titled(text) {
    const title = document.createElementNS(SVG, "title");
    title.append(text);
    return title;
  }
  const answer = film.answer;
  if (answer) {
    const wordRow = row("answer", 22, "the answer");
    for (const [text, from, to] of answer.words) {
      svg.append(drawBox(wordRow, "", text, place(from), place(to), `${text}, ${from} to ${to} s`));
    }
    const phoneRow = row("phones", 20, "its phones");
    for (const [text, from, to] of answer.phones) {
      svg.append(drawBox(phoneRow, "phone", text, place(from), place(to), `${text}, ${from} to ${to} s`));
    }
  }
  const bottom = y;
  const step = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10].find((s) => film.seconds / s <= 14) ?? 30;
  for (let i = 0; i * step <= film.seconds + 1e-9; i += 1) {
    const at = place(i * step);
    svg.append(make("line", { class: "axis", x1: at, x2: at, y1: bottom - 4, y2: bottom + 2 }),
      make("text", { class: "tick", x: at, y: bottom + 13 }, Number((i * step).toFixed(2))));
  }
  svg.append(make("text", { class: "name", x: LEFT - 8, y: bottom + 13 }, "seconds"));
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${bottom + 18}`);

  // ---- what moves

  const later = make("rect", { class: "future", y: scoreArea.top - 2,
    height: wordArea.bottom - scoreArea.top + 4 });
  const moving = make("g", {});
  const needle = make("line", { class: "now", y1: 4, y2: bottom });
  svg.append(later, moving, needle);

  function trace(id) {
    const found = [];
    for (let at = id; at >= 0; at = tokens.before[at]) found.push(at);
    return found.reverse();
  }

  function wordsOf(path, settledAt) {
    const open = path.indexOf(settledAt);
    return path.map((id, i) => ({ id, i })).filter(({ id }) => tokens.word[id])
      .map(({ id, i }) => ({
        text: film.words[String(tokens.word[id])], frame: tokens.frame[id], sure: i <= open,
      }));
  }

  function drawMoving() {
    emptied(moving);
    later.setAttribute("x", x(now) + 0.5);
    later.setAttribute("width", Math.max(LEFT + SPAN - x(now), 0));
    needle.setAttribute("x1", x(now));
    needle.setAttribute("x2", x(now));
    const paths = film.paths[now] ?? [];
    const seen = new Set();
    const lines = [];
    paths.forEach((id, rank) => {
      const points = [];
      for (let at = id; at >= 0; at = tokens.before[at]) {
        points.push(`${x(tokens.frame[at]).toFixed(1)},${level(tokens.above[at]).toFixed(1)}`);
        if (seen.has(at)) break; // from here on the line is there already
        seen.add(at);
      }
      lines.push(make("polyline", { class: rank ? "path" : "path best", points: points.join(" ") }));
    });
    moving.append(...lines.reverse());
    paths.forEach((id, rank) => moving.append(make("circle", { class: rank ? "token" : "token best",
      cx: x(now), cy: level(tokens.above[id]), r: rank ? 2.2 : 3.4 })));
    if (!paths.length) return;
    const path = trace(paths[0]);
    const height = scoreArea.height / nRows;
    let d = "";
    for (const id of path) {
      const r = tokens.row[id];
      if (r < 0) continue;
      const at = (scoreArea.bottom - (r + 0.5) * height).toFixed(1);
      d += `M${x(tokens.frame[id] - 1).toFixed(1)} ${at}H${x(tokens.frame[id]).toFixed(1)}`;
    }
    moving.append(make("path", { class: "path best", d }));
    const words = wordsOf(path, film.settled[now]);
    words.forEach((word, i) => {
      const to = i + 1 < words.length ? words[i + 1].frame : now;
      moving.append(drawBox(wordArea, word.sure ? "settled" : "open", word.text, x(word.frame),
        x(Math.max(to, word.frame + 1)), `${word.text}: ${word.sure ? "settled" : "may still change"}`));
    });
  }

  // ---- tables for the frame

  const linkPanel = make("div", {}), pathPanel = make("div", {});

  function drawPanels() {
    emptied(linkPanel);
    emptied(pathPanel);
    if (now > 0) {
      const top = scores.top[now - 1], costs = scores.costs[now - 1];
      const table = make("table", {}, make("thead", {}, make("tr", {},
        make("th", {}, "HMM state"), make("th", { class: "number" }, "nats"), make("th", {}, ""))));
      const body = make("tbody", {});
      top.forEach((column, i) => body.append(make("tr", {},
        make("td", {}, scores.names[String(column)]),
        make("td", { class: "number" }, costs[i] >= 1e6 ? "∞" : costs[i].toFixed(2)),
        make("td", { style: "width: 45%" }, make("div", { class: i ? "meter" : "meter best",
          style: `width: ${(100 * Math.exp(-costs[i] / 6)).toFixed(1)}%` })))));
      table.append(body);
      linkPanel.append(make("h3", {}, `Sausage, link ${now - 1} → ${now}: cost above the best`), table);
    } else linkPanel.append(make("h3", {}, "Before the first frame"), make("p", {}, "Nothing heard yet."));
    const said = new Map();
    for (const id of film.paths[now] ?? []) {
      const words = wordsOf(trace(id), film.settled[now]);
      const key = words.map((word) => word.text).join(" ");
      if (!said.has(key)) said.set(key, { words, above: tokens.above[id], n: 0 });
      said.get(key).n += 1;
    }
    const table = make("table", {}, make("thead", {}, make("tr", {},
      make("th", { class: "number" }, "nats"), make("th", {}, "words (bold: settled)"),
      make("th", { class: "number" }, "paths"))));
    const body = make("tbody", {});
    for (const { words, above, n } of [...said.values()].slice(0, 6)) {
      const cell = make("td", {});
      for (const word of words) {
        cell.append(make("span", { class: word.sure ? "sure" : "open-words" }, word.text), " ");
      }
      if (!words.length) cell.append(make("span", { class: "note" }, "(no word yet)"));
      body.append(make("tr", {}, make("td", { class: "number" }, above.toFixed(2)), cell,
        make("td", { class: "number" }, n)));
    }
    table.append(body);
    pathPanel.append(make("h3", {}, `What the ${film.paths[now]?.length ?? 0} best paths say`), table);
  }

  // ---- controls

  const status = make("div", { class: "status", role: "status", "aria-live": "polite" });
  const slider = make("input", { type: "range", min: 0, max: last, step: 1, value: 0,
    "aria-label": "Frame", oninput: () => { stop(); show(Number(slider.value)); } });
  const button = (label, title, action) =>
    make("button", { type: "button", title, "aria-label": title, onclick: action }, label);
  const player = sound?.wav ? new Audio(sound.wav) : null;
  const play = button("▶ Play", "Play", () => (playing ? stop() : start()));
  const speed = make("select", { "aria-label": "Speed" },
    ...[["1", "1×"], ["0.5", "½×"], ["0.25", "¼×"], ["0.1", "⅒×"]].map(([value, text]) =>
      make("option", { value, selected: value === "0.25" }, text)));
  speed.addEventListener("change", () => { if (playing) { stop(); start(); } });
  const bar = make("div", { class: "bar", role: "toolbar", "aria-label": "Film" },
    button("|◀", "First frame", () => { stop(); show(0); }),
    button("◀", "One frame back", () => { stop(); show(now - 1); }), play,
    button("▶", "One frame on", () => { stop(); show(now + 1); }),
    button("▶|", "Last frame", () => { stop(); show(last); }), slider, speed);

  function start() {
    if (now >= last) show(0);
    playing = true;
    play.textContent = "❚❚ Pause";
    play.setAttribute("aria-label", "Pause");
    const rate = Number(speed.value), from = when(now);
    begun = performance.now();
    if (player) {
      player.currentTime = Math.min(from, player.duration || from);
      player.playbackRate = rate;
      player.play().catch(() => {}); // no sound device: the clock below goes on
    }
    const tick = () => {
      if (!playing) return;
      const heard = from + (rate * (performance.now() - begun)) / 1000;
      show(Math.min(Math.floor((heard - offset) / shift), last), true);
      if (now >= last) stop();
      else ticker = requestAnimationFrame(tick);
    };
    ticker = requestAnimationFrame(tick);
  }

  function stop() {
    if (!playing) return;
    playing = false;
    cancelAnimationFrame(ticker);
    player?.pause();
    play.textContent = "▶ Play";
    play.setAttribute("aria-label", "Play");
    tell();
  }

  function tell() {
    const best = film.paths[now]?.[0];
    const said = best === undefined ? "" : wordsOf(trace(best), film.settled[now])
      .map((word) => word.text).join(" ");
    let text = `Frame ${now} of ${last}, ${when(now).toFixed(2)} s: ${film.active[now]} tokens ` +
      `in the beam, ${film.reached[now]} states reached over ${film.made[now]} arcs; ` +
      `best so far: ${said || "no word yet"}.`;
    if (film.lost && now === last) text += ` Every path is lost after frame ${last} of ${film.n_wanted}.`;
    status.textContent = text;
  }

  function show(t, quick = false) {
    const next = clamp(t, 0, last);
    if (quick && next === now) return;
    now = next;
    slider.value = now;
    slider.setAttribute("aria-valuetext", `frame ${now}, ${when(now).toFixed(2)} seconds`);
    drawMoving();
    drawPanels();
    if (!quick) tell();
  }

  svg.addEventListener("click", (event) => {
    const area = svg.getBoundingClientRect();
    const at = ((event.clientX - area.left) / area.width) * WIDTH - LEFT;
    stop();
    show(Math.round(((at / SPAN) * film.seconds - offset) / shift));
  });
  const head = [make("h2", {}, film.title)];
  const verdict = film.reference === null ? "" :
    answer && film.reference === answer.text ? "  (recognized)" : "  (not what was recognized)";
  if (film.reference !== null) head.push(make("p", { class: "note" }, `said: ${film.reference}${verdict}`));
  if (!answer) head.push(make("p", { class: "note" }, "The search found no complete path."));
  const box = make("div", { class: "wfst film", tabindex: "0", role: "group", "aria-label":
    `Film of a search: ${film.title}. Arrow keys step, space plays.` },
  ...head, bar, svg, make("div", { class: "panels" }, linkPanel, pathPanel), status,
  make("p", { class: "note" }, "Orange: the best path. Blue: other surviving paths, each at its cost " +
    "above the best. Grey dashes: the beam. Shades: how many tokens. Green: active tokens, logarithmic."));
  box.addEventListener("keydown", (event) => {
    const field = ["INPUT", "SELECT"].includes(event.target.tagName);
    const moves = { ArrowLeft: now - 1, ArrowRight: now + 1, PageUp: now - 10, PageDown: now + 10,
      Home: 0, End: last };
    if (event.key in moves && event.target.tagName !== "SELECT") { stop(); show(moves[event.key]); }
    else if (event.key === " " && !field && event.target.tagName !== "BUTTON") {
      if (playing) stop(); else start();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  root.append(box);
  show(0);
  return () => { stop(); };
}

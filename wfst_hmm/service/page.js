"use strict";
// The page's side of the protocol: samples out over a WebSocket, words in.
const $ = (id) => document.getElementById(id);
let running = null;
let segments = new Map();

function say(text, wrong = false) {
  $("state").textContent = text;
  $("state").classList.toggle("wrong", wrong);
}

function wordElement(word) {
  const span = document.createElement("span");
  span.className = "word";
  span.textContent = word.text;
  if (typeof word.confidence === "number") grade(span, word.confidence);
  span.title = `${word.start.toFixed(2)} to ${word.end.toFixed(2)} s`;
  return span;
}

function grade(span, confidence) {
  span.classList.add("c" + Math.min(3, Math.floor(confidence * 4)));
  const number = document.createElement("sub");
  number.textContent = confidence.toFixed(2);
  span.append(number);
}

function show(message) {
  if (message.type === "segment") {
    const spans = message.words.map(wordElement);
    for (const span of spans) $("final").append(span, " ");
    segments.set(message.segment, spans);
    $("partial").replaceChildren();
  } else if (message.type === "confidence") {
    (segments.get(message.segment) || []).forEach((span, i) => grade(span, message.confidences[i]));
    segments.delete(message.segment);
  } else if (message.type === "partial") {
    const words = message.text ? message.text.split(" ") : [];
    const stable = document.createElement("span");
    stable.className = "stable";
    stable.textContent = words.slice(0, message.n_stable).join(" ");
    $("partial").replaceChildren(stable, " " + words.slice(message.n_stable).join(" "));
  } else if (message.type === "error") {
    say(message.message, true);
  }
}

async function start() {
  segments = new Map();
  $("final").replaceChildren();
  $("partial").replaceChildren();
  const media = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  const context = new AudioContext();
  await context.audioWorklet.addModule("worklet.js");
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/v1/stream`);
  running = { media, context, socket };
  socket.onopen = () => socket.send(JSON.stringify({
    type: "start", rate: context.sampleRate, encoding: "f32le", token: $("token").value,
  }));
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.type === "ready") {
      const recorder = new AudioWorkletNode(context, "recorder");
      recorder.port.onmessage = (piece) => {
        $("level").value = Math.min(1, 3 * Math.hypot(...piece.data) / Math.sqrt(piece.data.length));
        if (socket.readyState === WebSocket.OPEN && running) socket.send(piece.data);
      };
      context.createMediaStreamSource(media).connect(recorder);
      say("Listening. Press Stop to end.");
    }
    show(message);
  };
  socket.onclose = (event) => {
    if (event.code === 1000) say("Done.");
    else if (!$("state").classList.contains("wrong")) say(`The connection ended (${event.code}).`, true);
    stop(false);
  };
  say("Connecting.");
}

function stop(tell = true) {
  if (!running) return;
  const { media, context, socket } = running;
  running = null;
  for (const track of media.getTracks()) track.stop();
  context.close();
  $("level").value = 0;
  $("record").textContent = "Record";
  $("record").classList.remove("on");
  if (tell && socket.readyState === WebSocket.OPEN) {
    socket.send(JSON.stringify({ type: "end" }));
    say("Waiting for the last words.");
  }
}

$("record").onclick = async () => {
  if (running) return stop();
  $("record").textContent = "Stop";
  $("record").classList.add("on");
  try {
    await start();
  } catch (error) {
    say(`No microphone: ${error.message}`, true);
    stop(false);
    $("record").textContent = "Record";
    $("record").classList.remove("on");
  }
};

$("file").onchange = async () => {
  const [file] = $("file").files;
  if (!file) return;
  say(`Recognizing ${file.name}.`);
  $("final").replaceChildren();
  $("partial").replaceChildren();
  const headers = $("token").value ? { Authorization: `Bearer ${$("token").value}` } : {};
  try {
    const answer = await fetch("v1/recognize", { method: "POST", body: file, headers });
    const result = await answer.json();
    if (!answer.ok) return say(result.message, true);
    for (const word of result.words) $("final").append(wordElement(word), " ");
    say(result.problem || `${result.seconds} seconds.`, Boolean(result.problem));
  } catch (error) {
    say(`The service does not answer: ${error.message}`, true);
  }
};

// Small helpers of all views. Text from outside becomes text nodes and attributes, never markup.
const SVG = "http://www.w3.org/2000/svg";

function make(name, attributes = {}, ...children) {
  const svgNames = ["svg", "g", "path", "circle", "rect", "line", "text", "image", "polyline",
    "defs", "marker", "tspan", "clipPath"];
  const node = svgNames.includes(name)
    ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  for (const child of children) {
    if (child !== null && child !== undefined) {
      node.append(child instanceof Node ? child : document.createTextNode(String(child)));
    }
  }
  return node;
}

function emptied(node) {
  node.replaceChildren();
  return node;
}

function cut(text, length) {
  const letters = Array.from(text);
  return letters.length > length ? letters.slice(0, length - 1).join("") + "…" : text;
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

function nats(cost) {
  return cost === null || cost === undefined ? "∞" : String(Number(cost.toPrecision(4)));
}

// What a view talks to: a Jupyter kernel behind an anywidget model, or data in the page itself.
function liveHost(model) {
  return {
    live: true,
    get: (name) => model.get(name),
    ask: (message) => model.send(message),
    listen: (name, react) => {
      model.on(name, react);
      return () => model.off(name, react);
    },
  };
}

function stillHost(data) {
  return { live: false, get: (name) => data[name], ask: () => {}, listen: () => () => {} };
}

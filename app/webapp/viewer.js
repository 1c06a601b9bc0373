// The 3-D view. It draws what it is given as data; text of users gets in as text nodes only.
const RAMPS = {
  confidence: ["#c8452f", "#f0a33a", "#e9d66b", "#5aa9d6", "#1f5fbf"],
  amount: ["#4a78c2", "#b9cde3", "#f3d9a4", "#e68a3c", "#b3251e"],
};
const PLAIN = "#8a94a3";
const views = new WeakMap();

function colour(ramp, low, high, value) {
  if (value === undefined || value === null) return PLAIN;
  const stops = RAMPS[ramp];
  const place = Math.min(1, Math.max(0, (value - low) / (high - low || 1))) * (stops.length - 1);
  const k = Math.min(stops.length - 2, Math.floor(place));
  const part = (text, at) => parseInt(text.slice(at, at + 2), 16);
  const mix = [1, 3, 5].map((at) => Math.round(part(stops[k], at) + (place - k) * (part(stops[k + 1], at) - part(stops[k], at))));
  return `rgb(${mix.join(",")})`;
}

function element(kind, into, attributes = {}) {
  const made = document.createElement(kind);
  Object.assign(made, attributes);
  into.append(made);
  return made;
}

const keyOf = (atom) => `${atom.chain ?? ""}:${atom.resi}${(atom.icode ?? "").replace(/[?. ]/g, "")}`;

class View {
  constructor(parent) {
    this.root = parent.querySelector(".refine-viewer");
    this.bar = element("div", this.root, { className: "bar" });
    this.stage = element("div", this.root, { className: "stage", tabIndex: 0 });
    this.stage.setAttribute("role", "img");
    this.canvas = element("div", this.stage);
    this.canvas.style.cssText = "position:absolute;inset:0";
    this.note = element("div", this.stage, { className: "note" });
    this.note.setAttribute("aria-live", "polite");
    this.legend = element("div", this.root, { className: "legend" });
    this.models = new Map();
    this.hidden = new Set();
    this.picked = new Set();
    this.stage.addEventListener("keydown", (event) => this.key(event));
    this.resizer = new ResizeObserver(() => this.viewer && (this.viewer.resize(), this.viewer.render()));
    this.resizer.observe(this.stage);
    this.scheme = new MutationObserver(() => this.background());
  }

  update(data, send) {
    this.send = send;
    const text = JSON.stringify(data);
    if (text === this.before) return;
    this.before = text;
    const first = this.data === undefined;
    this.data = data;
    if (first) {
      this.mode = data.mode;
      this.picked = new Set(data.picked);
      for (const item of data.structures) if (!item.shown) this.hidden.add(item.id);
    }
    const pick = data.pick ? ", Enter picks the residue" : "";
    this.stage.setAttribute("aria-label", `${data.label}. Arrow keys turn it, plus and minus zoom, full stop and comma go along the chain${pick}.`);
    this.controls();
    this.request();
  }

  // Draw the newest data, with a pause of three times what the last drawing took (10 s at most): a slow machine stays usable. A page that
  // is not seen gets no frames and draws nothing.
  request() {
    if (this.free === Infinity) this.late = true;
    if (this.waiting || this.late) return;
    this.waiting = true;
    setTimeout(() => {
      this.waiting = false;
      if (!this.closed) this.start(Date.now());
    }, Math.max(0, (this.free ?? 0) - performance.now()));
  }

  start(since) {
    if (this.closed) return;
    if (!window.$3Dmol) {
      if (Date.now() - since > 30000) this.note.textContent = "The 3-D viewer did not load. Reload the page.";
      else setTimeout(() => this.start(since), 60);
      return;
    }
    if (!this.viewer) {
      try {
        this.viewer = window.$3Dmol.createViewer(this.canvas, { antialias: true, backgroundAlpha: 0 });
      } catch {
        this.viewer = undefined;
      }
      if (!this.viewer) {
        this.note.textContent = "This browser shows no 3-D graphics (WebGL); everything else works.";
        return;
      }
      this.scheme.observe(document.documentElement, { attributes: true, subtree: false });
    }
    this.background();
    this.place();
  }

  background() {
    if (this.viewer) this.viewer.setBackgroundColor(getComputedStyle(this.root).getPropertyValue("--st-background-color").trim() || "white", 1);
  }

  place() {
    const began = performance.now();
    this.free = Infinity;
    requestAnimationFrame(() => requestAnimationFrame(() => {
      this.free = performance.now() + Math.min(10000, 3 * (performance.now() - began));
      const late = this.late;
      this.late = false;
      if (late) this.request();
    }));
    const wanted = new Map(this.data.structures.map((item) => [item.id, item]));
    const known = this.models.size > 0;
    for (const [id, entry] of this.models) {
      if (wanted.get(id)?.text !== entry.text) {
        this.viewer.removeModel(entry.model);
        this.models.delete(id);
      }
    }
    for (const [id, item] of wanted) {
      if (!this.models.has(id)) this.models.set(id, { text: item.text, model: this.viewer.addModel(item.text, "cif") });
    }
    this.paint();
    if (!known) {
      this.viewer.zoomTo();
      this.viewer.render();
    }
    this.root.dataset.drawn = String(Number(this.root.dataset.drawn ?? 0) + 1);
  }

  paint() {
    if (!this.viewer) return;
    this.viewer.removeAllShapes();
    const mode = this.data.modes.find((m) => m.id === this.mode);
    const focus = this.data.structures.find((item) => item.colour === null);
    for (const item of this.data.structures) {
      const model = this.models.get(item.id)?.model;
      if (!model) continue;
      if (this.hidden.has(item.id)) {
        model.setStyle({}, {});
        continue;
      }
      const paint = (atom) => this.colourOf(item, atom, mode);
      model.setStyle({}, { cartoon: { colorfunc: paint, thickness: 0.4, opacity: item.faint ? 0.6 : 1 } });
      model.setStyle({ hetflag: true }, { stick: { radius: 0.18 }, sphere: { scale: 0.25 } });
      model.setClickable({}, true, (atom) => this.click(atom));
      if (item === (focus ?? this.data.structures[0])) this.mark(model);
    }
    this.viewer.render();
    this.showLegend(mode);
  }

  colourOf(item, atom, mode) {
    const at = keyOf(atom);
    if (this.picked.has(at)) return "#7a4fd0";
    if (item.colour) return item.colour;
    return mode ? colour(mode.ramp, mode.low, mode.high, mode.values[at]) : PLAIN;
  }

  mark(model) {
    const marks = this.data.marks;
    for (const atom of model.selectedAtoms({ atom: "CA" })) {
      const found = marks[keyOf(atom)];
      if (found) this.viewer.addSphere({ center: { x: atom.x, y: atom.y, z: atom.z }, radius: 0.85, color: this.data.kinds[found].colour, opacity: 0.85 });
    }
  }

  click(atom) {
    this.tell(atom);
    if (this.data.pick) this.pick(keyOf(atom));
  }

  pick(at) {
    if (!this.picked.delete(at)) this.picked.add(at);
    this.send("picked", [...this.picked]);
    this.paint();
  }

  tell(atom) {
    const at = keyOf(atom);
    this.note.textContent = [`${atom.resn} ${at}`, ...(this.data.facts[at] ?? [])].join("\n");
    this.root.dataset.clicked = at;
  }

  // The residue before or after the one that is told of, for those who do not click.
  go(step) {
    const main = this.data.structures.find((item) => item.colour === null) ?? this.data.structures[0];
    const chain = this.models.get(main?.id)?.model.selectedAtoms({ atom: "CA", hetflag: false }) ?? [];
    if (!chain.length) return;
    const now = chain.findIndex((atom) => keyOf(atom) === this.root.dataset.clicked);
    this.tell(chain[now < 0 ? 0 : (now + step + chain.length) % chain.length]);
  }

  key(event) {
    const turns = { ArrowLeft: [-8, "y"], ArrowRight: [8, "y"], ArrowUp: [-8, "x"], ArrowDown: [8, "x"] };
    if (!this.viewer) return;
    if (turns[event.key]) this.viewer.rotate(...turns[event.key]);
    else if (event.key === "+" || event.key === "=") this.viewer.zoom(1.15);
    else if (event.key === "-") this.viewer.zoom(0.87);
    else if (event.key === "." || event.key === ",") this.go(event.key === "." ? 1 : -1);
    else if (event.key === "Enter" && this.data.pick && this.root.dataset.clicked) this.pick(this.root.dataset.clicked);
    else return;
    event.preventDefault();
    this.viewer.render();
  }

  controls() {
    this.bar.replaceChildren();
    if (this.data.structures.length > 1) {
      for (const item of this.data.structures) {
        const label = element("label", this.bar);
        const box = element("input", label, { type: "checkbox", checked: !this.hidden.has(item.id) });
        if (item.colour) element("span", label, { className: "swatch" }).style.background = item.colour;
        label.append(item.name);
        box.addEventListener("change", () => {
          if (box.checked) this.hidden.delete(item.id);
          else this.hidden.add(item.id);
          this.paint();
        });
      }
    }
    if (this.data.modes.length > 1) {
      const label = element("label", this.bar);
      label.append("Colour by");
      const select = element("select", label);
      for (const mode of this.data.modes) element("option", select, { value: mode.id, textContent: mode.label, selected: mode.id === this.mode });
      select.addEventListener("change", () => {
        this.mode = select.value;
        this.paint();
      });
    }
    const reset = element("button", this.bar, { type: "button", textContent: "Whole view" });
    reset.addEventListener("click", () => {
      this.viewer?.zoomTo();
      this.viewer?.render();
    });
    if (this.data.pick) {
      const clear = element("button", this.bar, { type: "button", textContent: "Clear picked residues" });
      clear.addEventListener("click", () => {
        this.picked.clear();
        this.send("picked", []);
        this.paint();
      });
    }
  }

  showLegend(mode) {
    this.legend.replaceChildren();
    if (mode) {
      const item = element("span", this.legend);
      item.append(`${mode.label}: ${mode.low_text}`);
      element("span", item, { className: "ramp" }).style.background = `linear-gradient(90deg, ${RAMPS[mode.ramp].join(",")})`;
      item.append(mode.high_text);
    }
    const present = new Set(Object.values(this.data.marks));
    const kinds = Object.entries(this.data.kinds).filter(([kind]) => present.has(kind)).map(([, kind]) => kind);
    if (this.data.pick) kinds.push({ colour: "#7a4fd0", label: "picked: stays fixed" });
    for (const kind of kinds) {
      const item = element("span", this.legend);
      element("span", item, { className: "swatch" }).style.background = kind.colour;
      item.append(kind.label);
    }
  }

  close() {
    this.closed = true;
    this.resizer.disconnect();
    this.scheme.disconnect();
    this.canvas.remove();
  }
}

export default function ({ data, parentElement, setStateValue }) {
  let view = views.get(parentElement);
  if (!view) {
    view = new View(parentElement);
    views.set(parentElement, view);
  }
  view.update(data, setStateValue);
  return () => {
    view.close();
    view.root.replaceChildren();
    views.delete(parentElement);
  };
}

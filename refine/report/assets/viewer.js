'use strict';
// The 3-D view of the report and of the app. It draws the structures it is given; their names become text nodes only.

const PLAIN = '#8a94a3';
const PICKED = '#7a4fd0';
const RAMPS = { amount: HEAT, bands: BANDS };
const STYLES = ['cartoon', 'trace', 'sticks'];
const CHAINS = { id: 'chain', label: 'Chain' };
const MOST_CHAINS = 30; // in the legend
const TURNS = { ArrowLeft: [-8, 'y'], ArrowRight: [8, 'y'], ArrowUp: [-8, 'x'], ArrowDown: [8, 'x'] };

// data of `update`:
//   label       of the picture, for those who do not see it
//   structures  [{id, name, text, format 'cif' or 'pdb', colour or null, visible, faint, fixed, values}];
//               `fixed`: always shown as sticks, without a box; `values`: mode → values of the residues numbered from 1
//   modes       [{id, label, ramp of RAMPS, low, high, unit}], `mode`: the first one; values are coloured by it
//   facts       residue → lines, marks: residue → kind, kinds: kind → {colour, label}; pick: whether clicks pick
//   frozen      residues that stay where they are
//   main        the structure that is gone along and marked; without it the first one
//   chains      name of a chain in the structures → its name in words, where that is another
// handlers: picked(residues), clicked(atom, id), describe(atom, id) → lines; all optional.
class StructureView {
  constructor(root, handlers = {}) {
    this.root = root;
    this.handlers = handlers;
    this.bar = element('div', { class: 'controls' });
    this.boxes = element('div', { class: 'controls' });
    this.canvas = element('div', { style: 'position:absolute;inset:0' });
    this.note = element('div', { class: 'view-note', 'aria-live': 'polite' });
    this.stage = element('div', { class: 'stage', tabindex: 0, role: 'img' }, this.canvas, this.note);
    this.legend = element('div', { class: 'view-legend' });
    root.replaceChildren(this.bar, this.boxes, this.stage, this.legend);
    this.models = new Map();
    this.hidden = new Set();
    this.picked = new Set();
    this.style = STYLES[0];
    this.marked = true;
    this.frozenSeen = true;
    this.selected = null;
    this.byKey = false;
    this.stage.addEventListener('keydown', (event) => this.key(event));
    this.stage.addEventListener('mousemove', () => { this.byKey = false; }, true);
    this.tameWheel();
    this.resizer = new ResizeObserver(() => this.viewer && (this.viewer.resize(), this.viewer.render()));
    this.resizer.observe(this.stage);
    this.theme = new MutationObserver(() => this.background());
  }

  // The wheel scrolls the page until the picture has been clicked.
  tameWheel() {
    let armed = false;
    this.stage.addEventListener('pointerdown', () => { armed = true; });
    this.stage.addEventListener('pointerleave', () => { armed = false; });
    this.stage.addEventListener('wheel', (event) => { if (!armed) event.stopPropagation(); }, { capture: true });
  }

  update(data) {
    const text = JSON.stringify(data);
    if (text === this.before) return;
    this.before = text;
    if (this.data === undefined) {
      this.mode = data.mode;
      for (const item of data.structures) if (!item.visible) this.hidden.add(item.id);
    }
    this.data = data;
    this.nameStage({});
    this.controls();
    this.request();
  }

  // Draw the newest data, with a pause of three times what the last drawing took (10 s at most): a slow machine stays
  // usable. A page that is not seen gets no frames and draws nothing.
  request() {
    if (this.free === Infinity) this.late = true;
    if (this.waiting || this.late) return;
    this.waiting = true;
    setTimeout(() => {
      this.waiting = false;
      this.start(Date.now());
    }, Math.max(0, (this.free ?? 0) - performance.now()));
  }

  start(since) {
    if (this.closed) return;
    if (!window.$3Dmol) {
      if (Date.now() - since > 30000) this.note.textContent = 'The 3-D viewer did not load. Reload the page.';
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
        this.note.textContent = 'This browser shows no 3-D graphics (WebGL); everything else works.';
        return;
      }
      this.theme.observe(document.documentElement, { attributes: true, subtree: false });
      matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.background());
    }
    this.background();
    this.place();
  }

  background() {
    const ground = getComputedStyle(this.root).getPropertyValue('--card').trim() || 'white';
    if (this.viewer) this.viewer.setBackgroundColor(ground, 1);
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
    const empty = this.models.size === 0;
    for (const [id, entry] of this.models) {
      if (wanted.get(id)?.text === entry.text) continue;
      this.viewer.removeModel(entry.model);
      this.models.delete(id);
    }
    for (const [id, item] of wanted) {
      if (!this.models.has(id)) this.models.set(id, { text: item.text, model: this.add(item) });
    }
    this.paint();
    if (empty) {
      this.controls(); // chains are known now
      this.viewer.zoomTo();
      this.viewer.render();
    }
    this.root.dataset.drawn = String(Number(this.root.dataset.drawn ?? 0) + 1);
  }

  add(item) {
    const model = this.viewer.addModel(item.text, item.format);
    model.setClickable({}, true, (atom) => this.click(atom, item.id));
    const left = () => this.tell(this.selected, this.mainId());
    model.setHoverable({}, true, (atom) => this.byKey || this.tell(atom, item.id), left);
    return model;
  }

  paint() {
    if (!this.viewer) return;
    this.viewer.removeAllShapes();
    this.names = this.chainNames();
    const mode = this.modes().find((m) => m.id === this.mode);
    for (const item of this.data.structures) {
      const model = this.models.get(item.id)?.model;
      if (!model) continue;
      model.setStyle({}, this.hidden.has(item.id) ? {} : this.looks(item, mode));
      if (!this.hidden.has(item.id)) this.showHetero(model, item);
    }
    const main = this.models.get(this.mainId())?.model;
    if (main && !this.hidden.has(this.mainId())) {
      this.showFrozen(main);
      this.mark(main);
    }
    this.showBonds();
    this.viewer.render();
    this.showLegend(mode);
  }

  looks(item, mode) {
    if (item.fixed) return {};
    const colorfunc = (atom) => this.colourOf(item, atom, mode);
    if (this.style === 'trace') return { cartoon: { style: 'trace', thickness: 0.35, colorfunc } };
    if (this.style === 'sticks') return { stick: { radius: 0.13, colorfunc } };
    return { cartoon: { colorfunc, thickness: 0.4, opacity: item.faint ? 0.5 : 1 } };
  }

  // Ligands as sticks, metals as spheres, coloured by element.
  showHetero(model, item) {
    const of = item.fixed ? {} : { hetflag: true };
    model.setStyle({ ...of, predicate: (atom) => !isMetal(atom) }, { stick: { radius: 0.18, colorscheme: 'Jmol' } });
    model.setStyle({ ...of, predicate: isMetal }, { sphere: { radius: 0.8, colorscheme: 'Jmol' } });
  }

  // What is seen, for those who do not see it, and the keys.
  nameStage(seen) {
    const counted = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`;
    const parts = [];
    if (seen.metals) parts.push(`${counted(seen.metals, 'metal')} with ${counted(seen.bonds, 'bond')}`);
    if (seen.ligands) parts.push(counted(seen.ligands, 'ligand atom'));
    const pick = this.data.pick ? ', Enter picks the residue' : '';
    this.stage.setAttribute('aria-label', `${[this.data.label, ...parts].join(', ')}. `
      + `Arrow keys turn it, plus and minus zoom, full stop and comma go along the chain${pick}.`);
  }

  // The bonds of metals to what is around them, in the structure that is gone along and in what is carried along.
  showBonds() {
    const kept = (one) => !this.hidden.has(one.id) && (one.fixed || one.id === this.mainId());
    const seen = this.data.structures.filter(kept);
    const atoms = seen.flatMap((one) => this.models.get(one.id)?.model.selectedAtoms({}) ?? []);
    const bonds = metalBonds(atoms);
    for (const [donor, metal] of bonds) {
      this.viewer.addCylinder({ start: donor, end: metal, radius: 0.08, dashed: true, color: PLAIN });
    }
    const bound = new Set(bonds.map(([donor]) => residueKey(donor)));
    const metals = atoms.filter(isMetal).length;
    this.nameStage({ metals, bonds: bonds.length, ligands: atoms.filter((atom) => atom.hetflag).length - metals });
    const main = this.models.get(this.mainId())?.model;
    if (main && bound.size) this.addSticks(main, bound);
  }

  addSticks(model, keys) {
    const style = { stick: { radius: 0.12, colorscheme: 'Jmol' } };
    model.setStyle({ hetflag: false, predicate: (atom) => keys.has(residueKey(atom)) }, style, true);
  }

  modes() {
    const { modes } = this.data;
    return this.chainNames().length > 1 ? [...(modes.length ? modes : [{ id: '', label: 'Structure' }]), CHAINS] : modes;
  }

  chainNames() {
    return [...new Set(this.chain().map((atom) => atom.chain))];
  }

  chainColours() {
    const words = (name) => `chain ${shortened(this.data.chains?.[name] ?? name, 12) || '(blank)'}`;
    return this.names.slice(0, MOST_CHAINS).map((name, k) => [words(name), SERIES[k % SERIES.length]]);
  }

  colourOf(item, atom, mode) {
    if (this.picked.has(residueKey(atom))) return PICKED;
    if (mode?.id === CHAINS.id) return SERIES[Math.max(0, this.names.indexOf(atom.chain)) % SERIES.length];
    const value = mode && item.values?.[mode.id]?.[atom.resi - 1];
    if (value === undefined || value === null) return item.colour ?? PLAIN;
    return hex(RAMPS[mode.ramp]((value - mode.low) / (mode.high - mode.low || 1)));
  }

  mainId() {
    return this.data.main ?? this.data.structures[0]?.id;
  }

  // Beads on the residues that stay: the colours of the chain remain to be seen.
  showFrozen(model) {
    if (!this.frozenSeen || !this.data.frozen.length) return;
    const stay = new Set(this.data.frozen);
    for (const { x, y, z, ...atom } of model.selectedAtoms({ atom: 'CA', hetflag: false })) {
      if (stay.has(residueKey(atom))) this.viewer.addSphere({ center: { x, y, z }, radius: 0.9, color: PICKED });
    }
  }

  mark(model) {
    const { marks, kinds } = this.data;
    const sphere = (atom, radius, color, opacity) => {
      this.viewer.addSphere({ center: { x: atom.x, y: atom.y, z: atom.z }, radius, color, opacity });
    };
    if (this.selected) this.showAround(model);
    for (const atom of model.selectedAtoms({ atom: 'CA', hetflag: false })) {
      const key = residueKey(atom);
      if (this.marked && marks[key]) sphere(atom, 0.85, kinds[marks[key]].colour, 0.85);
      if (this.selected && key === residueKey(this.selected)) sphere(atom, 1.6, PICKED, 0.45);
    }
  }

  // The atoms of the selected residue and of those around it, as sticks.
  showAround(model) {
    this.addSticks(model, residuesAround(model.selectedAtoms({}), residueKey(this.selected)));
  }

  click(atom, id) {
    if (this.data.structures.find((item) => item.id === id)?.fixed) return;
    this.select(atom);
    this.tell(atom, id);
    if (this.handlers.clicked) this.handlers.clicked(atom, id);
    if (this.data.pick) this.pick(residueKey(atom));
  }

  pick(key) {
    if (!this.picked.delete(key)) this.picked.add(key);
    this.handlers.picked([...this.picked]);
    this.paint();
  }

  // Mark the residue of an atom of the main structure; null takes the mark away.
  select(atom) {
    this.selected = atom;
    if (atom) this.root.dataset.clicked = residueKey(atom);
    this.paint();
  }

  // The same from outside, by the residue's number.
  selectResidue(number) {
    const atom = this.chain().find((ca) => ca.resi === number);
    if (!atom) return;
    this.select(atom);
    this.tell(atom, this.mainId());
  }

  tell(atom, id) {
    if (!atom) { this.note.textContent = ''; return; }
    const lines = this.handlers.describe?.(atom, id)
      ?? [`${atom.resn} ${residueKey(atom)}`, ...(this.data.facts[residueKey(atom)] ?? [])];
    this.note.textContent = lines.join('\n');
  }

  chain() {
    return this.models.get(this.mainId())?.model.selectedAtoms({ atom: 'CA', hetflag: false }) ?? [];
  }

  // The residue before or after the selected one, for those who do not click.
  go(step) {
    const chain = this.chain();
    if (!chain.length) return;
    const now = this.selected ? chain.findIndex((atom) => residueKey(atom) === residueKey(this.selected)) : -1;
    const next = chain[now < 0 ? 0 : (now + step + chain.length) % chain.length];
    this.byKey = true; // the pointer, told of half a second later, rests on the residue before
    this.select(next);
    this.tell(next, this.mainId());
    if (this.handlers.clicked) this.handlers.clicked(next, this.mainId());
  }

  key(event) {
    if (!this.viewer) return;
    if (TURNS[event.key]) this.viewer.rotate(...TURNS[event.key]);
    else if (event.key === '+' || event.key === '=') this.viewer.zoom(1.15);
    else if (event.key === '-') this.viewer.zoom(0.87);
    else if (event.key === '.' || event.key === ',') this.go(event.key === '.' ? 1 : -1);
    else if (event.key === 'Enter' && this.data.pick && this.selected) this.pick(residueKey(this.selected));
    else return;
    event.preventDefault();
    this.viewer.render();
  }

  // Show these structures and those without a box, and hide the others.
  showOnly(ids) {
    for (const item of this.data.structures) {
      if (item.fixed || ids.has(item.id)) this.hidden.delete(item.id);
      else this.hidden.add(item.id);
    }
    this.controls();
    this.paint();
  }

  controls() {
    const button = (text, act) => element('button', { type: 'button', onclick: act }, text);
    const choice = (text, options, now, choose) => {
      const select = element('select', { onchange: () => { choose(select.value); this.paint(); } },
        ...options.map(([value, name]) => element('option', { value }, name)));
      select.value = now;
      return element('label', {}, text, select);
    };
    const { structures, pick, marks } = this.data;
    const modes = this.modes();
    this.bar.replaceChildren();
    if (modes.length > 1) {
      this.bar.append(choice('Colour by', modes.map((m) => [m.id, m.label]), this.mode, (id) => { this.mode = id; }));
    }
    this.bar.append(
      choice('as', STYLES.map((name) => [name, name]), this.style, (name) => { this.style = name; }),
      button('Whole view', () => { this.viewer?.zoomTo(); this.viewer?.render(); }));
    if (pick) {
      this.bar.append(button('Clear picked residues', () => {
        this.picked.clear();
        this.handlers.picked([]);
        this.paint();
      }));
    }
    if (Object.keys(marks).length) {
      const box = element('input', { type: 'checkbox', onchange: () => { this.marked = box.checked; this.paint(); } });
      box.checked = this.marked;
      this.bar.append(element('label', {}, box, 'Marks'));
    }
    if (this.data.frozen.length) {
      const box = element('input', { type: 'checkbox' });
      box.addEventListener('change', () => { this.frozenSeen = box.checked; this.paint(); });
      box.checked = this.frozenSeen;
      this.bar.append(element('label', {}, box, 'Fixed residues'));
    }
    const listed = structures.filter((item) => !item.fixed);
    this.boxes.replaceChildren(...(listed.length > 1 ? listed.map((item) => this.box(item)) : []));
  }

  box(item) {
    const box = element('input', { type: 'checkbox', onchange: () => {
      if (box.checked) this.hidden.delete(item.id);
      else this.hidden.add(item.id);
      this.paint();
    } });
    box.checked = !this.hidden.has(item.id);
    const swatch = element('i', { class: 'swatch', 'data-of': item.id, style: `background:${item.colour ?? PLAIN}` });
    return element('label', {}, box, swatch, item.name);
  }

  showLegend(mode) {
    for (const swatch of this.boxes.querySelectorAll('.swatch')) {
      const item = this.data.structures.find((one) => one.id === swatch.dataset.of);
      swatch.hidden = mode?.id === CHAINS.id || Boolean(mode && item?.values?.[mode.id]);
    }
    const { marks, kinds, pick } = this.data;
    const present = new Set(this.marked ? Object.values(marks) : []);
    const items = Object.keys(kinds).filter((kind) => present.has(kind)).map((k) => [kinds[k].label, kinds[k].colour]);
    if (pick) items.push(['picked: stays fixed', PICKED]);
    else if (this.data.frozen.length && this.frozenSeen) items.push(['stays fixed', PICKED]);
    if (mode?.id === CHAINS.id) items.push(...this.chainColours());
    const title = mode?.unit ? `${mode.label} (${mode.unit})` : mode?.label;
    this.legend.replaceChildren(
      items.length ? swatches(items) : '',
      mode?.ramp ? scaleBar(RAMPS[mode.ramp], mode.low, mode.high, title) : '');
  }

  close() {
    this.closed = true;
    this.resizer.disconnect();
    this.theme.disconnect();
    this.root.replaceChildren();
  }
}

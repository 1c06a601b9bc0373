'use strict';
// Line charts of the propagation and the Ramachandran plots.

function axes(svg, box, x, y, labels) {
  for (const v of ticks(x.low, x.high, Math.max(2, Math.floor(box.width / 70)))) {
    svg.append(shape('text', { x: x.at(v), y: box.bottom + 15, 'text-anchor': 'middle' }, String(+v.toFixed(6)).replace('-', '−')));
    svg.append(shape('line', { class: 'axis', x1: x.at(v), x2: x.at(v), y1: box.bottom, y2: box.bottom + 4 }));
  }
  for (const v of ticks(y.low, y.high, Math.max(2, Math.floor(box.height / 38)))) {
    svg.append(shape('line', { class: 'grid', x1: box.left, x2: box.right, y1: y.at(v), y2: y.at(v) }));
    svg.append(shape('text', { x: box.left - 6, y: y.at(v) + 4, 'text-anchor': 'end' }, String(+v.toFixed(6)).replace('-', '−')));
  }
  svg.append(shape('path', { class: 'axis', d: `M${box.left} ${box.top}V${box.bottom}H${box.right}` }));
  svg.append(shape('text', { x: (box.left + box.right) / 2, y: box.bottom + 30, 'text-anchor': 'middle' }, labels.x));
  svg.append(shape('text', { x: 4, y: box.top - 8 }, labels.y));
}

function frame(width, height, left = 48) {
  const box = { left, right: width - 16, top: 22, bottom: height - 36 };
  box.width = box.right - box.left;
  box.height = box.bottom - box.top;
  return box;
}

function linear(low, high, from, to) {
  return { low, high, at: (v) => from + ((v - low) / (high - low || 1)) * (to - from), back: (p) => low + ((p - from) / (to - from)) * (high - low) };
}

// series: [{name, values, paint}]; x: values in common. The limits leave out the first, violent steps beyond the 2nd percentile.
function lineChart(holder, x, series, labels, height) {
  const readout = element('div', { class: 'readout note' });
  const plot = element('div');
  holder.replaceChildren(plot, readout, series.length > 1 ? swatches(series.map((s) => [s.name, s.paint])) : '');
  const known = series.flatMap((s) => s.values.filter((v) => v !== null)).sort((a, b) => a - b);
  if (!known.length) return;
  const low = known[0];
  const high = Math.max(known[Math.floor((known.length - 1) * 0.98)], low + 1e-6);
  const pad = (high - low) * 0.06 || 1;
  drawn(plot, (width) => {
    const box = frame(width, height, 52);
    const sx = linear(x[0], x[x.length - 1], box.left, box.right);
    const sy = linear(Math.min(low - pad, high), high + pad, box.bottom, box.top);
    const svg = shape('svg', { width, height, role: 'img', 'aria-label': `${labels.y} against ${labels.x}` });
    axes(svg, box, sx, sy, labels);
    for (const s of series) {
      const points = x.map((v, k) => [v, s.values[k]]).filter((p) => p[1] !== null);
      const path = points.map(([v, w]) => `${sx.at(v).toFixed(1)} ${Math.max(sy.at(w), box.top - 6).toFixed(1)}`).join('L');
      svg.append(shape('path', { d: `M${path}`, fill: 'none', stroke: s.paint, 'stroke-width': 1.5, 'stroke-linejoin': 'round' }));
    }
    const cursor = shape('line', { class: 'axis', y1: box.top, y2: box.bottom, visibility: 'hidden' });
    svg.append(cursor);
    svg.addEventListener('pointermove', (event) => {
      const at = sx.back(event.clientX - svg.getBoundingClientRect().left);
      const k = x.reduce((best, v, i) => (Math.abs(v - at) < Math.abs(x[best] - at) ? i : best), 0);
      cursor.setAttribute('x1', sx.at(x[k]));
      cursor.setAttribute('x2', sx.at(x[k]));
      cursor.setAttribute('visibility', 'visible');
      readout.textContent = `${labels.x} ${x[k]}: ${series.map((s) => `${s.name} ${brief(s.values[k])}`).join(', ')}`;
    });
    plot.replaceChildren(svg);
  })();
}

function drawTraces() {
  const holder = document.getElementById('trace-energy');
  const steps = DATA.trace.step;
  if (!holder || !steps || steps.length < 2) return;
  const kinds = { replicas: /^energy_(\d+)$/, terms: /^term_(.+)$/ };
  const show = (kind) => {
    const keys = Object.keys(DATA.trace).filter((key) => kinds[kind].test(key) && DATA.trace[key].some((v) => v !== 0));
    const series = keys.map((key, k) => ({
      name: kind === 'replicas' ? `replica ${key.match(kinds[kind])[1]}` : key.match(kinds[kind])[1].replaceAll('_', ' '),
      values: DATA.trace[key], paint: SERIES[k % SERIES.length],
    }));
    lineChart(holder, steps, series, { x: 'step', y: kind === 'replicas' ? 'free energy (kcal/mol)' : 'mean over replicas (kcal/mol)' }, 260);
    for (const button of document.querySelectorAll('[data-trace]')) button.setAttribute('aria-pressed', button.dataset.trace === kind);
  };
  for (const button of document.querySelectorAll('[data-trace]')) button.addEventListener('click', () => show(button.dataset.trace));
  show('replicas');
  const heat = document.getElementById('trace-temperature');
  const values = DATA.trace.temperature;
  if (values && values.some((v) => v !== null)) {
    lineChart(heat, steps, [{ name: 'temperature', values, paint: SERIES[1] }], { x: 'step', y: 'temperature of the noise (K)' }, 170);
  } else heat.replaceChildren(element('p', { class: 'note' }, 'No temperature: the steps of this run have no noise.'));
}

const VERDICTS = { 0: 'favoured', 1: 'allowed', 2: 'outlier' };

async function drawRamachandran() {
  const data = DATA.ramachandran;
  const background = await unpack(data.background, Uint8Array);
  const choice = document.getElementById('rama-class');
  data.names.forEach((name, k) => choice.append(element('option', { value: k }, name)));
  const redraw = [drawnRama('rama-before', () => INPUT), drawnRama('rama-after', chosenModel)];
  function drawnRama(id, which) {
    const holder = document.getElementById(id);
    return drawn(holder, (width) => ramaPlot(holder, Math.min(width, 420), which(), data, background, choice.value));
  }
  const again = () => redraw.forEach((draw) => draw());
  choice.addEventListener('change', again);
  watch((change) => { if ('model' in change || 'residue' in change) again(); });
  again();
}

function ramaPlot(holder, width, structure, data, background, chosen) {
  if (!structure) { holder.replaceChildren(element('p', { class: 'note' }, 'This structure is not in the run folder.')); return; }
  const box = frame(width, width, 44);
  const sx = linear(-180, 180, box.left, box.right);
  const sy = linear(-180, 180, box.bottom, box.top);
  const svg = shape('svg', { width, height: width, role: 'img', 'aria-label': `Ramachandran plot of ${structureLabel(structure.name)}` });
  const kind = chosen === 'all' ? 0 : Number(chosen);
  const [cw, ch] = [box.width / data.grid, box.height / data.grid];
  for (const [level, name] of [[1, 'rama-allowed'], [2, 'rama-favoured']]) {
    let path = '';
    for (let row = 0; row < data.grid; row += 1) {
      let run = 0;
      for (let k = 0; k <= data.grid; k += 1) {
        const inside = k < data.grid && background[(kind * data.grid + row) * data.grid + k] >= level;
        if (inside) run += 1;
        else if (run) {
          path += `M${(box.left + (k - run) * cw).toFixed(1)} ${(box.bottom - (row + 1) * ch).toFixed(1)}h${(run * cw).toFixed(1)}v${(ch + 0.4).toFixed(1)}h${(-run * cw).toFixed(1)}z`;
          run = 0;
        }
      }
    }
    svg.append(shape('path', { d: path, style: `fill:var(--${name})` }));
  }
  for (const v of [-180, -90, 0, 90, 180]) {
    svg.append(shape('text', { x: sx.at(v), y: box.bottom + 15, 'text-anchor': 'middle' }, String(v).replace('-', '−')));
    svg.append(shape('text', { x: box.left - 6, y: sy.at(v) + 4, 'text-anchor': 'end' }, String(v).replace('-', '−')));
  }
  svg.append(shape('rect', { class: 'axis', x: box.left, y: box.top, width: box.width, height: box.height }));
  svg.append(shape('text', { x: (box.left + box.right) / 2, y: box.bottom + 30, 'text-anchor': 'middle' }, 'φ (°)'));
  svg.append(shape('text', { x: 4, y: box.top - 8 }, 'ψ (°)'));
  let shown = 0;
  const paints = { 0: 'var(--accent)', 1: 'var(--native)', 2: 'var(--bad)' };
  structure.phi.forEach((phi, i) => {
    const verdict = structure.verdict[i];
    if (phi === null || structure.psi[i] === null || verdict < 0) return;
    if (chosen !== 'all' && data.class[structure.name][i] !== kind) return;
    shown += 1;
    const dot = shape('circle', {
      cx: sx.at(phi).toFixed(1), cy: sy.at(structure.psi[i]).toFixed(1), r: i === CHOICE.residue ? 6 : verdict === 2 ? 4 : 2.6,
      style: `fill:${paints[verdict]};fill-opacity:.8;cursor:pointer;stroke:${i === CHOICE.residue ? 'var(--text)' : 'none'};stroke-width:2`,
      onclick: () => choose({ residue: i }),
    }, shape('title', {}, `${residueName(i)}: φ ${fixed(phi, 0)}°, ψ ${fixed(structure.psi[i], 0)}°, ${VERDICTS[verdict]}`));
    svg.append(dot);
  });
  const out = structure.verdict.flatMap((v, i) => (v === 2 ? [residueName(i)] : []));
  const known = structure.verdict.filter((v) => v >= 0).length;
  const good = structure.verdict.filter((v) => v === 0).length;
  holder.replaceChildren(
    element('h3', {}, structureLabel(structure.name)), svg,
    element('p', { class: 'note' }, `${known ? fixed((100 * good) / known, 1) : '–'} % favoured of ${known} residues; ${shown} drawn. Outliers: ${out.length ? out.join(', ') : 'none'}.`));
}

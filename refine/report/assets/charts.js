'use strict';
// The propagation and the Ramachandran plots.

function drawTraces() {
  const holder = part('trace-energy');
  const steps = DATA.trace.step;
  if (!holder || !steps || steps.length < 2) return;
  const buttons = ROOT.querySelectorAll('[data-trace]');
  const kinds = { replicas: /^energy_(\d+)$/, terms: /^term_(.+)$/ };
  const show = (kind) => {
    const changes = (key) => DATA.trace[key].some((v) => v !== 0);
    const keys = Object.keys(DATA.trace).filter((key) => kinds[kind].test(key) && changes(key));
    const series = keys.map((key, k) => ({
      name: `${kind === 'replicas' ? 'replica ' : ''}${key.match(kinds[kind])[1].replaceAll('_', ' ')}`,
      values: DATA.trace[key], paint: SERIES[k % SERIES.length],
    }));
    const y = kind === 'replicas' ? 'free energy (kcal/mol)' : 'mean over replicas (kcal/mol)';
    lineChart(holder, steps, series, { x: 'step', y }, 260);
    for (const button of buttons) button.setAttribute('aria-pressed', button.dataset.trace === kind);
  };
  for (const button of buttons) button.addEventListener('click', () => show(button.dataset.trace));
  show('replicas');
  const heat = part('trace-temperature');
  const values = DATA.trace.temperature;
  if (values && values.some((v) => v)) {
    const labels = { x: 'step', y: 'temperature of the noise (K)' };
    lineChart(heat, steps, [{ name: 'temperature', values, paint: SERIES[1] }], labels, 170);
  } else heat.replaceChildren(element('p', { class: 'note' }, 'No temperature: the steps of this run have no noise.'));
}

const VERDICTS = { 0: 'favoured', 1: 'allowed', 2: 'outlier' };
const VERDICT_PAINTS = { 0: 'var(--accent)', 1: 'var(--allowed)', 2: 'var(--bad)' };

async function drawRamachandran() {
  const data = DATA.ramachandran;
  const choice = part('rama-class');
  if (!choice || !data) return;
  const background = await unpack(data.background, Uint8Array);
  data.names.forEach((name, k) => choice.append(element('option', { value: k }, name)));
  const pictures = [['rama-before', () => INPUT], ['rama-after', chosenModel]].map(([id, structure]) => {
    const holder = part(id);
    const plot = (width) => ramaPlot(holder, Math.min(width, 420), structure(), background, choice.value);
    return drawnInTheme(holder, plot);
  });
  const again = () => pictures.forEach((draw) => draw());
  choice.addEventListener('change', again);
  watch((change) => { if ('model' in change || 'residue' in change) again(); });
  again();
}

function ramaPlot(holder, width, structure, background, chosen) {
  if (!structure) {
    holder.replaceChildren(element('p', { class: 'note' }, 'This structure is not in the run folder.'));
    return;
  }
  const box = frame(width, width - 2, 44); // square inside its margins
  const name = structureLabel(structure.name);
  const svg = shape('svg', { width, height: width - 2, role: 'img', 'aria-label': `Ramachandran plot of ${name}` });
  const sx = linear(-180, 180, box.left, box.right);
  const sy = linear(-180, 180, box.bottom, box.top);
  ramaRegions(svg, box, background, chosen === 'all' ? 0 : Number(chosen));
  ramaAxes(svg, box, sx, sy);
  const drawnDots = ramaDots(svg, structure, sx, sy, chosen);
  holder.replaceChildren(element('h3', {}, name), svg, element('p', { class: 'note' }, ramaNote(structure, drawnDots)));
}

// The allowed and the favoured region, a rectangle for each run of cells in a row.
function ramaRegions(svg, box, background, kind) {
  const { grid } = DATA.ramachandran;
  const [cw, ch] = [box.width / grid, box.height / grid];
  for (const [level, name] of [[1, 'rama-allowed'], [2, 'rama-favoured']]) {
    let path = '';
    for (let row = 0; row < grid; row += 1) {
      let run = 0;
      for (let k = 0; k <= grid; k += 1) {
        if (k < grid && background[(kind * grid + row) * grid + k] >= level) { run += 1; continue; }
        if (!run) continue;
        const [x, y] = [box.left + (k - run) * cw, box.bottom - (row + 1) * ch];
        const wide = (run * cw).toFixed(1);
        path += `M${x.toFixed(1)} ${y.toFixed(1)}h${wide}v${(ch + 0.4).toFixed(1)}h-${wide}z`;
        run = 0;
      }
    }
    svg.append(shape('path', { d: path, style: `fill:var(--${name})` }));
  }
}

function ramaAxes(svg, box, sx, sy) {
  for (const v of [-180, -90, 0, 90, 180]) {
    svg.append(shape('text', { x: sx.at(v), y: box.bottom + 15, 'text-anchor': 'middle' }, tickText(v)));
    svg.append(shape('text', { x: box.left - 6, y: sy.at(v) + 4, 'text-anchor': 'end' }, tickText(v)));
  }
  svg.append(shape('rect', { class: 'axis', x: box.left, y: box.top, width: box.width, height: box.height }));
  svg.append(shape('text', { x: (box.left + box.right) / 2, y: box.bottom + 30, 'text-anchor': 'middle' }, 'φ (°)'));
  svg.append(shape('text', { x: 4, y: box.top - 8 }, 'ψ (°)'));
}

// A dot for each residue of the chosen class; gives how many.
function ramaDots(svg, structure, sx, sy, chosen) {
  let count = 0;
  structure.phi.forEach((phi, i) => {
    const verdict = structure.verdict[i];
    const psi = structure.psi[i];
    if (phi === null || psi === null || verdict < 0) return;
    if (chosen !== 'all' && DATA.ramachandran.class[structure.name][i] !== Number(chosen)) return;
    count += 1;
    const picked = i === CHOICE.residue;
    const stroke = picked ? 'var(--text)' : 'none';
    svg.append(shape('circle', {
      cx: sx.at(phi).toFixed(1), cy: sy.at(psi).toFixed(1), r: picked ? 6 : verdict === 2 ? 4 : 2.6,
      style: `fill:${VERDICT_PAINTS[verdict]};fill-opacity:.8;cursor:pointer;stroke:${stroke};stroke-width:2`,
      onclick: () => choose({ residue: i }),
    }, shape('title', {}, `${residueName(i)}: φ ${fixed(phi, 0)}°, ψ ${fixed(psi, 0)}°, ${VERDICTS[verdict]}`)));
  });
  return count;
}

function ramaNote(structure, count) {
  const outliers = structure.verdict.flatMap((v, i) => (v === 2 ? [residueName(i)] : []));
  const judged = structure.verdict.filter((v) => v >= 0).length;
  const share = judged ? fixed((100 * structure.verdict.filter((v) => v === 0).length) / judged, 1) : '–';
  return `${share} % favoured of ${judged} residues; ${count} drawn. Outliers: ${outliers.join(', ') || 'none'}.`;
}

'use strict';
// The page of an exploration: maps of the free energy; a click shows the snapshot nearest to the place.

const CELL = { unknown: [128, 128, 128, 0] };

function drawExploration(data) {
  const view = new StructureView(document.getElementById('view'), {});
  if (data.sticks) view.style = 'sticks';
  const readout = element('p', { class: 'note', 'aria-live': 'polite' });
  const show = (text, words) => {
    view.update({
      label: words, structures: [{ id: 'shown', name: words, text, format: 'pdb', colour: null, visible: true }],
      modes: [], mode: '', facts: {}, marks: {}, kinds: {}, frozen: [], pick: false,
    });
    readout.textContent = words;
  };
  const shown = (frame) => show(frame.text, `${frame.time} ns, ${frame.at.map(brief).join(', ')}, state ${frame.state}`);
  const state = (k) => show(data.states[k].text, `state ${k + 1}: ${data.states[k].at.map(brief).join(', ')}`);
  const maps = document.getElementById('maps');
  data.grids.forEach((grid) => maps.append(grid.axes.length === 2 ? mapOf(grid) : curveOf(grid)));
  maps.append(element('div', { class: 'controls' }, ...data.states.map((one, k) =>
    element('button', { type: 'button', onclick: () => state(k) }, one.name.replace('_', ' ')))), readout);
  document.querySelectorAll('#states tbody tr').forEach((row, k) => row.addEventListener('click', () => state(k)));
  if (data.states.length) state(0);

  // Distance of a place from a frame in steps of the grid, the shorter way round for torsions.
  function apart(grid, place, frame) {
    return Math.hypot(...place.map((value, k) => {
      const axis = grid.axes[k];
      let d = Math.abs(value - frame.at[grid.variables[k]]);
      if (grid.periodic[k]) d = Math.min(d, 360 - d);
      return d / (axis[1] - axis[0]);
    }));
  }

  function nearest(grid, place) {
    return data.frames.reduce((best, frame) => (apart(grid, place, frame) < apart(grid, place, best) ? frame : best));
  }

  function mapOf(grid) {
    const [xs, ys] = grid.axes;
    const high = Math.max(...grid.learned.filter((v) => v !== null), 0.1);
    const picture = element('canvas', { width: xs.length, height: ys.length });
    const context = picture.getContext('2d');
    const image = context.createImageData(xs.length, ys.length);
    xs.forEach((_, i) => ys.forEach((__, j) => {
      const value = grid.learned[i * ys.length + j];
      const paint = value === null ? CELL.unknown : [...VIRIDIS(value / high), 255];
      image.data.set(paint, 4 * ((ys.length - 1 - j) * xs.length + i));
    }));
    context.putImageData(image, 0, 0);
    const holder = element('div', { class: 'map' });
    const half = (axis) => (axis[1] - axis[0]) / 2;
    drawn(holder, (width) => {
      const size = Math.min(width, 440);
      const box = frame(size, size);
      const sx = linear(xs[0] - half(xs), xs[xs.length - 1] + half(xs), box.left, box.right);
      const sy = linear(ys[0] - half(ys), ys[ys.length - 1] + half(ys), box.bottom, box.top);
      const svg = shape('svg', { width: size, height: size, role: 'img', 'aria-label': `Free energy over ${grid.names}` });
      svg.append(shape('image', {
        href: picture.toDataURL(), x: box.left, y: box.top, width: box.width, height: box.height,
        preserveAspectRatio: 'none', style: 'image-rendering:pixelated',
      }));
      axes(svg, box, sx, sy, { x: grid.names[0], y: grid.names[1] });
      data.states.forEach((one, k) => {
        const [x, y] = grid.variables.map((v) => one.at[v]);
        const mark = shape('g', { style: 'cursor:pointer', 'data-state': k + 1 },
          shape('circle', { cx: sx.at(x), cy: sy.at(y), r: 9, fill: '#b3362b' }),
          shape('text', { x: sx.at(x), y: sy.at(y) + 4, 'text-anchor': 'middle', style: 'fill:#fff' }, k + 1));
        mark.addEventListener('click', (event) => { event.stopPropagation(); state(k); });
        svg.append(mark);
      });
      svg.addEventListener('click', (event) => {
        const at = svg.getBoundingClientRect();
        shown(nearest(grid, [sx.back(event.clientX - at.left), sy.back(event.clientY - at.top)]));
      });
      holder.replaceChildren(svg, scaleBar(VIRIDIS, 0, high, 'kcal/mol'));
    })();
    return holder;
  }

  function curveOf(grid) {
    const holder = element('div');
    const series = [{ name: 'learned', values: grid.learned, paint: SERIES[0] },
      { name: 'reweighted', values: grid.weighted, paint: SERIES[1] }];
    lineChart(holder, grid.axes[0], series, { x: grid.names[0], y: 'kcal/mol' }, 300);
    holder.addEventListener('click', (event) => {
      const svg = holder.querySelector('svg');
      const at = svg.getBoundingClientRect();
      const box = frame(at.width, 300, 52);
      const sx = linear(grid.axes[0][0], grid.axes[0][grid.axes[0].length - 1], box.left, box.right);
      shown(nearest(grid, [sx.back(event.clientX - at.left)]));
    });
    return holder;
  }

  if (data.states.length) state(0);
  document.documentElement.dataset.drawn = 'yes';
}

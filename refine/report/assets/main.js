'use strict';
// Puts the parts together; those that ROOT has no place for are left out.

function themeButton() {
  const button = part('theme');
  if (!button) return;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const dark = () => (ROOT.dataset.theme || (system.matches ? 'dark' : 'light')) === 'dark';
  const changed = () => {
    button.textContent = dark() ? 'Light' : 'Dark';
    ROOT.dispatchEvent(new Event('theme'));
  };
  button.addEventListener('click', () => {
    ROOT.dataset.theme = dark() ? 'light' : 'dark';
    changed();
  });
  system.addEventListener('change', changed);
  changed();
}

function modelChoice() {
  const select = part('model');
  if (!select) return;
  for (const { name } of MODELS) select.append(element('option', { value: name }, structureLabel(name)));
  select.value = CHOICE.model || '';
  select.addEventListener('change', () => choose({ model: select.value }));
}

async function start() {
  ROOT.addEventListener('model', (event) => { if (event.detail !== CHOICE.model) choose({ model: event.detail }); });
  ROOT.addEventListener('residue', (event) => {
    if (event.detail !== CHOICE.residue) choose({ residue: event.detail });
  });
  watch((change) => {
    if ('residue' in change) ROOT.dispatchEvent(new CustomEvent('chosen', { detail: change.residue }));
  });
  themeButton();
  modelChoice();
  const draw = {
    traces: drawTraces, rpdd: drawMaps, ramachandran: drawRamachandran, residues: drawTracks, structure: drawViewer,
  };
  for (const [id, drawPart] of Object.entries(draw)) {
    try {
      await drawPart();
    } catch (error) {
      console.error(error);
      const words = `This part could not be drawn: ${error.message}`;
      (part(id) || ROOT).append(element('p', { class: 'note' }, words));
    }
  }
  ROOT.dataset.drawn = 'yes';
}

start();

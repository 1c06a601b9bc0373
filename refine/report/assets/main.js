'use strict';
// Puts the parts together.

function themeButton() {
  const button = document.getElementById('theme');
  const dark = () => (document.documentElement.dataset.theme || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
  const say = () => { button.textContent = dark() ? 'Light' : 'Dark'; };
  button.addEventListener('click', () => {
    document.documentElement.dataset.theme = dark() ? 'light' : 'dark';
    say();
    document.dispatchEvent(new Event('theme'));
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { say(); document.dispatchEvent(new Event('theme')); });
  say();
}

function modelChoice() {
  const select = document.getElementById('model');
  for (const structure of MODELS) select.append(element('option', { value: structure.name }, structureLabel(structure.name)));
  select.value = CHOICE.model || '';
  select.addEventListener('change', () => choose({ model: select.value }));
}

async function start() {
  themeButton();
  modelChoice();
  const parts = [['traces', drawTraces], ['rpdd', drawMaps], ['ramachandran', drawRamachandran], ['residues', drawTracks], ['structure', drawViewer]];
  for (const [id, draw] of parts) {
    try {
      await draw();
    } catch (error) {
      console.error(error);
      document.getElementById(id).append(element('p', { class: 'note' }, `This part could not be drawn: ${error.message}`));
    }
  }
  document.documentElement.dataset.drawn = 'yes';
}

start();

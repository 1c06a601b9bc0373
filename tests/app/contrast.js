// Text of the page whose contrast with its ground is below what is asked for (WCAG 2.1), shadow roots included.
// Gives [{text, ratio, colour, ground, where}]. What is disabled or not seen is left out, as is text over pictures.
(least) => {
  const picture = document.createElement('canvas').getContext('2d', { willReadFrequently: true });

  // A colour of CSS as [r, g, b, a], 0 to 255 and 0 to 1.
  const known = new Map();
  const rgba = (css) => {
    if (!known.has(css)) {
      picture.clearRect(0, 0, 1, 1);
      picture.fillStyle = css;
      picture.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = picture.getImageData(0, 0, 1, 1).data;
      known.set(css, [r, g, b, a / 255]);
    }
    return known.get(css);
  };
  const over = ([r, g, b, a], ground) => [r, g, b].map((v, k) => v * a + ground[k] * (1 - a));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratioOf = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const parentOf = (node) => node.parentElement ?? node.getRootNode().host ?? null;

  // Ground below an element, and the product of the opacities above it; no ground where a picture lies there.
  const groundOf = (node) => {
    const layers = [];
    let opacity = 1;
    for (let at = node; at; at = parentOf(at)) {
      const style = getComputedStyle(at);
      opacity *= Number(style.opacity);
      if (style.backgroundImage !== 'none' && !at.matches('summary, select')) return null;
      layers.push(rgba(style.backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    const page = matchMedia('(prefers-color-scheme: dark)').matches ? [0, 0, 0] : [255, 255, 255];
    return { ground: layers.reverse().reduce((below, layer) => over(layer, below), page), opacity };
  };

  const poor = [];
  const judge = (node, text, css) => {
    const below = groundOf(node);
    if (!below || below.opacity === 0) return;
    const [r, g, b, a] = rgba(css);
    const colour = over([r, g, b, a * below.opacity], below.ground);
    const ratio = ratioOf(colour, below.ground);
    const wanted = node.closest('[data-testid="stIconMaterial"]') ? Math.min(3, least) : least;
    if (ratio >= wanted - 0.005) return;
    const where = [];
    for (let at = node; at && where.length < 5; at = parentOf(at)) where.push(at.dataset?.testid ?? at.localName);
    const show = (rgb) => rgb.map(Math.round).join(' ');
    poor.push({ text: text.slice(0, 60), ratio: Number(ratio.toFixed(2)), colour: show(colour),
      ground: show(below.ground), where: where.join(' < ') });
  };
  const off = (node) => {
    for (let at = node; at; at = parentOf(at)) if (at.matches(':disabled, [aria-disabled="true"]')) return true;
    return false;
  };

  const walk = (root) => {
    for (const node of root.querySelectorAll('*')) {
      if (node.shadowRoot) walk(node.shadowRoot);
      if (node.matches('script, style, option, title, defs, noscript')) continue;
      if (!node.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || off(node)) continue;
      const box = node.getBoundingClientRect();
      if (box.width < 2 || box.height < 2) continue;
      const style = getComputedStyle(node);
      const own = [...node.childNodes].filter((child) => child.nodeType === 3).map((child) => child.data).join('').trim();
      if (own) judge(node, own, node.ownerSVGElement ? style.fill : style.color);
      if (node.matches('input, textarea') && node.placeholder && !node.value) {
        judge(node, node.placeholder, getComputedStyle(node, '::placeholder').color);
      } else if (node.matches('input:not([type=checkbox], [type=radio], [type=file]), textarea, select')) {
        if (node.value) judge(node, node.value, style.color);
      }
    }
  };
  walk(document);
  return poor;
}

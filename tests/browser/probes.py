"""Small scripts that measure the page from inside: contrast, width, focus, names. Each is one function."""

from __future__ import annotations

#: [place, name, name of the input, value] of what has the focus
FOCUSED = """() => {
  const it = document.activeElement;
  const place = ['thread', 'channel'].find((each) => it.closest(`.${each}`)) ?? (it.closest('dialog') ? 'dialog' : '');
  return [place, (it.getAttribute('aria-label') ?? it.textContent).trim(), it.name ?? '', it.value ?? ''];
}"""

#: what can be used and has no name for a screen reader
NAMELESS = """() => {
  const named = (it) => it.getAttribute('aria-label') || it.getAttribute('aria-labelledby') || it.labels?.length;
  return [...document.querySelectorAll('button, input, select, textarea, [role=region]')]
    .filter((it) => it.checkVisibility() && !named(it) && !it.textContent.trim())
    .map((it) => it.outerHTML);
}"""

#: what is wider than the place it has
TOO_WIDE = """() => {
  const frames = document.querySelectorAll('main, .messages, .panel, .top, .composer');
  return [document.documentElement, document.body, ...frames]
    .filter((it) => it.checkVisibility() && it.scrollWidth > Math.min(it.clientWidth, innerWidth))
    .map((it) => `${it.tagName}.${it.className} ${it.scrollWidth} > ${it.clientWidth}`);
}"""

#: WCAG 2: how many texts are visible, and those with too little contrast; large text needs 3 to 1
FAINT = """(least) => {
  const parse = (text) => {
    const rgb = text.match(/^rgba?\\(([\\d.]+), ([\\d.]+), ([\\d.]+)(?:, ([\\d.]+))?\\)$/);
    const found = rgb ?? text.match(/^color\\(srgb ([\\d.]+) ([\\d.]+) ([\\d.]+)(?: \\/ ([\\d.]+))?\\)$/);
    return [...found.slice(1, 4).map((each) => each / (rgb ? 255 : 1)), Number(found[4] ?? 1)];
  };
  const over = (top, under) => [...top.slice(0, 3).map((each, at) => each * top[3] + under[at] * (1 - top[3])), 1];
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, layer) => over(layer, under), [1, 1, 1, 1]);
  };
  const contrast = (element, style) => {
    const under = behind(element);
    const [dark, bright] = [light(over(parse(style.color), under)), light(under)].sort((one, two) => one - two);
    return (bright + 0.05) / (dark + 0.05);
  };
  const large = ({ fontSize, fontWeight }) => parseFloat(fontSize) >= (Number(fontWeight) >= 700 ? 18.66 : 24);
  const faint = [];
  let measured = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const element = walker.currentNode.parentElement;
    const counts = text && element.checkVisibility() && !element.closest('.unseen, .skip, option, [disabled]');
    if (counts) {
      const style = getComputedStyle(element);
      const ratio = contrast(element, style);
      measured += 1;
      if (ratio < (large(style) ? 3 : least)) {
        faint.push(`${ratio.toFixed(2)} ${element.tagName}.${element.className}: ${text.slice(0, 40)}`);
      }
    }
  }
  return [measured, faint];
}"""

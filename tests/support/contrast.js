// Text whose contrast with what is behind it is below 4.5 (WCAG 2.2, AA).
(() => {
  const light = (part) => {
    const value = part / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  const luminance = (c) => 0.2126 * light(c[0]) + 0.7152 * light(c[1]) + 0.0722 * light(c[2]);
  const parse = (text) => text.match(/[\d.]+/g).map(Number);
  const behind = (start) => {
    for (let element = start; element; element = element.parentElement) {
      const color = parse(getComputedStyle(element).backgroundColor);
      if (color.length < 4 || color[3] === 1) { return color; }
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !element.checkVisibility()) { continue; }
    const style = getComputedStyle(element);
    const color = element.closest("svg") ? style.fill : style.color;
    const a = luminance(parse(color));
    const b = luminance(behind(element));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) { bad.push(`${ratio.toFixed(2)} ${element.outerHTML.slice(0, 90)}`); }
  }
  return bad;
})()

/** Charts as files: what is drawn, once more as SVG, and that as PNG. Every text is a text node, whatever it holds. */

export interface Series { name: string; color: string; values: (number | null)[] }
export type Drawing =
  | { kind: "lines"; title: string; measure: string; categories: string[]; series: Series[] }
  | { kind: "bars"; title: string; measure: string; bars: { name: string; value: number; shown: string }[] }
  | { kind: "cells"; title: string; measure: string; columns: string[]; rows: string[]; values: (number | null)[][] };

const SPACE = "http://www.w3.org/2000/svg";
const WIDTH = 960;
const MARGIN = { left: 70, right: 16, top: 56, bottom: 40 };
const FONT = "system-ui, 'Noto Sans', 'Noto Sans CJK TC', sans-serif";

type Attributes = Record<string, string | number>;

function css(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function element(parent: Element, name: string, attributes: Attributes, text?: string): Element {
  const made = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, typeof value === "number" ? String(Math.round(value * 100) / 100) : value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function sheet(drawing: Drawing, height: number): SVGSVGElement {
  const svg = document.createElementNS(SPACE, "svg");
  for (const [key, value] of Object.entries({ xmlns: SPACE, viewBox: `0 0 ${WIDTH} ${height}`, width: WIDTH, height, "font-family": FONT, "font-size": 12 })) svg.setAttribute(key, String(value));
  element(svg, "rect", { width: WIDTH, height, fill: css("--bg") });
  element(svg, "text", { x: 16, y: 24, "font-size": 15, "font-weight": 600, fill: css("--text") }, drawing.title);
  element(svg, "text", { x: 16, y: 42, fill: css("--muted") }, drawing.measure);
  return svg;
}

/** Round numbers from zero, or from the least, to the largest. */
export function ticks(low: number, high: number): number[] {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((item) => item >= rough) ?? rough;
  const first = Math.floor(low / step) * step;
  const count = Math.ceil((high - first) / step);
  return Array.from({ length: count + 1 }, (_, at) => Number((first + at * step).toPrecision(12)));
}

function lines(drawing: Extract<Drawing, { kind: "lines" }>): SVGSVGElement {
  const height = 420;
  const svg = sheet(drawing, height);
  const values = drawing.series.flatMap((item) => item.values).filter((value): value is number => value !== null);
  const marks = ticks(Math.min(0, ...values), Math.max(0, ...values));
  const [low, high] = [marks[0]!, marks[marks.length - 1]!];
  const wide = WIDTH - MARGIN.left - MARGIN.right;
  const tall = height - MARGIN.top - MARGIN.bottom - 24;
  const x = (at: number): number => MARGIN.left + (drawing.categories.length < 2 ? wide / 2 : (wide * at) / (drawing.categories.length - 1));
  const y = (value: number): number => MARGIN.top + tall * (1 - (value - low) / (high - low || 1));
  for (const mark of marks) {
    element(svg, "line", { x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y(mark), y2: y(mark), stroke: css("--hair") });
    element(svg, "text", { x: MARGIN.left - 8, y: y(mark) + 4, "text-anchor": "end", fill: css("--muted") }, mark.toLocaleString("en-US"));
  }
  const every = Math.max(1, Math.ceil(drawing.categories.length / 9));
  drawing.categories.forEach((name, at) => {
    if (at % every === 0) element(svg, "text", { x: x(at), y: MARGIN.top + tall + 18, "text-anchor": "middle", fill: css("--muted") }, name);
  });
  let left = MARGIN.left;
  for (const item of drawing.series) {
    let path = "";
    item.values.forEach((value, at) => {
      if (value !== null) path += `${path === "" || item.values[at - 1] === null ? "M" : "L"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    });
    element(svg, "path", { d: path, fill: "none", stroke: item.color, "stroke-width": 1.8 });
    element(svg, "rect", { x: left, y: height - 22, width: 12, height: 3, fill: item.color });
    element(svg, "text", { x: left + 18, y: height - 16, fill: css("--text") }, item.name);
    left += 40 + item.name.length * 8;
  }
  return svg;
}

function bars(drawing: Extract<Drawing, { kind: "bars" }>): SVGSVGElement {
  const svg = sheet(drawing, MARGIN.top + drawing.bars.length * 22 + 16);
  const largest = Math.max(1e-12, ...drawing.bars.map((bar) => bar.value));
  drawing.bars.forEach((bar, at) => {
    const y = MARGIN.top + at * 22;
    element(svg, "text", { x: 250, y: y + 13, "text-anchor": "end", fill: css("--text") }, bar.name.length > 34 ? `${bar.name.slice(0, 33)}…` : bar.name);
    element(svg, "rect", { x: 260, y: y + 2, width: (560 * Math.max(0, bar.value)) / largest, height: 14, fill: css("--bar") });
    element(svg, "text", { x: WIDTH - 16, y: y + 13, "text-anchor": "end", fill: css("--text") }, bar.shown);
  });
  return svg;
}

function cells(drawing: Extract<Drawing, { kind: "cells" }>): SVGSVGElement {
  const svg = sheet(drawing, MARGIN.top + drawing.rows.length * 18 + 80);
  const left = 190;
  const wide = (WIDTH - left - 16) / Math.max(1, drawing.columns.length);
  const largest = Math.max(1e-12, ...drawing.values.flat().map((value) => value ?? 0));
  drawing.rows.forEach((name, row) => {
    const y = MARGIN.top + row * 18;
    element(svg, "text", { x: left - 8, y: y + 13, "text-anchor": "end", fill: css("--text") }, name.length > 26 ? `${name.slice(0, 25)}…` : name);
    drawing.columns.forEach((_, column) => {
      const value = drawing.values[row]?.[column] ?? null;
      element(svg, "rect", { x: left + column * wide, y, width: Math.max(1, wide - 1), height: 17, fill: value === null ? css("--bar-ghost") : css("--accent"), "fill-opacity": value === null ? 1 : 0.08 + (0.92 * Math.max(0, value)) / largest });
    });
  });
  const every = Math.max(1, Math.ceil(drawing.columns.length / 24));
  drawing.columns.forEach((name, column) => {
    if (column % every) return;
    const x = left + (column + 0.6) * wide;
    const y = MARGIN.top + drawing.rows.length * 18 + 8;
    element(svg, "text", { x, y, fill: css("--muted"), transform: `rotate(60 ${x.toFixed(1)} ${y.toFixed(1)})` }, name.slice(0, 12));
  });
  return svg;
}

/** The drawing as an SVG document. */
export function toSvg(drawing: Drawing): string {
  const svg = drawing.kind === "lines" ? lines(drawing) : drawing.kind === "bars" ? bars(drawing) : cells(drawing);
  return new XMLSerializer().serializeToString(svg);
}

function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function saveSvg(drawing: Drawing, name: string): void {
  download(new Blob([toSvg(drawing)], { type: "image/svg+xml" }), `${name}.svg`);
}

/** Twice the size, so that it is sharp in a report. */
export async function savePng(drawing: Drawing, name: string): Promise<void> {
  const source = URL.createObjectURL(new Blob([toSvg(drawing)], { type: "image/svg+xml" }));
  try {
    const image = new Image();
    image.src = source;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.width * 2;
    canvas.height = image.height * 2;
    canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
    if (blob) download(blob, `${name}.png`);
  } finally {
    URL.revokeObjectURL(source);
  }
}

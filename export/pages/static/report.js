"use strict";
// Zoom by the buttons, a double click or Ctrl and the wheel; pan by dragging; values under the
// pointer. The axes of a figure stand in its data-axes, in the units of its viewBox.
document.documentElement.classList.add("scripted");
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);

function value(axis, share) {
  const [low, high] = axis.limits;
  if (axis.scale === "log") return low * Math.pow(high / low, share);
  return axis.scale === "linear" ? low + share * (high - low) : null;
}

function shown(number) {
  if (number === null) return "";
  const size = Math.abs(number);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? number.toExponential(2) : String(Number(number.toPrecision(4)));
}

function named(axis, at) {
  if (at === null) return "";
  if (!axis.names.length) return axis.whole ? String(Math.round(at)) : shown(at);
  return axis.names.reduce((a, b) => (Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a))[1];
}

function describe(axes, x, y) {
  const h = value(axes.x, (x - axes.box[0]) / (axes.box[2] - axes.box[0]));
  const v = value(axes.y, (axes.box[3] - y) / (axes.box[3] - axes.box[1]));
  const lines = [];
  if (h !== null && axes.x.label) lines.push(`${axes.x.label}: ${named(axes.x, h)}`);
  for (const one of axes.series) {
    let best = 0;
    for (let i = 1; i < one.x.length; i++)
      if (Math.abs(one.x[i] - h) < Math.abs(one.x[best] - h)) best = i;
    lines.push(`${one.name}: ${shown(one.y[best])}`);
  }
  if (!axes.series.length && v !== null && axes.y.label) lines.push(`${axes.y.label}: ${named(axes.y, v)}`);
  return lines.join("\n");
}

function place(svg, box) {
  svg.setAttribute("viewBox", box.join(" "));
  svg.classList.toggle("zoomed", box[2] < svg.full[2]);
}

function zoom(svg, factor, at) {
  const [x, y, w, h] = svg.getAttribute("viewBox").split(" ").map(Number);
  const full = svg.full;
  const width = Math.min(Math.max(w * factor, full[2] / 40), full[2]);
  const height = width * full[3] / full[2];
  const centre = at || [x + w / 2, y + h / 2];
  const left = centre[0] - (centre[0] - x) / w * width;
  const top = centre[1] - (centre[1] - y) / h * height;
  place(svg, [
    Math.min(Math.max(left, full[0]), full[0] + full[2] - width),
    Math.min(Math.max(top, full[1]), full[1] + full[3] - height), width, height,
  ]);
}

for (const svg of document.querySelectorAll("figure svg[data-axes]")) {
  const axes = JSON.parse(svg.dataset.axes);
  svg.full = svg.getAttribute("viewBox").split(" ").map(Number);
  const point = (event) => {
    const found = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [found.x, found.y];
  };
  let from = null;
  svg.addEventListener("pointermove", (event) => {
    const [x, y] = point(event);
    if (from) {
      const [left, top, w, h] = svg.getAttribute("viewBox").split(" ").map(Number);
      const full = svg.full;
      place(svg, [
        Math.min(Math.max(left + from[0] - x, full[0]), full[0] + full[2] - w),
        Math.min(Math.max(top + from[1] - y, full[1]), full[1] + full[3] - h), w, h,
      ]);
      return;
    }
    const here = axes.find((a) => x >= a.box[0] && x <= a.box[2] && y >= a.box[1] && y <= a.box[3]);
    tip.textContent = here ? describe(here, x, y) : "";
    tip.hidden = !tip.textContent;
    if (tip.hidden) return;
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 6)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 6)}px`;
  });
  svg.addEventListener("pointerdown", (event) => {
    if (svg.classList.contains("zoomed") && event.pointerType === "mouse") {
      from = point(event);
      svg.setPointerCapture(event.pointerId);
      event.preventDefault();
    }
  });
  for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => { from = null; });
  svg.addEventListener("pointerleave", () => { tip.hidden = true; });
  svg.addEventListener("dblclick", (event) => zoom(svg, 0.5, point(event)));
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(svg, event.deltaY < 0 ? 0.8 : 1.25, point(event));
  }, { passive: false });
}

for (const button of document.querySelectorAll(".tools button"))
  button.addEventListener("click", () => {
    for (const svg of button.closest("figure").querySelectorAll("svg[data-axes]"))
      if (button.dataset.zoom === "0") place(svg, svg.full);
      else zoom(svg, Number(button.dataset.zoom));
  });

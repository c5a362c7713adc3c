"use strict";
// Without this script the page lacks nothing but convenience: crops stand side by side, lines have titles.
(() => {
  const compare = document.querySelector(".compare");
  const shots = [...document.querySelectorAll("div.shot")];
  if (compare && shots.length) {
    const find = (selector) => compare.querySelector(selector);
    const slider = find("input"), sides = { left: find("select.left"), right: find("select.right") };
    const chosen = find("select.shot");
    const option = (list, text, value) => list.add(new Option(text, value));
    const kinds = (shot) => [...shot.querySelectorAll("figure")].map((figure) => figure.dataset.kind);
    const move = () => {
      find("img.left").style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
      find(".edge").style.left = `${slider.value}%`;
    };
    const show = () => {
      const shot = shots[chosen.value];
      shots.forEach((other) => other.classList.toggle("shown", other === shot));
      for (const side of ["left", "right"]) {
        const figures = [...shot.querySelectorAll("figure")];
        const figure = figures.find((one) => one.dataset.kind === sides[side].value);
        if (!figure) continue;
        find(`img.${side}`).src = figure.querySelector("img").src;
        find(`.tag.${side}`).textContent = sides[side].value;
      }
      move();
    };
    shots.forEach((shot, index) => option(chosen, shot.dataset.title, index));
    const all = [...new Set(shots.flatMap(kinds))];
    const subjects = all.filter((kind) => kind !== "noisy" && kind !== "truth");
    all.forEach((kind) => Object.values(sides).forEach((list) => option(list, kind, kind)));
    sides.left.value = subjects.length > 1 ? subjects[0] : all[0];
    sides.right.value = subjects.includes("model") && subjects[0] !== "model" ? "model" : subjects[subjects.length - 1] ?? all[all.length - 1];
    [chosen, sides.left, sides.right].forEach((list) => list.addEventListener("change", show));
    slider.addEventListener("input", move);
    document.documentElement.classList.add("scripted");
    compare.hidden = false;
    show();
  }

  const numbers = new WeakMap();
  const points = (path) => {
    if (!numbers.has(path)) numbers.set(path, [...path.getAttribute("d").matchAll(/[ML]([-\d.]+),([-\d.]+)/g)].map((m) => [+m[1], +m[2]]));
    return numbers.get(path);
  };
  for (const plot of document.querySelectorAll(".plot")) {
    const svg = plot.querySelector("svg");
    if (!svg) continue;
    const [x0, x1, left, right, y0, y1, bottom, top] = svg.dataset.scales.split(",").map(Number);
    const digits = svg.dataset.unit ? 2 : 4;
    const leave = () => { plot.classList.remove("hovered"); plot.querySelector(".tip")?.remove(); };
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const at = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      if (at < left - 4 || at > right + 4) return leave();
      const rows = [];
      let snapped = at, nearest = Infinity;
      for (const path of svg.querySelectorAll(".series")) {
        let best = null;
        for (const point of points(path)) if (!best || Math.abs(point[0] - at) < Math.abs(best[0] - at)) best = point;
        if (Math.abs(best[0] - at) < nearest) { nearest = Math.abs(best[0] - at); snapped = best[0]; }
        rows.push([path.dataset.label, path.getAttribute("class"), best]);
      }
      const frame = Math.round(x0 + (snapped - left) / (right - left) * (x1 - x0));
      let tip = plot.querySelector(".tip");
      if (!tip) { tip = document.createElement("div"); tip.className = "tip"; plot.append(tip); }
      tip.replaceChildren(`frame ${frame}`);
      for (const [label, hue, best] of rows) {
        if (Math.abs(best[0] - snapped) > 1) continue;
        const line = document.createElement("div"), key = document.createElement("span");
        key.className = `key ${hue.replace("series ", "")}`;
        const value = y0 + (best[1] - bottom) / (top - bottom) * (y1 - y0);
        line.append(key, `${label} ${value.toFixed(digits)} ${svg.dataset.unit}`);
        tip.append(line);
      }
      const cursor = svg.querySelector(".cursor");
      cursor.setAttribute("x1", snapped); cursor.setAttribute("x2", snapped);
      plot.classList.add("hovered");
      const place = (snapped / svg.viewBox.baseVal.width) * box.width;
      tip.style.top = "40px";
      tip.style.left = place > box.width / 2 ? "" : `${place + 14}px`;
      tip.style.right = place > box.width / 2 ? `${box.width - place + 14}px` : "";
    });
  }
})();

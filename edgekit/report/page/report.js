// Draws the charts when they come into view, and sorts and filters the tables. Everything is in this file.
"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const charts = read("charts");
  const tables = read("tables");
  const NARROW = 560;
  const STEP = 200;

  // On a narrow screen the labels of a chart take at most a third of it, its legend takes fewer columns, and
  // names inside it would cover each other.
  function fitted(spec, width) {
    if (width >= NARROW) return spec;
    const config = { ...spec.config };
    const columns = Math.max(1, Math.floor(config.legend.columns / 2));
    config.axis = { ...config.axis, labelLimit: Math.round(width * 0.36), labelFontSize: 10.5 };
    config.legend = { ...config.legend, columns, labelLimit: Math.round(width / columns - 34) };
    config.legend.layout = { top: { direction: "vertical", anchor: "start" } };
    const layer = spec.layer?.filter((one) => one.mark.type !== "text");
    return { ...spec, ...(layer ? { layer } : {}), config };
  }

  const drawn = new Map();

  async function draw(element) {
    const width = element.clientWidth;
    const size = width < NARROW;
    if (!width || drawn.get(element)?.size === size) return;
    drawn.get(element)?.result?.finalize();
    const entry = { size };
    drawn.set(element, entry);
    const controls = element.previousElementSibling?.matches(".chart-controls") ? element.previousElementSibling : null;
    if (controls) controls.replaceChildren();
    entry.result = await vegaEmbed(element, fitted(charts[element.dataset.chart], width), {
      renderer: "svg", actions: false, ast: true, logLevel: 1, defaultStyle: false, tooltip: { disableDefaultStyle: true },
      ...(controls ? { bind: controls } : {}),
    });
    element.dataset.drawn = "true";
  }

  const all = [...document.querySelectorAll(".chart")];
  const watcher = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
    { rootMargin: "400px" },
  );
  all.forEach((element) => watcher.observe(element));
  addEventListener("resize", () => all.filter((element) => drawn.has(element)).forEach(draw));
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((element) => { element.open = true; });
    all.forEach(draw);
  });

  // A cell is a text, or how a number is written, the number, and perhaps the length of its bar.
  const text = (cell) => (typeof cell === "string" ? cell : cell[0]);
  const key = (cell) => (typeof cell === "string" ? cell : cell[1]);
  const collator = new Intl.Collator("en", { numeric: true });

  function tableCell(cell, isNumber, isHead) {
    const element = document.createElement(isHead ? "th" : "td");
    if (isHead) element.scope = "row";
    if (isNumber) element.className = "number";
    element.textContent = text(cell);
    if (typeof cell !== "string" && cell.length > 2) {
      element.classList.add("barred");
      const bar = document.createElement("span");
      bar.className = "bar";
      bar.style.width = `${(100 * cell[2]).toFixed(1)}%`;
      element.append(bar);
    }
    return element;
  }

  // Rows without a value come last whichever way a column is sorted.
  function ordered(rows, column, sign) {
    const keyed = rows.map((row) => [key(row[column]), row]);
    const known = keyed.filter(([one]) => one !== null);
    const areNumbers = known.every(([one]) => typeof one === "number");
    known.sort(areNumbers ? (a, b) => sign * (a[0] - b[0]) : (a, b) => sign * collator.compare(a[0], b[0]));
    return [...known, ...keyed.filter(([one]) => one === null)].map(([, row]) => row);
  }

  function setUp(root) {
    const table = tables[root.dataset.table];
    const [body, status] = [root.querySelector("tbody"), root.querySelector("[role=status]")];
    const [more, filter] = [root.querySelector(".more"), root.querySelector("input")];
    const heads = [...root.querySelectorAll("thead th")];
    const state = { rows: table.rows, found: table.rows, shown: table.first, needle: "" };

    function lines(from) {
      return state.found.slice(from, state.shown).map((row) => {
        const line = document.createElement("tr");
        line.append(...row.map((cell, index) => tableCell(cell, table.numbers[index], index === 0)));
        return line;
      });
    }

    function tell() {
      const [found, shown] = [state.found.length, Math.min(state.shown, state.found.length)];
      more.hidden = shown === found;
      const all = `${found.toLocaleString("en")} ${found === 1 ? "row" : "rows"}`;
      status.textContent = more.hidden ? all : `${shown.toLocaleString("en")} of ${all}`;
    }

    function render() {
      const words = state.needle.toLowerCase().split(/\s+/).filter(Boolean);
      state.found = words.length
        ? state.rows.filter((row) => {
            const line = row.map(text).join(" ").toLowerCase();
            return words.every((word) => line.includes(word));
          })
        : state.rows;
      body.replaceChildren(...lines(0));
      tell();
    }

    heads.forEach((head, index) => head.querySelector("button").addEventListener("click", () => {
      const first = table.numbers[index] ? "descending" : "ascending";
      const other = first === "descending" ? "ascending" : "descending";
      const next = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((one) => one.setAttribute("aria-sort", one === head ? next : "none"));
      state.rows = ordered(table.rows, index, next === "ascending" ? 1 : -1);
      render();
    }));
    filter?.addEventListener("input", () => { state.needle = filter.value; state.shown = table.first; render(); });
    more.addEventListener("click", () => {
      state.shown += STEP;
      body.append(...lines(state.shown - STEP));
      tell();
    });
  }
  document.querySelectorAll("[data-table]").forEach(setUp);

  document.querySelectorAll(".copy").forEach((button) => button.addEventListener("click", async () => {
    const source = document.getElementById(button.getAttribute("aria-controls"));
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Selected: press Ctrl+C";
    }
  }));
})();

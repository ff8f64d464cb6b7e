"use strict";
// One data source behind all panels: pointing, selecting and filtering in one shows in every other.
(() => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const count = data.rows.length;
  // Okabe-Ito and two of Tol's muted colours, as in the printed figures; grey for what is not known.
  const COLOURS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#8C8C00", "#F0E442", "#882255", "#6A6AD8"];
  const UNKNOWN = "#999999";
  const colour = (code) => (code < 0 ? UNKNOWN : COLOURS[code % COLOURS.length]);

  const splitNames = [...new Set(data.splits)];
  const splitOf = data.splits.map((name) => splitNames.indexOf(name));
  const hasLabels = data.classOf !== null;
  const nan = (values) => Float64Array.from(values, (value) => (value === null ? NaN : value));

  // What a colour may stand for: codes of every point in one panel, and names of the codes.
  const SCHEMES = { split: { codes: () => splitOf, names: splitNames } };
  if (hasLabels) {
    SCHEMES.class = { codes: () => data.classOf, names: data.classes };
    SCHEMES.cluster = { codes: (map) => map.cluster, names: null };
    SCHEMES.correctness = { codes: (map) => map.correct, names: ["nearest neighbour of another class", "nearest neighbour agrees"] };
  }

  const columns = {};
  data.maps.forEach((map, at) => {
    columns["x" + at] = nan(map.x);
    columns["y" + at] = nan(map.y);
    columns["c" + at] = new Array(count).fill(UNKNOWN);
  });
  const source = new Bokeh.ColumnDataSource({ data: columns });
  const size = count < 1500 ? 7 : count < 6000 ? 5 : 3.5;

  const plots = data.maps.map((map, at) => {
    const plot = Bokeh.Plotting.figure({
      tools: "pan,wheel_zoom,box_zoom,lasso_select,tap,reset",
      active_scroll: null, toolbar_location: "above", sizing_mode: "scale_width", width: 480, height: 480,
      background_fill_color: null, border_fill_color: null, outline_line_color: null, lod_threshold: 4000,
      output_backend: "canvas",
    });
    plot.axis.visible = false;
    plot.grid.visible = false;
    plot.toolbar.logo = null;
    const dots = plot.scatter({ field: "x" + at }, { field: "y" + at }, {
      source, size, marker: "circle", line_color: null, fill_color: { field: "c" + at }, fill_alpha: 0.8,
      nonselection_fill_alpha: 0.06, nonselection_line_alpha: 0,
    });
    dots.hover_glyph = new Bokeh.Scatter({
      x: { field: "x" + at }, y: { field: "y" + at }, size: size + 9, marker: "circle",
      fill_color: { field: "c" + at }, line_color: "#888888", line_width: 2,
    });
    plot.add_tools(new Bokeh.HoverTool({ tooltips: null, renderers: [dots], mode: "mouse" }));
    return plot;
  });
  // One document owns the shared source, so that all panels belong to it.
  const page = new Bokeh.Document();
  for (const plot of plots) page.add_root(plot);
  const places = plots.map((_, at) => document.getElementById("map-" + at));
  Bokeh.embed.add_document_standalone(page, document.body, places);

  const choose = document.getElementById("map-colour");
  for (const name of ["class", "cluster", "split", "correctness"]) if (SCHEMES[name]) choose.add(new Option(name, name));
  const byClass = document.getElementById("map-class");
  byClass.add(new Option("all", ""));
  (data.classes ?? []).forEach((name, code) => byClass.add(new Option(name, String(code))));
  const bySplit = document.getElementById("map-split");
  bySplit.add(new Option("all", ""));
  splitNames.forEach((name, code) => bySplit.add(new Option(name, String(code))));
  const onlyWrong = document.getElementById("map-wrong");
  const counted = document.getElementById("map-count");

  function legend(scheme) {
    const entries = (scheme.names ?? []).map((name, code) => {
      const entry = document.createElement("span");
      const dot = document.createElement("i");
      dot.style.background = colour(code);
      entry.append(dot, name);
      return entry;
    });
    const note = document.createElement("span");
    note.className = "quiet";
    if (!scheme.names) note.textContent = "clusters are numbered separately for every encoder; colours repeat";
    else if (scheme.names.length > COLOURS.length) note.textContent = `colours repeat every ${COLOURS.length}`;
    document.getElementById("map-legend").replaceChildren(...entries, note);
  }

  function paint() {
    const scheme = SCHEMES[choose.value];
    data.maps.forEach((map, at) => {
      columns["c" + at] = (scheme.codes(map) ?? new Array(count).fill(-1)).map(colour);
    });
    source.data = { ...columns };
    legend(scheme);
  }

  function filter() {
    const wanted = byClass.value !== "" || bySplit.value !== "" || onlyWrong.checked;
    const kept = [];
    for (let row = 0; wanted && row < count; row++) {
      if (byClass.value !== "" && data.classOf[row] !== Number(byClass.value)) continue;
      if (bySplit.value !== "" && splitOf[row] !== Number(bySplit.value)) continue;
      if (onlyWrong.checked && !data.maps.some((map) => map.correct && map.correct[row] === 0)) continue;
      kept.push(row);
    }
    source.selected.indices = kept;
    counted.textContent = wanted ? `${kept.length} of ${count} images` : "";
  }

  choose.addEventListener("change", paint);
  for (const control of [byClass, bySplit, onlyWrong]) control.addEventListener("change", filter);
  document.getElementById("map-controls").addEventListener("submit", (event) => event.preventDefault());

  const tip = document.getElementById("map-tip");
  const [picture, words] = tip.children;
  const sheet = document.getElementById("map-sheet");
  let pointer = { clientX: 0, clientY: 0 };
  document.querySelector(".maps").addEventListener("pointermove", (event) => { pointer = event; }, true);
  document.querySelector(".maps").addEventListener("pointerleave", () => { tip.hidden = true; });

  function describe(row) {
    const lines = [data.rows[row], data.splits[row]];
    if (hasLabels) lines.push(data.classes[data.classOf[row]]);
    for (const map of data.maps) {
      if (map.correct && map.correct[row] === 0) lines.push(`${map.name}: nearest neighbour is of another class`);
    }
    words.replaceChildren(...lines.map((text) => {
      const line = document.createElement("div");
      line.textContent = text;
      return line;
    }));
    const tile = sheet && data.tileOf ? data.tileOf[row] : -1;
    picture.hidden = tile < 0;
    if (tile >= 0) {
      const brush = picture.getContext("2d");
      brush.imageSmoothingEnabled = false;
      const [across, down] = [(tile % data.columns) * data.tile, Math.floor(tile / data.columns) * data.tile];
      brush.drawImage(sheet, across, down, data.tile, data.tile, 0, 0, picture.width, picture.height);
    }
  }

  source.inspect.connect(() => {
    const rows = source.inspected.indices;
    tip.hidden = rows.length === 0;
    if (tip.hidden) return;
    describe(rows[0]);
    const left = Math.min(pointer.clientX + 16, innerWidth - tip.offsetWidth - 8);
    const top = Math.min(pointer.clientY + 16, innerHeight - tip.offsetHeight - 8);
    tip.style.left = `${Math.max(0, left)}px`;
    tip.style.top = `${Math.max(0, top)}px`;
  });

  paint();
  document.documentElement.dataset.map = "ready";
})();

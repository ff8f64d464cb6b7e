"use strict";
// One data source behind all panels: pointing, selecting and filtering in one shows in every other.
function drawMap() {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const count = data.rows.length;
  // Okabe-Ito and two of Tol's muted colours, as in the printed figures; grey for what is not known.
  const COLOURS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#8C8C00", "#F0E442", "#882255", "#6A6AD8"];
  const UNKNOWN = "#999999";
  const colour = (code) => (code < 0 ? UNKNOWN : COLOURS[code % COLOURS.length]);

  // Numbers come as base64 of little-endian arrays: 20,000 points are there at once, with nothing to parse.
  const numbers = (text, kind) => text && new kind(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  const splitNames = data.splits;
  const splitOf = numbers(data.splitOf, Int32Array);
  const classOf = numbers(data.classOf, Int32Array);
  const tileOf = numbers(data.tileOf, Int32Array);
  const hasLabels = classOf !== null;
  for (const map of data.maps) {
    for (const name of ["x", "y"]) map[name] = numbers(map[name], Float32Array);
    for (const name of ["cluster", "correct"]) map[name] = numbers(map[name], Int32Array);
  }
  const nothing = new Int32Array(count).fill(-1);

  // What a colour may stand for: codes of every point in one panel, and names of the codes.
  const SCHEMES = { split: { codes: () => splitOf, names: splitNames } };
  if (hasLabels) {
    SCHEMES.class = { codes: () => classOf, names: data.classes };
    SCHEMES.cluster = { codes: (map) => map.cluster, names: null };
    SCHEMES.correctness = { codes: (map) => map.correct, names: ["nearest neighbour of another class", "nearest neighbour agrees"] };
  }

  const columns = {};
  data.maps.forEach((map, at) => {
    columns["x" + at] = map.x;
    columns["y" + at] = map.y;
    columns["c" + at] = nothing;
  });
  // The panels map codes to colours: 80,000 colour names would take longer to read than to draw.
  const mappers = data.maps.map(() => new Bokeh.LinearColorMapper({ palette: COLOURS, low: -0.5, high: 9.5, low_color: UNKNOWN }));
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
      source, size, marker: "circle", line_color: null, fill_color: { field: "c" + at, transform: mappers[at] }, fill_alpha: 0.8,
      nonselection_fill_alpha: 0.06, nonselection_line_alpha: 0,
    });
    dots.hover_glyph = new Bokeh.Scatter({
      x: { field: "x" + at }, y: { field: "y" + at }, size: size + 9, marker: "circle",
      fill_color: { field: "c" + at, transform: mappers[at] }, line_color: "#888888", line_width: 2,
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
      columns["c" + at] = scheme.codes(map) ?? nothing;
      const codes = scheme.names?.length ?? 1 + columns["c" + at].reduce((most, code) => Math.max(most, code), 0);
      mappers[at].setv({ palette: Array.from({ length: codes }, (_, code) => colour(code)), low: -0.5, high: codes - 0.5 });
    });
    source.data = { ...columns };
    legend(scheme);
  }

  function filter() {
    const wanted = byClass.value !== "" || bySplit.value !== "" || onlyWrong.checked;
    const kept = [];
    for (let row = 0; wanted && row < count; row++) {
      if (byClass.value !== "" && classOf[row] !== Number(byClass.value)) continue;
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
  const sheet = document.getElementById("sheet");
  let pointer = { clientX: 0, clientY: 0 };
  document.querySelector(".maps").addEventListener("pointermove", (event) => { pointer = event; }, true);
  document.querySelector(".maps").addEventListener("pointerleave", () => { tip.hidden = true; });

  function describe(row) {
    const lines = [data.rows[row], splitNames[splitOf[row]]];
    if (hasLabels) lines.push(data.classes[classOf[row]]);
    for (const map of data.maps) {
      if (map.correct && map.correct[row] === 0) lines.push(`${map.name}: nearest neighbour is of another class`);
    }
    words.replaceChildren(...lines.map((text) => {
      const line = document.createElement("div");
      line.textContent = text;
      return line;
    }));
    const tile = sheet && tileOf ? tileOf[row] : -1;
    picture.hidden = tile < 0;
    if (tile >= 0) {
      const brush = picture.getContext("2d");
      brush.imageSmoothingEnabled = false;
      const [side, columns] = [Number(sheet.dataset.tile), Number(sheet.dataset.columns)];
      const [across, down] = [(tile % columns) * side, Math.floor(tile / columns) * side];
      brush.drawImage(sheet, across, down, side, side, 0, 0, picture.width, picture.height);
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
  performance.mark("map-ready");
}

drawMap();

"use strict";
// One data source behind all panels: pointing, selecting and filtering in one shows in every other.
function drawMap() {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const count = data.rows.length;
  const COLOURS = data.colours; // those of the printed figures; grey for what is not known
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
    for (const name of ["cluster", "correct", "predicted", "near"]) map[name] = numbers(map[name], Int32Array);
  }
  const nothing = new Int32Array(count).fill(-1);

  // What a colour may stand for: codes of every point in one panel, and names of the codes.
  const SCHEMES = { split: { codes: () => splitOf, names: splitNames } };
  if (hasLabels) {
    SCHEMES.class = { codes: () => classOf, names: data.classes };
    SCHEMES.cluster = { codes: (map) => map.cluster, names: null };
    SCHEMES.correctness = { codes: (map) => map.correct, names: ["nearest neighbour of another class", "nearest neighbour agrees"] };
  }

  // Train rows are triangles, all others circles: what an encoder has seen is told from what it has not.
  const shapes = Array.from(splitOf, (code) => (splitNames[code] === "train" ? "triangle" : "circle"));
  const columns = { shape: shapes };
  data.maps.forEach((map, at) => {
    columns["x" + at] = map.x;
    columns["y" + at] = map.y;
    columns["c" + at] = nothing;
  });
  // The panels map codes to colours: 80,000 colour names would take longer to read than to draw.
  const mappers = data.maps.map(() => new Bokeh.LinearColorMapper({ palette: COLOURS, low: -0.5, high: COLOURS.length - 0.5, low_color: UNKNOWN }));
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
      source, size, marker: { field: "shape" }, line_color: null, fill_color: { field: "c" + at, transform: mappers[at] }, fill_alpha: 0.8,
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
    const said = splitNames.includes("train") && splitNames.length > 1 ? ["triangles: train"] : [];
    if (!scheme.names) said.push("clusters are numbered separately for every encoder; colours repeat");
    else if (scheme.names.length > COLOURS.length) said.push(`colours repeat every ${COLOURS.length}`);
    note.textContent = said.join("; ");
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

  const className = (code) => (code < 0 ? "none" : data.classes[code]);

  // What is known of one image, as name and text; one entry an encoder where they differ.
  function known(row) {
    const found = [["image", data.rows[row]], ["split", splitNames[splitOf[row]]]];
    if (hasLabels) found.push(["class", className(classOf[row])]);
    for (const map of data.maps) {
      const mine = data.maps.length > 1 ? `${map.name}: ` : "";
      if (map.predicted) found.push([`${mine}predicted`, className(map.predicted[row])]);
      if (map.cluster) found.push([`${mine}cluster`, map.cluster[row] < 0 ? "none" : String(map.cluster[row])]);
      const near = nearest(map, row);
      if (near.length) found.push([`${mine}nearest`, near.map((at) => (hasLabels ? className(classOf[at]) : data.rows[at])).join(", ")]);
    }
    return found;
  }

  function nearest(map, row) {
    const each = map.near ? map.near.length / count : 0;
    return map.near ? Array.from(map.near.subarray(row * each, (row + 1) * each)).filter((at) => at >= 0) : [];
  }

  function paintTile(canvas, row) {
    const tile = sheet && tileOf ? tileOf[row] : -1;
    canvas.hidden = tile < 0;
    if (tile < 0) return;
    const brush = canvas.getContext("2d");
    brush.imageSmoothingEnabled = false;
    const [side, across] = [Number(sheet.dataset.tile), Number(sheet.dataset.columns)];
    brush.drawImage(sheet, (tile % across) * side, Math.floor(tile / across) * side, side, side, 0, 0, canvas.width, canvas.height);
  }

  function describe(row) {
    const lines = known(row).map(([name, text]) => {
      const line = document.createElement("div");
      line.textContent = `${name}: ${text}`;
      return line;
    });
    const beside = document.createElement("div");
    for (const map of data.maps) {
      for (const at of nearest(map, row)) {
        const small = document.createElement("canvas");
        small.width = small.height = 40;
        paintTile(small, at);
        beside.append(small);
      }
    }
    words.replaceChildren(...lines, beside);
    paintTile(picture, row);
  }

  // What is chosen, by the lasso, a click or the lists, stands as a table under the map and can be saved.
  const LISTED = 200;
  const place = document.getElementById("map-picked");
  const save = document.getElementById("map-save");
  const cell = (kind, text) => Object.assign(document.createElement(kind), { textContent: text });

  function list() {
    const rows = source.selected.indices;
    place.hidden = save.hidden = rows.length === 0;
    counted.textContent = rows.length ? `${rows.length} of ${count} images` : "";
    if (!rows.length) return;
    const table = document.createElement("table");
    table.className = "dense";
    const more = rows.length > LISTED ? `; the first ${LISTED} are listed, the saved file has all` : "";
    table.append(cell("caption", `${rows.length} chosen images${more}`));
    const head = table.createTHead().insertRow();
    for (const [name] of known(rows[0])) head.append(Object.assign(cell("th", name), { scope: "col" }));
    const body = table.createTBody();
    for (const row of rows.slice(0, LISTED)) {
      const line = body.insertRow();
      for (const [, text] of known(row)) line.append(cell("td", text));
    }
    place.replaceChildren(table);
  }

  // Text that a spreadsheet would run as a formula begins with an apostrophe.
  const quoted = (text) => `"${(/^[=+\-@\t\r]/.test(text) ? "'" : "") + text.replaceAll('"', '""')}"`;
  save.addEventListener("click", () => {
    const rows = source.selected.indices;
    const lines = [known(rows[0]).map(([name]) => quoted(name)), ...rows.map((row) => known(row).map(([, text]) => quoted(text)))];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.map((line) => line.join(",")).join("\n") + "\n"], { type: "text/csv" }));
    link.download = "chosen_images.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  source.selected.properties.indices.change.connect(list);

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

"use strict";
(() => {
  const valueOf = (cell) => cell.dataset.sort ?? cell.textContent.trim();

  function compare(first, second) {
    const [a, b] = [Number(first), Number(second)];
    return Number.isFinite(a) && Number.isFinite(b) ? a - b : first.localeCompare(second, undefined, { numeric: true });
  }

  // Values that are missing go last in either direction.
  function sortBy(table, column, descending) {
    const rows = [...table.tBodies[0].rows];
    const key = (row) => valueOf(row.cells[column]);
    const known = rows.filter((row) => key(row) !== "");
    known.sort((a, b) => compare(key(a), key(b)) * (descending ? -1 : 1));
    table.tBodies[0].append(...known, ...rows.filter((row) => key(row) === ""));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    headings.forEach((heading, column) => {
      heading.querySelector("button").addEventListener("click", () => {
        const descending = heading.getAttribute("aria-sort") === "ascending";
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
        sortBy(table, column, descending);
      });
    });
  }

  // A table that goes on beyond the edge says so, in words and by a shadow, until its end is in sight.
  const hint = (box) => {
    const more = box.scrollWidth - box.clientWidth - box.scrollLeft > 2;
    const line = box.nextElementSibling?.classList.contains("more") ? box.nextElementSibling : null;
    box.classList.toggle("more-right", more);
    if (line) line.hidden = !more;
    if (line || !more) return;
    const said = document.createElement("p");
    said.className = "more on-screen";
    said.textContent = "more columns: scroll sideways \u2192";
    box.after(said);
  };
  const boxes = [...document.querySelectorAll("div.scroll")].filter((box) => box.querySelector("table"));
  const resized = new ResizeObserver((entries) => entries.forEach((entry) => hint(entry.target)));
  for (const box of boxes) {
    resized.observe(box);
    box.addEventListener("scroll", () => hint(box), { passive: true });
  }

  for (const box of document.querySelectorAll("input.search")) {
    const table = document.getElementById(box.dataset.table);
    box.addEventListener("input", () => {
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
    });
  }

  // The small pictures of the page are cut from one sheet when they come into sight.
  const sheet = document.getElementById("sheet");
  const draw = (canvas) => {
    const [number, size, columns] = [canvas.dataset.tile, sheet.dataset.tile, sheet.dataset.columns].map(Number);
    const brush = canvas.getContext("2d");
    brush.imageSmoothingEnabled = false;
    const [across, down] = [(number % columns) * size, Math.floor(number / columns) * size];
    brush.drawImage(sheet, across, down, size, size, 0, 0, canvas.width, canvas.height);
  };
  if (sheet) {
    const watch = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        watch.unobserve(entry.target);
        sheet.decode().then(() => draw(entry.target));
      }
    }, { rootMargin: "200px" });
    for (const canvas of document.querySelectorAll("canvas.tile")) watch.observe(canvas);
    addEventListener("beforeprint", () => document.querySelectorAll("canvas.tile").forEach(draw));
  }

  // The page is there to read before the map is drawn, and before the library for it is even parsed: the two scripts lie
  // in the page as text and become scripts when the page is loaded, or when the reader comes near.
  const held = document.querySelectorAll("script.held");
  if (held.length) {
    let drawn = false;
    const once = () => {
      if (drawn) return;
      drawn = true;
      for (const text of held) {
        const script = document.createElement("script");
        script.textContent = text.textContent;
        document.body.append(script);
      }
    };
    new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) once(); }, { rootMargin: "300px" })
      .observe(document.getElementById("map"));
    addEventListener("load", () => setTimeout(once, 500));
  }

  // A link to something folded opens it.
  const unfold = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) target.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();

  // Paper has no folds: what belongs on it is opened before printing and closed again as it was.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.on-paper:not([open])")];
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => { for (const fold of opened) fold.open = false; });

  // A figure grows to a size at which its smallest words are read, and shrinks again.
  for (const image of document.querySelectorAll(".drawing img[tabindex]")) {
    image.setAttribute("role", "button");
    const turn = () => image.classList.toggle("large");
    image.addEventListener("click", turn);
    image.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      turn();
    });
  }
})();


"use strict";
(function () {
  const root = document.documentElement, theme = document.getElementById("theme"), said = document.getElementById("said");
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const label = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  try { root.dataset.theme = localStorage.getItem("nat-theme") || ""; } catch (error) { /* files may have no storage */ }
  if (!root.dataset.theme) delete root.dataset.theme;
  theme.hidden = false;
  label();
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("nat-theme", root.dataset.theme); } catch (error) { /* as above */ }
    label();
  });

  const say = (text) => { said.textContent = text; said.hidden = !text; };

  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = button.closest("figure").querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch (error) {
        getSelection().selectAllChildren(code);
        document.execCommand("copy");
      }
      say("Copied");
      setTimeout(() => say(""), 2000);
    });
  }

  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.sort === undefined ? cell.textContent.trim() : Number(cell.dataset.sort);
  };
  const compare = (one, other) => {
    if (typeof one === typeof other) return typeof one === "number" ? one - other : one.localeCompare(other);
    return typeof one === "number" ? -1 : 1;
  };
  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    if (body.rows.length < 2) continue;
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.textContent) return;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const falling = head.getAttribute("aria-sort") === "ascending";
        for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        const rows = [...body.rows].sort((a, b) => (falling ? -1 : 1) * compare(key(a, column), key(b, column)));
        body.append(...rows);
      });
    });
  }

  const drawing = document.getElementById("drawing");
  const show = (row) => {
    const [caption, none, picture] = drawing.children, changes = row.dataset.changes;
    const heads = [...row.closest("table").tHead.rows[0].cells].map((head) => head.textContent);
    const [name, ...figures] = [...row.cells].slice(0, 4).map((cell, at) => (at ? `${heads[at]} ${cell.textContent.trim()}` : cell.textContent.trim()));
    caption.textContent = `${name[0].toUpperCase()}${name.slice(1)}: ${figures.join(", ")}`;
    for (const each of document.querySelectorAll("tr[aria-current]")) each.removeAttribute("aria-current");
    row.setAttribute("aria-current", "true");
    none.hidden = changes !== undefined;
    picture.hidden = changes === undefined;
    const other = new Map((changes || "").split(" ").filter(Boolean).map((each) => each.split(":").map(Number)));
    for (const group of picture.querySelectorAll("[data-edge]")) {
      const edge = Number(group.dataset.edge), chosen = other.get(edge) || 0, ops = JSON.parse(group.dataset.ops);
      const rect = group.querySelector("rect"), middle = Number(rect.getAttribute("y")) + Number(rect.getAttribute("height")) / 2 + 4;
      for (const each of group.querySelectorAll("text")) each.remove();
      ops.lines[chosen].forEach((line, at, lines) => {
        const text = document.createElementNS(group.namespaceURI, "text");
        text.setAttribute("x", Number(rect.getAttribute("x")) + Number(rect.getAttribute("width")) / 2);
        text.setAttribute("y", middle + 14 * (at - (lines.length - 1) / 2));
        text.setAttribute("class", lines.length < 2 ? "now" : at ? "new" : "old");
        text.textContent = line;
        group.append(text);
      });
      group.querySelector("title").textContent = ops.said[chosen];
      group.classList.toggle("changed", chosen > 0);
      const gone = ops.null.includes(chosen);
      for (const each of [rect, ...picture.querySelectorAll(`[data-of="${edge}"]`)]) each.classList.toggle("gone", gone);
    }
    const first = picture.querySelector(".changed");
    picture.scrollTop = first ? picture.scrollTop + first.getBoundingClientRect().top - picture.getBoundingClientRect().top - 20 : 0;
    caption.focus({ preventScroll: true });
    drawing.scrollIntoView({ block: "nearest" });
  };
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "TR" && drawing) show(target);
  };
  addEventListener("hashchange", open);
  open();
  for (const link of document.querySelectorAll("a[href^='#network-']")) {
    link.addEventListener("click", (event) => {
      event.preventDefault(); // or the page would jump to the row of the table
      history.replaceState(null, "", link.getAttribute("href"));
      open();
    });
  }

  const title = (event) => {
    const group = event.target.closest && event.target.closest("svg.nat [tabindex]");
    return group ? group.querySelector("title").textContent : "";
  };
  for (const name of ["focusin", "mouseover"]) document.addEventListener(name, (event) => say(title(event)));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") say(""); });

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of opened) each.open = false; });
})();

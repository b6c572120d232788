"use strict";
// Sorting: the header buttons. Missing values stay last in both directions; rows that are equal keep their order.
function key(row, column, numeric) {
  const cell = row.cells[column];
  if (numeric) return "v" in cell.dataset ? Number(cell.dataset.v) : null;
  return cell.textContent === "\u2013" ? null : cell.textContent;
}
function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number") return sign * (a - b);
  return sign * a.localeCompare(b, "en", { numeric: true, sensitivity: "base" });
}
function sort(header) {
  const table = header.closest("table"), body = table.tBodies[0], column = header.cellIndex;
  const numeric = header.classList.contains("n"), before = header.getAttribute("aria-sort");
  const direction = before === null ? (numeric ? "descending" : "ascending")
    : before === "ascending" ? "descending" : "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...body.rows].map((row) => [key(row, column, numeric), row]);
  rows.sort((a, b) => compare(a[0], b[0], sign));
  body.append(...rows.map((pair) => pair[1]));
}
// Filtering: every word must be in the row; case, dashes and underscores do not matter. `size<9` compares a column
// whose heading begins so.
function plain(text) {
  return text.toLowerCase().replace(/[-_\s]+/g, " ").trim();
}
const comparisons = { "<": (a, b) => a < b, ">": (a, b) => a > b, "=": (a, b) => a === b,
  "<=": (a, b) => a <= b, ">=": (a, b) => a >= b };
function condition(word, headings) {
  const [, name, sign, number] = word.match(/^([^<>=]+)([<>]=?|=)(-?\d+\.?\d*)$/) || [];
  const column = name === undefined ? -1 : headings.findIndex((heading) => heading.startsWith(plain(name)));
  if (column < 0) return (row, text) => text.includes(plain(word));
  return (row) => {
    const value = row.cells[column].dataset.v;
    return value !== undefined && comparisons[sign](Number(value), Number(number));
  };
}
function filter(input) {
  const box = input.closest(".table"), table = box.querySelector("table");
  const headings = [...table.tHead.rows[0].cells].map((cell) => plain(cell.textContent));
  const words = input.value.trim().split(/\s+/).filter((word) => plain(word));
  const conditions = words.map((word) => condition(word, headings));
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const text = plain([...row.cells].map((cell) => cell.textContent).join(" "));
    row.hidden = !conditions.every((holds) => holds(row, text));
    shown += !row.hidden;
  }
  box.querySelector("output").textContent = shown + (shown === 1 ? " row" : " rows");
}
// A reader of screens is told of a checkpoint's page as of any other: its name is the title, and it has the focus.
const title = document.title;
function arrive() {
  const sheet = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const shown = sheet !== null && sheet.classList.contains("sheet");
  document.title = shown ? sheet.querySelector("h2").textContent + " - " + title : title;
  if (shown) sheet.focus({ preventScroll: true });
}
addEventListener("hashchange", arrive);
arrive();
document.addEventListener("click", (event) => {
  const button = event.target.closest("thead button");
  if (button) sort(button.closest("th"));
});
document.addEventListener("input", (event) => {
  if (event.target.matches(".tools input")) filter(event.target);
});

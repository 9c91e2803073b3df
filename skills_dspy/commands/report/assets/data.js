"use strict";
// What the page holds, unpacked: the summary and the columns at once, a parcel of details when a row of it is opened.

const report = { summary: null, rows: null, shared: null, parcels: new Map(), searched: new Map() };

function packedBytes(id) {
  const text = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place += 1) bytes[place] = text.charCodeAt(place);
  return bytes;
}

async function unpacked(id) {
  const stream = new Blob([packedBytes(id)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

async function openReport() {
  report.summary = JSON.parse(document.getElementById("summary").textContent);
  report.rows = await unpacked("columns");
}

// The details of a row: {answer: lines, ...}, see content.py. `text` below makes a string of lines.
async function detailsOf(row) {
  const number = Math.floor(row / report.summary.rows_of_each);
  report.shared ??= unpacked("shared");
  if (!report.parcels.has(number)) report.parcels.set(number, unpacked(`parcel-${number}`));
  const [own, rows] = await report.parcels.get(number);
  const shared = await report.shared;
  const text = (lines) => lines.map((line) => (line < 0 ? own[-1 - line] : shared[line])).join("\n");
  return { found: rows[row % report.summary.rows_of_each], text };
}

// Everything that can be searched in a row; `deep` takes prompts and replies in.
async function searchable(row, deep) {
  if (!deep && report.searched.has(row)) return report.searched.get(row);
  const { found, text } = await detailsOf(row);
  const parts = [];
  for (const name of ["answer", "context", "why", "raw", "rewritten"]) if (found[name]) parts.push(text(found[name]));
  for (const said of Object.values(found.said || {})) parts.push(text(said));
  if (deep) {
    for (const [, , messages, thoughts, , reply] of found.calls || []) {
      for (const [, said] of messages) parts.push(text(said));
      if (thoughts) parts.push(text(thoughts));
      parts.push(text(reply));
    }
  }
  const all = parts.join("\n").toLowerCase();
  if (!deep) report.searched.set(row, all);
  return all;
}

// An element with properties, and children that are elements or texts; nobody's text ever becomes markup.
function make(name, properties, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties || {})) {
    if (key in element && !key.startsWith("aria")) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const named = (name) => name.replaceAll("_", " ");

function table(headings, rows, numbers = []) {
  const cell = (kind, value, place) => make(kind, numbers.includes(place) ? { className: "number" } : {}, value);
  const head = make("thead", {}, make("tr", {}, ...headings.map((value, place) => cell("th", value, place))));
  const body = make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((value, place) => cell("td", value, place)))));
  return make("div", { className: "scroll" }, make("table", {}, head, body));
}

// Rows to page, search and filter, each with its story once it is opened.

const PER_PAGE = 25;
const listed = { rows: [], page: 0, asked: 0, views: [] };
const byId = (id) => document.getElementById(id);

function fate(row) {
  const { stage, reason } = report.rows;
  return isKept(row) ? "accepted" : `${named(report.summary.stages[stage[row]])}: ${report.summary.reasons[reason[row]]}`;
}

// A, B or both, where two views are shown: on which side a row stands.
function sidesOf(row) {
  return listed.views.length > 1 ? listed.views.flatMap((view, side) => (view.runs.includes(report.rows.run[row]) ? ["AB"[side]] : [])) : [];
}

function options(select, pairs) {
  const before = select.value;
  select.replaceChildren(...pairs.map(([value, text]) => make("option", { value }, text)));
  select.value = pairs.some(([value]) => value === before) ? before : pairs[0][0];
}

// The choices that there are among the rows of the shown views.
function offerFilters(places) {
  const counts = new Map();
  for (const row of places) { const what = fate(row); counts.set(what, (counts.get(what) || 0) + 1); }
  const kept = counts.get("accepted") || 0;
  counts.delete("accepted");
  const fates = [...counts].sort((a, b) => b[1] - a[1]).map(([what, count]) => [what, `${what} (${count})`]);
  const sides = listed.views.length > 1 ? listed.views.map((view, side) => ["AB"[side], `${"AB"[side]}: ${view.name} (${view.places.length})`]) : [];
  byId("of-side").hidden = !sides.length;
  options(byId("side"), [["", "A and B"], ...sides]);
  options(byId("outcome"), [["", `all (${places.length})`], ["accepted", `accepted (${kept})`], ["rejected", `rejected (${places.length - kept})`], ...fates]);
  const sorts = [["", "order of the draws"], ["distance", "nearest to another first"], ["long", "longest answer first"]];
  report.summary.scales.forEach((scale, number) => {
    if (scale.ordered && places.some((row) => report.rows.soft[row][number] !== null)) sorts.push([`soft${number}`, `lowest expected ${named(scale.name)}`]);
  });
  options(byId("sort"), sorts);
  report.summary.scales.forEach((scale, number) => {
    const id = `scale-${number}`;
    if (!byId(id)) byId("labels").append(make("label", {}, `${named(scale.name)} `, make("select", { id })));
    options(byId(id), [["", "any"], ...scale.labels.map((text, place) => [String(place), text]), ["none", "none"]]);
  });
}

function passes(row) {
  const outcome = byId("outcome").value, kept = isKept(row), side = byId("side").value;
  if (side && !sidesOf(row).includes(side)) return false;
  if (outcome === "accepted" ? !kept : outcome === "rejected" ? kept : outcome && fate(row) !== outcome) return false;
  return report.summary.scales.every((_, number) => {
    const wanted = byId(`scale-${number}`).value, has = report.rows.ratings[row][number];
    return wanted === "" || (wanted === "none" ? has === null : has === Number(wanted));
  });
}

function sorted(rows) {
  const by = byId("sort").value, last = (value) => (value === null ? Infinity : value);
  const key = by === "distance" ? (row) => last(report.rows.distance[row]) : by === "long" ? (row) => -(report.rows.words[row][1] || 0) : by ? (row) => last(report.rows.soft[row][Number(by.slice(4))]) : null;
  return key ? rows.map((row) => [key(row), row]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, row]) => row) : rows;
}

// Find what fits all that is asked for; a newer question ends an older one that is still looked for.
async function applyFilters() {
  const mine = ++listed.asked, query = byId("query").value.trim().toLowerCase(), deep = byId("deep").checked;
  let rows = [...new Set(listed.views.flatMap((view) => view.places))].filter(passes);
  if (query) {
    byId("count").textContent = "Searching ...";
    const found = [];
    for (const row of rows) {
      const quick = `${report.rows.id[row]}\n${report.rows.question[row]}`.toLowerCase().includes(query);
      if (quick || (await searchable(row, deep)).includes(query)) found.push(row);
      if (mine !== listed.asked) return;
    }
    rows = found;
  }
  listed.rows = sorted(rows);
  turnTo(0);
}

function turnTo(page) {
  const pages = Math.max(1, Math.ceil(listed.rows.length / PER_PAGE));
  listed.page = Math.min(Math.max(0, page), pages - 1);
  const start = listed.page * PER_PAGE, shown = listed.rows.slice(start, start + PER_PAGE);
  byId("count").textContent = listed.rows.length ? `Rows ${start + 1} to ${start + shown.length} of ${listed.rows.length}` : "No row fits.";
  byId("page").value = listed.page + 1;
  byId("page").max = pages;
  byId("pages").textContent = `of ${pages}`;
  byId("before").disabled = listed.page === 0;
  byId("after").disabled = listed.page === pages - 1;
  const list = byId("list"), same = shown.length === list.childElementCount && shown.every((row, n) => list.children[n].id === `row-${row}`);
  if (!same) list.replaceChildren(...shown.map(rowItem)); // else a story that is open would be closed for nothing
}

function rowItem(row) {
  const kept = isKept(row), chips = make("span", { className: "chips" });
  if (sidesOf(row).length) chips.append(make("span", { className: "side" }, sidesOf(row).join(", ")));
  chips.append(make("span", { className: kept ? "accepted" : "rejected" }, kept ? "accepted" : `rejected by ${fate(row)}`));
  report.summary.scales.forEach((scale, number) => {
    const has = report.rows.ratings[row][number];
    if (has !== null) chips.append(make("span", {}, `${named(scale.name)} ${scale.labels[has]}`));
  });
  if (report.rows.distance[row] !== null) chips.append(make("span", {}, `distance ${report.rows.distance[row].toFixed(3)}`));
  const question = make("span", { className: "said", dir: "auto" }, report.rows.question[row] || "(no question was written)");
  const button = make("button", { type: "button", className: "row", "aria-expanded": "false" }, chips, question);
  const item = make("li", { id: `row-${row}` }, button);
  button.addEventListener("click", () => toggle(item, row));
  return item;
}

async function toggle(item, row) {
  const button = item.firstChild, open = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", String(open));
  item.querySelector(".story")?.remove();
  if (!open) return;
  const story = make("div", { className: "story" }, "Unpacking ...");
  item.append(story);
  const { found, text } = await detailsOf(row);
  story.replaceChildren(...storyOf(row, found, text));
}

const words = (title, said) => [make("h4", {}, title), make("pre", { dir: "auto" }, said)];

function storyOf(row, found, text) {
  const parts = [];
  if (!isKept(row)) parts.push(make("p", {}, make("strong", { className: "rejected" }, `Rejected by ${fate(row)}`)), ...(found.why ? [make("pre", { dir: "auto" }, text(found.why))] : []));
  if (found.context) parts.push(...words("Context", text(found.context)));
  parts.push(...words("Question", report.rows.question[row] || "(none)"));
  if (found.answer) parts.push(...words("Answer", text(found.answer)));
  if (found.raw) parts.push(...words("The reply that decided", text(found.raw)));
  const rated = report.summary.scales.map((scale, number) => [scale, report.rows.ratings[row][number]]).filter(([scale, has]) => has !== null || (found.said || {})[scale.name]);
  if (rated.length) {
    parts.push(make("h4", {}, "Verdicts and tags"));
    const of = (scale, has) => [named(scale.name), (has === null ? "none" : scale.labels[has]) + (found.soft?.[scale.name] ? ` (${found.soft[scale.name]})` : ""), found.said?.[scale.name] ? text(found.said[scale.name]) : ""];
    parts.push(table(["", "label", "why"], rated.map(([scale, has]) => of(scale, has))));
    if (found.others) parts.push(make("p", {}, `Other categories: ${found.others}`));
  }
  parts.push(make("h4", {}, "Where it comes from"), table(["", ""], sources(row, found, text)));
  parts.push(make("h4", {}, `Prompts and replies: ${(found.calls || []).length}`));
  if (found.missing) parts.push(make("p", { className: "remark" }, `${found.missing} replies of this story are not in the run's journal.`));
  parts.push(...(found.calls || []).map((call) => callOf(call, text)));
  return parts;
}

function sources(row, found, text) {
  const seen = ([name, question]) => `${name}: ${text(question)}`, lines = [["row", report.rows.id[row]]];
  lines.push(["draw", `${found.place[0]}, question ${found.place[1]} of it`]);
  for (const shown of found.shown || []) lines.push(["shown", seen(shown)]);
  for (const shown of found.fitting || []) lines.push(["shown to the answer", seen(shown)]);
  if (found.rewritten) lines.push(["written again", text(found.rewritten)]);
  if (found.neighbour) lines.push(["nearest", `squared distance ${report.rows.distance[row].toFixed(4)} to ${seen(found.neighbour)}`]);
  return lines;
}

function callOf([which, about, messages, thoughts, heading, reply], text) {
  const own = make("details", {}, make("summary", {}, named(which)));
  own.addEventListener("toggle", () => {
    if (own.childElementCount > 1) return;
    own.append(make("p", { className: "small" }, about));
    for (const [role, said] of messages) own.append(...words(role, text(said)));
    if (thoughts) own.append(...words("thoughts", text(thoughts)));
    own.append(...words(heading, text(reply)));
  });
  return own;
}

// Go to a row, whatever is filtered, and open it.
function openRow(row) {
  if (!listed.rows.includes(row)) listed.rows = [row, ...listed.rows];
  turnTo(Math.floor(listed.rows.indexOf(row) / PER_PAGE));
  const item = byId(`row-${row}`);
  if (item.firstChild.getAttribute("aria-expanded") !== "true") toggle(item, row);
  item.firstChild.focus();
  item.scrollIntoView({ block: "start" });
}

function linkTo(row) {
  const side = sidesOf(row).map((letter) => `${letter}: `).join("");
  const link = make("button", { type: "button", className: "link", dir: "auto" }, side + report.rows.question[row]);
  link.addEventListener("click", () => openRow(row));
  return link;
}

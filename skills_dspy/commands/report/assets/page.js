// What is chosen at the top, and what the keys do.

const THEMES = [["", "the system's"], ["light", "light"], ["dark", "dark"]];

function chosenViews() {
  const places = [byId("view").value, byId("beside").value].filter((value) => value !== "").map(Number);
  return places.map((place) => {
    const view = report.summary.views[place];
    const runs = new Set(view.runs), rows = [];
    for (let row = 0; row < report.summary.rows; row += 1) if (runs.has(report.rows.run[row])) rows.push(row);
    return { ...view, places: rows };
  });
}

function drawFacts(views) {
  const box = byId("facts");
  box.replaceChildren();
  const both = make("div", { className: "facts" });
  views.forEach((view, side) => {
    const own = make("div", {}, make("h3", {}, label(views, side, view.name)), table(["", ""], view.facts));
    for (const remark of view.remarks) own.append(make("p", { className: "remark" }, remark));
    both.append(own);
  });
  box.append(both);
}

const SECTIONS = {
  funnel: drawFunnel,
  students: drawStudents,
  ratings: drawRatings,
  soft: drawSoft,
  map: drawMap,
  lengths: drawLengths,
  copies: drawCopies,
};
// What is far from being seen is drawn when one comes near it, or prints.
const nearing = new IntersectionObserver((seen) => seen.filter((one) => one.isIntersecting).forEach((one) => drawSection(one.target)), { rootMargin: "300px" });

function drawSection(box) {
  nearing.unobserve(box);
  if (box.dataset.drawn) return;
  box.dataset.drawn = "yes";
  box.replaceChildren();
  SECTIONS[box.id](box, listed.views);
}

function drawCharts() {
  drawn.splice(0).forEach((chart) => chart.destroy());
  for (const box of Object.keys(SECTIONS).map(byId)) {
    delete box.dataset.drawn;
    nearing.unobserve(box);
    nearing.observe(box);
  }
}

async function showViews() {
  const views = chosenViews();
  listed.views = views;
  byId("list").replaceChildren(); // rows say on which side they stand
  drawFacts(views);
  byId("learned").hidden = !learnedIn(views).length;
  drawCharts();
  offerFilters([...new Set(views.flatMap((view) => view.places))]);
  await applyFilters();
}

function turnTheme() {
  const root = document.documentElement, now = THEMES.findIndex(([name]) => name === (root.dataset.theme || ""));
  const [name, said] = THEMES[(now + 1) % THEMES.length];
  if (name) root.dataset.theme = name; else delete root.dataset.theme;
  byId("theme").textContent = `Colours: ${said}`;
  drawCharts();
}

async function leaveField(event) {
  event.preventDefault(); // which would empty the field
  await applyFilters();
  (byId("list").querySelector(".row") || event.target).focus();
  if (document.activeElement === event.target) event.target.blur();
}

function pressed(event) {
  if (event.key === "Escape" && event.target.matches("input")) { leaveField(event); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const buttons = [...document.querySelectorAll("#list .row")], now = buttons.indexOf(document.activeElement.closest("#list > li")?.firstChild);
  const go = { j: () => buttons[Math.min(buttons.length - 1, now + 1)]?.focus(), k: () => buttons[Math.max(0, now - 1)]?.focus(), n: () => turn(1), p: () => turn(-1), "/": () => byId("query").focus() }[event.key];
  if (!go) return;
  event.preventDefault();
  go();
}

function turn(pages) {
  turnTo(listed.page + pages);
  byId("list").querySelector(".row")?.focus();
}

function listen() {
  for (const id of ["view", "beside"]) byId(id).addEventListener("change", showViews);
  for (const id of ["choose", "filters"]) byId(id).addEventListener("submit", (event) => event.preventDefault());
  let waiting = 0;
  byId("filters").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(applyFilters, 150); });
  byId("filters").addEventListener("reset", () => setTimeout(applyFilters));
  byId("before").addEventListener("click", () => turnTo(listed.page - 1));
  byId("after").addEventListener("click", () => turnTo(listed.page + 1));
  byId("page").addEventListener("change", () => turnTo(byId("page").valueAsNumber - 1 || 0));
  byId("theme").addEventListener("click", turnTheme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawCharts());
  addEventListener("beforeprint", () => Object.keys(SECTIONS).map(byId).forEach(drawSection));
  document.addEventListener("keydown", pressed);
}

async function start() {
  await openReport();
  const views = report.summary.views.map((view, place) => [String(place), view.name]);
  options(byId("view"), views);
  options(byId("beside"), [["", "nothing"], ...views]);
  if (report.summary.beside !== null) byId("beside").value = String(report.summary.beside);
  byId("foot").textContent = report.summary.foot;
  listen();
  await showViews();
  byId("state").hidden = true;
  byId("foot").append(` Opened in ${(performance.now() / 1000).toFixed(1)} s.`);
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => { byId("state").textContent = `This page cannot be shown: ${error.message}. It needs a browser of 2023 or later (DecompressionStream).`; });

// The plots, each with its numbers in a table; all of one or two views.

const drawn = [];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const SIDES = ["a", "b"];
const percent = (part, whole) => (whole ? (100 * part) / whole : 0);
const rounded = (number) => Math.round(number * 10) / 10;

function figure(box, title, config, numbers, options = {}) {
  const canvas = make("canvas", { role: "img", "aria-label": `${title}; the numbers stand in the table below` });
  const holder = make("div", { className: options.tall ? "canvas tall" : "canvas" }, canvas);
  const own = make("figure", { className: options.full ? "full" : "" }, make("h3", {}, title), holder);
  if (options.note) own.append(make("p", { className: "small" }, options.note));
  if (numbers) own.append(make("details", { open: Boolean(options.open) }, make("summary", {}, "As a table"), numbers));
  box.append(own);
  const ink = colour("ink"), line = colour("line");
  Object.assign(Chart.defaults, { color: ink, borderColor: line, animation: false, maintainAspectRatio: false });
  Chart.defaults.font.size = 12;
  drawn.push(new Chart(canvas, config));
}

const fill = (side, kept) => colour(kept ? SIDES[side] : `${SIDES[side]}-pale`);
const letter = (views, side) => (views.length > 1 ? `${"AB"[side]}: ` : "");
const label = (views, side, what) => letter(views, side) + what;

// How often each of `bins` holds one of the values, as shares of all of them. Below the bars stand their `labels`, of ranges where
// they begin; `names` says all of a range.
function bars(views, bins, values, unit, seeds = []) {
  const datasets = [], columns = [], names = bins.names || bins.labels;
  const add = (what, counts, all, stack, backgroundColor) => {
    datasets.push({ label: what, data: counts.map((count) => rounded(percent(count, all))), counts, stack, backgroundColor });
    columns.push([what, counts]);
  };
  views.forEach((view, side) => {
    const all = [true, false].flatMap((kept) => values(view, kept)).length;
    for (const kept of [true, false]) {
      const counts = bins.count(values(view, kept));
      if (!all || (!kept && !counts.some(Boolean))) continue;
      add(label(views, side, kept ? "accepted" : "rejected"), counts, all, SIDES[side], fill(side, kept));
    }
  });
  if (seeds.length) add("seeds", bins.count(seeds), seeds.length, "seeds", colour("seed"));
  const config = {
    type: "bar",
    data: { labels: bins.labels, datasets },
    options: {
      scales: { x: { stacked: true, title: { display: Boolean(unit), text: bins.names ? `${unit}, from` : unit } }, y: { stacked: true, beginAtZero: true, title: { display: true, text: "share in %" } } },
      plugins: { legend: { display: datasets.length > 1, position: "bottom" }, tooltip: { callbacks: { title: ([item]) => names[item.dataIndex], label: (item) => `${item.dataset.label}: ${item.dataset.counts[item.dataIndex]} (${item.formattedValue} %)` } } },
    },
  };
  const numbers = table([unit || "label", ...columns.map(([what]) => what)], names.map((name, place) => [name, ...columns.map(([, counts]) => String(counts[place]))]), columns.map((_, place) => place + 1));
  return [config, numbers, datasets.length];
}

const counting = (size, placeOf) => (found) => {
  const counts = new Array(size).fill(0);
  for (const value of found) counts[placeOf(value)] += 1;
  return counts;
};

function ranges(values, wanted, whole) {
  let low = Infinity, high = -Infinity;
  for (const value of values) { if (value < low) low = value; if (value > high) high = value; }
  if (whole) low = 0;
  const raw = Math.max((high - low) / wanted, whole ? 1 : 1e-6), power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= raw - 1e-12);
  const start = Math.floor(low / step + 1e-9) * step, size = Math.max(1, Math.floor((high - start) / step + 1e-9) + 1);
  const shown = (number) => String(Number(number.toPrecision(6)));
  return {
    labels: Array.from({ length: size }, (_, place) => shown(start + place * step)),
    names: Array.from({ length: size }, (_, place) => (whole && step === 1 ? shown(start + place) : `${shown(start + place * step)} to ${shown(start + (place + 1) * step - (whole ? 1 : 0))}`)),
    count: counting(size, (value) => Math.min(size - 1, Math.floor((value - start) / step + 1e-9))),
  };
}

const runsOf = (views) => [...new Set(views.flatMap((view) => view.runs))];
const seedsOf = (views) => runsOf(views).flatMap((run) => report.summary.seeds[run]);
const isKept = (row) => report.rows.stage[row] < 0;
const picked = (view, kept, value) => view.places.filter((row) => isKept(row) === kept).map(value).filter((found) => found !== null && found !== undefined);

const SHADES = ["#cc79a7", "#e0ca3c", "#999999", "#1f9e89", "#6a3d9a", "#e31a1c", "#8c564b", "#9edae5", "#bcbd22", "#fb9a99", "#b15928", "#555555"];

function drawFunnel(box, views) {
  const most = Math.max(...views.map((view) => view.candidates));
  views.forEach((view, side) => {
    const stages = [...view.funnel], reasons = [...new Set(stages.flatMap((one) => Object.keys(one.rejected)))];
    const datasets = [{ label: "went on", data: stages.map((one) => one.on), backgroundColor: fill(side, true) }];
    reasons.forEach((reason) => datasets.push({ label: reason, data: stages.map((one) => one.rejected[reason] || 0), backgroundColor: SHADES[report.summary.reasons.indexOf(reason) % SHADES.length] }));
    const config = {
      type: "bar",
      data: { labels: stages.map((one) => named(one.stage)), datasets },
      options: { indexAxis: "y", scales: { x: { stacked: true, max: most, title: { display: true, text: "candidates" } }, y: { stacked: true, ticks: { autoSkip: false } } }, plugins: { legend: { position: "bottom" } } },
    };
    const why = (one) => Object.entries(one.rejected).sort((a, b) => b[1] - a[1]).map(([reason, count]) => `${reason} ${count}`).join(", ");
    const rows = stages.map((one) => [named(one.stage), String(one.came), String(one.came - one.on), String(one.on), why(one)]);
    rows.push(["accepted", "", "", String(view.accepted), ""]);
    figure(box, `${letter(views, side)}Funnel of ${view.name}`, config, table(["stage", "came", "rejected", "went on", "why"], rows, [1, 2, 3]), { tall: true, open: true });
  });
  const lines = views.map((view, side) => {
    const points = [{ x: 0, y: 0 }];
    let kept = 0;
    const every = Math.max(1, Math.floor(view.places.length / 200));
    view.places.forEach((row, place) => { kept += isKept(row); if ((place + 1) % every === 0 || place + 1 === view.places.length) points.push({ x: place + 1, y: kept }); });
    return { label: label(views, side, view.name), data: points, borderColor: fill(side, true), backgroundColor: fill(side, true), pointRadius: 0, borderWidth: 2 };
  });
  const config = { type: "line", data: { datasets: lines }, options: { scales: { x: { type: "linear", title: { display: true, text: "candidates, in the order of their draws" } }, y: { beginAtZero: true, title: { display: true, text: "accepted so far" } } }, plugins: { legend: { display: views.length > 1, position: "bottom" } } } };
  const numbers = table(["", "candidates", "accepted", "yield"], views.map((view, side) => [label(views, side, view.name).replaceAll("/", "/\u200b"), String(view.candidates), String(view.accepted), `${rounded(percent(view.accepted, view.candidates))} %`]), [1, 2, 3]);
  figure(box, "Yield", config, numbers, { tall: true, open: true, full: views.length > 1 });
}

function drawRatings(box, views) {
  report.summary.scales.forEach((scale, number) => {
    const bins = { labels: scale.labels, count: counting(scale.labels.length, (value) => value) };
    const [config, numbers, datasets] = bars(views, bins, (view, kept) => picked(view, kept, (row) => report.rows.ratings[row][number]));
    if (datasets) figure(box, named(scale.name), config, numbers);
  });
  if (!box.childElementCount) box.append(make("p", {}, "No row has a rating."));
}

function drawSoft(box, views) {
  report.summary.scales.forEach((scale, number) => {
    if (!scale.ordered) return;
    const values = (view, kept) => picked(view, kept, (row) => report.rows.soft[row][number]);
    const low = Math.min(...scale.numbers), high = Math.max(...scale.numbers), size = 12, step = (high - low) / size;
    const bins = {
      labels: Array.from({ length: size }, (_, place) => (low + place * step).toFixed(2)),
      names: Array.from({ length: size }, (_, place) => `${(low + place * step).toFixed(2)} to ${(low + (place + 1) * step).toFixed(2)}`),
      count: counting(size, (value) => Math.max(0, Math.min(size - 1, Math.floor((value - low) / step)))),
    };
    const [config, numbers, datasets] = bars(views, bins, values, "expected value");
    if (datasets) figure(box, `${named(scale.name)}, expected value`, config, numbers);
  });
  if (!box.childElementCount) box.append(make("p", {}, "No rating has probabilities: the runs did not ask for them (soft_ratings: true does), or the server gave none."));
}

function drawLengths(box, views) {
  ["question", "answer", "context"].forEach((part, place) => {
    const values = (view, kept) => picked(view, kept, (row) => report.rows.words[row][place]);
    const seeds = seedsOf(views).map((seed) => seed[1][place]).filter((words) => words !== null);
    const all = views.flatMap((view) => [...values(view, true), ...values(view, false)]);
    if (!all.length) return;
    const [config, numbers, datasets] = bars(views, ranges([...all, ...seeds], 16, true), values, "words", seeds);
    if (datasets) figure(box, `Words of the ${part}`, config, numbers);
  });
}

function drawMap(box, views) {
  if (report.summary.map === null) { box.append(make("p", {}, "No map: fewer than three texts have a vector in the journals.")); return; }
  const brief = (text) => (text.length > 90 ? `${text.slice(0, 87)}...` : text).replaceAll("\n", " ");
  const beside = ({ tooltip }) => (tooltip.getActiveElements()[0]?.element.y < 150 ? "top" : "bottom"); // never over its own point
  const datasets = [];
  const add = (what, style, size, tint, points) => { if (points.length) datasets.push({ label: what, data: points, pointStyle: style, pointRadius: size, pointHoverRadius: size + 2, backgroundColor: tint, borderColor: tint === colour("seed") ? colour("paper") : tint, borderWidth: style === "crossRot" ? 2.5 : 1, pointHoverBorderWidth: style === "crossRot" ? 3.5 : 1 }); };
  const seeds = seedsOf(views).filter((seed) => seed[2]);
  add("seeds", "triangle", 8, colour("seed"), seeds.map(([question, , point]) => ({ x: point[0], y: point[1], text: question, row: null })));
  views.forEach((view, side) => {
    for (const kept of [true, false]) {
      const points = picked(view, kept, (row) => report.rows.point[row] && { x: report.rows.point[row][0], y: report.rows.point[row][1], text: report.rows.question[row], row });
      add(label(views, side, kept ? "accepted" : "rejected"), kept ? (side ? "rect" : "circle") : "crossRot", points.length > 2000 ? 2 : kept ? 4 : 5, fill(side, true), points);
    }
  });
  const config = {
    type: "scatter",
    data: { datasets },
    options: {
      scales: { x: { ticks: { display: false } }, y: { ticks: { display: false } } },
      plugins: { legend: { position: "bottom", labels: { usePointStyle: true } }, tooltip: { caretPadding: 12, usePointStyle: true, yAlign: beside, callbacks: { label: (item) => `${item.dataset.label}: ${brief(item.raw.text)}`.match(/.{1,44}(?: |$)|.{44}/gu) } } },
      onClick: (_, found, chart) => { const point = found.length && chart.data.datasets[found[0].datasetIndex].data[found[0].index]; if (point && point.row !== null) openRow(point.row); },
    },
  };
  const numbers = table(["", "points"], datasets.map((one) => [one.label, String(one.data.length)]), [1]);
  const note = `Each point is a question, with its context where there is one; what lies near has vectors that are alike. The plane shows ${rounded(100 * report.summary.map)} % of all the differences between the vectors (their two first principal components), so points that lie together may still differ. A click opens the row.`;
  figure(box, "Where questions lie", config, numbers, { tall: true, full: true, note });
}

function drawCopies(box, views) {
  const values = (view, kept) => picked(view, kept, (row) => report.rows.distance[row]);
  const all = views.flatMap((view) => [...values(view, true), ...values(view, false)]);
  const runs = runsOf(views);
  if (all.length) {
    const bounds = [...new Set(runs.map((run) => report.summary.bounds[run]).filter((bound) => bound !== null))];
    const note = bounds.length ? `Below ${bounds.join(" or ")} a question is a duplicate.` : "";
    const [config, numbers] = bars(views, ranges(all, 20, false), values, "squared distance to the nearest earlier question or seed");
    figure(box, "Nearest neighbours", config, numbers, { note });
  }
  const kept = views.flatMap((view) => view.places.filter((row) => isKept(row) && report.rows.distance[row] !== null));
  const nearest = [...new Set(kept)].sort((a, b) => report.rows.distance[a] - report.rows.distance[b]).slice(0, 10);
  const own = make("figure", {}, make("h3", {}, "Accepted questions that are nearest to an earlier one"));
  const other = (row, near) => (near === null ? "" : near < 0 ? `seed: ${report.summary.seeds[report.rows.run[row]][-1 - near][0]}` : linkTo(near));
  const line = (row) => [report.rows.distance[row].toFixed(3), linkTo(row), other(row, report.rows.near[row])];
  own.append(nearest.length ? table(["distance", "question", "nearest"], nearest.map(line), [0]) : make("p", {}, "None has a neighbour."));
  box.append(own);
  const copies = runs.map((run) => report.summary.copies[run]), pairs = copies.flatMap((found) => found.pairs);
  const copied = copies.reduce((sum, found) => sum + found.count, 0), least = copies.every((found) => found.complete) ? "" : "at least ";
  const twins = make("figure", { className: "full" }, make("h3", {}, `Accepted answers that are near-copies: ${least}${copied} pairs`));
  twins.append(pairs.length ? table(["one question", "the other"], pairs.map(([one, other]) => [linkTo(one), linkTo(other)])) : make("p", {}, `No two answers of a run are the same but for a few words (ROUGE-L of ${copies[0].bound} or more).`));
  if (copied > pairs.length) twins.append(make("p", { className: "small" }, `Of each run the first ${report.summary.listed} are shown.`));
  box.append(twins);
}

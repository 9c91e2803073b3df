// What a student learned from the rows: losses before and after by lesson, and the learning curve, with their numbers in a table.

const learnedIn = (views) => report.summary.students.filter((one) => views.some((view) => view.runs.some((run) => one.runs.includes(run))));

function drawStudents(box, views) {
  learnedIn(views).forEach((one) => {
    const title = `${one.student}, taught rows of ${one.names.join(", ")}`;
    const said = make("figure", { className: "full" }, make("h3", {}, title), make("ul", {}, ...one.verdicts.map((line) => make("li", {}, line))));
    box.append(said);
    lossesFigure(box, one);
    if (one.curve.length > 1) curveFigure(box, one);
  });
}

const loss = (number) => number.toFixed(3);
const signed = (number) => `${number < 0 ? "-" : "+"}${Math.abs(number).toFixed(3)}`;
const cells = (found) => (found ? [signed(found.value), `${signed(found.low)} to ${signed(found.high)}`] : ["–", "–"]);

// Lessons from top to bottom: a point is the loss after, the bar its interval, the broken line the loss before.
function lossesFigure(box, one) {
  const labels = ["nothing (before)", ...one.taught.map((lesson) => lesson.lesson)];
  const ends = [null, ...one.taught.map(({ change }) => [one.before + change.low, one.before + change.high])];
  const values = [one.before, ...one.taught.map((lesson) => lesson.loss)];
  const tint = fill(0, true), told = (place) => (ends[place] ? `${loss(values[place])} (95 % ${ends[place].map(loss).join(" to ")})` : loss(values[place]));
  const config = {
    type: "bar",
    data: { labels, datasets: [
      { type: "line", label: "loss", data: values, showLine: false, pointRadius: 5, pointHoverRadius: 7, borderColor: tint, backgroundColor: tint },
      { type: "line", label: "before", pointStyle: "line", data: labels.map(() => one.before), pointRadius: 0, pointHitRadius: 0, borderWidth: 1.5, borderDash: [4, 4], borderColor: colour("soft-ink"), backgroundColor: colour("soft-ink") },
      { label: "95 % (of the change)", pointStyle: "rect", data: ends, backgroundColor: fill(0, false), barThickness: 8 },
    ] },
    options: {
      indexAxis: "y",
      scales: { x: { beginAtZero: false, grace: "5%", title: { display: true, text: "loss in nats per token; lower is better" } }, y: { ticks: { autoSkip: false } } },
      plugins: { legend: { position: "bottom", labels: { usePointStyle: true } }, tooltip: { filter: (item) => item.datasetIndex === 0, callbacks: { label: (item) => told(item.dataIndex) } } },
    },
  };
  const rows = one.taught.map((lesson) => [lesson.lesson, String(lesson.rows), String(lesson.tokens), loss(lesson.loss), ...cells(lesson.change)]);
  rows.unshift([labels[0], "–", "–", loss(one.before), ...cells(null)]);
  const against = one.taught.filter((lesson) => lesson.all_rows_less_this).map((lesson) => [lesson.lesson, ...cells(lesson.all_rows_less_this)]);
  const spreads = one.taught.filter((lesson) => lesson.spread).map((lesson) => [lesson.lesson, ...lesson.spread.map(loss)]);
  const numbers = make("div", {}, table(["taught", "rows", "tokens", "loss", "change", "95 %"], rows, [1, 2, 3, 4, 5]));
  if (against.length) numbers.append(table(["against", "all rows less this", "95 %"], against, [1, 2]));
  if (spreads.length) numbers.append(table(["taught", "lowest of all trainings", "highest"], spreads, [1, 2]));
  const note = "Measured by eval student on seeds that none of these rows was made from. Intervals are over those seeds.";
  figure(box, `${one.student}: loss by lesson`, config, numbers, { tall: true, full: true, open: true, note });
}

function curveFigure(box, one) {
  const points = [{ rows: 0, loss: one.before, change: { low: 0, high: 0 } }, ...one.curve.map((place) => one.taught[place])];
  const tint = fill(0, true), line = (label, value, more) => ({ label, data: points.map((point) => ({ x: point.rows, y: value(point) })), borderColor: tint, backgroundColor: fill(0, false), ...more });
  const edge = { pointRadius: 0, pointHitRadius: 0, borderWidth: 0, pointStyle: "rect" };
  const config = {
    type: "line",
    data: { datasets: [
      line("loss", (point) => point.loss, { pointRadius: 4, borderWidth: 2, backgroundColor: tint }),
      line("95 % (of the change)", (point) => one.before + point.change.low, edge),
      line("its upper end", (point) => one.before + point.change.high, { ...edge, fill: "-1" }),
    ] },
    options: {
      scales: { x: { type: "linear", title: { display: true, text: "rows taught" } }, y: { grace: "5%", title: { display: true, text: "loss in nats per token" } } },
      plugins: { legend: { position: "bottom", labels: { usePointStyle: true, filter: (item) => item.datasetIndex < 2 } } },
    },
  };
  const numbers = table(["rows", "loss", "change", "95 %"], points.map((point, place) => [String(point.rows), loss(point.loss), ...cells(place ? point.change : null)]), [0, 1, 2, 3]);
  figure(box, `${one.student}: more rows, lower loss?`, config, numbers, { tall: true, full: true });
}

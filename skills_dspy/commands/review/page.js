// One row at a time. All that a model wrote is put in as text, never as markup.
"use strict";
const at = (id) => document.getElementById(id);
const show = (id, on) => { at(id).hidden = !on; };
const QUESTION_KEYS = "1234567890", ANSWER_KEYS = "bcdfghijk"; // and none of a, r, e, s, u, which who errs presses for a choice
const DID = { accept: "accepted", reject: "rejected", edit: "edited", skip: "skipped" };
const PAUSE = 700;  // milliseconds without a key after which keys are choices again
// The name outlives a reload; a copy of the window gets its own.
if (!window.name.startsWith("review-")) window.name = `review-${crypto.randomUUID()}`;
let row = null, mode = "look", reasons = {};
let before = Promise.resolve(), waiting = 0, failures = 0, words_until = 0;

// Calls wait for one another. What waits behind one that fails is not sent: who pressed it took that for done.
function call(name, said) {
  const known = failures;
  waiting += 1;
  before = before.then(() => (failures === known ? send(name, said) : null)).finally(() => { waiting -= 1; });
  return before;
}

async function send(name, said) {
  tell("");
  try {
    const reply = await fetch(name, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ window: window.name, ...said }),
    });
    const found = (reply.headers.get("Content-Type") || "").startsWith("application/json") ? await reply.json() : { error: await reply.text() };
    if (reply.ok) return found;
    if (reply.status === 409 && row) row.known = found.known;
    tell(found.error);
  } catch (error) {
    tell("Not saved: the program does not answer. Is it still running in its terminal?");
  }
  failures += 1;
  return null;
}

function tell(text) { at("said").textContent = text || ""; show("said", Boolean(text)); }

function element(kind, text, className) {
  const made = document.createElement(kind);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function put(found) {
  if (!found) return;
  row = found.row;
  look();
  const done = found.progress;
  const ways = ["accept", "reject", "edit"].filter((way) => done[way]).map((way) => `${done[way]} ${DID[way]}`);
  if (done.skipped) ways.push(`${done.skipped} skipped`);
  at("counts").textContent = `${done.done} of ${done.rows} looked at${ways.length ? ": " + ways.join(", ") : ""}`;
  at("bar").max = done.rows || 1;
  at("bar").value = done.done;
  show("row", row);
  show("end", !row);
  for (const key of ["a", "r", "e", "s"]) document.querySelector(`[data-key=${key}]`).disabled = !row;
  if (row) {
    at("task").textContent = row.task;
    at("description").textContent = row.description;
    at("seeds").replaceChildren(...row.seeds.flatMap((seed) => [element("h2", "A seed"), element("div", seed.join("\n\n"), "text")]));
    for (const name of ["context", "question", "answer"]) at(name).textContent = row.shown[name] || "";
    show("context-part", row.shown.context !== null);
    show("answer-part", row.shown.answer !== null);
    for (const option of at("blamed").options) option.disabled = !(option.value in row.blame);
    at("blamed").value = "answer" in row.blame ? "answer" : "question";
    window.scrollTo(0, 0);
  }
  if ("last" in found) reveal(found.last);
  else show("last", false);
}

function reveal(last) {
  at("last-what").textContent = `You ${DID[last.verdict]} “${last.question}”. The run ${last.fate}.`;
  const lines = last.judges.map((one) => {
    const label = one.label === "" ? "" : ` ${one.label}` + (one.expected === null ? "" : ` (expected ${one.expected})`);
    const how = one.passed === null ? "no reply of use" : one.passed ? "passed" : "failed";
    return element("li", `${one.judge}:${label} ${how}. ${one.explanation}`, one.passed === false ? "failed" : "");
  });
  at("judges").replaceChildren(...lines);
  show("last", true);
}

function look() {
  mode = "look";
  for (const id of ["why", "editing", "new-question", "new-answer"]) show(id, false);
  for (const id of ["keys", "question", "answer"]) show(id, true);
  at("note").value = "";
  if (document.activeElement) document.activeElement.blur();
}

function ask_why() {
  mode = "why";
  reasons = {};
  const parts = Object.entries(row.blame).map(([about, words]) => {
    const part = document.createElement("div");
    const head = about === "question" ? "The question" : "The question is fine, the answer";
    const keys = about === "question" ? QUESTION_KEYS : ANSWER_KEYS;
    part.append(element("h2", head), ...words.map((word, number) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(element("kbd", keys[number]), ` ${word}`);
      reasons[keys[number]] = () => choose("reject", { about, reason: word });
      button.addEventListener("click", reasons[keys[number]]);
      return button;
    }));
    return part;
  });
  at("reasons").replaceChildren(...parts);
  show("why", true);
  show("keys", false);
  at("why").scrollIntoView({ block: "end" });
}

function edit() {
  mode = "edit";
  at("new-question").value = row.raw.question;
  at("new-answer").value = row.raw.answer || "";
  for (const id of ["keys", "question", "answer"]) show(id, false);
  for (const id of ["editing", "new-question", "new-answer"]) show(id, true);
  (row.raw.answer === null ? at("new-question") : at("new-answer")).focus();
}

async function choose(verdict, more) {
  if (row && !waiting) put(await call("choose", { id: row.id, known: row.known, verdict, ...more }));
}

function keep() {
  choose("edit", { instruction: at("new-question").value, response: row.raw.answer === null ? null : at("new-answer").value });
}

// The row on the page is about to go while a call is on its way: no box opens on it, and what is typed for one is no choice.
function open_box(box) {
  if (waiting) take_words();
  else if (row) box();
}

function take_words() {
  words_until = performance.now() + PAUSE;
  if (waiting) tell("What you typed while a choice was being saved was not taken. Go on after a short pause.");
}

const ACTS = {
  a: () => choose("accept"),
  r: () => open_box(ask_why),
  e: () => open_box(edit),
  s: () => choose("skip"),
  u: async () => put(await call("undo")),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && mode !== "look") { look(); event.preventDefault(); return; }
  const typing = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName);
  if (typing && waiting && event.key.length === 1) take_words();
  if (mode === "edit") {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); keep(); }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || typing) return;
  if (performance.now() < words_until) { take_words(); return; }
  if (mode === "why" && event.key === "/") { event.preventDefault(); at("note").focus(); return; }
  const act = (mode === "why" && !waiting ? reasons : ACTS)[event.key];
  if (act) { event.preventDefault(); act(); }
});
for (const button of document.querySelectorAll("[data-key]")) {
  button.addEventListener("click", () => { button.blur(); ACTS[button.dataset.key](); });
}
at("words").addEventListener("submit", (event) => {
  event.preventDefault();
  if (at("note").value.trim()) choose("reject", { about: at("blamed").value, note: at("note").value });
});
at("no").addEventListener("click", look);
at("keep").addEventListener("click", keep);
at("drop").addEventListener("click", look);
(async () => put(await call("next")))();

"use strict";
// What clicks and keys do.

const LETTERS = "consent-review:letters"; // where it is kept whether letters are shortcuts

// ---- what a person does

function relabel(label, kind = "") {
  setLabel(open, active, label, kind);
  updateRow(open, active, rowOf(active));
  updateItem(open);
  updateInspector();
  updateProgress();
  say(`${WORDS[label]}${kind ? `, ${kind}` : ""}: ${quoted(textOf(open, active))}`);
}

const flip = () => relabel(labelOf(open, active) === "boilerplate" ? "article" : "boilerplate");
const toggleUnsure = () => relabel(labelOf(open, active) === "unsure" ? modelLabelOf(open, active) : "unsure");
const chooseKind = (kind) => relabel(kind ? "boilerplate" : labelOf(open, active), kind);

function toggleRight() {
  setRight(open, !isRight(open));
  updateItem(open);
  updateReviewed();
  updateProgress();
  say(isRight(open) ? "Marked: the labels of this document are right" : "Not marked as right any more");
}

function goTo(d, p = null) {
  openDocument(d, p);
  rowOf(active).focus();
  const about = `${removedOf(d)} of ${paragraphsOf(d).length} paragraphs removed`;
  say(`Document ${d + 1} of ${DOCUMENTS.length}, ${DOCUMENTS[d].id}, ${DOCUMENTS[d].verdict}, ${about}`);
}

function neighbour(step) {
  let d = open + step;
  while (items[d]?.hidden) d += step;
  return items[d] ? d : -1;
}

function step(by) {
  const d = neighbour(by);
  if (d >= 0) goTo(d);
  else say(by > 0 ? "This is the last document shown" : "This is the first document shown");
}

function move(p) {
  activate(Math.max(0, Math.min(p, paragraphsOf(open).length - 1)));
  rowOf(active).focus();
}

function download() {
  const chosen = numbersOf(DOCUMENTS).filter((d) => $("which").value === "all" || isReviewed(d));
  if (!chosen.length) {
    show("notice", "No document was reviewed yet: mark one as right with r, change a label, or choose “all documents”.");
    return;
  }
  const { text, left, disagreeing } = labelled(chosen);
  const url = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
  make("a", { href: url, download: `${REVIEW.name}-labelled.jsonl` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  unsaved = false;
  const places = disagreeing.slice(0, 5).flatMap((group) => {
    const two = [group[0], group.find(({ label }) => label !== group[0].label)];
    return two.map(({ d, p, label }) => {
      const button = make("button", { type: "button" }, `${WORDS[label]} in ${DOCUMENTS[d].id}`);
      button.addEventListener("click", () => goTo(d, p));
      return button;
    });
  });
  const unsure = left.size ? `; ${many(left.size, "paragraph")} as unsure, because the same text between the same neighbours has the other label` : "";
  show("notice", ...(places.length ? [`You labelled the same text between the same neighbours both ways, so it was written as unsure: `, ...places] : []));
  say(`${many(chosen.length, "document")} written to ${REVIEW.name}-labelled.jsonl${unsure}`);
}

async function loadFile(file) {
  const { taken, unknown, damaged } = load(await file.text());
  numbersOf(DOCUMENTS).forEach(updateItem);
  updateProgress();
  if (open >= 0) openInPlace(open, active);
  say(`Labels of ${many(taken, "document")} taken; ${unknown} of other documents or texts left, ${damaged} lines are no JSON`);
}

// ---- keys

const ACTIONS = {
  j: () => move(active + 1),
  k: () => move(active - 1),
  n: () => step(1),
  p: () => step(-1),
  f: flip,
  u: toggleUnsure,
  r: toggleRight,
  m: () => $("note").focus(),
  d: download,
  "/": () => $("search").focus(),
  "?": () => $("help").showModal(),
  0: () => chooseKind(""),
  ...Object.fromEntries(KINDS.map((kind, i) => [i + 1, () => chooseKind(kind)])),
};
const MOVES = { ArrowDown: () => active + 1, ArrowUp: () => active - 1, Home: () => 0, End: () => Infinity };

function moveInList(key) {
  const visible = numbersOf(DOCUMENTS).filter((d) => !items[d].hidden);
  const place = visible.indexOf(open);
  const to = { ArrowDown: place + 1, ArrowUp: Math.max(place - 1, 0), Home: 0, End: visible.length - 1 }[key];
  openDocument(visible[Math.min(to, visible.length - 1)]);
  items[open].focus();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || $("help").open) return;
  const target = event.target;
  if (target.matches("input:not([type=file]), select, textarea")) {
    if (event.key !== "Escape" && !(event.key === "Enter" && target.id === "note")) return;
    if (open >= 0) move(active);
  } else if (open < 0) {
    if (event.key !== "?") return;
    $("help").showModal();
  } else if (target.closest("#documents") && (event.key in MOVES || event.key === "Enter")) {
    if (event.key === "Enter") move(active);
    else moveInList(event.key);
  } else if (event.key in MOVES && !target.closest("button")) {
    move(MOVES[event.key]());
  } else if ((event.key === "Enter" || event.key === " ") && target.closest("#paragraphs")) {
    flip();
  } else if (event.key in ACTIONS && $("letters").checked) {
    ACTIONS[event.key]();
  } else {
    return;
  }
  event.preventDefault();
}

// ---- begin

function listen() {
  document.addEventListener("keydown", onKey);
  $("paragraphs").addEventListener("click", (event) => {
    const row = event.target.closest("[data-paragraph]");
    if (!row || String(getSelection())) return; // text is being selected, to copy it
    activate(Number(row.dataset.paragraph));
    row.focus({ preventScroll: true });
    flip();
  });
  $("paragraphs").addEventListener("focusin", (event) => {
    const row = event.target.closest("[data-paragraph]");
    if (row && Number(row.dataset.paragraph) !== active) activate(Number(row.dataset.paragraph)); // a screen reader may set the focus
  });
  $("documents").addEventListener("click", (event) => {
    const item = event.target.closest("[data-document]");
    if (item) goTo(Number(item.dataset.document));
  });
  for (const name of Object.keys(WORDS)) $(`label-${name}`).addEventListener("click", () => relabel(name, name === "boilerplate" ? kindOf(open, active) : ""));
  $("kind").addEventListener("change", () => chooseKind($("kind").value));
  $("note").addEventListener("input", () => {
    setNote(open, $("note").value);
    updateProgress();
  });
  $("reviewed").addEventListener("click", toggleRight);
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("download").addEventListener("click", download);
  $("load").addEventListener("change", async () => {
    await loadFile($("load").files[0]);
    $("load").value = ""; // so that the same file can be loaded again
  });
  $("filters").addEventListener("input", filterSoon); // while one types
  $("filters").addEventListener("change", filterSoon); // some assistive software sets a select without input
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("clear").addEventListener("click", () => {
    $("filters").reset();
    applyFilters();
  });
  $("open-help").addEventListener("click", () => $("help").showModal());
  $("letters").addEventListener("change", () => {
    try {
      localStorage.setItem(LETTERS, $("letters").checked);
    } catch {
      // it is a setting for this visit, then
    }
  });
  addEventListener("storage", (event) => {
    if (event.key !== STORE) return; // the same page in another tab
    restore();
    numbersOf(DOCUMENTS).forEach(updateItem);
    updateProgress();
    if (open >= 0) openInPlace(open, active);
  });
  addEventListener("beforeunload", (event) => {
    if (storageProblem && unsaved) event.preventDefault();
  });
}

function begin() {
  restore();
  try {
    $("letters").checked = localStorage.getItem(LETTERS) !== "false";
  } catch {
    // on, then
  }
  document.title = `${REVIEW.name} – review of labels`;
  $("threshold").textContent = digits(REVIEW.threshold);
  $("kinds").textContent = KINDS.join(", ");
  $("kind").append(make("option", { value: "" }, "not said"), ...KINDS.map((kind, i) => make("option", { value: kind }, `${i + 1} ${kind}`)));
  numbersOf(DOCUMENTS).forEach(updateItem);
  $("documents").append(...items);
  updateProgress();
  listen();
  $("empty").hidden = DOCUMENTS.length > 0;
  $("document").hidden = !DOCUMENTS.length;
  if (DOCUMENTS.length) applyFilters();
  document.body.dataset.ready = "";
}

begin();

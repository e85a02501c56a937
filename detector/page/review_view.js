"use strict";
// What is shown, and what keys and clicks do. Only the document that is open has its paragraphs on the page.

const $ = (id) => document.getElementById(id);
const WORDS = { article: "keep", boilerplate: "remove", unsure: "unsure" };
const HEAT = [0.01, 0.1, 0.5, 0.9, 0.99]; // the colour changes at these probabilities
const LETTERS = "consent-review:letters"; // whether letters are shortcuts

let open = -1; // the document that is open
let active = 0; // its paragraph that keys act on
let wanted = null; // pattern of what is searched for

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const quoted = (text) => (text.length > 60 ? `${[...text.slice(0, 60)].slice(0, -1).join("")}…` : text);
const many = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
const digits = (p) => p.toFixed(4);

// Said by screen readers, shown at the foot. The same words twice in a row are said twice.
function say(text) {
  $("status").textContent = $("status").textContent === text ? `${text}\u00a0` : text;
}

function show(id, ...children) {
  $(id).replaceChildren(...children);
  $(id).hidden = !children.length;
}

// ---- the list of documents

const items = DOCUMENTS.map(({ id }, d) => {
  const attributes = { id: `d${d}`, role: "option", tabindex: "-1", "data-document": d, "data-id": id, "aria-selected": "false" };
  const name = make("span", { class: "name" }, make("span", { dir: "auto" }, id), make("b", {}));
  return make("li", attributes, name, make("span", { class: "about" }));
});

function updateItem(d) {
  const state = [isRight(d) && "right", isChanged(d) && "changed"].filter(Boolean).join(", ");
  const nearest = paragraphsOf(d).reduce((best, _, p) => (doubtOf(d, p) < doubtOf(d, best) ? p : best), 0);
  items[d].dataset.state = state;
  items[d].firstChild.lastChild.textContent = state && ` ✓ ${state}`;
  items[d].lastChild.textContent = `${removedOf(d)} of ${paragraphsOf(d).length} removed · doubtful ${digits(probabilityOf(d, nearest))}`;
}

function updateProgress() {
  const reviewed = numbersOf(DOCUMENTS).filter(isReviewed).length;
  $("progress").textContent = `${reviewed.toLocaleString("en")} of ${many(DOCUMENTS.length, "document")} reviewed`;
  show("storage", ...(storageProblem ? [`This browser doesn't keep your changes (${storageProblem}). Download them before you close the page.`] : []));
}

// ---- filters

function paragraphMatches(d, p, from, to) {
  const probability = probabilityOf(d, p);
  return probability >= from && probability <= to && (!wanted || wanted.test(textOf(d, p)));
}

const bound = (id, otherwise) => ($(id).value === "" ? otherwise : Number($(id).value));
const matching = (d) => numbersOf(paragraphsOf(d)).filter((p) => paragraphMatches(d, p, bound("from", 0), bound("to", 1)));

function documentMatches(d) {
  const { id, site, verdict } = DOCUMENTS[d];
  if ($("verdict").value && verdict !== $("verdict").value) return false;
  if (!{ "": true, todo: !isReviewed(d), reviewed: isReviewed(d), changed: isChanged(d) }[$("state").value]) return false;
  const from = bound("from", 0);
  const to = bound("to", 1);
  const inRange = (p) => probabilityOf(d, p) >= from && probabilityOf(d, p) <= to;
  if (wanted && [id, site ?? "", noteOf(d)].some((text) => wanted.test(text))) return numbersOf(paragraphsOf(d)).some(inRange);
  return paragraphsOf(d).some((_, p) => paragraphMatches(d, p, from, to));
}

function applyFilters() {
  const text = $("search").value;
  wanted = text ? new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "iu") : null;
  const visible = numbersOf(DOCUMENTS).filter((d) => {
    items[d].hidden = !documentMatches(d);
    return !items[d].hidden;
  });
  $("count").textContent = `${visible.length.toLocaleString("en")} of ${many(DOCUMENTS.length, "document")} shown`;
  if (visible.length) openInPlace(items[open]?.hidden === false ? open : visible[0]);
  say($("count").textContent);
}

// ---- the document that is open

function openDocument(d, p = null) {
  if (open >= 0) {
    items[open].setAttribute("aria-selected", "false");
    items[open].tabIndex = -1;
  }
  open = d;
  const { id, place, verdict, lang, source, site } = DOCUMENTS[d];
  items[d].setAttribute("aria-selected", "true");
  items[d].tabIndex = 0;
  items[d].scrollIntoView({ block: "nearest" });
  $("title").textContent = id;
  const facts = { verdict, site, language: lang, source, read: place === id ? "" : place };
  $("facts").textContent = Object.entries(facts).filter(([, value]) => value).map(([name, value]) => `${name}: ${value}`).join(" · ");
  $("note").value = noteOf(d);
  const language = /^[a-z]{2,3}(-[a-z0-9]+)*$/i.test(lang ?? "") ? { lang } : {};
  $("paragraphs").replaceChildren(...numbersOf(paragraphsOf(d)).map((i) => paragraphRow(d, i, language)));
  const found = matching(d);
  const nearest = (list) => list.reduce((best, i) => (doubtOf(d, i) < doubtOf(d, best) ? i : best), list[0]);
  activate(p ?? nearest(found.length ? found : numbersOf(paragraphsOf(d))), "center");
  updateReviewed();
}

// In a narrow window the whole page scrolls: it must not run away from someone who is typing.
function openInPlace(d, p = null) {
  const top = scrollY;
  openDocument(d, p);
  scrollTo(0, top);
}

function paragraphRow(d, p, language) {
  const heat = HEAT.filter((limit) => probabilityOf(d, p) >= limit).length;
  const attributes = { id: `p${p}`, role: "option", tabindex: "-1", "data-paragraph": p, "data-heat": heat, "data-probability": probabilityOf(d, p) };
  const row = make("li", { ...attributes, "data-model-label": modelLabelOf(d, p) });
  row.append(make("span", { class: "mark" }), make("span", { class: "text", dir: "auto", ...language }, ...highlighted(textOf(d, p))));
  updateRow(d, p, row);
  return row;
}

function highlighted(text) {
  if (!wanted) return [text];
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(new RegExp(wanted.source, "giu"))) {
    parts.push(text.slice(end, found.index), make("mark", {}, found[0]));
    end = found.index + found[0].length;
  }
  return [...parts, text.slice(end)];
}

function updateRow(d, p, row) {
  const label = labelOf(d, p);
  row.dataset.label = label;
  row.dataset.kind = kindOf(d, p);
  row.dataset.changed = label !== modelLabelOf(d, p);
  row.setAttribute("aria-selected", label === "boilerplate");
  const words = [make("b", {}, WORDS[label]), " ", digits(probabilityOf(d, p))];
  if (kindOf(d, p)) words.push(" ", make("span", { class: "tag" }, kindOf(d, p)));
  if (label !== modelLabelOf(d, p)) words.push(" ", make("span", { class: "tag" }, "changed"));
  row.firstChild.replaceChildren(...words, " ");
}

const rowOf = (p) => $("paragraphs").children[p];

function activate(p, block = "nearest") {
  const before = rowOf(active);
  if (before) {
    before.tabIndex = -1;
    delete before.dataset.active;
  }
  active = p;
  rowOf(p).tabIndex = 0;
  rowOf(p).dataset.active = "";
  rowOf(p).scrollIntoView({ block });
  updateInspector();
}

function updateInspector() {
  $("label-of").textContent = `Paragraph ${active + 1} of ${paragraphsOf(open).length}`;
  for (const label of Object.keys(WORDS)) $(`label-${label}`).setAttribute("aria-pressed", label === labelOf(open, active));
  $("kind").value = kindOf(open, active);
}

function updateReviewed() {
  $("reviewed").setAttribute("aria-pressed", isRight(open));
}

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
  let waiting = 0;
  const filterSoon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(applyFilters, 120);
  };
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

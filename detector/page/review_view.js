"use strict";
// What is shown. Only the document that is open has its paragraphs on the page.

const $ = (id) => document.getElementById(id);
const WORDS = { article: "keep", boilerplate: "remove", unsure: "unsure" };
const HEAT = [0.01, 0.1, 0.5, 0.9, 0.99]; // the colour changes at these probabilities

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

let waiting = 0; // for a pause in the typing

function filterSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(applyFilters, 120);
}

function applyFilters() {
  clearTimeout(waiting);
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

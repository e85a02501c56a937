"use strict";
// The documents, what a person changed of their labels, and the labelled lines that come of both. Nothing here touches what is shown.

const REVIEW = JSON.parse(document.getElementById("data").textContent);
const DOCUMENTS = REVIEW.documents;
const MODEL_LABELS = ["article", "boilerplate"];
const KINDS = ["banner", "preference", "button", "opt_out", "embed", "form", "wall"];
const STORE = `consent-review:${document.body.dataset.digest}`;
// Training refuses two labels of one text between the same neighbours where the three have so many characters (training/dataset.py).
const CONTEXT_CHARACTERS = 120;

let changes = {}; // of each changed document {labels: {paragraph: label}, kinds: {paragraph: kind}, note, right}; what the model says is left out
let storageProblem = ""; // why changes don't survive a reload
let unsaved = false; // whether there are changes that are neither kept nor downloaded

const paragraphsOf = (d) => DOCUMENTS[d].paragraphs;
const textOf = (d, p) => paragraphsOf(d)[p][0];
const probabilityOf = (d, p) => paragraphsOf(d)[p][1];
const modelLabelOf = (d, p) => MODEL_LABELS[paragraphsOf(d)[p][2]];
const labelOf = (d, p) => changes[d]?.labels?.[p] ?? modelLabelOf(d, p);
const kindOf = (d, p) => (labelOf(d, p) === "boilerplate" && changes[d]?.kinds?.[p]) || "";
const noteOf = (d) => changes[d]?.note ?? "";
const isRight = (d) => Boolean(changes[d]?.right);
const isChanged = (d) => Boolean(changes[d]?.labels || changes[d]?.kinds);
const isReviewed = (d) => isRight(d) || isChanged(d);
const numbersOf = (list) => [...list.keys()];
const removedOf = (d) => numbersOf(paragraphsOf(d)).filter((p) => labelOf(d, p) === "boilerplate").length;

function logOdds(probability) {
  const p = Math.min(Math.max(probability, 1e-9), 1 - 1e-9);
  return Math.log(p / (1 - p));
}

const doubtOf = (d, p) => Math.abs(logOdds(probabilityOf(d, p)) - logOdds(REVIEW.threshold));

// ---- changes

function change(d, edit, keep = true) {
  const entry = { labels: {}, kinds: {}, note: "", right: false, ...changes[d] };
  edit(entry);
  const isEmpty = (value) => !value || (typeof value === "object" && !Object.keys(value).length);
  const full = Object.entries(entry).filter(([, value]) => !isEmpty(value));
  if (full.length) changes[d] = Object.fromEntries(full);
  else delete changes[d];
  unsaved = true;
  if (keep) store();
}

function setLabel(d, p, label, kind = "") {
  change(d, (entry) => {
    entry.labels = { ...entry.labels, [p]: label };
    if (label === modelLabelOf(d, p)) delete entry.labels[p];
    entry.kinds = { ...entry.kinds, [p]: kind };
    if (!kind) delete entry.kinds[p];
  });
}

const setNote = (d, note) => change(d, (entry) => { entry.note = note; });
const setRight = (d, right) => change(d, (entry) => { entry.right = right; });

// ---- what survives a reload

function store() {
  try {
    localStorage.setItem(STORE, JSON.stringify(changes));
    storageProblem = "";
  } catch (error) {
    storageProblem = error.message || String(error);
  }
}

function restore() {
  try {
    changes = JSON.parse(localStorage.getItem(STORE)) ?? {};
  } catch (error) {
    if (!(error instanceof SyntaxError)) storageProblem = error.message || String(error);
  }
  if (!storageProblem) store(); // a browser that lets us read may still forbid to write
}

// ---- labelled lines

// Paragraphs that can't be written with their label: their text stands between the same neighbours with the other one. What a person looked at
// goes before what nobody did; where two that were looked at disagree, both are listed.
function contradictions(chosen) {
  const groups = new Map();
  for (const d of chosen) {
    for (let p = 1; p < paragraphsOf(d).length - 1; p++) {
      const label = labelOf(d, p);
      const context = [textOf(d, p - 1), textOf(d, p), textOf(d, p + 1)];
      if (label === "unsure" || context[0].length + context[1].length + context[2].length < CONTEXT_CHARACTERS) continue;
      const key = JSON.stringify(context);
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push({ d, p, label, reviewed: isReviewed(d) });
    }
  }
  const left = new Set();
  const disagreeing = [];
  for (const group of groups.values()) {
    if (group.every(({ label }) => label === group[0].label)) continue;
    const seen = group.filter(({ reviewed }) => reviewed);
    const agree = seen.length > 0 && seen.every(({ label }) => label === seen[0].label);
    for (const { d, p, label } of group) if (!agree || label !== seen[0].label) left.add(`${d}:${p}`);
    if (!agree && seen.length) disagreeing.push(seen);
  }
  return { left, disagreeing };
}

function labelled(chosen) {
  const { left, disagreeing } = contradictions(chosen);
  const lines = chosen.map((d) => {
    const { id, lang, source, site } = DOCUMENTS[d];
    const paragraphs = numbersOf(paragraphsOf(d)).map((p) => {
      const row = { text: textOf(d, p), label: left.has(`${d}:${p}`) ? "unsure" : labelOf(d, p) };
      if (row.label === "boilerplate" && kindOf(d, p)) row.kind = kindOf(d, p);
      return row;
    });
    const line = { id, lang, source, site, paragraphs }; // what is undefined is left out
    if (noteOf(d)) line.note = noteOf(d);
    if (!isReviewed(d)) line.reviewed = false;
    // some readers end a line at these
    return JSON.stringify(line).replace(/[\u0085\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`) + "\n";
  });
  return { text: lines.join(""), left, disagreeing };
}

// Take labels of a download back, for the documents that have the same identifier and the same paragraphs.
function load(text) {
  const places = new Map(numbersOf(DOCUMENTS).map((d) => [JSON.stringify([DOCUMENTS[d].id, DOCUMENTS[d].source]), d]));
  const counts = { taken: 0, unknown: 0, damaged: 0 };
  for (const line of text.split("\n").filter((l) => l.trim())) {
    let row = null;
    try {
      row = JSON.parse(line);
    } catch {
      counts.damaged++;
      continue;
    }
    const d = places.get(JSON.stringify([row?.id, row?.source]));
    const rows = Array.isArray(row?.paragraphs) ? row.paragraphs : [];
    if (d === undefined || rows.length !== paragraphsOf(d).length || rows.some((r, p) => r?.text !== textOf(d, p))) {
      counts.unknown++;
      continue;
    }
    const take = (entry) => {
      entry.note = typeof row.note === "string" ? row.note : "";
      if (row.reviewed === false) return;
      const isKnown = (r) => MODEL_LABELS.includes(r.label) || r.label === "unsure";
      const differing = numbersOf(rows).filter((p) => isKnown(rows[p]) && rows[p].label !== modelLabelOf(d, p));
      const withKind = numbersOf(rows).filter((p) => rows[p].label === "boilerplate" && KINDS.includes(rows[p].kind));
      entry.labels = Object.fromEntries(differing.map((p) => [p, rows[p].label]));
      entry.kinds = Object.fromEntries(withKind.map((p) => [p, rows[p].kind]));
      entry.right = true;
    };
    change(d, take, false);
    counts.taken++;
  }
  store();
  return counts;
}

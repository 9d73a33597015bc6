// Asks for the batches of the key that was typed, every two seconds, and shows them. The key stays in this page: it is in no
// cookie, no storage and no address.
"use strict";

const EVERY = 2000;
const MOST = 100;
const state = document.getElementById("state");
const table = document.getElementById("batches");
let key = null;
let before = new Map();
let asked = 0;

function say(text, bad = false) {
  state.textContent = text;
  state.classList.toggle("bad", bad);
}

function cell(row, text, style = "") {
  const cell = row.insertCell();
  cell.textContent = text;
  cell.className = style;
  return cell;
}

function age(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "min"]];
  const unit = units.find(([length]) => seconds >= length);
  return unit ? `${Math.floor(seconds / unit[0])} ${unit[1]}` : `${Math.max(0, Math.floor(seconds))} s`;
}

// Lines a minute since the last look, of a batch that is at work.
function rate(batch, done, now) {
  const last = before.get(batch.id);
  if (batch.status !== "in_progress" || !last || now <= last.at) {
    return "";
  }
  return Math.round(((done - last.done) * 60000) / (now - last.at)).toLocaleString();
}

function show(batches, more, at) {
  const now = performance.now();
  const seen = new Map();
  const body = document.createElement("tbody");
  for (const batch of batches) {
    const { total, completed, failed } = batch.request_counts;
    const row = body.insertRow();
    row.className = batch.status;
    cell(row, batch.status.replace("_", " "), "status");
    cell(row, batch.id, "id");
    cell(row, batch.endpoint.replace("/v1/", ""));
    cell(row, batch.model ?? "");
    const lines = cell(row, "");
    if (total > 0) {
      const bar = document.createElement("progress");
      bar.max = total;
      bar.value = completed + failed;
      lines.append(bar, ` ${(completed + failed).toLocaleString()} of ${total.toLocaleString()}`);
    }
    for (const error of batch.errors?.data ?? []) {
      const why = document.createElement("div");
      why.className = "why";
      why.textContent = (error.line ? `line ${error.line}: ` : "") + error.message;
      lines.append(why);
    }
    cell(row, failed.toLocaleString(), failed > 0 ? "number some" : "number");
    cell(row, rate(batch, completed + failed, now), "number");
    cell(row, age(at - batch.created_at), "number");
    seen.set(batch.id, { at: now, done: completed + failed });
  }
  table.tBodies[0].replaceWith(body);
  table.hidden = batches.length === 0;
  before = seen;
  say(batches.length === 0 ? "This key has no batches." : more ? `The newest ${MOST}; there are more.` : "");
}

async function look() {
  const turn = ++asked;
  try {
    const answer = await fetch(`/v1/batches?limit=${MOST}`, { headers: { authorization: `Bearer ${key}` } });
    const list = await answer.json();
    if (turn !== asked) {
      return;
    }
    if (!answer.ok) {
      table.hidden = true;
      say(list.error?.message ?? `The gateway answers ${answer.status}.`, true);
      return;
    }
    show(list.data, list.has_more, Date.parse(answer.headers.get("date")) / 1000);
  } catch {
    say("The gateway cannot be reached.", true);
  }
  if (turn === asked) {
    setTimeout(() => (document.hidden ? wait(turn) : look()), EVERY);
  }
}

// Nothing is asked while nobody looks.
function wait(turn) {
  document.addEventListener("visibilitychange", () => turn === asked && look(), { once: true });
}

document.getElementById("who").addEventListener("submit", (event) => {
  event.preventDefault();
  key = document.getElementById("key").value.trim() || "any";
  before = new Map();
  look();
});
if (new URLSearchParams(location.search).has("any")) {
  document.getElementById("who").requestSubmit();
}

/** The page `/batches`: what there is, how far it is, and a manifest to be handed in. */
import { ApiError, call } from './api.js';
import { card, hasEnded, nameOf, state } from './batch_card.js';
import { toggleRows } from './batch_rows.js';
import { saveAs } from './disk.js';
import { by, onDrop, say, size, trouble } from './dom.js';
import { keyButton } from './key.js';
import { submitManifest } from './manifest.js';

const PAGE = 20;
const EVERY = 1500; // milliseconds between two looks at batches that go on
const IDLE = 10_000; // milliseconds, where all have ended

const list = by('batches');
/** @type {Map<string, object>} as shown, by id */
const shown = new Map();
let next = null;
let chosen = null;
let turn = 0;

const acts = {
  pause: guarded((batch) => change(batch, 'pause')),
  resume: guarded((batch) => change(batch, 'resume')),
  cancel: guarded(async (batch) => { if (confirm(`Cancel “${nameOf(batch)}”? Rows that are not done will not be.`)) await change(batch, 'cancel'); }),
  rerun: guarded((batch) => change(batch, 'rerun')),
  report: guarded((batch) => saveAs(`${nameOf(batch)}-report.jsonl`, () => call(batch.links.report))),
  summary: guarded((batch) => saveAs(`${nameOf(batch)}-summary.csv`, () => call(batch.links.summary))),
  rows: guarded((batch, button) => {
    const place = button.closest('.batch').querySelector('.rows');
    button.setAttribute('aria-expanded', String(place.hidden));
    return toggleRows(place, batch, guarded);
  }),
};

async function change(batch, action) {
  put(await (await call(`${batch.links.self}/${action}`, { method: 'POST' })).json());
}

function put(batch, first = false) {
  const before = shown.get(batch.id);
  shown.set(batch.id, batch);
  const old = list.querySelector(`[data-id="${batch.id}"]`);
  const made = card(old, batch, acts);
  if (!old) list[first ? 'prepend' : 'append'](made);
  if (before && state(before) !== state(batch)) say(`${nameOf(batch)}: ${state(batch)}`);
}

/** The first page again, and older ones that go on; a later call makes an earlier one's answer void. */
async function look() {
  const mine = ++turn;
  const status = by('status').value;
  const page = await fetched(null);
  const known = new Set(page.batches.map(({ id }) => id));
  const older = [...shown.values()].filter((batch) => !known.has(batch.id) && !hasEnded(batch) && !status);
  const again = await Promise.all(older.map(async ({ links }) => (await call(links.self)).json()));
  if (mine !== turn) return;
  if (status) for (const id of [...shown.keys()].filter((one) => !known.has(one))) drop(id);
  if (!shown.size) next = page.next;
  const fresh = page.batches.filter(({ id }) => !shown.has(id));
  const opening = !shown.size;
  for (const batch of opening ? page.batches : fresh.reverse()) put(batch, !opening);
  for (const batch of [...page.batches, ...again]) put(batch);
  by('none').hidden = shown.size > 0;
  by('more').hidden = !next;
}

function drop(id) {
  shown.delete(id);
  list.querySelector(`[data-id="${id}"]`)?.remove();
}

async function fetched(cursor) {
  const status = by('status').value;
  const query = new URLSearchParams({ limit: PAGE, ...(status && { status }), ...(cursor && { cursor }) });
  return (await call(`/v1/batches?${query}`)).json();
}

async function more() {
  const page = await fetched(next);
  for (const batch of page.batches) put(batch);
  next = page.next;
  by('more').hidden = !next;
}

async function restart() {
  for (const id of [...shown.keys()]) drop(id);
  next = null;
  await look();
}

function take([file]) {
  chosen = file ?? null;
  by('manifest-words').textContent = chosen ? `${chosen.name}, ${size(chosen.size)}` : 'or drop it anywhere on this page';
  by('start').disabled = !chosen;
}

async function start() {
  by('start').disabled = true;
  try {
    const batch = await submitManifest(chosen, { name: by('name').value.trim(), prefix: by('prefix').value.trim() });
    put(batch, true);
    by('none').hidden = true;
    by('form').reset();
    take([]);
    say(`${nameOf(batch)}: ${state(batch)}`);
  } finally {
    by('start').disabled = !chosen;
  }
}

function guarded(act) {
  return async (...given) => {
    try {
      await act(...given);
      trouble('');
    } catch (error) {
      trouble(error instanceof ApiError ? error.message : `This browser refused: ${error.message}`);
    }
  };
}

let watching = false;

async function watch() {
  if (watching) return;
  watching = true;
  let away = false;
  for (;;) {
    try {
      if (!document.hidden) await look();
      if (away) trouble('');
      away = false;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      trouble(error.message);
      away = true;
      if (!error.passing) break; // another key may do
    }
    const busy = [...shown.values()].some((batch) => !hasEnded(batch));
    await new Promise((resolve) => setTimeout(resolve, busy && !away ? EVERY : IDLE));
  }
  watching = false;
}

keyButton(() => { trouble(''); watch(); });
onDrop(take);
by('manifest').addEventListener('change', (event) => take(event.target.files));
by('form').addEventListener('submit', (event) => { event.preventDefault(); guarded(start)(); });
by('status').addEventListener('change', guarded(restart));
by('more').addEventListener('click', guarded(more));
watch();

/** The rows of one batch, a page at a time. */
import { call, sentence } from './api.js';
import { make } from './dom.js';

const OUTCOMES = ['failed', 'restored', 'unchanged', 'skipped_done', 'duplicate', 'canceled', 'queued', 'waiting'];
const PAGE = 50;

/**
 * Show the rows in their place, or hide them again.
 * @param {HTMLElement} place
 * @param {object} batch
 * @param {(act: () => Promise<void>) => () => void} guarded
 */
export async function toggleRows(place, batch, guarded) {
  place.hidden = !place.hidden;
  if (place.hidden) return;
  const options = ['', ...OUTCOMES].map((outcome) => make('option', { value: outcome }, outcome.replace('_', ' ') || 'all'));
  const choice = make('select', { id: `outcome-${batch.id}` }, ...options);
  if (batch.counts.failed) choice.value = 'failed';
  const body = make('tbody');
  const more = make('button', { type: 'button', hidden: true }, 'More rows');
  let cursor = null;
  const fetched = async () => {
    const query = new URLSearchParams({ limit: PAGE, ...(choice.value && { outcome: choice.value }), ...(cursor && { cursor }) });
    const { rows, next } = await (await call(`${batch.links.rows}?${query}`)).json();
    body.append(...rows.map(line));
    if (!body.children.length) body.append(make('tr', {}, make('td', { colSpan: 4 }, 'None.')));
    cursor = next;
    more.hidden = !next;
  };
  more.onclick = guarded(fetched);
  choice.onchange = guarded(async () => { body.replaceChildren(); cursor = null; await fetched(); });
  const head = ['Line', 'Source', 'Outcome', 'Why, or where'].map((words) => make('th', { scope: 'col' }, words));
  place.replaceChildren(
    make('div', { className: 'part-head' }, make('label', { className: 'filter' }, 'Rows that are ', choice)),
    make('table', { 'aria-label': `Rows of ${batch.name ?? batch.id}` }, make('thead', {}, make('tr', {}, ...head)), body), more);
  await fetched();
}

function line({ line: number, source, outcome, error, output, duplicate_of: twin }) {
  const why = error ? `${sentence(error.message)}` : twin ? `As ${twin}` : output ?? '';
  return make('tr', {}, make('td', {}, String(number)), make('td', {}, source || '–'), make('td', { className: outcome === 'failed' ? 'bad' : '' }, outcome.replace('_', ' ')), make('td', {}, why));
}

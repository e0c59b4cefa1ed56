/** The list of photos: one row each, what happens to it in words, and what can be done about it. */
import { sentence } from './api.js';
import { make, size } from './dom.js';
import { isFinal } from './follow.js';

const STAGES = {
  fetch: 'Fetching the photo', decode: 'Reading the photo', predict: 'Finding the light', encode: 'Writing the gain map',
  assemble: 'Putting the file together', verify: 'Checking the file', store: 'Storing the result',
};
const OUTCOMES = { restored: 'HDR restored', kept: 'Had its gain map already; kept', transferred: 'HDR taken from the original' };

/**
 * @param {import('./board.js').Entry} entry
 * @returns {{words: string, mood: string}}
 */
export function tell({ job, state, share, said }) {
  if (!job) {
    if (state === 'sending') return { words: said || (share < 1 ? `Sending, ${Math.floor(share * 100)} %` : 'Sent; the service looks at it'), mood: '' };
    return { words: state === 'waiting' ? 'Waiting to be sent' : said, mood: state === 'waiting' ? '' : 'bad' };
  }
  if (job.status === 'succeeded') {
    const { outcome, size: bytes, metadata } = job.result;
    const stops = metadata?.alternate_hdr_headroom;
    const parts = [OUTCOMES[outcome] ?? sentence(outcome).replace('.', ''), stops ? `${stops.toFixed(1)} stops` : '', size(bytes), job.deduplicated ? 'known already' : ''];
    return { words: parts.filter(Boolean).join(' · '), mood: 'good' };
  }
  if (job.status === 'running') return { words: `${STAGES[job.stage] ?? 'At work'}, ${job.percent} %`, mood: '' };
  if (job.status === 'queued') return { words: job.error ? `Trying once more: ${sentence(job.error.message)}` : 'In the queue', mood: '' };
  if (job.status === 'canceled') return { words: 'Canceled', mood: '' };
  return { words: sentence(job.error?.message ?? 'It failed, and nothing is known of why'), mood: 'bad' };
}

/**
 * @typedef {object} Acts
 * @property {(entry: object) => void} view
 * @property {(entry: object) => void} download
 * @property {(entry: object) => void} cancel
 * @property {(entry: object) => void} retry
 * @property {(entry: object) => void} curl
 * @property {(entry: object) => void} remove
 */

/**
 * Draw a row anew in place, keeping the focus.
 * @param {HTMLElement} list
 * @param {import('./board.js').Entry} entry
 * @param {Acts} acts
 */
export function draw(list, entry, acts) {
  let row = /** @type {HTMLElement} */ (list.querySelector(`[data-key="${entry.key}"]`));
  if (!row) {
    row = make('li', { className: 'job', 'data-key': entry.key });
    row.append(make('span', { className: 'job-name' }, entry.name), make('span', { className: 'job-state' }), make('span', { className: 'job-actions' }));
    list.append(row);
  }
  const [, state, actions] = row.children;
  const { words, mood } = tell(entry);
  if (state.textContent !== words) state.textContent = words;
  state.className = `job-state ${mood}`;
  row.dataset.status = entry.job?.status ?? entry.state;
  bar(row, entry);
  const wanted = offers(entry);
  const shown = [...actions.children].map((button) => button.dataset.act).join();
  if (shown === wanted.map(([act]) => act).join()) return;
  const had = actions.contains(document.activeElement);
  actions.replaceChildren(...wanted.map(([act, label]) => make('button', {
    type: 'button', 'data-act': act, 'aria-label': `${label}: ${entry.name}`, onclick: () => acts[act](entry),
  }, label)));
  if (had) actions.querySelector('button')?.focus();
}

function offers({ job, state }) {
  if (!job) return state === 'waiting' || state === 'sending' ? [['cancel', 'Cancel']] : [...(state === 'failed' ? [['retry', 'Try again']] : []), ['remove', 'Dismiss']];
  if (job.status === 'succeeded') return [['view', 'View'], ['download', 'Download'], ['curl', 'Copy as curl']];
  if (!isFinal(job)) return [['cancel', 'Cancel']];
  return [...(job.status === 'gone' ? [] : [['retry', 'Try again']]), ['remove', 'Dismiss']];
}

function bar(row, { job, state, share, name }) {
  const busy = job ? !isFinal(job) : state === 'sending';
  const old = row.querySelector('progress');
  if (!busy) { old?.remove(); return; }
  const meter = old ?? row.appendChild(make('progress', { max: 100, 'aria-label': `Progress of ${name}` }));
  meter.value = job ? job.percent : Math.floor(share * 100);
}

/** One batch: how far it is, what became of its rows, and what can be done with it. */
import { sentence } from './api.js';
import { drawn, make } from './dom.js';

const WORDS = {
  restored: 'restored', unchanged: 'HDR already', skipped_done: 'done before', duplicate: 'duplicates', failed: 'failed', canceled: 'canceled',
  queued: 'at work', waiting: 'waiting',
};
const STATES = {
  validating: 'Reading the manifest', running: 'Running', paused: 'Paused', completing: 'Writing the report', completed: 'Completed', failed: 'Failed', canceled: 'Canceled',
};
const CAUSES = 6; // shown of failures

/**
 * @param {object} batch
 * @returns {boolean} whether nothing more will happen to it by itself
 */
export function hasEnded(batch) {
  return ['completed', 'failed', 'canceled'].includes(batch.status) && batch.finished !== null;
}

/**
 * @param {object} batch
 * @returns {string}
 */
export function state(batch) {
  return batch.status === 'canceled' && !hasEnded(batch) ? 'Being canceled' : STATES[batch.status] ?? batch.status;
}

/**
 * Draw a batch anew in place, keeping the focus and what else stands in its card.
 * @param {HTMLElement|null} old
 * @param {object} batch
 * @param {Record<string, (batch: object) => void>} acts
 * @returns {HTMLElement}
 */
export function card(old, batch, acts) {
  const made = old ?? empty(batch);
  const [head, pace, bar, counts, failures, actions] = made.children;
  const [, status] = head.children;
  Object.assign(status, { textContent: state(batch), className: `status ${batch.status}` });
  pace.textContent = paceOf(batch);
  bar.replaceWith(outcomes(batch));
  counts.replaceChildren(...Object.keys(WORDS).filter((name) => batch.counts[name]).map((name) => make('li', { className: name }, `${batch.counts[name].toLocaleString()} ${WORDS[name]}`)));
  failures.textContent = causes(batch);
  failures.hidden = !failures.textContent;
  const wanted = offers(batch);
  if ([...actions.children].map((button) => button.dataset.act).join() !== wanted.map(([act]) => act).join()) {
    const had = actions.contains(document.activeElement);
    actions.replaceChildren(...wanted.map(([act, label]) => make('button', { type: 'button', 'data-act': act, 'aria-label': `${label}: ${nameOf(batch)}` }, label)));
    if (had) actions.querySelector('button')?.focus();
  }
  // The newest batch, not the one of which the button was made.
  for (const button of actions.children) button.onclick = () => acts[button.dataset.act](batch, button);
  made.dataset.status = hasEnded(batch) ? 'ended' : batch.status;
  return made;
}

/**
 * @param {object} batch
 * @returns {string}
 */
export function nameOf(batch) {
  return batch.name ?? `Batch ${batch.id.slice(-6)}`;
}

function empty(batch) {
  return make('article', { className: 'batch', 'data-id': batch.id, 'aria-labelledby': `name-${batch.id}` },
    make('div', { className: 'batch-head' }, make('h3', { id: `name-${batch.id}` }, nameOf(batch)), make('span', {}), make('span', { className: 'hint' }, new Date(batch.created).toLocaleString())),
    make('p', { className: 'hint' }), drawn('svg', {}), make('ul', { className: 'counts' }), make('p', { className: 'failures' }), make('div', { className: 'batch-actions' }), make('div', { className: 'rows', hidden: true }));
}

function paceOf({ counts, rate, eta, error, ...batch }) {
  if (error) return sentence(error.message);
  const done = counts.total - counts.waiting - counts.queued;
  const share = counts.total ? `${Math.floor((100 * done) / counts.total)} % of ${counts.total.toLocaleString()} rows` : 'No rows yet';
  const pace = hasEnded(batch) ? '' : [rate && `${rate >= 10 ? Math.round(rate) : rate.toFixed(1)} rows a second`, eta && `about ${span(eta)} left`].filter(Boolean).join(', ');
  return [share, pace].filter(Boolean).join(' · ');
}

function span(seconds) {
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor((seconds % 86400) / 3600), Math.ceil((seconds % 3600) / 60)];
  if (days) return `${days} d ${hours} h`;
  return hours ? `${hours} h ${minutes} min` : `${minutes} min`;
}

function outcomes({ counts }) {
  let at = 0;
  const parts = Object.keys(WORDS).filter((name) => name !== 'waiting' && counts[name]).map((name) => {
    const width = (1000 * counts[name]) / counts.total;
    at += width;
    return drawn('rect', { x: at - width, y: 0, width, height: 10, class: name });
  });
  const words = Object.keys(WORDS).filter((name) => counts[name]).map((name) => `${counts[name]} ${WORDS[name]}`).join(', ');
  return drawn('svg', { class: 'outcomes', viewBox: '0 0 1000 10', preserveAspectRatio: 'none', role: 'img', 'aria-label': `Outcomes: ${words || 'none yet'}` }, ...parts);
}

function causes({ failures }) {
  const shown = failures.slice(0, CAUSES).map(({ code, count }) => `${code.replaceAll('_', ' ')} (${count.toLocaleString()})`);
  const rest = failures.length - shown.length;
  return shown.length ? `Failed for: ${shown.join(', ')}${rest > 0 ? ` and ${rest} more causes` : ''}` : '';
}

function offers(batch) {
  const { status, counts } = batch;
  const ended = hasEnded(batch);
  return [
    status === 'running' && ['pause', 'Pause'],
    status === 'paused' && ['resume', 'Resume'],
    ['validating', 'running', 'paused'].includes(status) && ['cancel', 'Cancel'],
    ended && counts.failed && status !== 'failed' && ['rerun', 'Rerun failed'],
    ended && counts.total && ['report', 'Report'],
    ended && counts.total && ['summary', 'Summary as CSV'],
    counts.total && ['rows', 'Rows'],
  ].filter(Boolean);
}

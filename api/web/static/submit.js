/** Send photos: three at a time, each under a key of its own, so that a second try is never a second job. */
import { ApiError, call, upload } from './api.js';
import { askKey, forget, key } from './key.js';

const AT_ONCE = 3;
const PATIENCE = [1000, 2000, 4000, 8000, 15000]; // milliseconds between tries while the service is away

let running = 0;
const queue = [];

/**
 * Send a photo as soon as there is room.
 * @param {import('./board.js').Board} board
 * @param {import('./pairing.js').Pair} files
 * @param {object} options as the API takes them
 * @param {(entry: import('./board.js').Entry) => void} sent
 */
export function submit(board, files, options, sent) {
  const entry = board.add(files.photo.name);
  const idempotency = entry.key;
  const start = () => {
    board.put(entry, { state: 'waiting', stop: new AbortController(), said: '' });
    queue.push(async () => {
      if (entry.stop.signal.aborted) return;
      await send(board, entry, form(files, options), idempotency);
      if (entry.job) sent(entry);
    });
    next();
  };
  entry.again = start;
  start();
}

function next() {
  while (running < AT_ONCE && queue.length) {
    running += 1;
    queue.shift()().finally(() => { running -= 1; next(); });
  }
}

function form({ photo, original }, options) {
  const made = new FormData();
  made.append('photo', photo);
  if (original) made.append('original', original);
  if (Object.keys(options).length) made.append('options', JSON.stringify(options));
  return made;
}

async function send(board, entry, body, idempotency) {
  for (let tries = 0; ; tries += 1) {
    try {
      if (!key() && !(await askKey())) throw new ApiError('no_key', 'Give an API key first.');
      board.put(entry, { state: 'sending', said: '' });
      const job = await upload('/v1/jobs', body, idempotency, (share) => board.put(entry, { share }), entry.stop.signal);
      board.put(entry, { state: 'sent', job, said: '' });
      return;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 401) { forget(); continue; }
      if (!error.passing) {
        board.put(entry, { state: error.code === 'no_key' ? 'failed' : 'refused', said: error.message });
        return;
      }
      board.put(entry, { said: error.message, share: 0 });
      await new Promise((resolve) => setTimeout(resolve, PATIENCE[Math.min(tries, PATIENCE.length - 1)]));
      if (entry.stop.signal.aborted) return;
    }
  }
}

/**
 * Call off a photo, sent or not.
 * @param {import('./board.js').Board} board
 * @param {import('./board.js').Entry} entry
 */
export async function cancel(board, entry) {
  if (!entry.job) {
    entry.stop?.abort();
    board.put(entry, { state: 'failed', said: 'Canceled.' });
    return;
  }
  board.put(entry, { job: await (await call(`/v1/jobs/${entry.job.id}/cancel`, { method: 'POST' })).json() });
}

/** The page `/`: puts its parts together. */
import { ApiError, call } from './api.js';
import { Board } from './board.js';
import { by, make, onDrop, save, say, trouble } from './dom.js';
import { follow, isFinal } from './follow.js';
import { keyButton } from './key.js';
import { pair } from './pairing.js';
import { draw, tell } from './rows.js';
import { screenWords } from './screen.js';
import { cancel, submit } from './submit.js';
import { view } from './viewer.js';
import { saveZip } from './zip.js';

const list = by('jobs');
const board = new Board(changed);

const acts = {
  view: (entry) => view(by('viewer'), entry.job),
  download: guarded(async (entry) => save(await (await fetched(entry)).blob(), outName(entry))),
  cancel: guarded((entry) => cancel(board, entry)),
  retry: guarded(retry),
  curl: guarded(curl),
  remove: (entry) => { board.remove(entry); list.querySelector(`[data-key="${entry.key}"]`)?.remove(); summarize(); },
};

function changed(entry) {
  draw(list, entry, acts);
  summarize();
}

function summarize() {
  const all = [...board.entries.values()];
  const busy = all.filter((entry) => (entry.job ? !isFinal(entry.job) : ['waiting', 'sending'].includes(entry.state))).length;
  const done = board.done().length;
  by('jobs-part').hidden = !all.length;
  by('summary').textContent = [busy && `${busy} at work`, done && `${done} done`, all.length - busy - done && `${all.length - busy - done} without a result`].filter(Boolean).join(', ');
  by('zip').disabled = !done;
  by('clear').disabled = busy === all.length;
}

function watch(entry) {
  follow(entry.job.id, (job) => {
    const before = entry.job.status;
    board.put(entry, { job: { ...entry.job, ...job } });
    if (before !== job.status && isFinal(job)) say(`${entry.name}: ${tell(entry).words}`);
  }, (error) => trouble(error ? error.message : ''));
}

function options() {
  const chosen = {};
  const [strength, headroom] = [Number(by('strength').value), Number(by('headroom').value)];
  if (strength !== 1) chosen.strength = strength;
  if (headroom > 0) chosen.max_headroom = headroom;
  return chosen;
}

function take(files) {
  const pairs = pair(files, [...by('originals').files]);
  say(`${pairs.length} photos added`);
  for (const files of pairs) submit(board, files, options(), watch);
}

async function retry(entry) {
  if (!entry.job) { entry.again?.(); return; }
  board.put(entry, { job: await (await call(`/v1/jobs/${entry.job.id}/retry`, { method: 'POST' })).json() });
  watch(entry);
}

const fetched = (entry) => call(`/v1/jobs/${entry.job.id}/result`);

const outName = (entry) => `${entry.name.replace(/\.[^.]+$/, '')}_hdr.jpg`;

async function curl(entry) {
  const quoted = (words) => `'${words.replaceAll("'", "'\\''")}'`;
  const chosen = Object.keys(entry.job.options ?? {}).length ? ` -F ${quoted(`options=${JSON.stringify(entry.job.options)}`)}` : '';
  await navigator.clipboard.writeText(`curl -H "Authorization: Bearer $REGAIN_API_KEY" -F ${quoted(`photo=@${entry.name}`)}${chosen} ${location.origin}/v1/jobs`);
  say('The call is in the clipboard');
}

/** Fetched one after another, as the archive asks for them. */
async function* results() {
  for (const entry of board.done()) yield { name: outName(entry), input: await fetched(entry) };
}

async function zip() {
  const button = by('zip');
  button.disabled = true;
  try {
    if (await saveZip(results(), 'regain.zip')) say('The archive is saved');
  } finally {
    button.disabled = false;
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

function start() {
  keyButton();
  screenWords(by('screen'));
  by('photos').addEventListener('change', (event) => { take([...event.target.files]); event.target.value = ''; });
  by('originals').addEventListener('change', (event) => { by('originals-out').textContent = `${event.target.files.length} chosen`; });
  by('strength').addEventListener('input', (event) => { by('strength-out').textContent = Number(event.target.value).toFixed(1); });
  by('headroom').addEventListener('input', ({ target }) => { by('headroom-out').textContent = Number(target.value) ? `${Number(target.value).toFixed(1)} stops` : 'no limit'; });
  by('form').addEventListener('submit', (event) => event.preventDefault());
  by('zip').addEventListener('click', guarded(zip));
  by('clear').addEventListener('click', () => [...board.entries.values()].filter((entry) => (entry.job ? isFinal(entry.job) : !entry.stop)).forEach(acts.remove));
  onDrop(take);
  for (const entry of board.entries.values()) {
    changed(entry);
    if (entry.job && !isFinal(entry.job)) watch(entry);
  }
  document.documentElement.append(make('meta', { name: 'ready' }));
}

start();

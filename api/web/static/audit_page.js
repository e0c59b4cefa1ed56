/** The page `/audit`: one file, or two beside each other. */
import { ApiError, call } from './api.js';
import { by, make, onDrop, say, size, trouble } from './dom.js';
import { hasMap, readers, standards } from './findings.js';
import { keyButton } from './key.js';

async function report(file) {
  const response = await call('/v1/audit', { method: 'POST', headers: { 'Content-Type': 'image/jpeg' }, body: file });
  return { file, ...(await response.json()) };
}

function summary({ ok, findings }) {
  if (!hasMap(findings)) return ok ? 'A flat SDR photo.' : 'It announces a gain map that is not there.';
  return ok ? 'HDR everywhere that reads it.' : 'Some viewers lose the HDR.';
}

function card(found) {
  const { file, findings } = found;
  return make('article', { className: 'report' }, make('h2', {}, file.name), make('p', { className: 'hint' }, `${size(file.size)}. ${summary(found)}`), readers(findings), standards(findings));
}

/** What an upload took: findings that only the second file has, and those it no longer has. */
function difference([before, after]) {
  const only = (a, b) => a.findings.filter(({ code }) => !b.findings.some((other) => other.code === code)).map(({ code }) => code);
  const [gone, come] = [only(before, after), only(after, before)];
  const lost = hasMap(before.findings) && !hasMap(after.findings) ? 'The gain map is gone. ' : '';
  const bytes = `${before.file.name} has ${size(before.file.size)}, ${after.file.name} ${size(after.file.size)}.`;
  const codes = [come.length && `Only in the second: ${come.join(', ')}.`, gone.length && `Only in the first: ${gone.join(', ')}.`].filter(Boolean).join(' ');
  return make('p', { className: 'difference trouble' }, `${lost}${codes || 'The findings are the same.'} ${bytes}`);
}

async function take(files) {
  try {
    const found = await Promise.all(files.slice(0, 2).map(report));
    by('reports').replaceChildren(...(found.length === 2 ? [difference(found)] : []), ...found.map(card));
    trouble(files.length > 2 ? 'Only the first two files are shown.' : '');
    say(found.map((one) => `${one.file.name}: ${summary(one)}`).join(' '));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    by('reports').replaceChildren();
    trouble(error.message);
  }
}

keyButton();
onDrop(take);
by('files').addEventListener('change', (event) => { take([...event.target.files]); event.target.value = ''; });

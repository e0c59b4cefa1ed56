/** Hands a manifest in: in the request itself where it is short, else as an upload of its own. */
import { ApiError, call } from './api.js';

const INLINE = 512 * 1024; // characters, the API's own limit

/**
 * @param {File} file
 * @param {{name: string, prefix: string}} wish
 * @returns {Promise<object>} the batch
 */
export async function submitManifest(file, { name, prefix }) {
  const format = /\.csv$/i.test(file.name) ? 'csv' : 'jsonl';
  const manifest = file.size < INLINE ? { inline: await file.text() } : { upload: await uploaded(file, format) };
  const body = { manifest, format, name: name || file.name.slice(0, 255), ...(prefix && { output: { prefix } }) };
  return (await post('/v1/batches', body)).json();
}

function post(path, body) {
  return call(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
}

/** Straight to the store, as the API says. */
async function uploaded(file, format) {
  const type = format === 'csv' ? 'text/csv' : 'application/x-ndjson';
  const { id, method, url, fields, headers } = await (await post('/v1/uploads', { content_type: type, size: file.size, name: file.name.slice(0, 255) })).json();
  let body = file.slice(0, file.size, type);
  if (method === 'POST') {
    const form = new FormData();
    for (const [field, value] of Object.entries(fields)) form.append(field, value);
    form.append('file', body);
    body = form;
  }
  const answer = await fetch(url, { method, headers, body }).catch(() => { throw new ApiError('offline', 'The store does not answer, or does not let this page send to it.'); });
  if (!answer.ok) throw new ApiError('upload_failed', `The store refused the manifest (${answer.status}).`, answer.status);
  return id;
}

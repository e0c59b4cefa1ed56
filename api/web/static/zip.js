/** One archive of many files, written while they arrive: to disk where the browser lets a page write, else as a blob. */
import { save } from './dom.js';
import { downloadZip } from './vendor/client-zip-2.5.1.js';

/**
 * To be called in answer to a click, or no file may be chosen.
 * @param {AsyncIterable<{name: string, input: Response|Blob}>} files read one after another
 * @param {string} name of the archive
 * @returns {Promise<boolean>} whether it was saved; false: nobody chose a place
 */
export async function saveZip(files, name) {
  const place = await chosen(name);
  if (place === null) return false;
  const archive = downloadZip(distinct(files));
  // A fault on the way aborts the writing, and the file on disk stays as it was.
  if (place) await archive.body.pipeTo(await place.createWritable());
  else save(await archive.blob(), name);
  return true;
}

/** The file to write to; null: the choice was called off; undefined: this browser gives none. */
async function chosen(name) {
  try {
    return await window.showSaveFilePicker?.({ suggestedName: name, types: [{ description: 'ZIP archive', accept: { 'application/zip': ['.zip'] } }] });
  } catch (error) {
    return error.name === 'AbortError' ? null : undefined;
  }
}

async function* distinct(files) {
  const used = new Map();
  for await (const { name, input } of files) {
    const count = (used.get(name) ?? 0) + 1;
    used.set(name, count);
    yield { name: count === 1 ? name : name.replace(/(\.[^.]*)?$/, ` (${count})$1`), input };
  }
}

/** One archive of many files, written while they arrive. */
import { saveAs } from './disk.js';
import { downloadZip } from './vendor/client-zip-2.5.1.js';

/**
 * To be called in answer to a click.
 * @param {AsyncIterable<{name: string, input: Response|Blob}>} files read one after another
 * @param {string} name of the archive
 * @returns {Promise<boolean>} whether it was saved; false: nobody chose a place
 */
export function saveZip(files, name) {
  return saveAs(name, () => downloadZip(distinct(files)));
}

async function* distinct(files) {
  const used = new Map();
  for await (const { name, input } of files) {
    const count = (used.get(name) ?? 0) + 1;
    used.set(name, count);
    yield { name: count === 1 ? name : name.replace(/(\.[^.]*)?$/, ` (${count})$1`), input };
  }
}

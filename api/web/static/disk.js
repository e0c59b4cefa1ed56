/** Saves what arrives as a stream: to disk where the browser lets a page write, else as a blob. */
import { save } from './dom.js';

/**
 * To be called in answer to a click, or no file may be chosen.
 * @param {string} name of the file
 * @param {() => Response|Promise<Response>} open called once the place is known
 * @returns {Promise<boolean>} whether it was saved; false: nobody chose a place
 */
export async function saveAs(name, open) {
  const place = await chosen(name);
  if (place === null) return false;
  const response = await open();
  // A fault on the way aborts the writing, and the file on disk stays as it was.
  if (place) await response.body.pipeTo(await place.createWritable());
  else save(await response.blob(), name);
  return true;
}

/** The file to write to; null: the choice was called off; undefined: this browser gives none. */
async function chosen(name) {
  try {
    return await window.showSaveFilePicker?.({ suggestedName: name });
  } catch (error) {
    return error.name === 'AbortError' ? null : undefined;
  }
}

/** The API key: asked for once, kept for the tab. */
import { by } from './dom.js';

const NAME = 'regain-key';

/** @returns {string} empty where none is known */
export function key() {
  return sessionStorage.getItem(NAME) ?? '';
}

/** Forget a key that was refused. */
export function forget() {
  sessionStorage.removeItem(NAME);
}

/** @type {Promise<boolean>|null} many calls may need the key at once, and one dialog is enough */
let asking = null;

/**
 * Ask for a key.
 * @returns {Promise<boolean>} whether one was given
 */
export function askKey() {
  asking ??= new Promise((resolve) => {
    const dialog = /** @type {HTMLDialogElement} */ (by('key-dialog'));
    const field = /** @type {HTMLInputElement} */ (by('key'));
    field.value = key();
    dialog.addEventListener('close', () => {
      asking = null;
      const given = dialog.returnValue === 'ok' && field.value.trim() !== '';
      if (given) sessionStorage.setItem(NAME, field.value.trim());
      field.value = '';
      dialog.returnValue = '';
      resolve(given);
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

/**
 * Let the button in the bar open the dialog.
 * @param {() => void} [given] called when it brought a key
 */
export function keyButton(given) {
  by('key-open').addEventListener('click', async () => { if (await askKey()) given?.(); });
  // No submit button: Enter in the field would press the first one.
  by('key-cancel').addEventListener('click', () => /** @type {HTMLDialogElement} */ (by('key-dialog')).close(''));
}

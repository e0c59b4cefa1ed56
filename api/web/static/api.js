/** Calls of the API. Every refusal becomes an ApiError whose message is fit for people. */
import { askKey, forget, key } from './key.js';

/** A refusal; code `offline` where nothing answered at all. */
export class ApiError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {number} [status]
   */
  constructor(code, message, status = 0) {
    super(message);
    this.code = code;
    this.status = status;
  }

  /** @returns {boolean} whether the same call may succeed a little later */
  get passing() {
    return this.status === 0 ? this.code === 'offline' : this.status === 429 || this.status >= 500;
  }
}

const OFFLINE = () => new ApiError('offline', 'The service does not answer. Trying again…');

/** @returns {Record<string, string>} */
export function bearer() {
  return { Authorization: `Bearer ${key()}` };
}

/**
 * Fetch with the key; ask for it where it is missing or refused.
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<Response>}
 */
export async function call(path, init = {}) {
  if (!key() && !(await askKey())) throw new ApiError('no_key', 'Give an API key first.');
  let response;
  try {
    response = await fetch(path, { ...init, headers: { ...init.headers, ...bearer() } });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw OFFLINE();
  }
  if (response.ok) return response;
  const refusal = problem(response.status, await response.text());
  if (refusal.status === 401) {
    forget();
    if (await askKey()) return call(path, init);
  }
  throw refusal;
}

/**
 * Send a form with the upload's progress, which fetch cannot tell.
 * @param {string} path
 * @param {FormData} form
 * @param {string} idempotency
 * @param {(share: number) => void} progress
 * @param {AbortSignal} signal
 * @returns {Promise<object>}
 */
export function upload(path, form, idempotency, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', path);
    request.setRequestHeader('Authorization', bearer().Authorization);
    request.setRequestHeader('Idempotency-Key', idempotency);
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onerror = () => reject(OFFLINE());
    request.onabort = () => reject(new ApiError('canceled', 'Canceled.'));
    request.onload = () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(problem(request.status, request.responseText));
    };
    signal.addEventListener('abort', () => request.abort());
    request.send(form);
  });
}

/**
 * @param {number} status
 * @param {string} text a problem+json, or whatever a proxy says
 * @returns {ApiError}
 */
function problem(status, text) {
  try {
    const { code, detail } = JSON.parse(text);
    return new ApiError(code, sentence(detail), status);
  } catch {
    return new ApiError('unknown', `The service answered ${status}.`, status);
  }
}

/**
 * @param {string} words
 * @returns {string}
 */
export function sentence(words) {
  return words ? `${words[0].toUpperCase()}${words.slice(1)}${/[.!?…]$/.test(words) ? '' : '.'}` : '';
}

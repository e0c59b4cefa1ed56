/** What this tab has submitted: kept in sessionStorage, so that a reload finds it. */

const NAME = 'regain-jobs';

/**
 * @typedef {object} Entry one row
 * @property {string} key ours, from before the service has given an id
 * @property {string} name
 * @property {object|null} job as the service shows it
 * @property {string} state of the upload: waiting, sending, sent, unsent, refused
 * @property {number} share of the upload, 0 to 1
 * @property {string} said what to tell of the upload
 * @property {AbortController} [stop]
 * @property {(() => void)} [again]
 */

/** Rows in the order in which they came. */
export class Board {
  /** @param {(entry: Entry) => void} changed */
  constructor(changed) {
    /** @type {Map<string, Entry>} */
    this.entries = new Map();
    this.changed = changed;
    for (const { key, name, job } of JSON.parse(sessionStorage.getItem(NAME) ?? '[]')) {
      const lost = { state: 'unsent', said: 'Not sent before the page was left: choose it again.' };
      this.entries.set(key, { key, name, job, share: 0, ...(job ? { state: 'sent', said: '' } : lost) });
    }
  }

  /**
   * @param {string} name
   * @returns {Entry}
   */
  add(name) {
    const entry = { key: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, name, job: null, state: 'waiting', share: 0, said: '' };
    this.entries.set(entry.key, entry);
    this.put(entry, {});
    return entry;
  }

  /**
   * @param {Entry} entry
   * @param {Partial<Entry>} change
   */
  put(entry, change) {
    Object.assign(entry, change);
    this.changed(entry);
    this.#keep();
  }

  /** @param {Entry} entry */
  remove(entry) {
    this.entries.delete(entry.key);
    this.#keep();
  }

  /** @returns {Entry[]} */
  done() {
    return [...this.entries.values()].filter((entry) => entry.job?.status === 'succeeded');
  }

  #keep() {
    const kept = [...this.entries.values()].map(({ key, name, job }) => ({ key, name, job: job && brief(job) }));
    sessionStorage.setItem(NAME, JSON.stringify(kept));
  }
}

const brief = (job) => ({ id: job.id, status: job.status, name: job.name, percent: job.percent, stage: job.stage, error: job.error, result: job.result, options: job.options, deduplicated: job.deduplicated });

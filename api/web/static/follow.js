/** Follow jobs to their end: two by event stream, since a browser has six connections a host, the rest by asking. */
import { ApiError, call } from './api.js';

const STREAMS = 2;
const EVERY = 1000; // milliseconds between questions
const LONGEST = 15000; // milliseconds, where the service is away

let streams = 0;

/**
 * Follow one job until it has ended or is gone.
 * @param {string} id
 * @param {(job: object) => void} changed
 * @param {(error: ApiError|null) => void} away told when the service stops answering, and null when it is back
 */
export async function follow(id, changed, away) {
  let wait = EVERY;
  for (;;) {
    try {
      const last = streams < STREAMS ? await stream(id, changed) : await ask(id, changed);
      away(null);
      wait = EVERY;
      if (!last || isFinal(last)) return;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!error.passing) {
        changed({ id, status: 'gone', error: { code: error.code, message: error.message } });
        return;
      }
      away(error);
      wait = Math.min(wait * 2, LONGEST);
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

/**
 * @param {{status: string}} job
 * @returns {boolean}
 */
export function isFinal(job) {
  return ['succeeded', 'failed', 'canceled', 'dead', 'gone'].includes(job.status);
}

async function ask(id, changed) {
  const job = await (await call(`/v1/jobs/${id}`)).json();
  changed(job);
  return job;
}

async function stream(id, changed) {
  streams += 1;
  try {
    const response = await call(`/v1/jobs/${id}/events`, { headers: { Accept: 'text/event-stream' } });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    let last = null;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) {
        const data = block.split('\n').filter((line) => line.startsWith('data: ')).map((line) => line.slice(6)).join('\n');
        const named = /^event: (\w+)/m.exec(block)?.[1];
        if (named === 'deleted') throw new ApiError('job_not_found', 'The job was deleted.', 404);
        if (named === 'job') changed((last = JSON.parse(data)));
      }
    }
    return last ?? (await ask(id, changed));
  } catch (error) {
    if (error instanceof ApiError) throw error;
    return ask(id, changed); // the stream broke: the question says whether the service is there
  } finally {
    streams -= 1;
  }
}

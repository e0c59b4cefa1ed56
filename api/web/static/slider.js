/** Before and after, one above the other, without anything that would cost Safari its HDR. */
import { make } from './dom.js';

const STEP = 2; // percent

/**
 * Two images at the root of one plain box; the clip is on the image itself, and no box around it clips.
 * @param {string} before address of the flat photo
 * @param {string} after address of the HDR photo
 * @param {number} width pixels
 * @param {number} height pixels
 * @returns {HTMLElement}
 */
export function slider(before, after, width, height) {
  const stage = make('div', { className: 'stage' });
  stage.style.aspectRatio = `${width} / ${height}`;
  const flat = make('img', { src: before, alt: 'The photo as it came, SDR', draggable: false });
  const high = make('img', { src: after, alt: 'The restored photo, HDR', draggable: false });
  const handle = make('div', {
    className: 'handle', role: 'slider', tabIndex: 0, 'aria-label': 'How much of the flat photo is shown', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-orientation': 'horizontal',
  });
  let at = 50;
  const move = (percent) => {
    at = Math.min(100, Math.max(0, percent));
    high.style.clipPath = `inset(0 0 0 ${at}%)`;
    handle.style.left = `${at}%`;
    handle.setAttribute('aria-valuenow', String(Math.round(at)));
    handle.setAttribute('aria-valuetext', `${Math.round(at)} % flat, ${Math.round(100 - at)} % HDR`);
  };
  const follow = (event) => {
    const box = stage.getBoundingClientRect();
    move(((event.clientX - box.left) / box.width) * 100);
  };
  stage.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    stage.setPointerCapture(event.pointerId);
    stage.dataset.dragging = '';
    follow(event);
    handle.focus({ preventScroll: true });
    event.preventDefault();
  });
  stage.addEventListener('pointermove', (event) => 'dragging' in stage.dataset && follow(event));
  for (const end of ['pointerup', 'pointercancel']) stage.addEventListener(end, () => delete stage.dataset.dragging);
  handle.addEventListener('keydown', (event) => {
    const to = { ArrowLeft: at - STEP, ArrowDown: at - STEP, ArrowRight: at + STEP, ArrowUp: at + STEP, PageDown: at - 10, PageUp: at + 10, Home: 0, End: 100 }[event.key];
    if (to === undefined) return;
    move(to);
    event.preventDefault();
  });
  move(50);
  stage.append(flat, high, make('span', { className: 'tag left' }, 'Flat'), make('span', { className: 'tag right' }, 'HDR'), handle);
  return stage;
}

/**
 * One image in the same kind of box.
 * @param {string} address
 * @param {string} alt
 * @param {number} width pixels
 * @param {number} height pixels
 * @returns {HTMLElement}
 */
export function still(address, alt, width, height) {
  const stage = make('div', { className: 'stage' }, make('img', { src: address, alt }));
  stage.style.aspectRatio = `${width} / ${height}`;
  return stage;
}

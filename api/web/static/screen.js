/** What this screen can show. */

const HIGH = matchMedia('(dynamic-range: high)');

/** @returns {boolean} whether the screen and the browser together show more than SDR white */
export function isHdr() {
  return HIGH.matches;
}

/**
 * Say it, and say it anew when the window moves to another screen.
 * @param {HTMLElement} place
 */
export function screenWords(place) {
  const tell = () => {
    place.textContent = isHdr()
      ? 'This screen shows HDR: in a result, highlights are brighter than the white of this page.'
      : 'This screen shows SDR only, so a result looks like your photo here. The view “Exposure” shows what the gain map adds.';
  };
  HIGH.addEventListener('change', tell);
  tell();
}

/** What a page is made of. */

/**
 * One element by its id.
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
export function by(id) {
  return /** @type {T} */ (document.getElementById(id));
}

/**
 * Make an element; text is always text, never markup.
 * @param {string} name
 * @param {Record<string, unknown>} [traits] properties, or attributes where the name has a dash or is `role`
 * @param {...(Node|string)} children
 * @returns {HTMLElement}
 */
export function make(name, traits = {}, ...children) {
  const element = document.createElement(name);
  for (const [trait, value] of Object.entries(traits)) {
    if (trait in element && !trait.includes('-')) element[trait] = value;
    else element.setAttribute(trait, String(value));
  }
  element.append(...children);
  return element;
}

/**
 * Make a part of an SVG.
 * @param {string} name
 * @param {Record<string, unknown>} attributes
 * @param {...(Node|string)} children
 * @returns {SVGElement}
 */
export function drawn(name, attributes, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, String(value));
  element.append(...children);
  return element;
}

/**
 * Say something to a screen reader without moving its focus.
 * @param {string} words
 */
export function say(words) {
  by('live').textContent = words;
}

/**
 * Show what stands in the way, or take it back.
 * @param {string} words empty: all is well again
 */
export function trouble(words) {
  const place = by('trouble');
  if (place.textContent !== words) place.textContent = words;
  place.hidden = !words;
}

/**
 * Take files that are dropped anywhere on the page.
 * @param {(files: File[]) => void} take
 */
export function onDrop(take) {
  let depth = 0;
  const over = (change) => { depth = Math.max(0, depth + change); document.body.classList.toggle('over', depth > 0); };
  addEventListener('dragenter', () => over(1));
  addEventListener('dragleave', () => over(-1));
  addEventListener('dragover', (event) => event.preventDefault());
  addEventListener('drop', (event) => {
    event.preventDefault();
    over(-depth);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length) take(files);
  });
}

/**
 * Bytes for people.
 * @param {number} bytes
 * @returns {string}
 */
export function size(bytes) {
  return bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/**
 * Let the browser save a blob.
 * @param {Blob} blob
 * @param {string} name
 */
export function save(blob, name) {
  const link = make('a', { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

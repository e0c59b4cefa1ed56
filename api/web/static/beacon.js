/** Tells the service once a view what this screen can show: four words, no cookie, nothing of the visitor. */

const WIDTHS = [['rec2020', '(color-gamut: rec2020)'], ['p3', '(color-gamut: p3)'], ['srgb', '(color-gamut: srgb)']];
const MAKERS = [
  ['software', /swiftshader|llvmpipe|softpipe|basic render/i], ['xclipse', /xclipse/i], ['adreno', /adreno/i], ['mali', /mali|immortalis/i],
  ['powervr', /powervr/i], ['apple', /apple/i], ['nvidia', /nvidia|geforce/i], ['amd', /\bamd\b|radeon/i], ['intel', /intel/i],
];
const BROWSERS = [
  ['edge', /\bEdg(A|iOS)?\//], ['samsung', /SamsungBrowser/], ['opera', /\bOPR\/|\bOPT\//], ['firefox', /Firefox\/|FxiOS/],
  ['chrome', /Chrom(e|ium)\/|CriOS|HeadlessChrome/], ['safari', /Safari\//],
];

/** @returns {boolean} whether the visitor asked not to be counted */
function declined() {
  return navigator.globalPrivacyControl === true || ['1', 'yes'].includes(navigator.doNotTrack ?? window.doNotTrack);
}

/** The maker of the graphics unit, and no more of its name than that. */
function renderer() {
  const context = document.createElement('canvas').getContext('webgl');
  if (!context) return 'none';
  const known = context.getExtension('WEBGL_debug_renderer_info');
  const name = String(context.getParameter(known?.UNMASKED_RENDERER_WEBGL ?? context.RENDERER) ?? '');
  context.getExtension('WEBGL_lose_context')?.loseContext();
  return name ? first(MAKERS, (pattern) => pattern.test(name), 'other') : 'none';
}

function first(table, holds, otherwise) {
  return table.find(([, test]) => holds(test))?.[0] ?? otherwise;
}

function send() {
  const told = {
    dynamic_range: matchMedia('(dynamic-range: high)').matches ? 'high' : 'standard',
    gamut: first(WIDTHS, (query) => matchMedia(query).matches, 'none'),
    renderer: renderer(),
    browser: first(BROWSERS, (pattern) => pattern.test(navigator.userAgent), 'other'),
  };
  const body = JSON.stringify(told);
  fetch('/v1/insights/views', {
    method: 'POST', body, headers: { 'Content-Type': 'application/json' }, keepalive: true, credentials: 'omit', referrerPolicy: 'no-referrer',
  }).catch(() => {}); // nothing of the page depends on it
}

if (!declined()) (window.requestIdleCallback ?? setTimeout)(send);

"""What costs an image its HDR in Safari: a stacking context or a clip on any box around it."""

# Each property and the values that are harmless. Where a browser does not know one, it is harmless too.
WALK = """
() => {
  const harmless = {
    overflowX: ['visible'], overflowY: ['visible'], clipPath: ['none'], transform: ['none'], translate: ['none'],
    rotate: ['none'], scale: ['none'], filter: ['none'], backdropFilter: ['none'], opacity: ['1'], zIndex: ['auto'],
    willChange: ['auto'], isolation: ['auto'], contain: ['none'], containerType: ['normal'], mixBlendMode: ['normal'],
    perspective: ['none'], maskImage: ['none'],
  };
  const images = [...document.querySelectorAll('.stage img')];
  const found = images.length ? [] : ['no image'];
  for (const image of images) {
    if (getComputedStyle(image).position !== 'absolute') found.push('an image is not absolute');
    for (let box = image.parentElement; box; box = box.parentElement) {
      const style = getComputedStyle(box);
      if (['fixed', 'sticky'].includes(style.position)) found.push(`${box.tagName} position ${style.position}`);
      for (const [name, values] of Object.entries(harmless)) {
        const value = style[name];
        if (value !== undefined && !values.includes(value)) found.push(`${box.tagName} ${name} ${value}`);
      }
    }
  }
  return found;
}
"""

# The HDR image of the slider on a canvas: its brightest value without headroom, and with more than any file asks for.
PEAKS = """
async () => {
  const image = document.querySelectorAll('.stage img')[1];
  await image.decode();
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  const canvas = Object.assign(document.createElement('canvas'), {width, height});
  const context = canvas.getContext('2d', {colorType: 'float16'});
  return [0, 12].map((headroom) => {
    context.globalHDRHeadroom = headroom;
    context.drawImage(image, 0, 0);
    const {data} = context.getImageData(0, 0, canvas.width, canvas.height, {pixelFormat: 'rgba-float16'});
    let peak = 0;
    for (let i = 0; i < data.length; i += 1) if (i % 4 !== 3 && data[i] > peak) peak = data[i];
    return peak;
  });
}
"""

// Numbers that look random: sfc32, 32 bits at a time.  Repeatable by intention; nothing here is secret.
'use strict';
(function random(first, second, third, counter = 1) {
  let a = first | 0, b = second | 0, c = third | 0, d = counter | 0;
  const next = () => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  };
  for (let i = 0; i < 16; i++) next();
  return next;
})

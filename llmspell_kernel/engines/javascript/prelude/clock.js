// Date, with the host's time in place of the machine's: a replay of the same steps sees the same times.
'use strict';
(function clock({ hidden }, { now }) {
  const { construct, defineProperty, ownKeys, getOwnPropertyDescriptor, apply } = Reflect;
  const NativeDate = Date, { prototype } = NativeDate, { toString } = prototype;

  const KnownDate = function Date(...args) {
    if (new.target === undefined) return apply(toString, new NativeDate(now()), []);
    return construct(NativeDate, args.length === 0 ? [now()] : args, new.target);
  };
  for (const key of ownKeys(NativeDate)) defineProperty(KnownDate, key, getOwnPropertyDescriptor(NativeDate, key));
  defineProperty(KnownDate, 'now', hidden({ now() { return now(); } }.now));
  defineProperty(prototype, 'constructor', hidden(KnownDate));
  defineProperty(globalThis, 'Date', hidden(KnownDate));
})

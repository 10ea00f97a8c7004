// crypto.randomUUID, crypto.getRandomValues and uuid.v4, from numbers that the host seeds and keeps: unique, repeatable in a replay, not secret.
'use strict';
(function crypto({ random }) {
  const { apply, getOwnPropertyDescriptor, getPrototypeOf } = Reflect;
  const { isView } = ArrayBuffer;
  const U8 = Uint8Array, TypeErr = TypeError, Exception = DOMException;
  const { toHex } = U8.prototype, { slice } = String.prototype;
  const typedArray = getPrototypeOf(U8.prototype);
  const getter = (name) => getOwnPropertyDescriptor(typedArray, name).get;
  const bufferOf = getter('buffer'), offsetOf = getter('byteOffset'), lengthOf = getter('byteLength'), tagOf = getter(Symbol.toStringTag);
  const integers = { __proto__: null };
  for (const maker of [Int8Array, U8, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array, BigUint64Array]) integers[maker.name] = true;
  const MAX_BYTES = 65536;

  const fill = (bytes) => {
    for (let i = 0; i < bytes.length; i += 4) {
      for (let j = i, word = random(); j < i + 4 && j < bytes.length; j++, word >>>= 8) bytes[j] = word & 255;
    }
    return bytes;
  };
  const getRandomValues = (view) => {
    const kind = isView(view) ? apply(tagOf, view, []) : undefined;
    if (kind === undefined || !(kind in integers)) throw new Exception('crypto.getRandomValues takes a typed array of integers', 'TypeMismatchError');
    const size = apply(lengthOf, view, []);
    if (size > MAX_BYTES) throw new Exception('crypto.getRandomValues fills at most ' + MAX_BYTES + ' bytes, not ' + size, 'QuotaExceededError');
    fill(new U8(apply(bufferOf, view, []), apply(offsetOf, view, []), size));
    return view;
  };
  const randomUUID = () => {
    const bytes = fill(new U8(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = apply(toHex, bytes, []), part = (from, to) => apply(slice, hex, [from, to]);
    return part(0, 8) + '-' + part(8, 12) + '-' + part(12, 16) + '-' + part(16, 20) + '-' + part(20, 32);
  };
  return {
    __proto__: null,
    crypto: { getRandomValues(view) { return getRandomValues(view); }, randomUUID() { return randomUUID(); } },
    uuid: { v4() { return randomUUID(); } },
  };
})

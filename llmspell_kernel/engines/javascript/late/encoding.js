// TextEncoder, TextDecoder and base64: text is UTF-8.
//
// The engine's own functions do the work on whole texts (a loop in a script is a hundred times slower); only what is not valid UTF-8 is
// decoded here, byte by byte, as the Encoding Standard says.
'use strict';
(function encoding({ kindOf }) {
  const { apply, getPrototypeOf, getOwnPropertyDescriptor } = Reflect;
  const { isView } = ArrayBuffer;
  const U8 = Uint8Array, TypeErr = TypeError, RangeErr = RangeError, Text = String;
  const { encodeURIComponent, decodeURIComponent, escape, unescape, btoa, atob } = globalThis;
  const { toBase64, subarray, set } = U8.prototype, { fromBase64 } = U8;
  const { toWellFormed, toLowerCase, trim, slice, replaceAll } = String.prototype, { fromCodePoint } = String;
  const typedArray = getPrototypeOf(U8.prototype);
  const getter = (of, name) => getOwnPropertyDescriptor(of, name).get;
  const viewBuffer = getter(typedArray, 'buffer'), viewOffset = getter(typedArray, 'byteOffset'), viewLength = getter(typedArray, 'byteLength');
  const dataBuffer = getter(DataView.prototype, 'buffer'), dataOffset = getter(DataView.prototype, 'byteOffset');
  const dataLength = getter(DataView.prototype, 'byteLength'), bufferLength = getter(ArrayBuffer.prototype, 'byteLength');

  const encode = (text) => apply(fromBase64, U8, [btoa(unescape(encodeURIComponent(apply(toWellFormed, text, []))))]);
  const bytesOf = (input) => {
    if (isView(input)) {
      if (kindOf(input) === 'DataView') return new U8(apply(dataBuffer, input, []), apply(dataOffset, input, []), apply(dataLength, input, []));
      return new U8(apply(viewBuffer, input, []), apply(viewOffset, input, []), apply(viewLength, input, []));
    }
    if (typeof input === 'object' && input !== null && kindOf(input) === 'ArrayBuffer') {
      apply(bufferLength, input, []);
      return new U8(input);
    }
    throw new TypeErr('bytes are an ArrayBuffer or a typed array');
  };
  // '' + undefined is never a text of bytes
  const decodeValid = (bytes) => {
    try { return decodeURIComponent(escape(atob(apply(toBase64, bytes, [])))); } catch (_) { return undefined; }
  };
  const decodeAny = (bytes) => {
    let text = '', needed = 0, seen = 0, point = 0, lower = 0x80, upper = 0xbf;
    for (let i = 0; i < bytes.length; i++) {
      const b = bytes[i];
      if (needed === 0) {
        if (b < 0x80) text += fromCodePoint(b);
        else if (b >= 0xc2 && b <= 0xdf) { needed = 1; point = b & 0x1f; }
        else if (b >= 0xe0 && b <= 0xef) { needed = 2; point = b & 0xf; if (b === 0xe0) lower = 0xa0; if (b === 0xed) upper = 0x9f; }
        else if (b >= 0xf0 && b <= 0xf4) { needed = 3; point = b & 7; if (b === 0xf0) lower = 0x90; if (b === 0xf4) upper = 0x8f; }
        else text += '\ufffd';
        continue;
      }
      const fits = b >= lower && b <= upper;
      lower = 0x80, upper = 0xbf;
      if (!fits) {
        needed = seen = 0;
        text += '\ufffd';
        i--;
        continue;
      }
      point = (point << 6) | (b & 0x3f);
      if (++seen === needed) { text += fromCodePoint(point); needed = seen = 0; }
    }
    return needed === 0 ? text : text + '\ufffd';
  };
  // how many bytes at the end are the beginning of a character that may still come
  const openBytes = (bytes) => {
    for (let back = 1; back <= 3 && back <= bytes.length; back++) {
      const b = bytes[bytes.length - back];
      if (b < 0x80) return 0;
      if (b < 0xc0) continue;
      const size = b >= 0xf0 && b <= 0xf4 ? 4 : b >= 0xe0 && b < 0xf0 ? 3 : b >= 0xc2 && b < 0xe0 ? 2 : 1;
      if (size <= back) return 0;
      // a second byte that cannot follow is an error now
      const second = back > 1 ? bytes[bytes.length - back + 1] : 0x90;
      const isPossible = !((b === 0xe0 && second < 0xa0) || (b === 0xed && second > 0x9f && back > 1) || (b === 0xf0 && second < 0x90) || (b === 0xf4 && second > 0x8f && back > 1));
      return isPossible || back === 1 ? back : 0;
    }
    return 0;
  };

  class TextEncoder {
    get encoding() { return 'utf-8'; }
    encode(text = '') { return encode(Text(text)); }
    encodeInto(text, target) {
      const source = apply(toWellFormed, Text(text), []);
      const room = apply(viewLength, target, []);
      let read = 0, bytes = encode(source);
      if (bytes.length <= room) read = source.length;
      else {
        let size = 0;
        for (let i = 0; i < source.length;) {
          const point = apply(codePointAt, source, [i]);
          const more = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
          if (size + more > room) break;
          size += more;
          i += more === 4 ? 2 : 1;
          read = i;
        }
        bytes = apply(subarray, bytes, [0, size]);
      }
      apply(set, target, [bytes]);
      return { read, written: bytes.length };
    }
  }
  const codePointAt = Text.prototype.codePointAt;
  const labels = { __proto__: null, 'utf-8': 1, utf8: 1, 'unicode-1-1-utf-8': 1, unicode11utf8: 1, unicode20utf8: 1, 'x-unicode20utf8': 1 };
  class TextDecoder {
    #fatal; #ignoreBOM; #rest = null; #begun = false;
    constructor(label = 'utf-8', options = {}) {
      if (!(apply(toLowerCase, apply(trim, Text(label), []), []) in labels)) throw new RangeErr("the encoding '" + Text(label) + "' is not supported; only utf-8 is");
      this.#fatal = !!options.fatal;
      this.#ignoreBOM = !!options.ignoreBOM;
    }
    get encoding() { return 'utf-8'; }
    get fatal() { return this.#fatal; }
    get ignoreBOM() { return this.#ignoreBOM; }
    decode(input, options = {}) {
      let bytes = input === undefined ? new U8(0) : bytesOf(input);
      if (this.#rest !== null) {
        const joined = new U8(this.#rest.length + bytes.length);
        apply(set, joined, [this.#rest]);
        apply(set, joined, [bytes, this.#rest.length]);
        bytes = joined;
      }
      const more = !!options.stream, open = more ? openBytes(bytes) : 0;
      this.#rest = null;
      if (open > 0) {
        // a copy: the caller may use its buffer again
        this.#rest = new U8(open);
        for (let i = 0; i < open; i++) this.#rest[i] = bytes[bytes.length - open + i];
        bytes = apply(subarray, bytes, [0, bytes.length - open]);
      }
      let text = decodeValid(bytes);
      if (text === undefined) {
        if (this.#fatal) { this.#rest = null; this.#begun = false; throw new TypeErr('the bytes are not valid utf-8'); }
        text = decodeAny(bytes);
      }
      if (!this.#begun && !this.#ignoreBOM && text[0] === '\ufeff') text = apply(slice, text, [1]);
      this.#begun = more && (this.#begun || bytes.length > 0);
      return text;
    }
  }

  const base64 = {
    encode(value, options) {
      const bytes = typeof value === 'string' ? encode(value) : bytesOf(value), url = !!options?.url;
      return apply(toBase64, bytes, [{ __proto__: null, alphabet: url ? 'base64url' : 'base64', omitPadding: url }]);
    },
    decode(text, options) {
      if (typeof text !== 'string') throw new TypeErr('base64.decode takes a text');
      const plain = apply(replaceAll, apply(replaceAll, text, ['-', '+']), ['_', '/']);
      const bytes = apply(fromBase64, U8, [plain]);
      if (options?.bytes) return bytes;
      const decoded = decodeValid(bytes);
      if (decoded === undefined) throw new TypeErr('what was decoded is no text (not valid UTF-8); ask for { bytes: true }');
      return decoded;
    },
  };
  return { __proto__: null, TextEncoder, TextDecoder, base64 };
})
